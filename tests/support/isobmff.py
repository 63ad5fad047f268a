"""MP4 files that ffmpeg's muxer cannot write: edit lists, crops, empty tracks, two recordings in one."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of each box."""
    at = 0
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0]
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def rewritten(data: bytes, change: Callable[[bytes, bytes], bytes | None]) -> bytes:
    """The boxes with what ``change`` makes of each type and body that holds no boxes; None drops one."""
    made = b""
    for kind, body in boxes(data):
        new = rewritten(body, change) if kind in CONTAINERS else change(kind, body)
        made += b"" if new is None else box(kind, new)
    return made


def _timescale(header: bytes) -> int:
    """Of an ``mvhd`` or ``mdhd`` of version 0."""
    assert header[0] == 0
    return int(struct.unpack_from(">I", header, 12)[0])


def _find(data: bytes, *path: bytes) -> bytes:
    for kind in path:
        data = dict(boxes(data))[kind]
    return data


def with_tracks(data: bytes, change: Callable[[int, bytes], bytes]) -> bytes:
    """An MP4 whose ``moov`` is at the end, with other bodies of its tracks; they are counted from 0."""
    kinds = [kind for kind, _ in boxes(data)]
    assert kinds[-1] == b"moov", "what is before the moov must not move"
    moov = _find(data, b"moov")
    made, number = b"", 0
    for kind, body in boxes(moov):
        if kind == b"trak":
            body, number = change(number, body), number + 1
        made += box(kind, body)
    return data[: len(data) - len(moov) - 8] + box(b"moov", made)


# --- edit lists -----------------------------------------------------------------------------


def with_edits(data: bytes, edits: Sequence[tuple[float, float]]) -> bytes:
    """These parts of every track played, one after the other.

    :param edits: begin (-1 for nothing shown) and length of each part, in seconds of the media before.
    """
    movie_scale = _timescale(_find(data, b"moov", b"mvhd"))

    def track(_: int, trak: bytes) -> bytes:
        scale = _timescale(_find(trak, b"mdia", b"mdhd"))
        # The muxer's own edit begins after the reorder delay or the priming.
        (skip,) = struct.unpack_from(">i", _find(trak, b"edts", b"elst"), 12)
        entries = b"".join(
            struct.pack(
                ">IiI",
                round(length * movie_scale),
                -1 if begin < 0 else skip + round(begin * scale),
                1 << 16,
            )
            for begin, length in edits
        )
        elst = struct.pack(">II", 0, len(edits)) + entries
        return rewritten(trak, lambda kind, body: elst if kind == b"elst" else body)

    return with_tracks(data, track)


def with_edit_list(data: bytes, media_time: int) -> bytes:
    """An init segment whose tracks begin so many ticks into their media."""
    elst = struct.pack(">IIIiI", 0, 1, 0, media_time, 1 << 16)
    return with_tracks(data, lambda _, trak: trak + box(b"edts", box(b"elst", elst)))


# --- sample tables --------------------------------------------------------------------------


def without_sync_table(data: bytes) -> bytes:
    """Every picture is marked as a key frame, as some recorders do."""
    assert data.count(b"stss") == 1
    return data.replace(b"stss", b"free")


def with_clean_aperture(data: bytes, size: tuple[int, int], right: int, down: int) -> bytes:
    """The first track's pictures are to be cropped.

    :param right: how far the middle of what is shown is from the middle of the picture.
    """
    clap = box(b"clap", struct.pack(">8i", size[0], 1, size[1], 1, right, 1, down, 1))

    def described(kind: bytes, body: bytes) -> bytes:
        if kind != b"stsd":
            return body
        ((codec, entry),) = boxes(body[8:])
        return body[:8] + box(codec, entry + clap)

    return with_tracks(data, lambda number, trak: trak if number else rewritten(trak, described))


def with_empty_track(data: bytes, number: int) -> bytes:
    """That track is there, and has not one sample."""

    def emptied(kind: bytes, body: bytes) -> bytes | None:
        if kind in (b"elst", b"sgpd", b"sbgp", b"ctts", b"stss"):
            return None
        if kind in (b"stts", b"stsc", b"stco"):
            return bytes(8)
        if kind == b"stsz":
            return bytes(12)
        lasts_at = {b"mdhd": 16, b"tkhd": 20}.get(kind)
        return body if lasts_at is None else body[:lasts_at] + bytes(4) + body[lasts_at + 4 :]

    return with_tracks(data, lambda n, trak: rewritten(trak, emptied) if n == number else trak)


def joined(first: bytes, second: bytes) -> bytes:
    """Two recordings as ``MP4Box -cat`` puts them together: each track has two sample descriptions."""
    at = 0
    for kind, body in boxes(second):
        if kind == b"mdat":
            break
        at += 8 + len(body)
    before_moov = first.index(b"moov") - 4
    moved = before_moov - at
    following = [body for kind, body in boxes(_find(second, b"moov")) if kind == b"trak"]

    def track(number: int, trak: bytes) -> bytes:
        other = dict(boxes(_find(following[number], b"mdia", b"minf", b"stbl")))
        mine = dict(boxes(_find(trak, b"mdia", b"minf", b"stbl")))
        lasts = sum(
            struct.unpack_from(">I", _find(part, b"mdia", b"mdhd"), 16)[0]
            for part in (trak, following[number])
        )
        movie = sum(
            struct.unpack_from(">I", _find(part, b"tkhd"), 20)[0] for part in (trak, following[number])
        )
        tables = _tables(mine, other, moved)

        def change(kind: bytes, body: bytes) -> bytes | None:
            if kind in (b"sgpd", b"sbgp"):
                return None
            if kind == b"elst":
                return body[:8] + struct.pack(">I", movie) + body[12:]
            if kind == b"mdhd":
                return body[:16] + struct.pack(">I", lasts) + body[20:]
            if kind == b"tkhd":
                return body[:20] + struct.pack(">I", movie) + body[24:]
            return tables.get(kind, body)

        return rewritten(trak, change)

    changed = with_tracks(first, track)
    end = second.index(b"moov") - 4
    return changed[:before_moov] + second[at:end] + changed[before_moov:]


def _tables(mine: Mapping[bytes, bytes], other: Mapping[bytes, bytes], moved: int) -> dict[bytes, bytes]:
    """The sample tables of both, one behind the other."""

    def entries(table: Mapping[bytes, bytes], kind: bytes, width: int) -> list[list[int]]:
        numbers = struct.unpack(f">{(len(table[kind]) - 8) // 4}I", table[kind][8:])
        return [list(numbers[at : at + width]) for at in range(0, len(numbers), width)]

    def full(rows: Sequence[Sequence[int]], *before: int) -> bytes:
        numbers = [0, *before, len(rows), *(number for row in rows for number in row)]
        return struct.pack(f">{len(numbers)}I", *numbers)

    sizes = [entries(table, b"stsz", 1)[1:] for table in (mine, other)]
    chunks = [entries(table, b"stco", 1) for table in (mine, other)]
    runs = [entries(table, b"stsc", 3) for table in (mine, other)]
    joined = {
        b"stsd": struct.pack(">II", 0, 2) + mine[b"stsd"][8:] + other[b"stsd"][8:],
        b"stts": full(entries(mine, b"stts", 2) + entries(other, b"stts", 2)),
        b"stsz": full(sizes[0] + sizes[1], 0),
        b"stco": full(chunks[0] + [[offset + moved] for (offset,) in chunks[1]]),
        b"stsc": full(runs[0] + [[first + len(chunks[0]), count, 2] for first, count, _ in runs[1]]),
    }
    if b"stss" in mine:
        later = [[number + len(sizes[0])] for (number,) in entries(other, b"stss", 1)]
        joined[b"stss"] = full(entries(mine, b"stss", 1) + later)
    if b"ctts" in mine:
        joined[b"ctts"] = full(entries(mine, b"ctts", 2) + entries(other, b"ctts", 2))
    return joined
