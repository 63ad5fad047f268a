"""The original, as a tool in a task's scratch folder can open it: whole, or only what is needed of it."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from vod_operators.errors import InvalidInputError, SourceChangedError, StorageError, VodError
from vod_operators.media.probe import PROBE_BYTES
from vod_operators.runners.scratch import check_room
from vod_operators.storage.base import ObjectInfo, ReadableStorage
from vod_operators.storage.redact import redact
from vod_operators.storage.stores import fetch

HEAD_BYTES = 1 << 17
"""Enough of an MP4 for a demuxer to know it, where its index is at hand."""

JOINED_BYTES, JOINED_RANGES = 1 << 21, 1 << 14
"""What lies nearer than so many bytes, and so many ranges at most, is read by one request."""

TAIL_BYTES = 1 << 20
"""The end of a file tells its duration (MPEG-TS) or holds its index (Matroska, AVI, MXF)."""

MAX_INDEX_BYTES = 256 << 20
"""Of an MP4's ``moov``: about 20 MB for ten hours of video and sound."""

MAX_BOXES = 1000

HEADER_BYTES = 16
"""Of a box with a large size."""


class Original:
    """One version of a source. To be read within ``unchanged``.

    :param storage: that holds it.
    :param version: what ``prepare`` found.
    """

    def __init__(self, storage: ReadableStorage, uri: str, version: str) -> None:
        self._storage = storage
        self._uri = uri
        self._version = version
        self.local = storage.local_path(uri)
        """Where it is on this host's disk, if it is."""

    def find(self) -> ObjectInfo:
        """Its facts.

        :raises InvalidInputError: it is gone.
        :raises SourceChangedError: it is another version.
        """
        found = self._storage.stat(self._uri)
        if found is None:
            raise InvalidInputError(
                f"source: {redact(self._uri)} is gone since the run began; ask for the video again"
            )
        if found.version != self._version:
            raise SourceChangedError(
                f"source: {redact(self._uri)} has changed since the run began; ask for the video again"
            )
        return found

    def check(self) -> None:
        """Where it is read in place. (What is fetched is of one version.)

        :raises InvalidInputError: it has changed.
        """
        if self.local is not None:
            self.find()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Around work that reads it: if it changes meanwhile, that is the reason behind whatever a tool says.

        :raises InvalidInputError: it did.
        """
        try:
            yield
        except VodError:
            with suppress(StorageError):  # that is not the reason
                self.find()
            raise  # it is what it was
        self.check()

    def place(self, path: Path) -> None:
        """Put all of it at ``path``: a link if it is on this host's disk, else a copy."""
        found = self.find()
        if self.local is not None:
            path.symlink_to(self.local)
            return
        fetch(self._storage, self._uri, path, size=found.size, version=found.version)

    def place_index(self, path: Path) -> bool:
        """Put at ``path`` a sparse file with the beginning and the index of an MP4 that has one.

        Returns whether it has; if not, there is no file.
        """
        found = self.find()
        index = _mp4_index(self._storage, found)
        if index is None:
            return False
        path.touch()
        _fill(path, self._storage, found, [(0, HEAD_BYTES), *index.headers, index.moov])
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            whole = content.find(b"mvex", *index.moov) < 0  # else more packets lie in fragments
        if not whole:
            path.unlink()
        return whole

    def add(self, path: Path, byte_range: tuple[int, int]) -> None:
        """Put those bytes into the sparse file at ``path``.

        :raises NoRoomError: there is no room for them, and for what is cut out of them.
        """
        found = self.find()
        check_room(path.parent, 2 * (byte_range[1] - byte_range[0]))
        _fill(path, self._storage, found, [byte_range])

    def add_scattered(self, path: Path, ranges: Iterable[tuple[int, int]]) -> None:
        """Put many small ranges, ascending, into the sparse file at ``path``.

        What lies between neighbours is read with them and thrown away: a request takes as long.
        """
        found = self.find()
        with path.open("r+b") as file:
            for group in _neighbours(ranges):
                left = deque(group)
                at = left[0][0]
                for block in _read(self._storage, found, at, left[-1][1] - at):
                    while left and left[0][0] < at + len(block):
                        begin, end = max(left[0][0], at), min(left[0][1], at + len(block))
                        file.seek(begin)
                        file.write(block[begin - at : end - at])
                        if left[0][1] > at + len(block):
                            break  # the rest of it is in the next block
                        left.popleft()
                    at += len(block)
                if left:
                    raise StorageError(f"{redact(self._uri)}: nothing came from byte {at} on")


def _neighbours(ranges: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Ranges that are read by one request; not too many, because they are held in memory."""
    group: list[tuple[int, int]] = []
    for begin, end in ranges:
        if group and (begin > group[-1][1] + JOINED_BYTES or len(group) == JOINED_RANGES):
            yield group
            group = []
        group.append((begin, end))
    if group:
        yield group


class Excerpt:
    """What the first task has of a source: all of it, or a sparse copy of its ends, which can be added to.

    Everything is at its own offset; what is not there reads as zeros and takes no disk.

    :param path: of the file.
    :param size_bytes: of the source.
    :param held: bytes ``[begin, end)`` that are there; None is all of them.
    :param fetch: puts such ranges into the file.
    :param has_index: whether an MP4's index is among them, so that it can be asked where packets lie.
    """

    def __init__(
        self,
        path: Path,
        size_bytes: int,
        held: Iterable[tuple[int, int]] | None = None,
        fetch: Callable[[Sequence[tuple[int, int]]], None] | None = None,
        *,
        has_index: bool = False,
    ) -> None:
        self.path, self.size_bytes, self.has_index = path, size_bytes, has_index
        self._held = [(0, size_bytes)] if held is None else list(held)
        self._fetch = fetch

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return any(begin == 0 and end >= self.size_bytes for begin, end in self._held)

    def holds(self, begin: int, end: int) -> bool:
        """Whether these bytes are there."""
        return any(first <= begin and end <= last for first, last in self._held)

    def add(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Have these bytes, too; near ones are fetched by one request."""
        missing = [place for place in sorted(ranges) if not self.holds(*place)]
        joined = [(group[0][0], max(end for _, end in group)) for group in _neighbours(missing)]
        if joined and self._fetch is not None:
            self._fetch(joined)
            self._held += joined

    def complete(self) -> None:
        """Have all of it.

        :raises NoRoomError: there is no room for it.
        """
        if not self.is_whole:
            check_room(self.path.parent, self.size_bytes)
            self.add([(0, self.size_bytes)])


def place_for_probing(storage: ReadableStorage, source: ObjectInfo, path: Path) -> Excerpt:
    """Put at ``path`` what ffprobe needs to see of the source.

    A file of this host is linked. Of a remote one the beginning, the end and an MP4's index are
    fetched into a sparse file of the source's size. A fragmented MP4 has its times all over the file, and
    is fetched whole.

    :raises ObjectChangedError: a remote source is not, or no longer, the version that was found.
    """
    local = storage.local_path(source.uri)
    if local is not None:
        path.symlink_to(local)
        return Excerpt(path, source.size)
    places = [(0, min(PROBE_BYTES, source.size))]
    index = None
    if source.size > PROBE_BYTES:
        index = _mp4_index(storage, source)
        if index and _is_fragmented(storage, source, index):
            places, index = [(0, source.size)], None
        else:
            places += [(max(PROBE_BYTES, source.size - TAIL_BYTES), source.size)]
            places += [*index.headers, index.moov] if index else []
    path.touch()
    _fill(path, storage, source, places)
    return Excerpt(
        path,
        source.size,
        places,
        lambda ranges: _fill(path, storage, source, ranges),
        has_index=index is not None,
    )


def _fill(
    path: Path, storage: ReadableStorage, source: ObjectInfo, places: Iterable[tuple[int, int]]
) -> None:
    """Put bytes ``[begin, end)`` of the source into the sparse file at ``path``, at their own offsets."""
    with path.open("r+b") as file:
        file.truncate(source.size)
        for begin, end in places:
            file.seek(begin)
            end = min(end, source.size)
            for block in _read(storage, source, begin, end - begin):
                file.write(block)
            if file.tell() < end:
                raise StorageError(f"{redact(source.uri)}: nothing came from byte {file.tell()} on")


@dataclass(frozen=True)
class _Index:
    """Where an MP4 has its index: bytes ``[begin, end)``."""

    moov: tuple[int, int]
    headers: tuple[tuple[int, int], ...]
    """Of the boxes on the way to the index and to the media: a demuxer goes from one to the next."""


def _mp4_index(storage: ReadableStorage, source: ObjectInfo) -> _Index | None:
    """Of an MP4 or MOV that has an index in its top level."""
    offset, moov, media = 0, None, False
    headers: list[tuple[int, int]] = []
    while offset + HEADER_BYTES <= source.size and len(headers) < MAX_BOXES:
        header = b"".join(_read(storage, source, offset, HEADER_BYTES))
        size, kind, large = struct.unpack(">I4sQ", header)
        if offset == 0 and kind not in (b"ftyp", b"mdat", b"wide", b"free", b"skip", b"pnot"):
            return None
        headers.append((offset, offset + HEADER_BYTES))
        size = large if size == 1 else size
        if kind == b"moov":
            moov = (offset, offset + size)
        media |= kind in (b"mdat", b"moof") and size > HEADER_BYTES
        if size < 8 or (moov and media):
            break
        offset += size
    if moov is None or moov[1] - moov[0] > MAX_INDEX_BYTES:
        return None
    return _Index(moov, tuple(headers))


def _is_fragmented(storage: ReadableStorage, source: ObjectInfo, index: _Index) -> bool:
    # Without sample tables a moov is small; one that is large has them, and its beginning says enough.
    begin, end = index.moov
    return b"mvex" in b"".join(_read(storage, source, begin, min(end - begin, 1 << 20)))


def _read(storage: ReadableStorage, source: ObjectInfo, start: int, length: int) -> Iterator[bytes]:
    # Each range is a request of its own, and all of them must be of one version.
    return storage.read(source.uri, start=start, length=length, version=source.version)
