"""A run that failed in the middle is continued: what was done is found, what was lost is done again."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from e2e.presentation import check_presentation
from support.dag_runs import Run
from support.settings import configure
from support.stores import owner_of
from support.tools import FFMPEG, generate
from vod_operators.operators.split import VodSplitOperator
from vod_operators.settings import get_settings


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(
        tmp_path_factory.mktemp("media") / "clip.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=24", "-f", "lavfi", "-i", "sine=440:r=48000:d=24"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-c:a", "aac"),
    )


def encoded(stores: Path) -> dict[str, int]:
    """Encoded chunk -> when it was written."""
    facts = stores.glob("tmp/film/work-*/chunk-*/360p/piece.json")
    return {path.parent.parent.name: path.stat().st_mtime_ns for path in facts}


def first_run_fails(run_dag, stores: Path, clip: Path) -> Run:
    """The third of four chunks cannot be encoded: frames 300 to 450, with a lead-in of 150."""
    broken = stores / "ffmpeg"
    broken.write_text(
        f'#!/bin/sh\ncase "$*" in *setpts=PTS-150*) echo "no more" >&2; exit 7;; esac\nexec {FFMPEG} "$@"\n'
    )
    broken.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        configure(patch, ffmpeg=str(broken))
        run = run_dag(retries=0, video_id="film", source=clip.as_uri(), preset="h264_small", chunk_seconds=6)
    get_settings.cache_clear()
    assert run.state == "failed"
    return run


def test_a_failed_chunk_costs_that_chunk(run_dag, stores: Path, clip: Path) -> None:
    first = first_run_fails(run_dag, stores, clip)

    assert list(first.errors) == ["transcode", "release"]
    assert str(first.errors["transcode"]).startswith("ffmpeg failed with exit code 7: its log says why")
    done = encoded(stores)
    assert sorted(done) == ["chunk-00000", "chunk-00001", "chunk-00003"]
    # The teardown came after the last chunk: nobody holds the video, and nothing is published.
    assert str(first.errors["release"]) == (
        "film was not published: transcode (chunk 3/4 · 0:12-0:18): "
        "ffmpeg failed with exit code 7: its log says why"
    )
    assert owner_of(stores, "film") is None
    assert not (stores / "results" / "film" / "index.m3u8").exists()

    second = run_dag(video_id="film", source=clip.as_uri(), preset="h264_small", chunk_seconds=6)

    assert second.state == "success"
    check_presentation(stores / "results" / "film", frames=600, rate=Fraction(25))
    assert {name: written for name, written in encoded(stores).items() if name in done} == done


SEGMENT, FACTS = "work-*/chunk-00001/360p/seg-00002.m4s", "work-*/chunk-00001/360p/piece.json"
PACKETS = "source-*/chunk-00002.nut"


@pytest.mark.parametrize(
    ("what", "damage"),
    [(SEGMENT, "truncate"), (SEGMENT, "remove"), (FACTS, "flip"), (PACKETS, "flip")],
)
def test_damaged_work_is_found_and_only_that_is_redone(
    run_dag, stores: Path, clip: Path, what: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VodSplitOperator, "_in_place", lambda *_: False)
    first_run_fails(run_dag, stores, clip)
    before = encoded(stores)
    (victim,) = (stores / "tmp" / "film").glob(what)
    if damage == "flip":
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif damage == "truncate":
        os.truncate(victim, 1000)
    else:
        victim.unlink()

    asked = {"video_id": "film", "source": clip.as_uri(), "preset": "h264_small", "chunk_seconds": 6}
    run = run_dag(**asked)
    if run.state == "failed":  # noticed where it is read, by one step or by two; the run is cleared
        damage_found = "clear the run, and only that step is repeated"
        assert any(damage_found in str(error) for error in run.errors.values())
        assert all("clear the run" in str(error) for error in run.errors.values())
        run = run_dag(**asked)

    assert run.state == "success"
    check_presentation(stores / "results" / "film", frames=600, rate=Fraction(25))
    kept = set(before) - {"chunk-00001"} if what.startswith("work") else set(before)
    assert {name: encoded(stores)[name] for name in kept} == {name: before[name] for name in kept}


def test_another_results_store_gets_its_own_copy(run_dag, stores: Path, clip: Path) -> None:
    asked = {"video_id": "film", "source": clip.as_uri(), "preset": "h264_small"}
    assert run_dag(**asked).state == "success"
    done = encoded(stores)

    with pytest.MonkeyPatch.context() as patch:
        configure(patch, results_uri=(stores / "elsewhere").as_uri())
        assert run_dag(**asked).state == "success"

    check_presentation(stores / "elsewhere" / "film", frames=600, rate=Fraction(25))
    assert encoded(stores) == done


def test_presets_of_other_sample_rates_share_the_split(run_dag, stores: Path, clip: Path) -> None:
    import json

    from vod_operators.media.presets.catalog import BUILT_IN

    preset = json.loads((BUILT_IN / "h264_small.json").read_text("utf-8"))
    preset["audio"]["sample_rate"] = 44_100
    (stores / "cd.json").write_text(json.dumps(preset))
    asked = {"video_id": "film", "source": clip.as_uri()}
    assert run_dag(**asked, preset="h264_small").state == "success"
    with pytest.MonkeyPatch.context() as patch:
        configure(patch, presets_dir=str(stores))
        assert run_dag(**asked, preset="cd").state == "success"

    assert len(list(stores.glob("tmp/film/source-*"))) == 1
    video = check_presentation(stores / "results" / "film", frames=600, rate=Fraction(25))
    assert video["renditions"][-1]["duration_s"] == pytest.approx(24, abs=2 * 1024 / 44_100)


def test_damaged_and_lost_documents_are_made_anew(
    run_dag, stores: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VodSplitOperator, "_in_place", lambda *_: False)
    first_run_fails(run_dag, stores, clip)
    before = encoded(stores)
    (source,) = (stores / "tmp" / "film").glob("source-*")
    for name in ("timeline.json", "chunk-00002.done.json"):
        data = bytearray((source / name).read_bytes())
        data[len(data) // 2] ^= 1
        (source / name).write_bytes(data)

    asked = {"video_id": "film", "source": clip.as_uri(), "preset": "h264_small", "chunk_seconds": 6}
    assert run_dag(**asked).state == "success"
    first = check_presentation(stores / "results" / "film", frames=600, rate=Fraction(25))
    assert {name: encoded(stores)[name] for name in before} == before

    # Without its plan nobody knows which version a workspace publishes into, so it gets another one.
    (work,) = (stores / "tmp" / "film").glob("work-*")
    (work / "plan.json").unlink()
    assert run_dag(**asked).state == "success"
    second = check_presentation(stores / "results" / "film", frames=600, rate=Fraction(25))
    assert second["version"] != first["version"]
    assert {name: encoded(stores)[name] for name in before} == before
