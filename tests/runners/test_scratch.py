"""Scratch folders of tasks that live, die and are killed."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from vod_operators.errors import InvalidInputError, NoRoomError, ToolError
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.scratch import check_room, in_memory, scratch_folder

_PR_SET_DUMPABLE = 4
_LIBC = ctypes.CDLL(None)

PLUGINS = Path(__file__).parents[2] / "plugins"

TASK = """
import sys
from pathlib import Path
from vod_operators.runners.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "chunk.nut").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    sys.stdin.read()
"""


def start_task(root: Path) -> tuple[subprocess.Popen[str], Path]:
    task = subprocess.Popen(
        [sys.executable, "-c", TASK, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
    )
    assert task.stdout is not None
    return task, Path(task.stdout.readline().strip())


def end(task: subprocess.Popen[str]) -> None:
    assert task.stdin and task.stdout
    task.stdin.close()
    task.stdout.close()
    task.wait()


def left(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_a_folder_is_empty_and_gone_afterwards(tmp_path: Path) -> None:
    root = tmp_path / "not" / "there" / "yet"
    with scratch_folder(root) as folder:
        assert list(folder.iterdir()) == []
        (folder / "a").mkdir()
        (folder / "a" / "b").write_text("b")
    assert left(root) == []


def test_it_goes_with_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), scratch_folder(tmp_path):
        raise KeyError
    assert left(tmp_path) == []


def test_what_the_killed_left_goes_when_the_next_one_starts(tmp_path: Path) -> None:
    killed, dead = start_task(tmp_path)
    alive, folder = start_task(tmp_path)
    killed.kill()
    killed.wait()
    assert (dead / "chunk.nut").is_file()
    with scratch_folder(tmp_path) as mine:
        assert left(tmp_path) == sorted([folder.parent.name, mine.parent.name])
        assert (folder / "chunk.nut").stat().st_size == 1000
    end(killed)
    end(alive)
    assert left(tmp_path) == []


def test_a_process_that_the_task_started_does_not_keep_its_folder(tmp_path: Path) -> None:
    """A tool must not inherit the lock: it is gone in a moment, and so is who would remove the folder."""
    with scratch_folder(tmp_path):
        # It tells when it has begun: until then it opens and closes files of its own.
        wait = ["sh", "-c", "echo; read _"]
        tool = subprocess.Popen(wait, close_fds=False, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert tool.stdin and tool.stdout
        try:
            assert tool.stdout.readline() == b"\n"
            assert str(tmp_path) not in " ".join(
                os.readlink(entry) for entry in Path(f"/proc/{tool.pid}/fd").iterdir()
            )
        finally:
            tool.kill()
            tool.communicate()


def test_what_a_removal_in_mid_work_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "task-without-a-lock" / "files").mkdir(parents=True)
    (tmp_path / "dead-half").mkdir()
    (tmp_path / "of-somebody-else").mkdir()
    with scratch_folder(tmp_path):
        pass
    assert left(tmp_path) == ["of-somebody-else"]


def test_many_at_once_do_not_take_each_other_for_dead(tmp_path: Path) -> None:
    def work(number: int) -> bool:
        with scratch_folder(tmp_path) as folder:
            (folder / "mine").write_text(str(number))
            return (folder / "mine").read_text() == str(number) and len(list(folder.iterdir())) == 1

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(400)))
    assert left(tmp_path) == []


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_without_room_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(9_000_000_000, 0, 1_234_000_000))
    with pytest.raises(NoRoomError) as error, scratch_folder(tmp_path, 3_400_000_000):
        raise AssertionError
    assert str(error.value) == (
        f"VOD_WORK_DIR: {tmp_path} has 1.2 GB free, but this step needs 3.4 GB; "
        "make room, or point VOD_WORK_DIR at a larger disk"
    )
    assert left(tmp_path) == []
    check_room(tmp_path, 1_234_000_000)


def test_what_the_dead_held_counts_as_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "task-dead" / "files").mkdir(parents=True)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: Usage(9, 0, 0 if list(tmp_path.glob("*-dead")) else 9)
    )
    with scratch_folder(tmp_path, 9):
        pass


def test_a_root_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(InvalidInputError, match=r"VOD_WORK_DIR: .*/file cannot be written")
    with refused, scratch_folder(tmp_path / "file"):
        pass


def test_a_command_reads_a_file_in_memory(tmp_path: Path) -> None:
    path, read = tmp_path / "source", list[str]()
    # As Airflow makes its tasks: of such a process nobody but root may open /proc/PID/fd.
    _LIBC.prctl(_PR_SET_DUMPABLE, 0)
    try:
        with in_memory(path) as memory:
            with path.open("r+b") as file:
                file.truncate(1 << 30)
                file.seek(1 << 29)
                file.write(b"here\n")
            assert path.stat().st_blocks * 512 < 1 << 20  # holes take up nothing
            argv = ["dd", f"if={path.name}", "bs=1", f"skip={1 << 29}", "count=5", "status=none"]
            LocalRunner(inherited=[memory]).run(argv, folder=tmp_path, on_line=read.append)
            with pytest.raises(ToolError):
                LocalRunner().run(argv, folder=tmp_path)
    finally:
        _LIBC.prctl(_PR_SET_DUMPABLE, 1)
    assert read == ["here"]
    assert list(tmp_path.iterdir()) == []
