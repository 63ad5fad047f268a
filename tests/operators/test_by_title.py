"""A ladder by title: a simple video gets fewer rungs, and what is published is whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.steps import Steps, steps_with
from support.tools import ffprobe, generate
from vod_operators.cli.main import main


def slot(name: str, width: int, height: int, cap: int) -> dict[str, Any]:
    return {"name": name, "width": width, "height": height, "crf": 25, "max_bitrate_bps": cap}


LADDER: dict[str, Any] = {
    "encoder": "libx264",
    "encoder_preset": "veryfast",
    "by_title": True,
    "rungs": [
        slot("54p", 96, 54, 150_000),
        slot("90p-low", 160, 90, 200_000),
        slot("90p", 160, 90, 600_000),
        slot("180p-low", 320, 180, 200_000),
        slot("180p-mid", 320, 180, 600_000),
        slot("180p", 320, 180, 3_000_000),
    ],
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a disc that moves over a plain ground."""
    disc = "255*lt(hypot(X-160-100*sin(N/9),Y-90),30)"
    return generate(
        tmp_path_factory.mktemp("source") / "film.mp4",
        *("-f", "lavfi", "-i", f"color=gray:s=320x180:r=25,format=gray,geq=lum='40+{disc}/2'"),
        *("-f", "lavfi", "-i", "sine=r=48000", "-t", "3", "-g", "25"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )


@pytest.fixture
def steps(stores: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Steps]:
    return steps_with(stores, source, monkeypatch, ladders=[LADDER])


def test_a_simple_video_gets_the_rungs_that_it_needs(
    steps: Callable[..., Steps], stores: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps().run()
    folder = stores / "results/film"
    result = json.loads((folder / "video.json").read_text("utf-8"))
    videos = [made for made in result["renditions"] if made["kind"] == "video"]
    names = {made["name"] for made in videos}
    left_out = {item["name"]: item["why"] for item in result["ladder"]["left_out"]}
    assert result["ladder"]["by_title"]
    assert names | left_out.keys() == {rung["name"] for rung in LADDER["rungs"]}
    assert not names & left_out.keys()
    assert 2 <= len(names) <= 4
    assert all(left_out.values())
    # What is left out is nowhere.
    version = folder / result["version"]
    assert {path.name for path in version.iterdir() if path.name in names | left_out.keys()} == names
    # The poster is of the largest rendition that is there.
    largest = max(made["width"] for made in videos)
    poster = ffprobe(version.parent / result["poster"], "-show_streams")["streams"][0]
    assert poster["width"] == largest
    assert main(["check", str(folder / "index.m3u8")]) == 0
    assert "0 failed" in capsys.readouterr().out


def test_a_second_run_finds_all_that_the_first_one_made(steps: Callable[..., Steps], stores: Path) -> None:
    first = steps()
    first.run("segment")
    made = sorted(path for path in (stores / "results").rglob("seg-*"))
    again = steps()
    again.run()
    assert sorted(path for path in (stores / "results").rglob("seg-*")) == made
