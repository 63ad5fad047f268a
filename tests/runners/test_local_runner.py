"""What is the local runner's own; what it shares with the other is in ``test_runner_contract.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from vod_operators.errors import InvalidInputError, ToolError
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.sandbox import Sandbox


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


BURN = "import time\nwhile time.process_time() < 0.3: pass"


def test_the_cpu_time_of_commands_and_of_what_they_start(tmp_path: Path) -> None:
    # Python's own files, for the script's child.
    runner = LocalRunner(sandbox=Sandbox("auto", [Path(sys.prefix), Path(sys.base_prefix)]))
    assert runner.cpu_s == 0
    runner.run([sys.executable, "-c", BURN], folder=tmp_path)
    alone = runner.cpu_s
    assert 0.3 <= alone < 3
    # A wrapper script's child counts too; a command that fails also did.
    script = tmp_path / "tool"
    script.write_text(f'#!/bin/sh\n"{sys.executable}" -c "$1"\nexit 3\n')
    script.chmod(0o755)
    with pytest.raises(ToolError) as failure:
        runner.run([str(script), BURN], folder=tmp_path)
    assert failure.value.returncode == 3
    assert runner.cpu_s >= alone + 0.3


def test_a_sleeping_command_takes_no_cpu_time(tmp_path: Path) -> None:
    runner = LocalRunner()
    runner.run(["sleep", "1"], folder=tmp_path)
    assert runner.cpu_s < 0.5
