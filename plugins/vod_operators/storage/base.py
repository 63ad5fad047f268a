"""The protocols of a store: objects by URI, atomic writes of whole objects, conditional writes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypedDict, TypeVar

from vod_operators.errors import StorageError

if TYPE_CHECKING:
    from typing_extensions import Unpack

Block: TypeAlias = bytes | memoryview
"""Some bytes of an object."""

AnyBlock = TypeVar("AnyBlock", bytes, Block)

BLOCK_BYTES = 1 << 20
"""Block size of streaming reads: large enough to amortise system calls, negligible in memory."""


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """The facts of an object."""

    uri: str
    size: int
    """Bytes."""
    version: str
    """Changes whenever the content does: ETag on S3 and HTTP, size and mtime on a file system."""
    modified: datetime
    """Last change, timezone-aware UTC, by the store's clock."""


class Headers(TypedDict, total=False):
    """What a web server in front of the store sends with an object."""

    content_type: str
    """Default: ``application/octet-stream``."""
    cache_control: str | None
    """Default: no such header."""
    content_disposition: str | None
    """Default: no such header."""


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A write that has not ended. Its writer may have been killed; it is no object, but takes space."""

    uri: str
    """URI of the object that was being written, or of its folder if the object is not known."""
    handle: str
    """Identifies the write to its store."""
    size: int
    """Bytes."""
    started: datetime
    """When it began, or was last continued, by the store's clock."""


class ReadableStorage(Protocol):
    """A store that can be read.

    Methods raise ``StorageError`` if the store fails, ``ObjectNotFoundError`` if an object to read does not
    exist, and ``InvalidInputError`` if a URI is not one of this store or access is denied.
    """

    def stat(self, uri: str) -> ObjectInfo | None:
        """The object's facts, or None if it does not exist."""

    def local_path(self, uri: str) -> Path | None:
        """The path of the object on this host's disk; None if it must be fetched."""

    def read(
        self, uri: str, *, start: int = 0, length: int | None = None, version: str | None = None
    ) -> Iterator[bytes]:
        """The bytes ``[start, start + length)`` (to the end if None) in blocks; memory stays bounded.

        A read that a dropped connection interrupts is resumed at the same byte of the same version.

        :param version: the version that ``stat`` returned; None for the present one.
        :raises ObjectChangedError: the object has another version, or got one during the read.
        """

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose URIs start with ``prefix`` (a folder ends in ``/``), ordered by URI."""


class Storage(ReadableStorage, Protocol):
    """A store that can be read and written.

    Every write is atomic: readers get the whole old or the whole new object, even if the writer is killed.
    """

    def write(self, uri: str, blocks: Iterable[Block], **headers: Unpack[Headers]) -> None:
        """Write the concatenated blocks as the object, which becomes visible when all are written."""

    def store(self, path: Path, uri: str, **headers: Unpack[Headers]) -> None:
        """Move a local file into the store; ``path`` no longer exists afterwards."""

    def copy(self, source: str, uri: str, **headers: Unpack[Headers]) -> str | None:
        """Copy the object ``source`` of this store to ``uri`` within the store.

        :returns: SHA-256 of the copy in lower-case hex; None if the store does not compute it.
        """

    def create(self, uri: str, data: bytes, **headers: Unpack[Headers]) -> str | None:
        """Write a small object only if none exists; returns its version, or None if one existed."""

    def replace(self, uri: str, data: bytes, version: str, **headers: Unpack[Headers]) -> str | None:
        """Write a small object only if it still has ``version``; returns the new version, or None."""

    def now(self, uri: str) -> datetime:
        """The time by the clock of the store of ``uri``, which all hosts share."""

    def delete(self, uri: str) -> None:
        """Remove the object; no error if it does not exist."""

    def delete_folder(self, folder: str) -> None:
        """Remove all objects below ``folder`` (ends in ``/``), in no particular order."""

    def folders(self, folder: str) -> Iterator[str]:
        """Names of the immediate subfolders of ``folder`` (ends in ``/``), ordered by name and a slash."""

    def unfinished(self, folder: str) -> Iterator[Unfinished]:
        """Writes below ``folder`` (ends in ``/``) that have not ended, including those in progress."""

    def discard(self, unfinished: Unfinished) -> None:
        """Abort an unfinished write; no error if it has ended meanwhile."""


class Digest:
    """Size and SHA-256 of the blocks that have passed through ``of``."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()

    def __str__(self) -> str:
        return f"{self.size} bytes of SHA-256 {self.sha256}"

    @property
    def sha256(self) -> str:
        """Lower-case hex."""
        return self._sha256.hexdigest()

    def of(self, blocks: Iterable[AnyBlock]) -> Iterator[AnyBlock]:
        """The blocks, unchanged."""
        for block in blocks:
            self._sha256.update(block)
            self.size += len(block)
            yield block


def digest_of(blocks: Iterable[Block]) -> Digest:
    """Size and checksum of concatenated blocks."""
    digest = Digest()
    for _ in digest.of(blocks):
        pass
    return digest


def blocks_of(path: Path) -> Iterator[bytes]:
    """A local file's content in blocks."""
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            yield block


class Interruptions:
    """Counts the broken connections of one read, since the last whole block that came.

    :param name: the object, for messages.
    :param position: first byte of the read.
    :param limit: how many end the read.
    :param pause: waits before the next connection, given the number of broken ones.
    """

    def __init__(self, name: str, position: int, limit: int, pause: Callable[[int], None]) -> None:
        self._name, self._limit, self._pause = name, limit, pause
        self._count, self._since = 0, position

    def add(self, position: int, failure: str, end: int | None = None) -> None:
        """Count one, and wait.

        :param position: first byte that has not come.
        :param failure: why the connection broke.
        :param end: where the read ends, if that is known.
        :raises StorageError: there were too many.
        """
        if position - self._since >= BLOCK_BYTES:  # a few bytes per connection are no progress
            self._count, self._since = 0, position
        self._count += 1
        if self._count >= self._limit:
            raise StorageError(
                f"{self._name}: reading stopped at byte {position}{f' of {end}' if end else ''}; "
                f"{self._limit} connections broke since byte {self._since} ({failure})"
            )
        self._pause(self._count)
