"""The headers of a progressive MP4 whose samples come from fragmented tracks (ISO 14496-12).

``moov`` comes first, so a player begins while the file loads. Sample descriptions and the beginning of the
edit are those of the init segments. Chapters are written twice, as a list (``chpl``) and as a disabled text
track (QuickTime), because players read either.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from sys import byteorder

from vod_operators.formats.isobmff import SAMPLE_DESCRIPTIONS, UNITY, box, children, find, full_box
from vod_operators.formats.mp4 import read_init
from vod_operators.media.samples import Samples, Stretch, in_order

MAX_U32 = 0xFFFF_FFFF

MAX_TIMESCALE = 1 << 31

CHAPTER_SCALE = 1000
"""Ticks a second of chapters: their times are in milliseconds."""

LISTED_CHAPTERS = 255
"""Most entries of ``chpl``, whose count is a byte. The text track has all chapters."""

TITLE_BYTES = 255
"""Longest title in ``chpl``."""

ENABLED, IN_MOVIE, IN_PREVIEW = 1, 2, 4
"""Flags of ``tkhd``."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One track of the file."""

    init: bytes
    """Its init segment."""
    samples: Samples
    shown: Fraction
    """Seconds that are presented, from the edit's beginning."""
    is_default: bool = True
    """Whether a player plays it unasked."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A chapter."""

    begins_ms: int
    title: str


@dataclass(frozen=True, kw_only=True)
class Movie:
    """A file before its samples are copied."""

    head: bytes
    """All that comes before the parts' samples."""
    order: tuple[Stretch, ...]
    """The samples, as they follow."""

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return len(self.head) + sum(stretch.size_bytes for stretch in self.order)


def movie(parts: Sequence[Part], chapters: Sequence[Mark] = (), *, major: bytes = b"isom") -> Movie:
    """The file that has these tracks.

    :param parts: pictures before sound.
    :param chapters: in order; empty for none.
    :param major: brand; ``M4A`` and a space for a file of sound.
    """
    order = in_order([part.samples for part in parts])
    texts = [_text_sample(mark.title) for mark in chapters]
    timescale = lcm(*(part.samples.timescale for part in parts))
    if timescale >= MAX_TIMESCALE:  # of rates that no camera has; the sound's end is then rounded
        timescale = parts[0].samples.timescale
    payload = sum(map(len, texts)) + sum(stretch.size_bytes for stretch in order)
    codecs = [_entry(part.init) for part in parts]
    brands = [b"isom", b"iso6", b"mp41", *(code for code in codecs if code in (b"avc1", b"av01"))]
    begin = box(b"ftyp", major, struct.pack(">I", 512), major, *(b for b in brands if b != major))

    def headers(wide: bool, first: int) -> bytes:
        moov = _moov(parts, chapters, texts, order, timescale, first=first, wide=wide)
        size = payload + 8
        mdat = struct.pack(">I4sQ", 1, b"mdat", size + 8) if wide else struct.pack(">I4s", size, b"mdat")
        return begin + moov + mdat

    wide = len(headers(wide=True, first=0)) + payload > MAX_U32
    head = headers(wide, first=len(headers(wide, first=0)))
    return Movie(head=head + b"".join(texts), order=tuple(order))


def _entry(init: bytes) -> bytes:
    """The type of a track's sample entry."""
    at, _ = find(init, 0, len(init), b"moov", b"trak", *SAMPLE_DESCRIPTIONS)
    return init[at + 12 : at + 16]


def _moov(
    parts: Sequence[Part],
    chapters: Sequence[Mark],
    texts: Sequence[bytes],
    order: Sequence[Stretch],
    timescale: int,
    *,
    first: int,
    wide: bool,
) -> bytes:
    """:param first: the file's byte at which the samples begin.
    :param wide: whether places take eight bytes.
    """
    offsets: list[array[int]] = [array("Q") for _ in parts]
    counts: list[array[int]] = [array("I") for _ in parts]
    at = first + sum(map(len, texts))
    for stretch in order:
        offsets[stretch.track].append(at)
        counts[stretch.track].append(stretch.samples)
        at += stretch.size_bytes
    lasts = [round(part.shown * timescale) for part in parts]
    text_track = len(parts) + 1 if chapters else 0
    traks = [
        _trak(
            part, number, lasts[number - 1], text_track,
            box(
                b"stbl", _description(part.init), *_times(part.samples),
                _stsc(counts[number - 1]), _stsz(part.samples.sizes), _places(offsets[number - 1], wide=wide),
                *_roll(part),
            ),
        )
        for number, part in enumerate(parts, start=1)
    ]  # fmt: skip
    if chapters:
        traks.append(_chapter_trak(chapters, texts, text_track, max(lasts), timescale, first, wide=wide))
    mvhd = _timed(
        b"mvhd",
        0,
        max(lasts),
        struct.pack(">II", 0, 0),
        struct.pack(">I", timescale),
        struct.pack(">IHH8x", 0x10000, 0x100, 0) + UNITY + bytes(24) + struct.pack(">I", len(traks) + 1),
    )
    udta = [box(b"udta", _chpl(chapters))] if chapters else []
    return box(b"moov", mvhd, *traks, *udta)


def _timed(kind: bytes, flags: int, lasts: int, times: bytes, middle: bytes, rest: bytes) -> bytes:
    """``mvhd``, ``tkhd`` or ``mdhd``, whose times take eight bytes each where four do not suffice.

    :param times: creation and modification, four bytes each.
    :param middle: what stands between them and the duration.
    """
    if lasts <= MAX_U32:
        return full_box(kind, times, middle, struct.pack(">I", lasts), rest, flags=flags)
    long = b"".join(bytes(4) + times[at : at + 4] for at in (0, 4))
    return full_box(kind, long, middle, struct.pack(">Q", lasts), rest, version=1, flags=flags)


def _trak(part: Part, number: int, lasts: int, text_track: int, table: bytes) -> bytes:
    init = part.init
    trak = find(init, 0, len(init), b"moov", b"trak")
    _, end = find(init, *trak, b"tkhd")
    tail = bytearray(init[end - 60 : end])  # from the reserved bytes after the duration on
    mdia = find(init, *trak, b"mdia")
    hdlr, handler_end = find(init, *mdia, b"hdlr")
    is_sound = init[hdlr + 8 : hdlr + 12] == b"soun"
    struct.pack_into(">H", tail, 10, int(is_sound))  # alternate group: players choose one of the sounds
    _, language_end = find(init, *mdia, b"mdhd")
    minf = find(init, *mdia, b"minf")
    kept = [
        init[begin - 8 : last]
        for kind, begin, last in children(init, *minf)
        if kind in (b"vmhd", b"smhd", b"dinf")
    ]
    delay = next(iter(read_init(init)[1].values())).delay
    flags = IN_MOVIE | IN_PREVIEW | (ENABLED if part.is_default else 0)
    times = struct.pack(">II", 0, 0)
    return box(
        b"trak",
        _timed(b"tkhd", flags, lasts, times, struct.pack(">I4x", number), bytes(tail)),
        _edit(lasts, delay),
        *([box(b"tref", box(b"chap", struct.pack(">I", text_track)))] if text_track else []),
        box(
            b"mdia",
            _timed(
                b"mdhd", 0, part.samples.ticks, times,
                struct.pack(">I", part.samples.timescale), init[language_end - 4 : language_end],
            ),
            init[hdlr - 8 : handler_end],
            box(b"minf", *kept, table),
        ),
    )  # fmt: skip


def _edit(lasts: int, begins: int) -> bytes:
    """An edit list that presents ``lasts`` ticks of the movie from the track's tick ``begins`` on."""
    form, version = (">QqI", 1) if lasts > MAX_U32 else (">IiI", 0)
    return box(
        b"edts",
        full_box(b"elst", struct.pack(">I", 1), struct.pack(form, lasts, begins, 0x10000), version=version),
    )


# --- sample tables --------------------------------------------------------------------------


def _bytes(numbers: array[int]) -> bytes:
    """The numbers, big-endian."""
    if byteorder == "big":
        return numbers.tobytes()
    copy = numbers[:]
    copy.byteswap()
    return copy.tobytes()


def _table(kind: bytes, numbers: array[int], columns: int = 1, *, version: int = 0) -> bytes:
    return full_box(kind, struct.pack(">I", len(numbers) // columns), _bytes(numbers), version=version)


def _description(init: bytes) -> bytes:
    begin, end = find(init, 0, len(init), b"moov", b"trak", *SAMPLE_DESCRIPTIONS)
    return init[begin - 8 : end]


def _times(samples: Samples) -> list[bytes]:
    tables = [_table(b"stts", samples.durations, 2)]
    if any(samples.compositions[1::2]):
        below = any(value < 0 for value in samples.compositions[1::2])
        tables.append(_table(b"ctts", samples.compositions, 2, version=int(below)))
    if len(samples.syncs) < len(samples.sizes):
        tables.append(_table(b"stss", samples.syncs))
    return tables


def _stsz(sizes: array[int]) -> bytes:
    return full_box(b"stsz", struct.pack(">II", 0, len(sizes)), _bytes(sizes))


def _stsc(counts: array[int]) -> bytes:
    runs = array("I")
    for number, count in enumerate(counts, start=1):
        if not runs or runs[-2] != count:
            runs.extend((number, count, 1))
    return _table(b"stsc", runs, 3)


def _places(offsets: array[int], *, wide: bool) -> bytes:
    return _table(b"co64", offsets) if wide else _table(b"stco", array("I", offsets))


def _roll(part: Part) -> list[bytes]:
    """Of AAC: that a decoder needs the frame before, where it begins in the middle (ISO 14496-12, 10.1)."""
    if _entry(part.init) != b"mp4a":
        return []
    group = struct.pack(">4sIIh", b"roll", 2, 1, -1)
    members = struct.pack(">4sIII", b"roll", 1, len(part.samples.sizes), 1)
    return [full_box(b"sgpd", group, version=1), full_box(b"sbgp", members)]


# --- chapters -------------------------------------------------------------------------------


def _text_sample(title: str) -> bytes:
    text = title.encode()
    return struct.pack(">H", len(text)) + text + struct.pack(">I4sI", 12, b"encd", 0x100)  # UTF-8


def _chpl(chapters: Sequence[Mark]) -> bytes:
    listed = chapters[:LISTED_CHAPTERS]
    entries = []
    for mark in listed:
        title = mark.title.encode()[:TITLE_BYTES].decode("utf-8", "ignore").encode()
        entries.append(struct.pack(">QB", mark.begins_ms * 10_000, len(title)) + title)
    return full_box(b"chpl", bytes(4), struct.pack(">B", len(listed)), *entries, version=1)


def _chapter_trak(
    chapters: Sequence[Mark],
    texts: Sequence[bytes],
    number: int,
    lasts: int,
    timescale: int,
    first: int,
    *,
    wide: bool,
) -> bytes:
    """A disabled text track with one sample for each chapter, which lasts until the next one."""
    end = max(chapters[-1].begins_ms + 1, lasts * CHAPTER_SCALE // timescale)
    begins = [mark.begins_ms for mark in chapters]
    durations = array("I")
    for begin, following in zip(begins, [*begins[1:], end], strict=True):
        durations.extend((1, following - begin))
    table = box(
        b"stbl",
        # Field by field: flags, justification, background, box, font, colour, no name (QuickTime, "text").
        full_box(b"stsd", struct.pack(">I", 1), box(b"text", bytes(6), struct.pack(">H", 1), bytes(43))),
        _table(b"stts", durations, 2),
        _stsc(array("I", [len(texts)])),
        _stsz(array("I", map(len, texts))),
        _places(array("Q", [first]), wide=wide),
    )
    url = full_box(b"url ", flags=1)
    times = struct.pack(">II", 0, 0)
    return box(
        b"trak",
        _timed(b"tkhd", 0, lasts, times, struct.pack(">I4x", number), bytes(16) + UNITY + bytes(8)),
        _late(begins[0] * timescale // CHAPTER_SCALE, lasts),
        box(
            b"mdia",
            _timed(
                b"mdhd", 0, end - begins[0], times, struct.pack(">I", CHAPTER_SCALE),
                struct.pack(">HH", 0x55C4, 0),
            ),
            full_box(b"hdlr", bytes(4), b"text", bytes(12), b"Chapters\0"),
            box(
                b"minf",
                box(
                    b"gmhd",
                    full_box(b"gmin", struct.pack(">4Hh2x", 0x40, 0x8000, 0x8000, 0x8000, 0)),
                    box(b"text", UNITY),
                ),
                box(b"dinf", full_box(b"dref", struct.pack(">I", 1), url)),
                table,
            ),
        ),
    )  # fmt: skip


def _late(empty: int, lasts: int) -> bytes:
    """An edit list by which a track begins that many ticks of the movie late, or none."""
    if not empty:
        return b""
    form, version = (">QqI", 1) if lasts > MAX_U32 else (">IiI", 0)
    entries = struct.pack(form, empty, -1, 0x10000) + struct.pack(form, max(1, lasts - empty), 0, 0x10000)
    return box(b"edts", full_box(b"elst", struct.pack(">I", 2), entries, version=version))
