"""Files that appear whole: written under another name of the same folder, then renamed or linked.

What the store of ``local.py`` is made of; a reader never sees half of one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vod_operators.errors import InvalidInputError, ObjectNotFoundError, StorageError, VodError

OWN_NAME = re.compile(r"\.[0-9a-f]{16}\.vod-(part|lock)")
"""Our temporary and lock files. Not derived from the object's whole name, which may already be as
long as the file system allows."""

PERMANENT = {
    errno.EACCES: "this worker's user may not access it: fix the owner or mode, or choose another folder",
    errno.EPERM: "this worker's user may not access it: fix the owner or mode, or choose another folder",
    errno.EROFS: "the file system is mounted read-only: mount it writable, or choose another folder",
    errno.EISDIR: "it is a folder: give the URI of one file",
    errno.ENOTDIR: "a part of the path is a file, not a folder: give a path whose parents are folders",
    errno.EEXIST: "a part of the path is a file, not a folder: give a path whose parents are folders",
    errno.ENAMETOOLONG: "the name is too long for the file system: use a shorter one",
    errno.ELOOP: "its symbolic links form a loop: give a path without it",
}


def flush(file: BinaryIO) -> None:
    """Have the disk keep what was written."""
    # Before the rename: after a power cut the name must not stand for unwritten blocks.
    file.flush()
    os.fsync(file.fileno())


def renamed(path: Path, target: Path) -> bool:
    """Whether the file could be moved by renaming it; False if it is on another file system."""
    with explained(path), path.open("rb") as file:
        os.fsync(file.fileno())
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        os.utime(path)  # "modified" is when the object came, as on S3
        with locked(target):
            try:
                path.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                return False
    return True


def linked(path: Path, target: Path) -> bool:
    """Whether the file could get a second name; False on another file system, or on one without links."""
    temporary = temporary_name(target)
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with explained(path):
            os.link(path, temporary)
    except ObjectNotFoundError:
        raise
    except VodError:  # whatever it is, a copy may do without, or will tell
        return False
    try:
        with explained(target), locked(target):
            os.utime(temporary)  # "modified" is when the object came, as on S3
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # two names of one file are not renamed
    return True


def temporary_name(path: Path) -> Path:
    """A new hidden name in the folder of ``path``."""
    return path.parent / f".{uuid.uuid4().hex[:16]}.vod-part"


@contextmanager
def temporary_beside(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new hidden file in the folder of ``path``, gone at the end unless it was renamed."""
    temporary = temporary_name(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = temporary.open("xb")  # by the umask, not tempfile's 0600: web servers read it
    try:
        with file:
            yield temporary, file
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Exclusive among all processes that change this object. The lock file leaves with its holder.

    The kernel frees the lock of a holder that dies; the next one removes its file.
    """
    lock = path.parent / f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.vod-lock"
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The last holder may have removed the file we waited on: then others lock a new one.
            try:
                ours = os.path.samestat(os.fstat(descriptor), lock.stat())
            except FileNotFoundError:
                ours = False
            if ours:
                try:
                    yield
                finally:
                    with suppress(FileNotFoundError):
                        lock.unlink()
                return
        finally:
            os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns errors of the operating system into ours, naming the object rather than a temp file."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectNotFoundError(f"{path} does not exist") from error
    except OSError as error:
        advice = PERMANENT.get(error.errno or 0)
        if advice:
            raise InvalidInputError(f"{path}: {error.strerror}; {advice}") from error
        raise StorageError(f"{path}: {error.strerror or error}") from error
