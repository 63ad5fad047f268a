"""Looking at a source without fetching all of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from vod_operators.media.probe import PROBE_BYTES
from vod_operators.storage.base import ObjectInfo, Storage

TAIL_BYTES = 1 << 20
"""The end of a file tells its duration (MPEG-TS) or holds its index (Matroska, AVI, MXF)."""

MAX_INDEX_BYTES = 256 << 20
"""Of an MP4's ``moov``: about 20 MB for ten hours of video and sound."""

MAX_BOXES = 1000


def place_for_probing(storage: Storage, source: ObjectInfo, path: Path) -> bool:
    """Put at ``path`` what ffprobe needs to see of the source, with everything at its own offset.

    Returns whether that is all of it.

    A file of this host is linked. Of a remote one the beginning, the end and an MP4's index are
    fetched into a sparse file of the source's size; the rest reads as zeros and takes no disk. A
    fragmented MP4 has its times all over the file, and is fetched whole.

    :raises ObjectChangedError: a remote source is not, or no longer, the version that was found.
    """
    local = storage.local_path(source.uri)
    if local is not None:
        path.symlink_to(local)
        return True
    ranges = [(0, PROBE_BYTES)]
    if source.size > PROBE_BYTES:
        index = _mp4_index(storage, source)
        if index and _is_fragmented(storage, source, *index):
            ranges = [(0, source.size)]
        else:
            ranges += [(max(PROBE_BYTES, source.size - TAIL_BYTES), TAIL_BYTES)] + ([index] if index else [])
    with path.open("wb") as file:
        file.truncate(source.size)
        for start, length in ranges:
            file.seek(start)
            for block in _read(storage, source, start, min(length, source.size - start)):
                file.write(block)
    return ranges[0][1] >= source.size


def _mp4_index(storage: Storage, source: ObjectInfo) -> tuple[int, int] | None:
    """Offset and size of the ``moov`` of an MP4 or MOV that keeps it behind the media."""
    offset = 0
    for _ in range(MAX_BOXES):
        if offset + 16 > source.size:
            return None
        size, kind, large = struct.unpack(">I4sQ", b"".join(_read(storage, source, offset, 16)))
        if offset == 0 and kind not in (b"ftyp", b"mdat", b"wide", b"free", b"skip", b"pnot"):
            return None
        size = large if size == 1 else size
        if kind == b"moov":
            return (offset, size) if size <= MAX_INDEX_BYTES else None
        if size < 8:
            return None
        offset += size
    return None


def _is_fragmented(storage: Storage, source: ObjectInfo, offset: int, size: int) -> bool:
    # Without sample tables a moov is small; one that is large has them, and its beginning says enough.
    return b"mvex" in b"".join(_read(storage, source, offset, min(size, 1 << 20)))


def _read(storage: Storage, source: ObjectInfo, start: int, length: int) -> Iterator[bytes]:
    # Each range is a request of its own, and all of them must be of one version.
    return storage.read(source.uri, start=start, length=length, version=source.version)
