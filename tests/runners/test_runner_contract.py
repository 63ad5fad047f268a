"""What every runner does: real commands, killed in every way they are killed in production.

The Docker runner's half needs an engine and an image with the media tools and Python: ``make test-docker``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kinds import PATIENCE_S, ffmpeg, gone, make, processes, python

from support.docker_engine import containers
from vod_operators.errors import (
    InvalidInputError,
    ToolError,
    ToolKilledError,
    ToolOverdueError,
    ToolStalledError,
)
from vod_operators.runners.base import STDERR_LINES
from vod_operators.runners.progress import ProgressReader

HERE = Path(__file__).parent
SLEEPER = "import time; print('begun', flush=True); time.sleep(600)"
WRAPPER = """
import subprocess, sys
code = "import time; print('begun', flush=True); time.sleep(600)"
subprocess.run([sys.executable, "-c", code, *sys.argv[1:]])
"""
"""A wrapper script that waits for the tool instead of becoming it."""


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param
    if request.param == "docker":
        assert containers() == []


@pytest.fixture
def token() -> str:
    """By which a command's processes are found again."""
    return uuid.uuid4().hex


def test_lines_of_stdout_and_the_tail_of_stderr(kind: str, tmp_path: Path) -> None:
    lines: list[str] = []
    code = "import os, sys; print(os.getcwd()); print('caf\\u00e9'); sys.stderr.write('careful\\n')"
    warnings = make(kind).run(
        ["env", "PYTHONIOENCODING=utf-8", *python(kind, code)], folder=tmp_path, on_line=lines.append
    )
    assert lines == [str(tmp_path), "café"]
    assert warnings == ["careful"]


def test_every_argument_arrives_byte_for_byte(kind: str, tmp_path: Path) -> None:
    odd = [
        "",
        " ",
        "a b",
        "'",
        '"',
        "$HOME",
        "`id`",
        "\\n",
        "new\nline",
        "*",
        "-i",
        "--",
        "%s",
        "é",
        "[0:v]split=2[a];",
    ]
    lines: list[str] = []
    code = "import sys; [print(ascii(word)) for word in sys.argv[1:]]"
    make(kind).run(["env", "PYTHONUTF8=1", *python(kind, code, *odd)], folder=tmp_path, on_line=lines.append)
    assert lines == [ascii(word) for word in odd]


def test_files_of_the_folder_and_what_links_lead_to(kind: str, tmp_path: Path) -> None:
    work, store = tmp_path / "work", tmp_path / "store"
    work.mkdir()
    store.mkdir()
    (store / "source.mp4").write_text("a source")
    (work / "source").symlink_to(store / "source.mp4")
    make(kind).run(["cp", "source", "copy"], folder=work)
    assert (work / "copy").read_text() == "a source"
    assert (work / "copy").stat().st_uid == os.getuid()


def test_exit_code_and_the_last_lines_of_stderr(kind: str, tmp_path: Path) -> None:
    argv = python(kind, "import sys; [sys.stderr.write(f'line {n}\\n') for n in range(100)]; sys.exit(69)")
    with pytest.raises(ToolError) as error:
        make(kind).run(argv, folder=tmp_path)
    assert type(error.value) is ToolError
    assert error.value.returncode == 69
    assert error.value.argv == argv
    assert error.value.stderr_tail.splitlines() == [f"line {n}" for n in range(100 - STDERR_LINES, 100)]
    assert "failed with exit code 69" in str(error.value)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_by_a_signal(kind: str, tmp_path: Path, number: int) -> None:
    with pytest.raises(ToolKilledError) as error:
        make(kind).run(python(kind, f"import os; os.kill(os.getpid(), {int(number)})"), folder=tmp_path)
    assert error.value.returncode == -number
    assert f"was killed by signal {int(number)}: it said nothing" in str(error.value)


def test_kill_from_another_thread(kind: str, tmp_path: Path, token: str) -> None:
    runner = make(kind)
    with pytest.raises(ToolKilledError) as error:
        runner.run(
            python(kind, SLEEPER, token),
            folder=tmp_path,
            on_line=lambda _: threading.Thread(target=runner.kill).start(),
        )
    assert error.value.returncode == -9
    assert processes(token) == []


def test_kill_from_a_signal_handler(kind: str, tmp_path: Path) -> None:
    """As Airflow calls ``on_kill``: in the main thread, in the middle of ``run``."""
    runner = make(kind)
    before = signal.signal(signal.SIGUSR1, lambda *_: runner.kill())
    try:
        with pytest.raises(ToolKilledError):
            runner.run(
                python(kind, SLEEPER),
                folder=tmp_path,
                on_line=lambda _: os.kill(os.getpid(), signal.SIGUSR1),
            )
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_kill_ends_what_the_command_started(kind: str, tmp_path: Path, token: str) -> None:
    runner = make(kind)
    with pytest.raises(ToolKilledError):
        runner.run(python(kind, WRAPPER, token), folder=tmp_path, on_line=lambda _: runner.kill())
    assert gone(token)


def test_kill_without_a_command_does_nothing(kind: str, tmp_path: Path) -> None:
    runner = make(kind)
    runner.kill()
    assert runner.run(["true"], folder=tmp_path) == []
    runner.kill()


def test_an_error_while_reading_ends_the_command(kind: str, tmp_path: Path, token: str) -> None:
    def on_line(line: str) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        make(kind).run(python(kind, SLEEPER, token), folder=tmp_path, on_line=on_line)
    assert gone(token)


def test_more_stderr_than_a_pipe_holds(kind: str, tmp_path: Path) -> None:
    code = "import sys; [sys.stderr.write('x' * 99 + '\\n') for _ in range(20_000)]; print('done')"
    lines: list[str] = []
    tail = make(kind).run(python(kind, code), folder=tmp_path, on_line=lines.append)
    assert tail == ["x" * 99] * STDERR_LINES
    assert lines == ["done"]


def test_many_lines_and_a_last_one_without_its_end(kind: str, tmp_path: Path) -> None:
    code = "import sys; [print(n, 'x' * (n % 300)) for n in range(20_000)]; sys.stdout.write('last')"
    lines: list[str] = []
    make(kind).run(python(kind, code), folder=tmp_path, on_line=lines.append)
    assert lines == [f"{n} {'x' * (n % 300)}" for n in range(20_000)] + ["last"]


def test_output_that_is_not_utf_8(kind: str, tmp_path: Path) -> None:
    code = "import os; os.write(1, b'a\\xffb\\n'); os.write(2, b'\\xfe\\n')"
    lines: list[str] = []
    assert make(kind).run(python(kind, code), folder=tmp_path, on_line=lines.append) == ["\ufffd"]
    assert lines == ["a\ufffdb"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("command", [SLEEPER, WRAPPER], ids=["tool", "wrapper"])
def test_the_command_dies_with_its_task(
    kind: str, tmp_path: Path, token: str, how: signal.Signals, command: str
) -> None:
    task = subprocess.Popen(
        [sys.executable, str(HERE / "kinds.py"), "ours", kind, str(tmp_path), *python(kind, command, token)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert task.stdout is not None
    assert task.stdout.readline() == "begun\n"
    assert len(processes(token)) >= 1
    task.send_signal(how)
    task.wait(PATIENCE_S)
    task.stdout.close()
    assert gone(token)
    make(kind).run(["true"], folder=tmp_path)  # the next task removes what the dead left


def test_a_tool_that_is_not_there(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no-such-ffmpeg cannot be run.*VOD_FFMPEG"):
        make(kind).run([str(tmp_path / "no-such-ffmpeg")], folder=tmp_path)


def test_a_tool_that_is_not_executable(kind: str, tmp_path: Path) -> None:
    tool = tmp_path / "ffmpeg"
    tool.write_text("not a program")
    with pytest.raises(InvalidInputError, match="Permission denied"):
        make(kind).run([str(tool)], folder=tmp_path)


# --- no progress ----------------------------------------------------------------------------


def test_a_command_that_gets_no_further_is_stopped(kind: str, tmp_path: Path, token: str) -> None:
    with pytest.raises(ToolStalledError, match=r"made no progress for \d s and was stopped") as error:
        make(kind, 1).run(python(kind, SLEEPER, token), folder=tmp_path)
    assert error.value.returncode == -9 and isinstance(error.value, ToolKilledError)
    assert gone(token)


def test_a_stopped_ffmpeg_is_a_stalled_one(kind: str, tmp_path: Path, token: str) -> None:
    """As a hung disk or a deadlock leaves it: there, but doing nothing."""

    def on_line(line: str) -> None:
        if line.startswith("out_time_us="):
            for process in processes(token):
                process.suspend()

    argv = [ffmpeg(kind), "-v", "error", "-nostdin", "-progress", "pipe:1", "-stats_period", "0.1"]
    argv += ["-re", "-f", "lavfi", "-i", "testsrc2=d=60", "-metadata", f"comment={token}", "-f", "null", "-"]
    with pytest.raises(ToolStalledError):
        make(kind, 1).run(argv, folder=tmp_path, on_line=on_line)


def test_lines_that_repeat_a_position_are_no_progress(kind: str, tmp_path: Path) -> None:
    reader = ProgressReader(10, lambda _: None)
    code = "import time\nwhile True: print('out_time_us=5', flush=True); time.sleep(0.05)"
    with pytest.raises(ToolStalledError):
        make(kind, 1).run(python(kind, code), folder=tmp_path, on_line=reader, position=reader.position)


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
def test_what_works_quietly_is_left_alone(kind: str, tmp_path: Path, code: str) -> None:
    (tmp_path / "file").write_text("something")
    begin = f"import os, subprocess, sys, time; file = os.open({str(tmp_path / 'file')!r}, os.O_RDONLY)"
    repeat = f"for _ in range(25): {code}; time.sleep(0.1)"
    make(kind, 1).run(python(kind, f"{begin}\n{repeat}", str(tmp_path / "file")), folder=tmp_path)


def test_a_moving_position_is_progress(kind: str, tmp_path: Path) -> None:
    """A decoder that flushes neither reads nor tells of files, but its time moves."""
    reader = ProgressReader(10, lambda _: None)
    code = "import time\nfor n in range(25): print(f'out_time_us={n}', flush=True); time.sleep(0.1)"
    make(kind, 1).run(python(kind, code), folder=tmp_path, on_line=reader, position=reader.position)


def test_reading_without_a_moving_position_is_progress(kind: str, tmp_path: Path) -> None:
    """A chunk behind a far key frame: minutes are decoded before its first picture."""
    reader = ProgressReader(10, lambda _: None)
    code = "import time\nfor _ in range(25): open('/dev/zero', 'rb').read(9); time.sleep(0.1)"
    make(kind, 1).run(python(kind, code), folder=tmp_path, on_line=reader, position=reader.position)


def test_a_command_whose_time_is_up_is_stopped(kind: str, tmp_path: Path) -> None:
    code = "import time\nwhile True: print(1, flush=True); time.sleep(0.05)"
    with pytest.raises(ToolOverdueError, match="was not done after 1 s and was stopped"):
        make(kind).run(python(kind, code), folder=tmp_path, limit_s=1)
