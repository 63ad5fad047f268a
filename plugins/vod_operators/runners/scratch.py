"""A task's scratch folder on its worker's disk: made if there is enough room, removed when the task ends.

::

    {root}/                      locked briefly, while folders are made or set aside
    {root}/task-XXXXXXXX/lock    locked by the task for as long as it lives
    {root}/task-XXXXXXXX/files/  what the task works in
    {root}/dead-XXXXXXXX/        left by a dead task; being removed

The lock is the kernel's (``flock``): it ends with the process, however that ends, and other containers on
the same disk see it. The next task on that disk removes what dead tasks left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vod_operators.errors import InvalidInputError, NoRoomError

TASK, DEAD = "task-", "dead-"


@contextmanager
def scratch_folder(root: Path, needed_bytes: int = 0) -> Iterator[Path]:
    """A new empty folder, removed when the context ends.

    :param needed_bytes: bytes that will be written into it, as far as is known.
    :raises NoRoomError: the disk has less room than that.
    :raises InvalidInputError: ``root`` cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root) as locked:
            if locked:  # otherwise another task's folder that is not locked yet would look dead
                _set_dead_aside(root)
            folder = Path(tempfile.mkdtemp(prefix=TASK, dir=root))
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            # Fails on a file system without locks. No folder there is taken for dead: see _set_dead_aside.
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise InvalidInputError(f"VOD_WORK_DIR: {root} cannot be written: {error.strerror}") from error
    try:
        _remove_dead(root)
        check_room(root, needed_bytes)
        files = folder / "files"
        files.mkdir()
        yield files
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def clear_up(root: Path) -> None:
    """Remove what dead tasks left in ``root``: for a caller that has just ended a task there."""
    with contextlib.suppress(OSError), _locked(root) as locked:
        if locked:
            _set_dead_aside(root)
    _remove_dead(root)


@contextmanager
def in_memory(path: Path) -> Iterator[int]:
    """Keep what is written to ``path`` in memory while the context is open: for a sparse file.

    On disk, reading a hole fills the page cache with zeros and takes twice the time. In memory a hole takes
    no space, and nothing is left behind, however this process ends.

    :return: a descriptor that a child process must inherit to open ``path``.
    """
    memory = os.memfd_create(path.name)
    try:
        # Not /proc/PID: Airflow keeps its tasks' memory private, so children could not open it there.
        path.symlink_to(f"/proc/self/fd/{memory}")
        yield memory
    finally:
        path.unlink(missing_ok=True)
        os.close(memory)


def check_room(root: Path, needed_bytes: int) -> None:
    """:raises NoRoomError: the disk of ``root`` has less free than ``needed_bytes``."""
    free = shutil.disk_usage(root).free
    if free < needed_bytes:
        raise NoRoomError(
            f"VOD_WORK_DIR: {root} has {_size(free)} free, but this step needs {_size(needed_bytes)}; "
            "make room, or point VOD_WORK_DIR at a larger disk"
        )


def _set_dead_aside(root: Path) -> None:
    """Rename the folders of dead tasks. It only renames, because it runs under the root's lock."""
    for folder in root.glob(f"{TASK}*"):
        try:
            lock = os.open(folder / "lock", os.O_RDWR)
        except FileNotFoundError:
            lock = None  # its task died before it made the lock, or while it removed the folder
        except OSError:
            continue  # another user's
        try:
            if lock is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder.rename(folder.with_name(DEAD + folder.name.removeprefix(TASK)))
        except OSError:
            continue  # its task lives, or has just removed it, or nothing can be locked here
        finally:
            if lock is not None:
                os.close(lock)


def _remove_dead(root: Path) -> None:
    for dead in root.glob(f"{DEAD}*"):
        shutil.rmtree(dead, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder; yields whether that worked: some network file systems cannot lock folders."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 10**8 else f"{count / 1e6:.1f} MB"
