"""A preset that asks for a quality, through the real DAG."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.presentation import tree
from support.presets import write_preset
from support.settings import configure
from support.tools import generate

LADDER = {
    "encoder": "libx264",
    "encoder_preset": "veryfast",
    "quality": {"vmaf": 85},
    "rungs": [
        {"name": "low", "width": 64, "height": 36, "max_bitrate_bps": 600_000},
        {"name": "high", "width": 128, "height": 72, "max_bitrate_bps": 900_000},
    ],
}


def test_the_steps_of_a_target_quality(
    run_dag, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, presets_dir=str(write_preset(stores / "presets", ladders=[LADDER])))
    source = generate(
        tmp_path / "film.mp4",
        *("-f", "lavfi", "-i", "mandelbrot=s=128x72:r=25", "-t", "7", "-g", "25"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-pix_fmt", "yuv420p"),
    )
    asked = {"video_id": "film", "source": source.as_uri(), "preset": "tiny", "chunk_seconds": 4}
    run = run_dag(**asked)
    assert run.state == "success", run.errors
    # 7 s in chunks of 4 and 3 s, each analysed whole.
    assert sorted(run.results["analyse"]) == [[0], [1]]
    assert [item["chunk"] for item in run.results["choose"][0]] == [0, 1]
    assert sorted(facts["chunk"] for facts in run.results["correct"]) == [0, 1]
    video = json.loads((stores / "results/film/video.json").read_text("utf-8"))
    assert [made["name"] for made in video["renditions"]] == ["low", "high"]

    before = tree(stores / "tmp/film")
    assert run_dag(**asked).state == "success"
    after = tree(stores / "tmp/film")
    assert {path for path in after if before.get(path) != after[path]} <= {"claim.json"}


def test_other_presets_skip_them(
    run_dag, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, presets_dir=str(write_preset(stores / "presets")))
    source = generate(
        tmp_path / "film.mp4", "-f", "lavfi", "-i", "testsrc2=s=128x72:r=25:d=2", "-c:v", "libx264"
    )
    run = run_dag(video_id="plain", source=source.as_uri(), preset="tiny")
    assert run.state == "success"
    assert not {"analyse", "choose", "correct"} & run.results.keys()
    wanted = "prepare split tracks transcode text pictures segment segment publish release"
    assert sorted(run.started) == sorted(wanted.split()), "a task more than the video needs"
