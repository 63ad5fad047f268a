"""``vod run`` forty times side by side: each has an Airflow of its own, and all share the stores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.clips import numbered_clip
from support.presets import write_preset
from support.published import check_published
from support.tools import ROOT

pytestmark = pytest.mark.fleet

VIDEOS = 40
SAME = 3
"""More of the first video, in the same moment."""

FRAMES = 25


def test_forty_side_by_side(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "plugins"),
        "VOD_PRESETS_DIR": str(write_preset(tmp_path / "presets")),
        "VOD_TEMP_URI": (tmp_path / "tmp").as_uri(),
        "VOD_RESULTS_URI": (tmp_path / "results").as_uri(),
        "VOD_WORK_DIR": str(tmp_path / "work"),
    }
    clip = str(numbered_clip(1))

    def start(video_id: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "vod_operators.cli.main", "run", clip]
        return subprocess.Popen(
            [*command, "--preset", "tiny", "--video-id", video_id],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    ids = [*(f"video-{number}" for number in range(VIDEOS)), *["video-0"] * SAME]
    said: dict[str, list[str]] = {}
    for video_id, process in [(video_id, start(video_id)) for video_id in ids]:
        _, told = process.communicate(timeout=1800)
        said.setdefault(video_id, []).append("" if process.returncode == 0 else told.splitlines()[-1])

    first = said.pop("video-0")
    assert {video_id: told for video_id, told in said.items() if told != [""]} == {}
    # One at a time works on a video; who comes when it is done finds it done.
    assert "" in first and all("is being worked on by run" in told for told in first if told)
    for number in range(VIDEOS):
        check_published(tmp_path / "results" / f"video-{number}", frames=FRAMES)
    assert not list((tmp_path / "work").iterdir())
