"""Makes the original readable in a task's scratch folder: whole, or as a sparse file of the bytes needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Literal

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

TRANSFERS = 8
"""Ranges fetched at once: enough to hide a store's latency."""

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
        excerpt = _remote(self._storage, self.find(), path)
        excerpt.add([(0, HEAD_BYTES)])
        if _add_index(excerpt) == "whole":
            return True
        path.unlink()
        return False

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
        return self.holds(0, self.size_bytes)

    def holds(self, begin: int, end: int) -> bool:
        """Whether the file has bytes ``[begin, end)``."""
        first, last = self._missing((begin, end))
        return first >= last

    def add(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch what is missing of the ranges; neighbouring ones by one request."""
        missing = [place for place in map(self._missing, sorted(ranges)) if place[0] < place[1]]
        joined = [(group[0][0], max(end for _, end in group)) for group in _neighbours(missing)]
        if joined and self._fetch is not None:
            self._fetch(joined)
            self._held += joined

    def _missing(self, place: tuple[int, int]) -> tuple[int, int]:
        """A range without what the file has of its beginning."""
        begin, end = place[0], min(place[1], self.size_bytes)
        for first, last in sorted(self._held):
            if first <= begin < last:
                begin = last
        return min(begin, end), end

    def read(self, begin: int, end: int) -> bytes:
        """Bytes that the file has."""
        with self.path.open("rb") as file:
            file.seek(begin)
            return file.read(end - begin)

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
    excerpt = _remote(storage, source, path)
    excerpt.add([(0, PROBE_BYTES)])
    if not excerpt.is_whole:
        index = _add_index(excerpt)
        if index == "fragmented":
            excerpt.complete()
        elif index == "whole":
            excerpt.has_index = True
        else:
            excerpt.add([(max(0, source.size - TAIL_BYTES), source.size)])
    return excerpt


def _remote(storage: ReadableStorage, source: ObjectInfo, path: Path) -> Excerpt:
    """A sparse copy of a remote source, with nothing in it yet."""
    path.touch()
    return Excerpt(path, source.size, [], lambda ranges: _fill(path, storage, source, ranges))


def _fill(
    path: Path, storage: ReadableStorage, source: ObjectInfo, places: Iterable[tuple[int, int]]
) -> None:
    """Put bytes ``[begin, end)`` of the source into the sparse file at ``path``, at their own offsets."""

    def fetch_place(place: tuple[int, int]) -> None:
        begin, end = place[0], min(place[1], source.size)
        with path.open("r+b") as file:
            file.seek(begin)
            for block in _read(storage, source, begin, end - begin):
                file.write(block)
            if file.tell() < end:
                raise StorageError(f"{redact(source.uri)}: nothing came from byte {file.tell()} on")

    with path.open("r+b") as file:
        file.truncate(source.size)
    with ThreadPoolExecutor(TRANSFERS) as pool:
        list(pool.map(fetch_place, places))


def _add_index(excerpt: Excerpt) -> Literal["whole", "fragmented", "none"]:
    """Fetch an MP4's index, and the headers of the boxes before it, from one to the next of which a demuxer
    walks: after the beginning, which the excerpt has, mostly by one request, or two if the index is large.

    Returns whether it tells where all packets are, or more follow in fragments, or there is no index in the
    top level, or it is too large.
    """
    offset, has_media, is_first = 0, False, True
    moov: tuple[int, int] | None = None

    def header(at: int, length: int) -> bytes:
        nonlocal is_first
        if not excerpt.holds(at, at + length):
            # The first box behind what is there is mostly the index, if that has not come yet.
            ahead = TAIL_BYTES if is_first and moov is None else length
            excerpt.add([(at, at + max(length, ahead))])
            is_first = False
        return excerpt.read(at, at + length)

    for count, (kind, _, end) in enumerate(children(header, 0, excerpt.size_bytes, tolerant=True), start=1):
        if offset == 0 and kind not in (b"ftyp", b"mdat", b"wide", b"free", b"skip", b"pnot"):
            return "none"
        if kind == b"moov":
            moov = (offset, end)
        has_media |= kind in (b"mdat", b"moof") and end - offset > HEADER_BYTES
        if count == MAX_BOXES or (moov and has_media):
            break
        offset = end
    if moov is None or moov[1] - moov[0] > MAX_INDEX_BYTES:
        return "none"
    excerpt.add([moov])
    with excerpt.path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return "whole" if content.find(b"mvex", *moov) < 0 else "fragmented"


def _read(storage: ReadableStorage, source: ObjectInfo, start: int, length: int) -> Iterator[bytes]:
    # With the version, because each range is a request of its own and all must read the same object.
    return storage.read(source.uri, start=start, length=length, version=source.version)
