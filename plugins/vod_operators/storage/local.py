"""A folder as an object store: ``file:///absolute/path`` URIs, percent-encoded.

For one host, or several that mount the same POSIX file system. A reader never sees half an object, because
objects appear by ``rename`` or ``link`` of a complete temporary file in the same folder.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from vod_operators.errors import InvalidInputError, ObjectChangedError, ObjectNotFoundError
from vod_operators.storage.base import BLOCK_BYTES, Block, Digest, Headers, ObjectInfo, Unfinished
from vod_operators.storage.files import (
    OWN_NAME,
    PERMANENT,
    explained,
    flush,
    linked,
    locked,
    renamed,
    temporary_beside,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

SCHEME = "file://"


class LocalStorage:
    """Implements :class:`vod_operators.storage.base.Storage` on a file system.

    Content types and cache policies are dropped: a file system cannot store them, and the web server in front
    of it derives them from the file name.
    """

    def stat(self, uri: str) -> ObjectInfo | None:
        path = _path_of(uri)
        status = _status(path)
        if status is None:
            return None
        if S_ISDIR(status.st_mode):
            raise InvalidInputError(f"{path}: {PERMANENT[errno.EISDIR]}")
        if not S_ISREG(status.st_mode):
            # Reading a device or a pipe may never end.
            raise InvalidInputError(f"{path}: it is a device or a pipe: give the URI of a regular file")
        return _info(uri, status)

    def local_path(self, uri: str) -> Path | None:
        """The file's path; None if it is missing or unreadable, so that a fetch then reports the reason."""
        path = _path_of(uri)
        return path if path.is_file() and os.access(path, os.R_OK) else None

    def read(
        self, uri: str, *, start: int = 0, length: int | None = None, version: str | None = None
    ) -> Iterator[bytes]:
        # An open file remains the same version, even if another file gets its name.
        path = _path_of(uri)
        with explained(path):
            file = path.open("rb", buffering=0)
        with file:
            _require_version(path, file, version)
            file.seek(start)
            remaining = length
            while remaining is None or remaining > 0:
                with explained(path):
                    block = file.read(BLOCK_BYTES if remaining is None else min(BLOCK_BYTES, remaining))
                if not block:
                    break
                if remaining is not None:
                    remaining -= len(block)
                yield block
            _require_version(path, file, version)  # another program may have written into it during the read

    def write(self, uri: str, blocks: Iterable[Block], **headers: Unpack[Headers]) -> None:
        path = _path_of(uri)
        with temporary_beside(path) as (temporary, file):
            for block in blocks:  # outside of ``explained``: the iterator's errors are the caller's
                with explained(path):
                    file.write(block)
            with explained(path):
                flush(file)
                with locked(path):
                    temporary.replace(path)

    def store(self, path: Path, uri: str, **headers: Unpack[Headers]) -> None:
        target = _path_of(uri)
        if not path.is_symlink() and renamed(path, target):
            return
        with explained(path):
            source = path.open("rb", buffering=0)
        with source, temporary_beside(target) as (temporary, file), explained(target):
            shutil.copyfileobj(source, file, BLOCK_BYTES)
            flush(file)
            with locked(target):
                temporary.replace(target)
        with explained(path):
            path.unlink(missing_ok=True)

    def copy(self, source: str, uri: str, **headers: Unpack[Headers]) -> str | None:
        """Hard-link the file, or copy it where that is impossible; read once for its digest."""
        digest = Digest()
        blocks = digest.of(self.read(source))
        if linked(_path_of(source), _path_of(uri)):
            for _ in blocks:
                pass
        else:
            self.write(uri, blocks)
        return digest.sha256

    def create(self, uri: str, data: bytes, **headers: Unpack[Headers]) -> str | None:
        path = _path_of(uri)
        with temporary_beside(path) as (temporary, file), explained(path):
            file.write(data)
            flush(file)
            _stamp(temporary, _precise(temporary.stat()))
            version = _version(temporary.stat())
            try:
                # Unlike O_EXCL and a write, a link makes the name appear with the whole content.
                os.link(temporary, path)
            except FileExistsError:
                return None
            except OSError as error:
                if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise InvalidInputError(
                        f"{path}: the file system has no hard links, which claims need: use another"
                    ) from error
                raise
        return version

    def replace(self, uri: str, data: bytes, version: str, **headers: Unpack[Headers]) -> str | None:
        path = _path_of(uri)
        if self.stat(uri) is None:
            return None  # before folders are created for an object that does not exist
        with temporary_beside(path) as (temporary, file), explained(path):
            file.write(data)
            flush(file)
            with locked(path):
                try:
                    before = path.stat()
                except FileNotFoundError:
                    return None
                if _version(before) != version:
                    return None
                # Inodes are reused and the kernel's timestamps tick every few ms, so two versions within one
                # tick could look the same. Therefore each replace raises the time.
                _stamp(temporary, max(_precise(temporary.stat()), before.st_mtime_ns + 1))
                new_version = _version(temporary.stat())
                temporary.replace(path)
        return new_version

    def now(self, uri: str) -> datetime:
        """The time of a newly created file, which on a network file system is the file server's."""
        path = _path_of(uri)
        with temporary_beside(path) as (temporary, _), explained(path):
            return _time(temporary.stat())

    def delete(self, uri: str) -> None:
        path = _path_of(uri)
        # Locked, or the delete could happen between the check and the rename of a ``replace``.
        with suppress(ObjectNotFoundError), explained(path), locked(path):
            path.unlink()

    def delete_folder(self, folder: str) -> None:
        path = Path(decoded_path(folder))
        with suppress(ObjectNotFoundError), explained(path):
            shutil.rmtree(path)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """As the protocol says; links to folders are not followed, because they may form loops."""
        path = decoded_path(prefix)
        folder, _, name_prefix = path.rpartition("/")
        yield from _listed(folder or "/", name_prefix)

    def folders(self, folder: str) -> Iterator[str]:
        path = Path(decoded_path(folder))
        try:
            with explained(path), os.scandir(path) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except ObjectNotFoundError:
            return
        yield from sorted(names, key=lambda name: name + "/")

    def unfinished(self, folder: str) -> Iterator[Unfinished]:
        """The temporary files of writers; their URIs are those of the folders."""
        for parent, _, names in os.walk(decoded_path(folder)):
            for name in names:
                path = os.path.join(parent, name)
                if not OWN_NAME.fullmatch(name):
                    continue
                if status := _status(Path(path)):
                    yield Unfinished(
                        uri=uri_of_path(parent.rstrip("/")) + "/",
                        handle=path,
                        size=status.st_size,
                        started=_time(status),
                    )

    def discard(self, unfinished: Unfinished) -> None:
        path = Path(unfinished.handle)
        with suppress(ObjectNotFoundError), explained(path):
            path.unlink()


def decoded_path(uri: str) -> str:
    """The path of a URI; repeated slashes are merged, a final slash is kept.

    ``?`` and ``#`` are literal: files have no queries, but unencoded names may contain these characters.

    :raises InvalidInputError: it is not the URI of a local file, or has ``.``, ``..`` or NUL in its path.
    """
    host, slash, encoded_path = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or host not in ("", "localhost") or not slash:
        raise InvalidInputError(f"{uri!r} is not the URI of a local file; use file:///absolute/path")
    path = re.sub("/+", "/", "/" + os.fsdecode(unquote_to_bytes(encoded_path)))
    if "\0" in path or not {".", ".."}.isdisjoint(path.split("/")):
        raise InvalidInputError(f"{uri!r} has a '.', '..' or NUL in its path; use file:///absolute/path")
    return path


def _path_of(uri: str) -> Path:
    path = decoded_path(uri)
    if path.endswith("/"):
        raise InvalidInputError(f"{uri!r} is a folder; give the URI of one file")
    if OWN_NAME.fullmatch(path.rpartition("/")[2]):
        raise InvalidInputError(
            f"{uri!r} is a name that this store reserves for temporary files; use another"
        )
    return Path(path)


def uri_of_path(path: str) -> str:
    """The URI of a path."""
    return SCHEME + quote_from_bytes(os.fsencode(path))


def _listed(folder: str, name_prefix: str) -> Iterator[ObjectInfo]:
    try:
        with explained(Path(folder)), os.scandir(folder) as entries:
            names = [
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if entry.name.startswith(name_prefix) and not OWN_NAME.fullmatch(entry.name)
            ]
    except ObjectNotFoundError:
        return
    # A folder sorts with its slash, as in the order of URIs: "a-b" comes before "a/b".
    for name, is_folder in sorted(names, key=lambda item: uri_of_path(item[0]) + "/" * item[1]):
        path = os.path.join(folder, name)
        if is_folder:
            yield from _listed(path, "")
            continue
        status = _status(Path(path))  # None: deleted since, or a dangling link
        if status is not None and S_ISREG(status.st_mode):
            yield _info(uri_of_path(path), status)


def _status(path: Path) -> os.stat_result | None:
    """The facts of a file, or of what a link points to; None if there is none."""
    with suppress(ObjectNotFoundError), explained(path):
        return path.stat()
    return None


def _version(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


def _require_version(path: Path, file: io.FileIO, version: str | None) -> None:
    if version is not None and _version(os.fstat(file.fileno())) != version:
        raise ObjectChangedError(f"{path} has changed since it was looked at")


def _info(uri: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(uri=uri, size=status.st_size, version=_version(status), modified=_time(status))


def _time(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, tz=timezone.utc)


def _precise(status: os.stat_result) -> int:
    """A new file's time in ns, made unique, because kernels round times to ticks of some ms.

    Less than a millisecond is added, so that this host's clock has no influence on leases, which compare
    these times.
    """
    return status.st_mtime_ns + time.time_ns() % 1_000_000


def _stamp(path: Path, time_ns: int) -> None:
    os.utime(path, ns=(time_ns, time_ns))
