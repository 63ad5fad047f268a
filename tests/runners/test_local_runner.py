"""The local runner against real processes, killed in every way they are killed in production."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from tools import FFMPEG
from vod_operators.errors import (
    InvalidInputError,
    ToolError,
    ToolKilledError,
    ToolOverdueError,
    ToolStalledError,
)
from vod_operators.runners.base import STDERR_LINES
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.progress import ProgressReader

PLUGINS = Path(__file__).parents[2] / "plugins"
PATIENCE_S = 30
"""How long to wait for what must happen; nothing is measured by it."""

SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def gone(pid: int) -> bool:
    """Waits for a process that is not our child to end."""
    try:
        psutil.Process(pid).wait(PATIENCE_S)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_lines_of_stdout_and_the_tail_of_stderr(tmp_path: Path) -> None:
    lines: list[str] = []
    code = "import os, sys; print(os.getcwd()); print('caf\\u00e9'); sys.stderr.write('careful\\n')"
    warnings = LocalRunner().run(
        ["env", "PYTHONIOENCODING=utf-8", *python(code)], folder=tmp_path, on_line=lines.append
    )
    assert lines == [str(tmp_path), "café"]
    assert warnings == ["careful"]


def test_exit_code_and_the_last_lines_of_stderr(tmp_path: Path) -> None:
    code = "import sys; [sys.stderr.write(f'line {n}\\n') for n in range(100)]; sys.exit(69)"
    with pytest.raises(ToolError) as error:
        LocalRunner().run(python(code), folder=tmp_path)
    assert type(error.value) is ToolError
    assert error.value.returncode == 69
    assert error.value.argv == python(code)
    assert error.value.stderr_tail.splitlines() == [f"line {n}" for n in range(100 - STDERR_LINES, 100)]
    assert "failed with exit code 69" in str(error.value)


def test_killed_by_a_signal(tmp_path: Path) -> None:
    with pytest.raises(ToolKilledError) as error:
        LocalRunner().run(python("import os; os.kill(os.getpid(), 9)"), folder=tmp_path)
    assert error.value.returncode == -9
    assert "was killed by signal 9" in str(error.value)


def test_kill_from_another_thread(tmp_path: Path) -> None:
    runner = LocalRunner()
    found: list[str] = []

    def on_line(line: str) -> None:
        found.append(line)
        threading.Thread(target=runner.kill).start()

    with pytest.raises(ToolKilledError):
        runner.run(python(SLEEPER), folder=tmp_path, on_line=on_line)
    assert not psutil.pid_exists(int(found[0]))


def test_kill_from_a_signal_handler(tmp_path: Path) -> None:
    """As Airflow calls ``on_kill``: in the main thread, in the middle of ``run``."""
    runner = LocalRunner()
    before = signal.signal(signal.SIGUSR1, lambda *_: runner.kill())
    try:
        with pytest.raises(ToolKilledError):
            runner.run(
                python(SLEEPER), folder=tmp_path, on_line=lambda _: os.kill(os.getpid(), signal.SIGUSR1)
            )
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_kill_ends_what_the_command_started(tmp_path: Path) -> None:
    runner = LocalRunner()
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
    found: list[int] = []

    def on_line(line: str) -> None:
        found.append(int(line))
        runner.kill()

    with pytest.raises(ToolKilledError):
        runner.run(python(code), folder=tmp_path, on_line=on_line)
    assert gone(found[0])


def test_kill_without_a_command_does_nothing(tmp_path: Path) -> None:
    runner = LocalRunner()
    runner.kill()
    assert runner.run(["true"], folder=tmp_path) == []
    runner.kill()


def test_an_error_while_reading_ends_the_command(tmp_path: Path) -> None:
    found: list[int] = []

    def on_line(line: str) -> None:
        found.append(int(line))
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        LocalRunner().run(python(SLEEPER), folder=tmp_path, on_line=on_line)
    assert not psutil.pid_exists(found[0])


def test_more_stderr_than_a_pipe_holds(tmp_path: Path) -> None:
    code = "import sys; [sys.stderr.write('x' * 99 + '\\n') for _ in range(20_000)]; print('done')"
    lines: list[str] = []
    assert LocalRunner().run(python(code), folder=tmp_path, on_line=lines.append) == ["x" * 99] * STDERR_LINES
    assert lines == ["done"]


def test_output_that_is_not_utf_8(tmp_path: Path) -> None:
    code = "import os; os.write(1, b'a\\xffb\\n'); os.write(2, b'\\xfe\\n')"
    lines: list[str] = []
    assert LocalRunner().run(python(code), folder=tmp_path, on_line=lines.append) == ["\ufffd"]
    assert lines == ["a\ufffdb"]


WRAPPER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
"""A wrapper script that waits for the tool instead of becoming it."""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("command", [SLEEPER, WRAPPER], ids=["tool", "wrapper"])
def test_the_command_dies_with_its_task(tmp_path: Path, how: signal.Signals, command: str) -> None:
    task = (
        "import sys; from pathlib import Path; from vod_operators.runners.local import LocalRunner\n"
        "LocalRunner().run([sys.executable, '-c', sys.argv[1]], folder=Path('.'),"
        " on_line=lambda line: print(line, flush=True))"
    )
    parent = subprocess.Popen(
        python(task, command),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    started = psutil.Process(parent.pid).children(recursive=True)
    assert child in [process.pid for process in started] and len(started) >= 2
    parent.send_signal(how)
    parent.wait(PATIENCE_S)
    parent.stdout.close()
    assert all(gone(process.pid) for process in started)


def test_nothing_is_left_of_a_command_that_ended(tmp_path: Path) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    LocalRunner().run(["true"], folder=tmp_path)
    with pytest.raises(ToolError):
        LocalRunner().run(["false"], folder=tmp_path)
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before


def test_a_tool_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no-such-ffmpeg cannot be run: No such file.*VOD_FFMPEG"):
        LocalRunner().run([str(tmp_path / "no-such-ffmpeg")], folder=tmp_path)


def test_a_tool_that_is_not_executable(tmp_path: Path) -> None:
    tool = tmp_path / "ffmpeg"
    tool.write_text("not a program")
    with pytest.raises(InvalidInputError, match="Permission denied"):
        LocalRunner().run([str(tool)], folder=tmp_path)
    tool.chmod(0o755)
    with pytest.raises(InvalidInputError, match="Exec format error"):
        LocalRunner().run([str(tool)], folder=tmp_path)


def test_a_full_host_is_no_fault_of_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(BlockingIOError):
        LocalRunner().run(["true"], folder=tmp_path)


# --- no progress ----------------------------------------------------------------------------


def test_a_command_that_gets_no_further_is_stopped(tmp_path: Path) -> None:
    found: list[str] = []
    with pytest.raises(ToolStalledError, match=r"made no progress for \d s and was stopped") as error:
        LocalRunner(1).run(python(SLEEPER), folder=tmp_path, on_line=found.append)
    assert error.value.returncode == -9 and isinstance(error.value, ToolKilledError)
    assert not psutil.pid_exists(int(found[0]))


def test_a_stopped_ffmpeg_is_a_stalled_one(tmp_path: Path) -> None:
    """As a hung disk or a deadlock leaves it: there, but doing nothing."""
    runner = LocalRunner(1)

    def on_line(line: str) -> None:
        if line.startswith("out_time_us=") and runner._process is not None:
            os.kill(runner._process.pid, signal.SIGSTOP)

    argv = [FFMPEG, "-v", "error", "-nostdin", "-progress", "pipe:1", "-stats_period", "0.1"]
    argv += ["-re", "-f", "lavfi", "-i", "testsrc2=d=60", "-f", "null", "-"]
    with pytest.raises(ToolStalledError):
        runner.run(argv, folder=tmp_path, on_line=on_line)


def test_lines_that_repeat_a_position_are_no_progress(tmp_path: Path) -> None:
    reader = ProgressReader(10, lambda _: None)
    code = "import time\nwhile True: print('out_time_us=5', flush=True); time.sleep(0.05)"
    with pytest.raises(ToolStalledError):
        LocalRunner(1).run(python(code), folder=tmp_path, on_line=reader, position=reader.position)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("print(1, flush=True)", id="writes"),
        pytest.param("os.pread(file, 9, 0)", id="reads"),
        pytest.param(
            "subprocess.run(['cat', sys.argv[1]], stdout=subprocess.DEVNULL)", id="has others do it"
        ),
    ],
)
def test_what_works_quietly_is_left_alone(tmp_path: Path, code: str) -> None:
    (tmp_path / "file").write_text("something")
    begin = f"import os, subprocess, sys, time; file = os.open({str(tmp_path / 'file')!r}, os.O_RDONLY)"
    repeat = f"for _ in range(25): {code}; time.sleep(0.1)"
    LocalRunner(1).run(python(f"{begin}\n{repeat}", str(tmp_path / "file")), folder=tmp_path)


def test_a_moving_position_is_progress(tmp_path: Path) -> None:
    """A decoder that flushes neither reads nor tells of files, but its time moves."""
    reader = ProgressReader(10, lambda _: None)
    code = "import time\nfor n in range(25): print(f'out_time_us={n}', flush=True); time.sleep(0.1)"
    LocalRunner(1).run(python(code), folder=tmp_path, on_line=reader, position=reader.position)


def test_reading_without_a_moving_position_is_progress(tmp_path: Path) -> None:
    """A chunk behind a far key frame: minutes are decoded before its first picture."""
    reader = ProgressReader(10, lambda _: None)
    code = "import time\nfor _ in range(25): open('/dev/zero', 'rb').read(9); time.sleep(0.1)"
    LocalRunner(1).run(python(code), folder=tmp_path, on_line=reader, position=reader.position)


def test_a_command_whose_time_is_up_is_stopped(tmp_path: Path) -> None:
    code = "import time\nwhile True: print(1, flush=True); time.sleep(0.05)"
    with pytest.raises(ToolOverdueError, match="was not done after 1 s and was stopped"):
        LocalRunner(1).run(python(code), folder=tmp_path, limit_s=1)


def test_a_host_that_cannot_start_the_guard_keeps_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen

    def refuse(argv: list[str], **options: object) -> object:
        if argv[0] == "/bin/sh":
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real(argv, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", refuse)
    before = {process.pid for process in psutil.Process().children()}
    with pytest.raises(BlockingIOError):
        LocalRunner().run(python(SLEEPER), folder=tmp_path)
    assert {process.pid for process in psutil.Process().children()} <= before
