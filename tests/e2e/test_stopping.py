"""A task that is stopped or killed leaves no tool running and no files growing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from support.settings import configure
from support.tools import CLIP, FFMPEG, ROOT
from vod_operators.operators import retry

PATIENCE_S = 180

ENDLESS = f"{FFMPEG} -v error -nostdin -re -f lavfi -i testsrc -f null -"


def test_sigterm_ends_the_tool_and_the_task_is_tried_again(
    run_dag, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Airflow sends when a task is cleared, marked failed, or its worker shuts down."""
    monkeypatch.setattr(retry, "FIRST_DELAY_S", 0.01)
    tool, mark = stores / "ffmpeg", stores / "mark"
    tool.write_text(
        f'#!/bin/sh\ncase "$*" in *chunk.nut*) [ -e {mark} ] || '
        f"{{ touch {mark}; {ENDLESS} & kill -TERM $PPID; wait; }};; "
        f'esac\nexec {FFMPEG} "$@"\n'
    )
    tool.chmod(0o755)
    configure(monkeypatch, ffmpeg=str(tool), sandbox="off")  # it writes beside itself
    before = {process.pid for process in psutil.Process().children(recursive=True)}

    run = run_dag(video_id="stopped", source=CLIP.as_uri(), preset="h264_small")

    assert mark.exists() and run.state == "success"
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before
    assert not [process for process in psutil.process_iter(["cmdline"]) if str(tool) in process_line(process)]
    assert list((stores / "work").iterdir()) == []


def process_line(process: psutil.Process) -> str:
    return " ".join(process.info["cmdline"] or [])


def test_kill_9_in_mid_encode(tmp_path: Path) -> None:
    """The whole run dies; its encoder dies with it, and the next run clears up and finishes."""
    tool = tmp_path / "ffmpeg"
    tool.write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/go ] || case "$*" in *chunk.nut*) touch {tmp_path}/here; {ENDLESS};; '
        f'esac\nexec {FFMPEG} "$@"\n'
    )
    tool.chmod(0o755)
    environment = os.environ | {
        "VOD_FFMPEG": str(tool),
        "VOD_SANDBOX": "off",  # it writes beside itself
        "VOD_TEMP_URI": (tmp_path / "tmp").as_uri(),
        "VOD_WORK_DIR": str(tmp_path / "work"),
        "PYTHONPATH": str(ROOT / "plugins"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "vod_operators.cli.main", "run", str(CLIP)]
    command += ["--preset", "h264_small", "--video-id", "killed", "--results", str(tmp_path / "results")]
    killed = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + PATIENCE_S
    while not (tmp_path / "here").exists():
        assert time.monotonic() < until and killed.poll() is None
        time.sleep(0.1)
    family = psutil.Process(killed.pid).children(recursive=True)
    assert len(family) >= 2
    killed.kill()
    killed.wait()
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
    assert alive == []
    assert list((tmp_path / "work").glob("task-*/files/chunk.nut"))

    (tmp_path / "go").touch()
    (tmp_path / "tmp" / "killed" / "claim.json").unlink()  # what its end of time would do
    subprocess.run(command, env=environment, check=True, timeout=120)

    assert (tmp_path / "results" / "killed" / "index.m3u8").is_file()
    assert list((tmp_path / "work").iterdir()) == []
