"""What is the local runner's own; what it shares with the other is in ``test_runner_contract.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from vod_operators.errors import InvalidInputError, ToolError
from vod_operators.runners.local import LocalRunner


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_nothing_is_left_of_a_command_that_ended(tmp_path: Path) -> None:
    before = children()
    LocalRunner().run(["true"], folder=tmp_path)
    with pytest.raises(ToolError):
        LocalRunner().run(["false"], folder=tmp_path)
    assert children() <= before


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    tool = tmp_path / "ffmpeg"
    tool.write_text("not a program")
    tool.chmod(0o755)
    with pytest.raises(InvalidInputError, match="Exec format error"):
        LocalRunner().run([str(tool)], folder=tmp_path)


def test_a_full_host_is_no_fault_of_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(BlockingIOError):
        LocalRunner().run(["true"], folder=tmp_path)


def test_a_host_that_cannot_start_the_guard_keeps_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen

    def refuse(argv: list[str], **options: object) -> object:
        if argv[0] == "/bin/sh":
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real(argv, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", refuse)
    before = children()
    with pytest.raises(BlockingIOError):
        LocalRunner().run([sys.executable, "-c", "import time; time.sleep(600)"], folder=tmp_path)
    assert children() <= before
