"""Renditions that are asked for by their quality, not by a CRF."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from support.settings import configure
from support.steps import Steps, steps_with
from support.tools import generate
from vod_operators.errors import LostWorkError
from vod_operators.media.choice import Choice
from vod_operators.media.encoders import ENCODERS
from vod_operators.operators import choose as choose_step
from vod_operators.operators import correct
from vod_operators.operators.base import VodStepOperator
from vod_operators.operators.publish import VodPublishOperator
from vod_operators.operators.segment import VodSegmentHlsOperator
from vod_operators.pipeline import CORRECT
from vod_operators.settings import get_settings
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.checkpoint import Marker
from vod_operators.work.choice import (
    decide_corrections,
    final_crfs,
    read_choice,
    read_corrections,
    store_choice,
    with_choice,
)
from vod_operators.work.job import Job, read_job

LADDER: dict[str, Any] = {
    "encoder": "libx264",
    "encoder_preset": "veryfast",
    "rungs": [
        {"name": "fixed", "width": 96, "height": 54, "crf": 30, "max_bitrate_bps": 900_000},
        {"name": "good", "width": 128, "height": 72, "quality": {"vmaf": 80}, "max_bitrate_bps": 4_000_000},
        {"name": "poor", "width": 128, "height": 72, "quality": {"vmaf": 95, "max_bitrate_bps": 40_000}},
    ],
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds that move."""
    return generate(
        tmp_path_factory.mktemp("source") / "film.mp4",
        *("-f", "lavfi", "-i", "mandelbrot=s=128x72:r=25", "-t", "3", "-g", "10"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-pix_fmt", "yuv420p"),
    )


@pytest.fixture
def steps(stores: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Steps]:
    return steps_with(stores, source, monkeypatch, ladders=[LADDER])


def job_of(run: Steps) -> tuple[Storage, Job]:
    worker = VodStepOperator(task_id="t", plan=run.pushed["plan"]).worker
    return worker.temp, read_job(worker.temp, run.pushed["plan"], get_settings())


def test_renditions_come_to_their_target_or_say_why_not(steps: Callable[..., Steps], stores: Path) -> None:
    run = steps()
    run.run()
    temp, job = job_of(run)
    choice = read_choice(temp, job)
    assert set(choice.renditions) == {"good", "poor"}
    good, poor = choice.renditions["good"], choice.renditions["poor"]
    assert good.vmaf == pytest.approx(80, abs=0.5) and not good.capped and good.why is None
    assert poor.capped and poor.why is not None and "the cap allows no more" in poor.why
    assert [point.crf for point in good.points] == list(ENCODERS["libx264"].probed_crfs)
    # The bytes are those of the window's own frames: three windows of a second make up the whole video.
    video = json.loads((stores / "results/film/video.json").read_text("utf-8"))
    (made,) = (made for made in video["renditions"] if made["name"] == "good")
    assert good.bitrate_bps == pytest.approx(made["average_bps"], rel=0.15)
    plan = with_choice(temp, job).plan
    assert plan.rendition("fixed").crf == 30 and plan.rendition("good").crf == good.crf
    # What came of it, by the certificate of the encodes themselves.
    quality = {made["name"]: made["quality"] for made in video["renditions"]}
    assert quality["fixed"]["target"] is None
    aimed = quality["good"]["target"]
    assert (aimed["vmaf"], aimed["capped"]) == (80, False) and abs(aimed["missed_by"]) <= 1.5
    assert aimed["missed_by"] == pytest.approx(quality["good"]["native"]["mean"] - 80, abs=0.011)
    assert quality["poor"]["target"]["capped"] and quality["poor"]["target"]["missed_by"] < -5
    (warning,) = (words for words in video["warnings"] if words.startswith("poor"))
    assert "its cap allows no more" in warning


def test_each_step_is_done_once(steps: Callable[..., Steps], stores: Path) -> None:
    steps().run()
    before = _markers(stores)
    assert {name for name in before if name.startswith("window-")} == {
        f"window-0000{number}.done.json" for number in range(3)
    }
    again = steps()
    again.run()
    assert _markers(stores) == before


def _markers(stores: Path) -> dict[str, tuple[int, int]]:
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in (stores / "tmp/film").glob("work-*/*.done.json")
        if not path.name.startswith("hls-")
    }


@pytest.mark.parametrize("lost", ["window-00001.done.json", "choice.json", "choose.done.json"])
def test_lost_work_is_done_again_and_comes_out_the_same(
    steps: Callable[..., Steps], stores: Path, lost: str
) -> None:
    run = steps()
    run.run("choose")
    temp, job = job_of(run)
    before = read_choice(temp, job)
    (path,) = (stores / "tmp/film").glob(f"work-*/{lost}")
    path.unlink()
    again = steps()
    again.run("transcode", clears=1)
    assert read_choice(temp, job) == before


@pytest.mark.parametrize("damaged", ["window-00001.done.json", "choice.json", "correct.done.json"])
def test_damage_is_found_and_mended(steps: Callable[..., Steps], stores: Path, damaged: str) -> None:
    steps().run("segment")
    (path,) = (stores / "tmp/film").glob(f"work-*/{damaged}")
    path.write_bytes(path.read_bytes().replace(b"7", b"8", 1))
    again = steps()
    again.verify = True
    again.run()
    assert path.name in " ".join(again.pushed["damage"])
    assert (stores / "results/film/index.m3u8").is_file()


def test_a_missed_target_is_corrected_once(
    steps: Callable[..., Steps], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the encodes were 6 better than their windows: ``good`` gets a higher CRF, in all chunks."""
    monkeypatch.setattr(correct, "read_measured", lambda *_: {"good": 86.0, "poor": 81.0})
    run = steps()
    run.run()
    temp, job = job_of(run)
    first = read_choice(temp, job).renditions["good"].crf
    crfs = read_corrections(temp, job)
    assert crfs is not None and first is not None and crfs.keys() == {"good"} and crfs["good"] > first + 1
    again = sorted(path.name for path in (stores / "tmp/film").glob("work-*/*.again.done.json"))
    assert again == [f"chunk-0000{number}.again.done.json" for number in range(3)]
    video = json.loads((stores / "results/film/video.json").read_text("utf-8"))
    (good,) = (made["quality"] for made in video["renditions"] if made["name"] == "good")
    assert (good["target"]["first_crf"], good["target"]["crf"]) == (first, crfs["good"])
    assert good["native"]["mean"] < 79  # measured on the second encode, which the test spoiled
    # The segments that players get are those of the second encode.
    version = next((stores / "results/film").glob("v-*"))
    (work,) = (stores / "tmp/film").glob("work-*")
    for number in range(3):
        name = f"seg-0000{number + 1}.m4s"
        published = (version / "good" / name).read_bytes()
        assert published == (work / f"chunk-0000{number}.again/good" / name).read_bytes()
        assert len(published) < (work / f"chunk-0000{number}/good" / name).stat().st_size
        assert (version / "poor" / name).read_bytes() == (
            work / f"chunk-0000{number}/poor" / name
        ).read_bytes()


def test_chunks_of_another_choice_are_encoded_again(
    steps: Callable[..., Steps], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A choice was lost, and another release chose otherwise: first encodes and second ones follow it."""
    monkeypatch.setattr(correct, "read_measured", lambda *_: {"good": 86.0})
    run = steps()
    run.run("correct")
    temp, job = job_of(run)
    choice, crfs = read_choice(temp, job), read_corrections(temp, job)
    before = _markers(stores)
    good = choice.renditions["good"]
    assert good.crf is not None and crfs is not None
    changed = good.model_copy(update={"crf": good.crf + 5})
    store_choice(temp, job, choice.model_copy(update={"renditions": choice.renditions | {"good": changed}}))
    checkpoint.save(temp, job.work_keys.marker(CORRECT), Marker(objects={}, facts={"crf": {"poor": 40.0}}))
    steps().run()
    after = _markers(stores)
    again = {name for name, place in after.items() if before.get(name) != place}
    assert {f"chunk-0000{n}{kind}.done.json" for n in range(3) for kind in ("", ".again")} <= again
    assert (stores / "results/film/index.m3u8").is_file()


@pytest.fixture
def other_choice(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on ``choose`` comes out otherwise, as that of another release may."""

    def change() -> None:
        usual = choose_step.choose

        def other(*args: Any) -> Choice:
            found = usual(*args)
            good = found.renditions["good"]
            assert good.crf is not None
            changed = good.model_copy(update={"crf": good.crf + 6})
            return found.model_copy(update={"renditions": found.renditions | {"good": changed}})

        monkeypatch.setattr(choose_step, "choose", other)

    return change


@pytest.mark.parametrize("until", ["segment", "release"])
@pytest.mark.parametrize("lost", ["choice.json", "correct.done.json"])
def test_a_version_has_the_tracks_of_one_choice(
    steps: Callable[..., Steps],
    stores: Path,
    monkeypatch: pytest.MonkeyPatch,
    other_choice: Callable[[], None],
    until: str,
    lost: str,
) -> None:
    """What was chosen is lost after tracks were made of it, and comes out otherwise."""
    run = steps()
    run.run(until)
    first = job_of(run)[1].version
    before = _media(stores / "results/film" / first)
    (path,) = (stores / "tmp/film").glob(f"work-*/{lost}")
    path.unlink()
    if lost == "choice.json":
        other_choice()
    else:
        monkeypatch.setattr(correct, "read_measured", lambda *_: {"good": 86.0})
    again = steps()
    again.run()
    video = json.loads((stores / "results/film/video.json").read_text("utf-8"))
    assert video["version"] != first
    assert _media(stores / "results/film" / first) == before, "viewers and caches may hold these"
    after = _media(stores / "results/film" / video["version"])
    temp, job = job_of(again)
    crfs = final_crfs(temp, with_choice(temp, job))
    for made in video["renditions"]:
        name = made["name"]
        track = checkpoint.load_marker(temp, job.segmented(name))
        assert track is not None and track.facts["crf"] == crfs[name]
        assert name == "fixed" or made["quality"]["target"]["crf"] == crfs[name]
        segments = [data for path, data in after.items() if path.startswith(f"{name}/")]
        earlier = [data for path, data in before.items() if path.startswith(f"{name}/")]
        assert (segments == earlier) is (name != "good")


def test_a_single_step_refuses_what_another_choice_made(
    steps: Callable[..., Steps], stores: Path, other_choice: Callable[[], None]
) -> None:
    """``choose`` alone was cleared, then a step behind it: the message says what to clear instead."""
    run = steps()
    run.run("segment")
    next((stores / "tmp/film").glob("work-*/choice.json")).unlink()
    other_choice()
    plan = run.pushed["plan"]
    choose_step.VodChooseOperator(task_id="choose", plan=plan).execute(run.context)
    chunk = {"chunk": 0}
    with pytest.raises(LostWorkError, match=r"good of .*chunk-00000.* CRF .*; clear the run"):
        correct.VodCorrectChunkOperator(task_id="correct", plan=plan, source=run.source, chunk=chunk).execute(
            run.context
        )
    decide_corrections(*job_of(run), {})
    track = {"rendition": "good"}
    with pytest.raises(LostWorkError, match=r"^good was made with CRF .*; clear the run"):
        VodSegmentHlsOperator(task_id="segment", plan=plan, track=track).execute(run.context)
    with pytest.raises(LostWorkError, match=r"^good was made with CRF"):
        VodPublishOperator(task_id="publish", plan=plan).execute(run.context)
    next((stores / "tmp/film").glob("work-*/hls-good-*")).unlink()
    with pytest.raises(LostWorkError, match=r"^chunk-00000/good was made with CRF"):
        VodSegmentHlsOperator(task_id="segment", plan=plan, track=track).execute(run.context)
    assert not (stores / "results/film/index.m3u8").exists()


def test_tasks_that_are_killed_go_on_to_the_same_segments(
    steps: Callable[..., Steps], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``kill -9`` of the task at each new step, when all its objects are stored and its marker is not."""
    monkeypatch.setattr(correct, "read_measured", lambda *_: {"good": 86.0})
    calm = steps()
    calm.video_id = "calm"
    calm.run()
    run = steps()
    for marker in ("window-00001", "choose", "chunk-00001", "chunk-00001.again"):
        _kill_at(run, f"/{marker}.done.json")
    run.run()
    film, other = (next((stores / "results" / name).glob("v-*")) for name in ("film", "calm"))
    assert _media(film) == _media(other)


def _kill_at(run: Steps, marker: str) -> None:
    """Run in a process that is killed in place of storing a marker."""
    pid = os.fork()
    if pid == 0:
        save = checkpoint.save

        def killed(storage: Storage, uri: str, content: Marker) -> Marker:
            if uri.endswith(marker):
                os.kill(os.getpid(), signal.SIGKILL)
            return save(storage, uri, content)

        try:
            with mock.patch.object(checkpoint, "save", killed):
                run.run()
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"it never came to {marker}"


def _media(version: Path) -> dict[str, bytes]:
    # Init segments tell when they were written.
    files = [path for path in version.rglob("*") if path.suffix in (".m4s", ".jpg")]
    return {str(path.relative_to(version)): path.read_bytes() for path in files}


def test_all_tasks_go_by_the_first_record(steps: Callable[..., Steps]) -> None:
    run = steps()
    run.run("choose")
    temp, job = job_of(run)
    assert read_corrections(temp, job) is None
    assert decide_corrections(temp, job, {"good": 28.0}) == {"good": 28.0}
    assert decide_corrections(temp, job, {}) == {"good": 28.0}


def test_sound_only_needs_no_analysis(steps: Callable[..., Steps], tmp_path: Path, stores: Path) -> None:
    run = steps()
    run.source = generate(
        tmp_path / "sound.m4a", "-f", "lavfi", "-i", "sine=d=3:r=48000", "-c:a", "aac"
    ).as_uri()
    run.run()
    assert run.pushed["parts"] == []
    assert not list((stores / "tmp/film").glob("work-*/ch*.json"))


def test_a_source_shorter_than_a_gop(steps: Callable[..., Steps], tmp_path: Path, stores: Path) -> None:
    run = steps()
    run.source = generate(
        tmp_path / "short.mp4", *("-f", "lavfi", "-i", "testsrc2=s=128x72:r=25", "-frames:v", "7"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p"),
    ).as_uri()  # fmt: skip
    run.run()
    assert (stores / "results/film/index.m3u8").is_file()


@pytest.mark.parametrize(
    "preset",
    [{"container": "ts"}, {"encryption": "aes-128"}, {"encryption": "cbcs"}],
    ids=["ts", "aes-128", "cbcs"],
)
def test_a_correction_in_every_form_of_segments(
    steps: Callable[..., Steps], stores: Path, monkeypatch: pytest.MonkeyPatch, preset: dict[str, Any]
) -> None:
    monkeypatch.setattr(correct, "read_measured", lambda *_: {"good": 86.0})
    if "encryption" in preset:
        configure(monkeypatch, key_conn_id="key")
        extra = {"key_uri": "https://keys.example.com/film"}
        connection = {"conn_type": "generic", "password": "0" * 31 + "1", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_KEY", json.dumps(connection))
    run = steps(**preset)
    run.run()
    assert len(list((stores / "tmp/film").glob("work-*/*.again.done.json"))) == 3
    assert (stores / "results/film/index.m3u8").is_file()


def test_stored_cuts_are_analysed_like_the_source_itself(
    steps: Callable[..., Steps], source: Path, tmp_path: Path, stores: Path
) -> None:
    """The same packets in MPEG-TS, which the split cuts."""
    run = steps()
    run.run("choose")
    in_place = read_choice(*job_of(run))
    run = steps()
    run.video_id = "broadcast"
    run.source = generate(tmp_path / "film.ts", "-i", str(source), "-c", "copy", "-muxdelay", "0").as_uri()
    run.run("choose")
    temp, job = job_of(run)
    assert read_choice(temp, job) == in_place
