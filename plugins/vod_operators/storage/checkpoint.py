"""Checkpoints: a step stores its objects, then a marker that names them, so that no try or run repeats it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from vod_operators.errors import CorruptObjectError, LostWorkError, ObjectNotFoundError
from vod_operators.storage.base import Block, Digest, Headers, ObjectInfo, Storage, digest_of
from vod_operators.storage.stores import fetch, get_bytes, sha256_of, verified

if TYPE_CHECKING:
    from typing_extensions import Unpack

Document = TypeVar("Document", bound=BaseModel)

LIST_ABOVE = 10
"""With more objects than this, one listing of their folder is faster than a ``stat`` of each."""

READS = 8
"""Objects read at once, to hide the store's latency."""


class Stored(BaseModel):
    """A stored object, as a marker records it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    size_bytes: int
    sha256: str
    """Lower-case hex."""
    version: str | None = None
    """Its ``ObjectInfo.version`` when it was published; None if that was not recorded."""


class Marker(BaseModel):
    """Says that a step is done; written after all its objects."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objects: dict[str, Stored]
    """By the step's own names for them."""
    facts: dict[str, Any] = {}
    """What the step measured; JSON."""


def seal(document: BaseModel) -> bytes:
    """A document as JSON with its SHA-256, because JSON with a flipped bit may still be valid."""
    return _sealed(document.model_dump_json().encode())


def _sealed(content: bytes) -> bytes:
    return b'{"sha256":"%s",\n"content":%s}' % (hashlib.sha256(content).hexdigest().encode(), content)


def read_document(storage: Storage, uri: str, kind: type[Document]) -> Document:
    """Read a sealed document.

    :raises CorruptObjectError: its checksum is wrong, or this version of the package cannot parse it.
    :raises ObjectNotFoundError: it does not exist.
    """
    data = get_bytes(storage, uri)
    content = data.partition(b'\n"content":')[2][:-1]
    try:
        document = kind.model_validate_json(content)
    except ValidationError as error:
        raise CorruptObjectError(f"{uri} cannot be parsed: {error}") from error
    if data != _sealed(content):
        digest = hashlib.sha256(content).hexdigest()
        raise CorruptObjectError(f"{uri}: its content has SHA-256 {digest}, not the one that it records")
    return document


def load_marker(storage: Storage, uri: str) -> Marker | None:
    """The marker; None if it is missing or damaged. Its objects are not checked."""
    try:
        return read_document(storage, uri, Marker)
    except (ObjectNotFoundError, CorruptObjectError):
        return None


def load_markers(storage: Storage, uris: Sequence[str]) -> list[Marker | None]:
    """As ``load_marker`` for each URI, ``READS`` at a time, because a long film has a thousand markers."""
    with ThreadPoolExecutor(READS) as pool:
        return list(pool.map(lambda uri: load_marker(storage, uri), uris))


def load(storage: Storage, uri: str, *, objects_in: Storage | None = None) -> Marker | None:
    """The marker of a finished step; None if the marker or an object is missing, or an object's size differs.

    :param objects_in: the store of the objects, if it differs from the marker's.
    """
    marker = load_marker(storage, uri)
    return marker if marker and not missing(look_at(objects_in or storage, marker), marker) else None


def missing(objects: Mapping[str, ObjectInfo], marker: Marker) -> list[Stored]:
    """The objects of a marker that are missing or have another size.

    :param objects: what ``look_at`` returned.
    """
    return [stored for stored in marker.objects.values() if _size(objects, stored) != stored.size_bytes]


def look_at(storage: Storage, marker: Marker) -> dict[str, ObjectInfo]:
    """The store's facts of a marker's objects, by URI; missing ones are left out."""
    uris = [stored.uri for stored in marker.objects.values()]
    if len(uris) > LIST_ABOVE:
        folder = os.path.commonprefix(uris).rpartition("/")[0] + "/"  # noqa: RUF071 (cut at a slash)
        return {info.uri: info for info in storage.list(folder)}
    return {uri: info for uri in uris if (info := storage.stat(uri)) is not None}


def _size(objects: Mapping[str, ObjectInfo], record: Stored) -> int | None:
    return objects[record.uri].size if record.uri in objects else None


@dataclass(frozen=True, kw_only=True)
class Damage:
    """An object that is missing, or differs from what was stored."""

    uri: str
    found: str
    """What is wrong with it, in words."""

    def __str__(self) -> str:
        return f"{self.uri}: {self.found}"


def damaged(
    storage: Storage, marker: Marker, objects: Mapping[str, ObjectInfo], *, read: bool
) -> list[Damage]:
    """The objects of a marker that are missing or differ from what was stored.

    :param objects: what ``look_at`` returned.
    :param read: whether to read all objects. Otherwise only those are read whose version in the store has
        changed since they were published; the content may still be the same, for instance after a restore.
    """

    def judge(record: Stored) -> Damage | None:
        size = _size(objects, record)
        if size is None:
            return Damage(uri=record.uri, found="it is not there")
        if size != record.size_bytes:
            return Damage(uri=record.uri, found=f"it has {size} bytes instead of {record.size_bytes}")
        if read or record.version not in (None, objects[record.uri].version):
            return compare(storage, record.uri, record.sha256)
        return None

    with ThreadPoolExecutor(READS) as pool:
        return [found for found in pool.map(judge, marker.objects.values()) if found]


def compare(storage: Storage, uri: str, sha256: str) -> Damage | None:
    """Read an object and compare it with its checksum; None if it is undamaged."""
    try:
        digest = digest_of(storage.read(uri))
    except ObjectNotFoundError:
        return Damage(uri=uri, found="it is not there")
    except CorruptObjectError:  # from a store that keeps checksums of its own
        return Damage(uri=uri, found="the store reports a wrong checksum")
    if digest.sha256 != sha256:
        return Damage(uri=uri, found="its content has changed (SHA-256)")
    return None


def note_versions(storage: Storage, uri: str, marker: Marker, objects: Mapping[str, ObjectInfo]) -> None:
    """Record the objects' versions in their marker. Call this when all objects are known to be undamaged.

    :param objects: what ``look_at`` returned.
    """
    records = {
        name: record.model_copy(update={"version": objects[record.uri].version})
        for name, record in marker.objects.items()
    }
    if records != marker.objects:
        save(storage, uri, marker.model_copy(update={"objects": records}))


@contextmanager
def relying_on(storage: Storage, *markers: str, step: str) -> Iterator[None]:
    """Around work with objects of earlier steps: if one is missing or damaged, the markers are deleted.

    :param markers: URIs of the steps' markers; without them, the steps are repeated when the run is cleared.
    :param step: the step's name, for the message.
    :raises LostWorkError: in place of ``CorruptObjectError`` and ``ObjectNotFoundError``.
    """
    try:
        yield
    except (CorruptObjectError, ObjectNotFoundError) as error:
        for uri in markers:
            storage.delete(uri)
        raise LostWorkError(
            f"{error}; {step} made it: clear the run, and only that step is repeated"
        ) from error


def require(storage: Storage, uri: str, *, step: str) -> Marker:
    """The marker of a step that must be done.

    :raises LostWorkError: the marker is missing or damaged.
    """
    marker = load_marker(storage, uri)
    if marker is None:
        raise LostWorkError(f"{uri} is missing: {step} has not run, or its result was lost; clear the run")
    return marker


def save(storage: Storage, uri: str, marker: Marker) -> Marker:
    """Write the marker, after which the step counts as done; returns it."""
    storage.write(uri, [seal(marker)], content_type="application/json")
    return marker


def put(
    storage: Storage, path: Path, uri: str, *, sha256: str | None = None, **headers: Unpack[Headers]
) -> Stored:
    """Move a local file into the store; returns its record.

    :param sha256: of the file, if it is known already.
    """
    stored = Stored(uri=uri, size_bytes=path.stat().st_size, sha256=sha256 or sha256_of(path))
    storage.store(path, uri, **headers)
    return stored


def copy(source: Storage, record: Stored, target: Storage, uri: str, **headers: Unpack[Headers]) -> Stored:
    """Copy an object to another URI; returns the copy's record. Stores of one kind copy without this host.

    :raises CorruptObjectError: the object differs from its record.
    """
    if record.uri.partition("://")[0] == uri.partition("://")[0]:
        digest = target.copy(record.uri, uri, **headers)
        if digest not in (None, record.sha256):
            raise CorruptObjectError(f"{record.uri}: expected SHA-256 {record.sha256}, found {digest}")
    else:
        target.write(uri, read_checked(source, record), **headers)
    return Stored(uri=uri, size_bytes=record.size_bytes, sha256=record.sha256)


def obtain(storage: Storage, record: Stored, path: Path) -> None:
    """Make a stored object readable at ``path``: a link if it is on this host's disk, else a copy.

    :raises CorruptObjectError: the object differs from its record.
    :raises ObjectNotFoundError: it does not exist.
    """
    local = storage.local_path(record.uri)
    if local is None:
        fetch(storage, record.uri, path, sha256=record.sha256, size=record.size_bytes)
        return
    if not local.is_file():
        raise ObjectNotFoundError(f"{record.uri} does not exist")
    digest = sha256_of(local)
    if digest != record.sha256:
        raise CorruptObjectError(f"{record.uri}: expected SHA-256 {record.sha256}, found {digest}")
    path.symlink_to(local)


def read_checked(storage: Storage, record: Stored) -> Iterator[bytes]:
    """The object's bytes in blocks.

    :raises CorruptObjectError: the bytes differ from the object's record; raised at the end at the latest.
    """
    return verified(record.uri, storage.read(record.uri), sha256=record.sha256, size=record.size_bytes)


def write_hashed(storage: Storage, uri: str, blocks: Iterable[Block], **headers: Unpack[Headers]) -> Stored:
    """Stream blocks into an object; returns its record."""
    digest = Digest()
    storage.write(uri, digest.of(blocks), **headers)
    return Stored(uri=uri, size_bytes=digest.size, sha256=digest.sha256)
