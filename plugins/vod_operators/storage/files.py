"""Atomic file writes for ``local.py``: a file is written under a temporary name, then renamed or linked."""

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
"""Names of this store's temporary and lock files. They do not contain the object's name, which may already be
as long as the file system allows."""

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
    """Flush a file to disk before it is renamed, so that a power cut leaves no name without its content."""
    file.flush()
    os.fsync(file.fileno())


def renamed(path: Path, target: Path) -> bool:
    """Move a file by renaming it; returns False if ``target`` is on another file system."""
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
    """Hard-link a file as ``target``; returns False if that is impossible, as on another file system."""
    temporary = temporary_name(target)
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with explained(path):
            os.link(path, temporary)
    except ObjectNotFoundError:
        raise
    except VodError:  # the caller copies instead, which may work or report a better error
        return False
    try:
        with explained(target), locked(target):
            os.utime(temporary)  # "modified" is when the object came, as on S3
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # ``rename`` does nothing if both names are the same file
    return True


def temporary_name(path: Path) -> Path:
    """A new hidden path in the folder of ``path``."""
    return path.parent / f".{uuid.uuid4().hex[:16]}.vod-part"


@contextmanager
def temporary_beside(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new hidden file in the folder of ``path``, deleted at the end unless it was renamed."""
    temporary = temporary_name(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = temporary.open("xb")  # mode by the umask, not tempfile's 0600, because web servers read it
    try:
        with file:
            yield temporary, file
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """An exclusive lock among all processes that change this object. Its holder removes the lock file.

    If a holder dies, the kernel frees the lock, and the next holder removes the file.
    """
    lock = path.parent / f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.vod-lock"
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The previous holder may have removed this file while we waited; others then lock a new file.
            is_current = False
            with suppress(FileNotFoundError):
                is_current = os.path.samestat(os.fstat(descriptor), lock.stat())
            if is_current:
                try:
                    yield
                finally:
                    lock.unlink(missing_ok=True)
                return
        finally:
            os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Translates errors of the operating system into this package's, naming the object, not a temporary file.

    :raises ObjectNotFoundError: the file does not exist.
    :raises InvalidInputError: trying again cannot help; the message says what to do.
    :raises StorageError: any other ``OSError``.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectNotFoundError(f"{path} does not exist") from error
    except OSError as error:
        advice = PERMANENT.get(error.errno or 0)
        if advice:
            raise InvalidInputError(f"{path}: {error.strerror}; {advice}") from error
        raise StorageError(f"{path}: {error.strerror or error}") from error
