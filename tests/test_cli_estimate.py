"""``vod estimate`` tells what a video will take, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.tools import CLIP


def vod(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vod_operators.cli.main", "estimate", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_estimate(stores: Path, tmp_path: Path) -> None:
    places = [f"--tmp={(tmp_path / 'tmp').as_uri()}", f"--results={(tmp_path / 'results').as_uri()}"]
    run = vod(
        str(CLIP), "--preset", "h264_small", "--workers", "3", "--chunk-seconds", "2", "--json", *places
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    assert (found["preset"], found["workers"], found["runs"], found["money"]) == ("h264_small", 3, 0, None)
    assert found["cpu_s"]["low"] < found["cpu_s"]["likely"] < found["cpu_s"]["high"]
    assert not list(tmp_path.rglob("*.json"))

    missing = vod(str(tmp_path / "none.mp4"), *places)
    assert missing.returncode == 1 and "does not exist" in missing.stderr
    assert vod(str(CLIP), "--workers", "0").returncode == 2
