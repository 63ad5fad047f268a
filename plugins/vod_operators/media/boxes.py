"""The boxes of an MP4 or MOV that was not made here (ISO 14496-12): headers are read, media is not."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

MAX_BOXES = 100_000
"""Of one file or box: what has more is made to keep us busy."""

MAX_ENTRY_BYTES = 1 << 20
"""Of a sample description: some 100 bytes and the codec's configuration."""


def track_ids(file: BinaryIO) -> Iterator[tuple[int, tuple[int, int]]]:
    """The id of each track, and where its description lies."""
    for trak in find_boxes(file, 0, file.seek(0, 2), b"moov", b"trak"):
        track = 0
        for begin, _ in find_boxes(file, *trak, b"tkhd"):
            wide = read_at(file, begin, 1) == b"\x01"
            track = int.from_bytes(read_at(file, begin + (20 if wide else 12), 4), "big")
        yield track, trak


SAMPLE_DESCRIPTIONS = (b"mdia", b"minf", b"stbl", b"stsd")
"""Path to them in a track."""


def tracks_with_several_descriptions(file: BinaryIO) -> set[int]:
    """Ids of tracks whose media is coded in several ways, one after the other."""
    found = set()
    for track, trak in track_ids(file):
        for begin, end in find_boxes(file, *trak, *SAMPLE_DESCRIPTIONS):
            entries = {
                read_at(file, first, min(last - first, MAX_ENTRY_BYTES))
                for _, first, last in boxes(file, begin + 8, end)
            }
            if len(entries) > 1:
                found.add(track)
    return found


def find_boxes(file: BinaryIO, begin: int, end: int, kind: bytes, *below: bytes) -> Iterator[tuple[int, int]]:
    """Payload of each box at that path."""
    for found, first, last in boxes(file, begin, end):
        if found == kind:
            if below:
                yield from find_boxes(file, first, last, *below)
            else:
                yield first, last


def boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, begin of the payload and end of each box, as far as there are boxes."""
    for _ in range(MAX_BOXES):
        header = read_at(file, begin, 16) if begin + 8 <= end else b""
        if len(header) < 8:
            return
        size, kind = struct.unpack_from(">I4s", header)
        first = begin + 8
        if size == 1 and len(header) == 16:
            size, first = struct.unpack_from(">Q", header, 8)[0], begin + 16
        elif size == 0:
            size = end - begin  # the last one
        if begin + size < first:
            return
        yield kind, first, min(begin + size, end)
        begin += size


def read_at(file: BinaryIO, at: int, length: int) -> bytes:
    """So many bytes from there on, or as many as there are."""
    file.seek(at)
    return file.read(length)
