"""An encode that is killed goes on behind what it has stored."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.clips import numbered_clip
from support.presets import LADDER, write_preset
from support.published import check_published
from support.settings import configure
from support.steps import Steps
from support.tools import FFMPEG
from vod_operators.errors import StorageError, ToolKilledError
from vod_operators.media import ffmpeg
from vod_operators.media.models import Chunk
from vod_operators.runners import progress
from vod_operators.work import partial
from vod_operators.work.certificate import Comparison
from vod_operators.work.ends import Ends
from vod_operators.work.partial import PartialEncode

SECONDS, RATE = 12, 25
SIZE = (128, 72)

SLOW = f"""#!{sys.executable}
import os, sys
argv = sys.argv[1:]
if "chunk.nut" in argv and "-progress" in argv:
    at = argv.index("chunk.nut") - 1
    argv[at:at] = ["-readrate", "3"]
    argv[argv.index("-stats_period") + 1] = "0.2"
os.execv({FFMPEG!r}, [{FFMPEG!r}, *argv])
"""
"""An ffmpeg that decodes three seconds of a chunk in a second, so that it can be killed in between."""

Make = Callable[..., Steps]


@pytest.fixture
def begins(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first frame of each encode."""
    found: list[int] = []
    command = ffmpeg.transcode_chunk

    def recorded(*args: Any, chunk: Chunk, **options: Any) -> ffmpeg.Argv:
        found.append(chunk.first - chunk.lead_in)
        return command(*args, chunk=chunk, **options)

    monkeypatch.setattr(ffmpeg, "transcode_chunk", recorded)
    return found


@pytest.fixture
def make(stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes steps of a video of one chunk, whose encodes store spans as soon as they can."""
    monkeypatch.setattr(partial, "STORE_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "REPORT_EVERY_S", 0.0)
    slow = tmp_path / "ffmpeg"
    slow.write_text(SLOW)
    slow.chmod(0o755)

    def steps(video_id: str, **preset: Any) -> Steps:
        more = {"pictures": {"interval_s": 1, "thumbnail_px": 64, "poster_px": 160}}
        presets = write_preset(stores / "presets", **(more | preset))
        configure(monkeypatch, ffmpeg=str(slow), presets_dir=str(presets))
        return Steps(
            video_id=video_id,
            source=numbered_clip(SECONDS).as_uri(),
            chunk_seconds=SECONDS,
            tries=8,
        )

    return steps


@pytest.fixture
def kill_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Kills an encode when it has stored a new span, so many times."""

    def begin(kills: int) -> list[int]:
        killed: list[int] = []
        store_span = PartialEncode._store_span

        def store(self: PartialEncode) -> None:
            before = len(self._spans)
            store_span(self)
            if len(self._spans) > before and len(killed) < kills:
                killed.append(self._spans[-1].last)
                self.worker.kill()

        monkeypatch.setattr(PartialEncode, "_store_span", store)
        return killed

    return begin


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param({}, id="h264"),
        pytest.param({"container": "ts"}, id="ts"),
        pytest.param({"ladders": [LADDER | {"encoder": "libx265", "encoder_preset": "fast"}]}, id="hevc"),
        pytest.param({"ladders": [LADDER | {"encoder": "libsvtav1", "encoder_preset": "10"}]}, id="av1"),
    ],
)
def test_three_kills(
    preset: dict[str, Any],
    make: Make,
    begins: list[int],
    kill_after: Callable[[int], list[int]],
    stores: Path,
) -> None:
    """Each try goes on where the one before had stored; all but the frames' bytes is as without a kill."""
    make("calm", **preset).run()
    assert not list((stores / "tmp").rglob("partial*")), "what a whole encode stored is deleted"
    begins.clear()

    killed = kill_after(3)
    make("killed", **preset).run()

    assert len(killed) == 3
    assert killed == sorted(set(killed))
    calm, found = stores / "results/calm", stores / "results/killed"
    if not preset:
        check_published(found, frames=SECONDS * RATE)
    shown, wanted = (luma(next(folder.rglob("full/index.m3u8"))) for folder in (found, calm))
    noise = (shown.astype(int) - wanted) ** 2
    assert noise.mean(axis=1).max() < 4, "each picture is the one of the calm run, encoded as well"
    facts = [json.loads((folder / "video.json").read_text("utf-8")) for folder in (found, calm)]
    assert facts[0]["source"] == facts[1]["source"]
    assert facts[0].get("report") == facts[1].get("report")
    assert pictures_of(found) == pictures_of(calm)
    assert begins[0] == 0
    lead_ins = [at - begin for at, begin in zip(killed, begins[1:], strict=True)]
    assert set(lead_ins) <= {RATE, 2 * RATE, 3 * RATE}
    assert not list((stores / "tmp").rglob("partial*"))


def test_quality_is_that_of_all_frames(
    make: Make, kill_after: Callable[[int], list[int]], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what earlier tries encoded is measured, against the same pictures as without a kill."""
    compared: list[dict[str, bytes]] = []
    measured = Comparison.measured

    def recorded(self: Comparison, outputs: dict[str, str]) -> Any:
        compared.append({path.name: path.read_bytes() for path in self.folder.glob("reference-*.yuv")})
        return measured(self, outputs)

    monkeypatch.setattr(Comparison, "measured", recorded)
    windows = []
    for video_id, kills in (("calm", 0), ("killed", 2)):
        killed = kill_after(kills)
        steps = make(video_id, min_vmaf={"vmaf": 20, "at": "native"})
        steps.run("transcode")
        assert len(killed) == kills
        (marker,) = (stores / "tmp" / video_id).rglob("chunk-00000.done.json")
        windows.append(json.loads(marker.read_text("utf-8"))["content"]["facts"]["quality"])
    assert compared[0]
    assert compared[0] == compared[1]
    calm, found = windows
    assert found.keys() == calm.keys()
    for name, expected in calm.items():
        for one, other in zip(found[name], expected, strict=True):
            assert (one["first"], one["frames"]) == (other["first"], other["frames"])
            scores = (np.array(scored["native"], float) for scored in (one, other))
            assert np.allclose(*scores, atol=3, equal_nan=True), "the encodes differ a little"


def test_stopped_while_it_measures(make: Make, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is told to stop while it measures ends, and leaves no chunk that counts as unmeasured."""
    measured = Comparison._scores

    def stop(self: Comparison, *args: Any) -> Any:
        monkeypatch.setattr(Comparison, "_scores", measured)
        self.worker.kill()
        raise ToolKilledError(["ffmpeg"], -9, "")

    monkeypatch.setattr(Comparison, "_scores", stop)
    steps = make("stopped", min_vmaf={"vmaf": 20, "at": "native"})
    steps.run("transcode")
    assert len(steps.retried) == 1
    (marker,) = (stores / "tmp").rglob("chunk-00000.done.json")
    assert "unmeasured" not in json.loads(marker.read_text("utf-8"))["content"]["facts"]


def pictures_of(folder: Path) -> dict[str, bytes]:
    """The poster and the storyboard."""
    return {path.name: path.read_bytes() for path in folder.rglob("pictures/*")}


def luma(playlist: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Brightness of the pixels of each picture."""
    raw = subprocess.run(
        [FFMPEG, "-v", "error", "-nostdin", "-allowed_extensions", "ALL", "-i", str(playlist),
         "-vf", "extractplanes=y", "-pix_fmt", "gray", "-f", "rawvideo", "-"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(SECONDS * RATE, -1)


def spans_of(stores: Path) -> list[Path]:
    """The spans in the temp store."""
    return sorted((stores / "tmp").rglob("partial/*"))


def interrupted(make: Make, kill_after: Callable[[int], list[int]], **preset: Any) -> Steps:
    """A video of which a try was killed, and left one span or more."""
    killed = kill_after(1)
    steps = make("killed", **preset)
    steps.tries = 1
    with pytest.raises(ToolKilledError):
        steps.run("transcode")
    assert killed
    steps.tries = 2
    return steps


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "list"])
def test_damaged_span(
    harm: str, make: Make, kill_after: Callable[[int], list[int]], begins: list[int], stores: Path
) -> None:
    """What a killed try left is not believed if it is damaged: the chunk begins anew."""
    steps = interrupted(make, kill_after)
    (span, *_) = spans_of(stores)
    data = span.read_bytes()
    if harm == "cut":
        span.write_bytes(data[:-1])
    elif harm == "changed":
        span.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "gone":
        span.unlink()
    else:
        (found,) = (stores / "tmp").rglob("partial.json")
        found.write_bytes(found.read_bytes().replace(b'"last":', b'"last":1'))
    steps.run()
    assert begins == [0, 0]
    check_published(stores / "results/killed", frames=SECONDS * RATE)


def test_spans_of_other_parameters(
    make: Make,
    kill_after: Callable[[int], list[int]],
    begins: list[int],
    stores: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the halves do not fit together, the next try begins anew."""
    steps = interrupted(make, kill_after)
    monkeypatch.setattr(partial, "_init", lambda path: path.name.encode())
    steps.run()
    assert len(begins) == 3
    assert begins[2] == 0
    assert steps.retried == [
        "transcode: VerificationError: chunk-00000/half.mp4: tries have different codec parameters"
    ]


def test_two_tries_at_once(
    make: Make, kill_after: Callable[[int], list[int]], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try that was given up ends after the one that replaced it: the video is of one of them."""
    steps = interrupted(make, kill_after)
    late = Steps(
        video_id="killed", source=numbered_clip(SECONDS).as_uri(), chunk_seconds=SECONDS, run_id="test"
    )
    late.run("split")
    steps.run("transcode")
    (marker,) = (stores / "tmp").rglob("chunk-00000.done.json")
    first = marker.read_bytes()
    marker.unlink()
    late.run("transcode")
    assert marker.read_bytes() != first
    marker.write_bytes(first)
    steps.run()
    check_published(stores / "results/killed", frames=SECONDS * RATE)


def test_store_is_down(make: Make, begins: list[int], stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span that cannot be stored costs nothing but itself."""

    def refuse(*_: Any) -> None:
        raise StorageError("no space")

    monkeypatch.setattr(PartialEncode, "_store_span", refuse)
    make("calm").run()
    assert begins == [0]


def test_encrypted(make: Make, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With sample encryption nothing is stored, because the temp store shall have no clear segments."""
    stored: list[str] = []
    monkeypatch.setattr(PartialEncode, "_store_span", lambda self: stored.append(self.place))
    make("clear").run("transcode")
    assert stored
    stored.clear()
    key = {"conn_type": "generic", "password": "00" * 16, "extra": {"key_uri": "https://keys.example/k"}}
    monkeypatch.setenv("AIRFLOW_CONN_VOD_KEY", json.dumps(key))
    steps = make("secret", encryption="cbcs")
    configure(monkeypatch, key_conn_id="vod_key")
    steps.run("transcode")
    assert not stored


def test_joins_are_decoded(
    make: Make, kill_after: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The segment in which a try went on is decoded before it is stored."""
    found: list[tuple[str, int]] = []
    check = Ends.check

    def recorded(self: Ends) -> None:
        found.extend((says, clip.frames) for says, clip in self._clips.items() if "went on" in says)
        check(self)

    monkeypatch.setattr(Ends, "check", recorded)
    killed = kill_after(1)
    make("killed").run("transcode")
    segment = killed[0] // RATE
    words = f"segment {segment}, where a try went on"
    assert found == [(f"chunk-00000/{name}: {words}", RATE) for name in ("half", "full")]
