"""Ladders whose CRFs are found by an analysis are as exact, frame by frame, as those that have their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exact.codecs import VP9
from exact.ladders import AV1, HEVC
from exact.publisher import Publisher
from support.clips import Sound, clip
from support.presets import LADDER
from vod_operators.operators import correct

NOISE = "noise=alls=20:allf=t"
"""Without it, pictures are so flat that they reach any target at the highest CRF, at which AV1 leaves out the
change of a single block."""

CODECS = [pytest.param(LADDER, id="h264"), pytest.param(HEVC, id="hevc"), pytest.param(AV1, id="av1")]


def rung(name: str, width: int, height: int, cap: int, **aim: Any) -> dict[str, Any]:
    return {"name": name, "width": width, "height": height, "max_bitrate_bps": cap} | aim


def asking(ladder: dict[str, Any]) -> dict[str, Any]:
    """Its encoder with targets; one of two renditions is stopped by its cap."""
    rungs = [
        rung("half", 64, 36, 120_000, quality={"vmaf": 95}),
        rung("full", 128, 72, 900_000, quality={"vmaf": 90}),
    ]
    return ladder | {"rungs": rungs}


def by_title(ladder: dict[str, Any]) -> dict[str, Any]:
    """Its encoder with slots to choose from."""
    rungs = [
        rung("half", 64, 36, 300_000, crf=25),
        rung("most", 96, 54, 400_000, crf=25),
        rung("full-low", 128, 72, 500_000, crf=25),
        rung("full", 128, 72, 1_500_000, crf=25),
    ]
    return ladder | {"rungs": rungs, "by_title": True}


MODES = [pytest.param(asking, id="target"), pytest.param(by_title, id="by-title")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ladder", CODECS)
def test_codecs(publish: Publisher, ladder: dict[str, Any], mode: Any) -> None:
    source = clip("clip.mp4", filters=NOISE)
    video = publish(source, preset={"ladders": [mode(ladder)]})
    video.check_clip()
    assert video.video["chunks"] == 4


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("frames", [1, 7, 25, 26, 51])
def test_lengths(publish: Publisher, frames: int, mode: Any) -> None:
    publish(clip("clip.mp4", frames=frames), preset={"ladders": [mode(LADDER)]}).check_clip(frames=frames)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rate", ["24000/1001", "60", "10"])
def test_rates(publish: Publisher, rate: str, mode: Any) -> None:
    publish(clip("clip.mp4", rate=rate), preset={"ladders": [mode(LADDER)]}).check_clip(rate=rate)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.mov", "clip.webm"])
def test_containers(publish: Publisher, name: str, mode: Any) -> None:
    is_webm = name.endswith("webm")
    sound = Sound(options=("-c:a", "libopus", "-b:a", "128k"))
    source = clip(name, video=VP9, sound=sound) if is_webm else clip(name)
    publish(source, preset={"ladders": [mode(LADDER)]}).check_clip()


@pytest.mark.parametrize("mode", MODES)
def test_transport_streams(publish: Publisher, mode: Any) -> None:
    publish(clip("clip.mp4"), preset={"ladders": [mode(LADDER)], "container": "ts"}).check_clip()


@pytest.mark.parametrize("ladder", CODECS[:2])  # AV1 is above any target of so small a picture
def test_what_is_encoded_again(
    publish: Publisher, stores: Path, monkeypatch: pytest.MonkeyPatch, ladder: dict[str, Any]
) -> None:
    """As if the small rendition had come out 3 worse than asked."""
    monkeypatch.setattr(correct, "read_measured", lambda *_: {"half": 92.0})
    video = publish(clip("clip.mp4", filters=NOISE), preset={"ladders": [asking(ladder)]})
    assert len(list((stores / "tmp/clip").glob("work-*/*.again.done.json"))) == 4
    video.check_clip()
