"""Makes the original readable in a task's scratch folder: whole, or as a sparse file of the bytes needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from vod_operators.errors import InvalidInputError, SourceChangedError, StorageError, VodError
from vod_operators.formats.isobmff import children
from vod_operators.media.probe import PROBE_BYTES
from vod_operators.runners.scratch import check_room
from vod_operators.storage.base import ObjectInfo, ReadableStorage
from vod_operators.storage.redact import redact
from vod_operators.storage.stores import fetch

HEAD_BYTES = 1 << 17
"""The beginning of an MP4 that a demuxer needs to recognise it, besides the index."""

JOINED_BYTES, JOINED_RANGES = 1 << 21, 1 << 14
"""One request reads ranges that are no more than so many bytes apart, and no more than so many of them."""

TAIL_BYTES = 1 << 20
"""The end of a file, which tells its duration (MPEG-TS) or holds its index (Matroska, AVI, MXF)."""

MAX_INDEX_BYTES = 256 << 20
"""Largest ``moov`` that is fetched; ten hours of video and sound have about 20 MB."""

MAX_BOXES = 1000

HEADER_BYTES = 16
"""Header of a box with a 64-bit size."""


class Original:
    """One version of a source. Read it within ``unchanged``.

    :param storage: of the source.
    :param version: that ``prepare`` recorded.
    """

    def __init__(self, storage: ReadableStorage, uri: str, version: str) -> None:
        self._storage = storage
        self._uri = uri
        self._version = version
        self.local = storage.local_path(uri)
        """Its path on this host's disk; None if it is remote."""

    def find(self) -> ObjectInfo:
        """The source's size and version, checked.

        :raises InvalidInputError: the source is gone.
        :raises SourceChangedError: its version has changed.
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
        """Check that a local source, which is read in place, has not changed; each fetch checks the version.

        :raises InvalidInputError: it is gone or has changed.
        """
        if self.local is not None:
            self.find()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Around work that reads the source: a change meanwhile is reported instead of the errors it causes.

        :raises InvalidInputError: the source is gone or has changed.
        """
        try:
            yield
        except VodError:
            with suppress(StorageError):  # a store that fails here did not cause the first error
                self.find()
            raise  # the source is unchanged
        self.check()

    def place(self, path: Path) -> None:
        """Put the whole source at ``path``: a link if it is on this host's disk, else a copy."""
        found = self.find()
        if self.local is not None:
            path.symlink_to(self.local)
            return
        fetch(self._storage, self._uri, path, size=found.size, version=found.version)

    def place_index(self, path: Path) -> bool:
        """Put a sparse file with the beginning and the index of an MP4 at ``path``.

        Returns False, and leaves no file, if the source has no index that covers all packets.
        """
        found = self.find()
        index = _mp4_index(self._storage, found)
        if index is None:
            return False
        path.touch()
        _fill(path, self._storage, found, [(0, HEAD_BYTES), *index.headers, index.moov])
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            whole = content.find(b"mvex", *index.moov) < 0  # with "mvex", more packets follow in fragments
        if not whole:
            path.unlink()
        return whole

    def add(self, path: Path, byte_range: tuple[int, int]) -> None:
        """Put bytes ``[begin, end)`` into the sparse file at ``path``.

        :raises NoRoomError: the disk has no room for them and for the cut that is made of them.
        """
        found = self.find()
        check_room(path.parent, 2 * (byte_range[1] - byte_range[0]))
        _fill(path, self._storage, found, [byte_range])

    def add_scattered(self, path: Path, ranges: Iterable[tuple[int, int]]) -> None:
        """Put many small ranges, in ascending order, into the sparse file at ``path``.

        Bytes between neighbouring ranges are read and discarded: another request would take as long.
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
    """Groups of ranges that one request reads; of limited length, because they are held in memory."""
    group: list[tuple[int, int]] = []
    for begin, end in ranges:
        if group and (begin > group[-1][1] + JOINED_BYTES or len(group) == JOINED_RANGES):
            yield group
            group = []
        group.append((begin, end))
    if group:
        yield group


class Excerpt:
    """The first task's file of a source: all of it, or a sparse copy that begins with its ends and can grow.

    Bytes are at their offsets in the source. Missing ones read as zeros and take no disk space.

    :param path: of the file.
    :param size_bytes: of the source.
    :param held: ranges ``[begin, end)`` that the file has; None for all bytes.
    :param fetch: puts more ranges into the file.
    :param has_index: whether the file has an MP4's index, which tells where packets are.
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
        """Whether the file has all bytes of the source."""
        return any(begin == 0 and end >= self.size_bytes for begin, end in self._held)

    def holds(self, begin: int, end: int) -> bool:
        """Whether the file has bytes ``[begin, end)``."""
        return any(first <= begin and end <= last for first, last in self._held)

    def add(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch the ranges that are missing; neighbouring ones by one request."""
        missing = [place for place in sorted(ranges) if not self.holds(*place)]
        joined = [(group[0][0], max(end for _, end in group)) for group in _neighbours(missing)]
        if joined and self._fetch is not None:
            self._fetch(joined)
            self._held += joined

    def complete(self) -> None:
        """Fetch the whole source.

        :raises NoRoomError: the disk has no room for it.
        """
        if not self.is_whole:
            check_room(self.path.parent, self.size_bytes)
            self.add([(0, self.size_bytes)])


def place_for_probing(storage: ReadableStorage, source: ObjectInfo, path: Path) -> Excerpt:
    """Put the bytes of the source that ffprobe needs at ``path``.

    A file of this host is linked. Of a remote source the beginning, the end and an MP4's index are fetched
    into a sparse file of the source's size. A fragmented MP4 is fetched whole, because its times are spread
    over the file.

    :raises ObjectChangedError: a remote source no longer has the version of ``source``.
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
    """Position of an MP4's index; all ranges are bytes ``[begin, end)``."""

    moov: tuple[int, int]
    headers: tuple[tuple[int, int], ...]
    """Headers of the boxes before the index and the media; a demuxer walks from one to the next."""


def _mp4_index(storage: ReadableStorage, source: ObjectInfo) -> _Index | None:
    """Position of the index of an MP4 or MOV; None if there is none in the top level, or it is too large."""
    offset, moov, media = 0, None, False
    headers: list[tuple[int, int]] = []

    def header(at: int, length: int) -> bytes:
        return b"".join(_read(storage, source, at, length))

    for kind, _, end in children(header, 0, source.size, tolerant=True):
        if offset == 0 and kind not in (b"ftyp", b"mdat", b"wide", b"free", b"skip", b"pnot"):
            return None
        headers.append((offset, offset + HEADER_BYTES))
        if kind == b"moov":
            moov = (offset, end)
        media |= kind in (b"mdat", b"moof") and end - offset > HEADER_BYTES
        if len(headers) == MAX_BOXES or (moov and media):
            break
        offset = end
    if moov is None or moov[1] - moov[0] > MAX_INDEX_BYTES:
        return None
    return _Index(moov, tuple(headers))


def _is_fragmented(storage: ReadableStorage, source: ObjectInfo, index: _Index) -> bool:
    # A fragmented file's moov has no sample tables and is small, so its first megabyte holds any "mvex".
    begin, end = index.moov
    return b"mvex" in b"".join(_read(storage, source, begin, min(end - begin, 1 << 20)))


def _read(storage: ReadableStorage, source: ObjectInfo, start: int, length: int) -> Iterator[bytes]:
    # With the version, because each range is a request of its own and all must read the same object.
    return storage.read(source.uri, start=start, length=length, version=source.version)
