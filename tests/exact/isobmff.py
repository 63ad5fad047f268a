"""Edit lists that ffmpeg's muxer cannot write."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

CONTAINERS = (b"moov", b"trak", b"mdia")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0]
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _timescale(header: bytes) -> int:
    """Of an ``mvhd`` or ``mdhd`` of version 0."""
    assert header[0] == 0
    return int(struct.unpack_from(">I", header, 12)[0])


def _find(data: bytes, *path: bytes) -> bytes:
    for kind in path:
        data = dict(_boxes(data))[kind]
    return data


def with_edits(data: bytes, edits: Sequence[tuple[float, float]]) -> bytes:
    """An MP4 whose ``moov`` is at the end, with these parts of every track played, one after the other.

    :param edits: begin (-1 for nothing shown) and length of each part, in seconds of the media before.
    """
    kinds = [kind for kind, _ in _boxes(data)]
    assert kinds[-1] == b"moov", "what is before the moov must not move"
    moov = _find(data, b"moov")
    movie_scale = _timescale(_find(moov, b"mvhd"))

    def track(trak: bytes) -> bytes:
        scale = _timescale(_find(trak, b"mdia", b"mdhd"))
        # The muxer's own edit begins after the reorder delay or the priming.
        old = _find(trak, b"edts", b"elst")
        (skip,) = struct.unpack_from(">i", old, 12)
        entries = b"".join(
            struct.pack(
                ">IiI",
                round(length * movie_scale),
                -1 if begin < 0 else skip + round(begin * scale),
                1 << 16,
            )
            for begin, length in edits
        )
        edts = _box(b"edts", _box(b"elst", struct.pack(">II", 0, len(edits)) + entries))
        return b"".join(edts if kind == b"edts" else _box(kind, body) for kind, body in _boxes(trak))

    rest = data[: len(data) - len(moov) - 8]
    changed = b"".join(_box(kind, track(body) if kind == b"trak" else body) for kind, body in _boxes(moov))
    return rest + _box(b"moov", changed)
