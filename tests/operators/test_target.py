"""Renditions that are asked for by their quality, not by a CRF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.presets import write_preset
from support.settings import configure
from support.steps import Steps
from support.tools import generate
from vod_operators.media.choice import Choice
from vod_operators.operators.base import VodStepOperator
from vod_operators.settings import get_settings
from vod_operators.storage import checkpoint
from vod_operators.work.job import read_job

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
    def make(**preset: object) -> Steps:
        folder = write_preset(stores / "presets", **({"ladders": [LADDER]} | preset))
        configure(monkeypatch, presets_dir=str(folder))
        return Steps(video_id="film", source=source.as_uri())

    return make


def choice_of(run: Steps) -> Choice:
    operator = VodStepOperator(task_id="t", plan=run.pushed["plan"])
    temp = operator.worker.temp
    job = read_job(temp, run.pushed["plan"], get_settings())
    return checkpoint.read_document(temp, job.work_keys.choice, Choice)


def test_renditions_come_to_their_target_or_say_why_not(steps: Callable[..., Steps], stores: Path) -> None:
    run = steps()
    run.run()
    choice = choice_of(run)
    print(choice.model_dump_json(indent=1))
    assert set(choice.renditions) == {"good", "poor"}
    assert (stores / "results/film/index.m3u8").is_file()
