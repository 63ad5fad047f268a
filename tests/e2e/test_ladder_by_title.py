"""A ladder that is chosen by title, through the real DAG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.presets import write_preset
from support.settings import configure
from support.tools import generate

LADDER: dict[str, Any] = {
    "encoder": "libx264",
    "encoder_preset": "veryfast",
    "by_title": True,
    "rungs": [
        {"name": name, "width": width, "height": height, "crf": 25, "max_bitrate_bps": cap}
        for name, width, height, cap in (
            ("36p", 64, 36, 100_000),
            ("72p-low", 128, 72, 60_000),
            ("72p-mid", 128, 72, 600_000),
            ("72p", 128, 72, 4_000_000),
        )
    ],
}


def test_rungs_that_a_video_does_not_need_are_skipped(
    run_dag, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, presets_dir=str(write_preset(stores / "presets", ladders=[LADDER])))
    source = generate(
        tmp_path / "film.mp4", "-f", "lavfi", "-i", "smptebars=s=128x72:r=25:d=2", "-c:v", "libx264"
    )
    run = run_dag(video_id="bars", source=source.as_uri(), preset="tiny")
    assert run.state == "success", run.errors
    # There is no target, so there is nothing to correct.
    assert run.results["choose"] == [[]]
    assert "correct" not in run.results
    video = json.loads((stores / "results/bars/video.json").read_text("utf-8"))
    made = {rendition["name"] for rendition in video["renditions"]}
    left_out = {item["name"] for item in video["ladder"]["left_out"]}
    assert left_out
    assert made | left_out == {rung["name"] for rung in LADDER["rungs"]}
    assert {facts["track"] for facts in run.results["segment"]} == made
    assert run.started.count("segment") == len(made), "a task started only to skip"
