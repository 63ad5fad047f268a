"""What the operators ask of a store: objects by URI, whole-object writes, conditional writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

BLOCK_BYTES = 1 << 20
"""Unit of streaming reads. Large enough to amortise system calls, small enough to forget."""


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """One object as the store sees it."""

    uri: str
    size: int
    """Bytes."""
    version: str
    """Changes whenever the content does: ETag on S3 and HTTP, size and mtime on a file system."""
    modified: datetime
    """Last change, timezone-aware UTC, by the store's clock."""


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """What a killed writer left behind: never an object, but it takes room."""

    uri: str
    """The object that it would have become; its folder, where that is not known."""
    handle: str
    """By which the store finds it again."""
    size: int
    started: datetime
    """By the store's clock: when it was begun, or last grew."""


class ReadableStorage(Protocol):
    """What is read of a store.

    Methods raise ``StorageError`` when the store fails, ``ObjectNotFoundError`` when an object that is read
    is not there, ``InvalidInputError`` when a URI is not one of this store or access is denied.
    """

    def stat(self, uri: str) -> ObjectInfo | None:
        """The object's facts, or None if it does not exist."""

    def local_path(self, uri: str) -> Path | None:
        """Where the object can be read in place on this host's disk; None if it must be fetched."""

    def read(
        self, uri: str, *, start: int = 0, length: int | None = None, version: str | None = None
    ) -> Iterator[bytes]:
        """The bytes ``[start, start + length)`` (to the end if None) in blocks; memory stays bounded.

        A dropped connection is resumed from the byte it stopped at, of the same version of the object.
        Of ``version`` (what ``stat`` said) or not at all: ``ObjectChangedError`` if it is another one by now.
        """

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose URI starts with ``prefix`` (a folder ends in ``/``), in URI order."""


class Storage(ReadableStorage, Protocol):
    """An object store.

    Every write is atomic: an object is either the whole old one or the whole new one, also after a
    kill in mid-write.
    """

    def write(
        self,
        uri: str,
        blocks: Iterable[bytes],
        *,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> None:
        """Replace the object with the blocks laid end to end; visible only once all are written."""

    def store(
        self,
        path: Path,
        uri: str,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> None:
        """Move a local file into the store. The file is consumed: do not use ``path`` afterwards."""

    def copy(
        self,
        source: str,
        uri: str,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str | None:
        """Make ``uri`` the same as the object ``source`` of this store, by means that the store has for it.

        :returns: SHA-256 of the copy in lower-case hex; None if the store does not compute it.
        """

    def create(
        self,
        uri: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str | None:
        """Write a small object only if none exists. Its version, or None if one existed."""

    def replace(
        self,
        uri: str,
        data: bytes,
        version: str,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str | None:
        """Write a small object only if it still has ``version``. The new version, or None."""

    def now(self, uri: str) -> datetime:
        """The time by the clock of the store that holds ``uri``: the one that all hosts share."""

    def delete(self, uri: str) -> None:
        """Remove the object; no error if it is not there."""

    def delete_folder(self, folder: str) -> None:
        """Remove every object below ``folder`` (ends in ``/``), in no order."""

    def folders(self, folder: str) -> Iterator[str]:
        """Names of the folders right in ``folder`` (ends in ``/``), ordered by name and a slash."""

    def unfinished(self, folder: str) -> Iterator[Unfinished]:
        """Writes below ``folder`` (ends in ``/``) that were begun and not ended, those under way included."""

    def discard(self, unfinished: Unfinished) -> None:
        """Give up such a write; no error if it has ended meanwhile."""
