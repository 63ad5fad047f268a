"""What is read of a source's MP4 or MOV before a tool reads it: headers only, no media."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from vod_operators.formats.isobmff import SAMPLE_DESCRIPTIONS, children, read_at

MAX_ENTRY_BYTES = 1 << 20
"""Most bytes that are read of a sample description: it has about 100 and the codec's configuration."""


def boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """``children`` of a file that may be damaged."""
    return children(file, begin, end, tolerant=True)


def track_ids(file: BinaryIO) -> Iterator[tuple[int, tuple[int, int]]]:
    """``(id, (begin, end))`` of each track: its id, and the payload of its ``trak`` box."""
    for trak in find_boxes(file, 0, file.seek(0, 2), b"moov", b"trak"):
        track = 0
        for begin, _ in find_boxes(file, *trak, b"tkhd"):
            wide = read_at(file, begin, 1) == b"\x01"
            track = int.from_bytes(read_at(file, begin + (20 if wide else 12), 4), "big")
        yield track, trak


def tracks_with_several_descriptions(file: BinaryIO) -> set[int]:
    """Ids of tracks with more than one sample description: their coding changes in mid-file."""
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
    """``(begin, end)`` of the payload of each box at the path ``kind``, ``*below``."""
    for found, first, last in boxes(file, begin, end):
        if found == kind:
            if below:
                yield from find_boxes(file, first, last, *below)
            else:
                yield first, last
