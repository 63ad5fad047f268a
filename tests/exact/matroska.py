"""Matroska as other programs write it, out of what ffmpeg's muxer made."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path


def _vint(data: bytes, at: int, *, keep: bool) -> tuple[int, int]:
    """A number of variable length and how long it is. Of an id the marker is kept."""
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return (value if keep else value & (1 << 7 * length) - 1), length


def elements(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Id, begin of the payload and end of each element."""
    while at < end:
        kind, length = _vint(data, at, keep=True)
        size, more = _vint(data, at + length, keep=False)
        begin = at + length + more
        yield kind, begin, min(begin + size, end)
        at = begin + size


def element(kind: int, body: bytes) -> bytes:
    name = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return name + (0x01 << 56 | len(body)).to_bytes(8, "big") + body


SEGMENT, TRACKS, TRACK, VIDEO, CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675
SEEK_HEAD, CUES, VOID = 0x114D9B74, 0x1C53BB6B, 0xEC


def rewritten(data: bytes, change: Callable[[int, bytes], bytes | None]) -> bytes:
    """A Matroska file whose elements are what ``change`` makes of each id and payload; None leaves it out."""

    def walk(begin: int, end: int) -> bytes:
        out = b""
        for kind, first, last in elements(data, begin, end):
            if kind in (SEEK_HEAD, CUES, VOID):
                continue  # places move
            body = walk(first, last) if kind in (SEGMENT, TRACKS, TRACK, VIDEO) else data[first:last]
            if (changed := change(kind, body)) is not None:
                out += element(kind, changed)
        return out

    return walk(0, len(data))


def rolled(source: Path) -> bytes:
    """Turned by the projection's roll, as Matroska tells it."""
    roll = element(0x7675, struct.pack(">d", -90.0))
    projection = element(0x7670, element(0x7671, b"\0") + roll)
    return rewritten(source.read_bytes(), lambda kind, body: body + projection if kind == VIDEO else body)


def stripped(source: Path) -> bytes:
    """Blocks lack the byte with which each of their track begins (AVC: a zero), as mkvmerge wrote them."""
    data = source.read_bytes()
    compression = element(0x4254, b"\x03") + element(0x4255, b"\0")
    encoding = element(0x6D80, element(0x6240, element(0x5034, compression)))
    numbers: list[int] = []

    def change(kind: int, body: bytes) -> bytes:
        if kind == TRACK and b"V_MPEG4" in body:
            numbers.append(_track_number(body))
            return body + encoding
        return blocks_changed(body, numbers, lambda frame: frame[1:]) if kind == CLUSTER else body

    return rewritten(data, change)


def _track_number(track: bytes) -> int:
    return next(track[begin] for kind, begin, _ in elements(track, 0, len(track)) if kind == 0xD7)


def blocks_changed(cluster: bytes, tracks: Collection[int], change: Callable[[bytes], bytes]) -> bytes:
    """A cluster's payload (or a group's) with other frames in the blocks of these tracks."""
    out = b""
    for kind, begin, end in elements(cluster, 0, len(cluster)):
        body = cluster[begin:end]
        if kind == 0xA0:
            body = blocks_changed(body, tracks, change)
        elif kind in (0xA3, 0xA1) and body[0] & 0x7F in tracks:
            body = body[:4] + change(body[4:])
        out += element(kind, body)
    return out


def deflated(data: bytes, codec: bytes) -> bytes:
    """Blocks of the tracks of that codec are deflated, as mkvmerge does to subtitles."""
    encoding = element(0x6D80, element(0x6240, element(0x5034, element(0x4254, b"\0"))))
    numbers: list[int] = []

    def change(kind: int, body: bytes) -> bytes:
        if kind == TRACK and codec in body:
            numbers.append(_track_number(body))
            return body + encoding
        return blocks_changed(body, numbers, zlib.compress) if kind == CLUSTER else body

    return rewritten(data, change)
