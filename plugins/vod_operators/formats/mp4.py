"""Fragmented MP4 of any maker -> facts (ISO 14496-12, 14496-15, 23001-7)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from vod_operators.errors import VerificationError
from vod_operators.formats import av1, nal
from vod_operators.formats.facts import Format, Init, Key, SegmentFacts, Stream
from vod_operators.formats.isobmff import NON_SYNC, children, find, u32
from vod_operators.formats.sample_entries import format_of

TEXT = ("wvtt", "stpp", "tx3g")


@dataclass(frozen=True, kw_only=True)
class InitTrack:
    """What a media segment leaves to its init segment."""

    number: int
    format: Format
    timescale: int
    delay: int
    """Ticks that the edit list subtracts from presentation times."""
    length_size: int
    """Bytes of a NAL unit's length."""
    defaults: tuple[int, int, int]
    """Duration, size and flags of samples whose fragments tell none."""


@dataclass(kw_only=True)
class _Samples:
    """Collects the facts of one track's samples in one segment."""

    track: InitTrack
    begin: int | None = None
    end: int = 0
    shown: int | None = None
    count: int = 0
    size: int = 0
    shortest: int = 0
    first_is_idr: bool = False
    keys: list[Key] = field(default_factory=list)
    gap: str | None = None
    captions: bool = False
    hdr: bool = False


def read_init(data: bytes) -> tuple[Init, dict[int, InitTrack]]:
    """An init segment's facts, and its tracks by id.

    :raises VerificationError: it is damaged or no init segment.
    """
    brands: list[str] = []
    for kind, begin, end in children(data, 0, len(data)):
        if kind == b"ftyp":
            names = [data[begin : begin + 4], *(data[at : at + 4] for at in range(begin + 8, end, 4))]
            brands = [name.decode("ascii", "replace") for name in names]
    begin, end = find(data, 0, len(data), b"moov")
    extends = {}
    tracks: dict[int, InitTrack] = {}
    has_mvex = has_samples = False
    for kind, first, last in children(data, begin, end):
        if kind == b"mvex":
            has_mvex = True
            for inner, at, _ in children(data, first, last):
                if inner == b"trex":
                    extends[u32(data, at + 4)] = (u32(data, at + 12), u32(data, at + 16), u32(data, at + 20))
    movie, _ = find(data, begin, end, b"mvhd")
    movie_scale = u32(data, movie + (20 if data[movie] == 1 else 12))
    for kind, first, last in children(data, begin, end):
        if kind == b"trak":
            track, samples = _read_track(data, first, last, extends, movie_scale)
            tracks[track.number] = track
            has_samples = has_samples or samples
    init = Init(
        size_bytes=len(data),
        brands=tuple(brands),
        has_samples=has_samples,
        has_mvex=has_mvex,
        formats=tuple(track.format for track in tracks.values()),
    )
    return init, tracks


def _read_track(
    data: bytes, begin: int, end: int, extends: dict[int, tuple[int, int, int]], movie_scale: int
) -> tuple[InitTrack, bool]:
    header, _ = find(data, begin, end, b"tkhd")
    number = u32(data, header + (20 if data[header] == 1 else 12))
    media, _ = find(data, begin, end, b"mdia", b"mdhd")
    timescale = u32(data, media + (20 if data[media] == 1 else 12))
    table = find(data, begin, end, b"mdia", b"minf", b"stbl")
    sizes, _ = find(data, *table, b"stsz") if _has(data, *table, b"stsz") else (0, 0)
    described, length_size = format_of(data, *find(data, *table, b"stsd"))
    track = InitTrack(
        number=number,
        format=described,
        timescale=timescale or 1,
        delay=_delay(data, begin, end, Fraction(timescale, movie_scale or 1)),
        length_size=length_size,
        defaults=extends.get(number, (0, 0, 0)),
    )
    return track, bool(sizes and u32(data, sizes + 8))


def _has(data: bytes, begin: int, end: int, kind: bytes) -> bool:
    return any(found == kind for found, _, _ in children(data, begin, end))


def _delay(data: bytes, begin: int, end: int, scale: Fraction) -> int:
    """Media time of the first edit that is not empty, less the empty edits before it; in ticks."""
    if not _has(data, begin, end, b"edts"):
        return 0
    at, _ = find(data, begin, end, b"edts", b"elst")
    form, size, at = (">Qq", 20, at) if data[at] == 1 else (">Ii", 12, at)
    empty = 0
    for number in range(u32(data, at + 4)):
        length, media_time = struct.unpack_from(form, data, at + 8 + number * size)
        if media_time >= 0:
            return int(media_time - empty * scale)
        empty += length
    return 0


# --- media segments -------------------------------------------------------------------------


def read_segment(
    data: bytes, tracks: dict[int, InitTrack], size_bytes: int, *, cut_off: bool = False
) -> SegmentFacts:
    """A media segment's facts.

    :param data: its bytes, decrypted.
    :param tracks: tracks of its init segment.
    :param size_bytes: size of the stored segment.
    :param cut_off: whether the data end after the first sample, as byte ranges of I-frame playlists do.
    :raises VerificationError: it is damaged.
    """
    found: dict[int, _Samples] = {}
    try:
        at = 0
        while at < len(data):
            size, kind = _box(data, at, cut_off)
            if kind == b"moof":
                _read_fragment(data, at, at + size, tracks, found, cut_off)
            at += size
    except (struct.error, IndexError) as error:
        raise VerificationError(f"MP4: a header ends early ({error})") from None
    streams = tuple(_stream(samples) for samples in found.values() if samples.begin is not None)
    if not streams:
        raise VerificationError("MP4: no 'moof' box with samples of a track of the init segment")
    return SegmentFacts(size_bytes=size_bytes, container="fmp4", streams=streams)


def _box(data: bytes, at: int, cut_off: bool) -> tuple[int, bytes]:
    size, kind = struct.unpack_from(">I4s", data, at)
    if size == 1:
        size = struct.unpack_from(">Q", data, at + 8)[0]
    elif size == 0:
        size = len(data) - at
    if cut_off and kind == b"mdat":
        size = min(size, len(data) - at)
    if size < 8 or at + size > len(data):
        raise VerificationError(f"MP4: box {kind!r} of {size} bytes does not fit where it stands")
    return size, kind


def _read_fragment(
    data: bytes, begin: int, end: int, tracks: dict[int, InitTrack], found: dict[int, _Samples], cut_off: bool
) -> None:
    for kind, first, last in children(data, begin + 8, end):
        if kind == b"traf":
            _read_track_fragment(data, begin, end, (first, last), tracks, found, cut_off)


def _read_track_fragment(
    data: bytes,
    moof: int,
    moof_end: int,
    box: tuple[int, int],
    tracks: dict[int, InitTrack],
    found: dict[int, _Samples],
    cut_off: bool,
) -> None:
    at, _ = find(data, *box, b"tfhd")
    flags, number, at = u32(data, at) & 0xFFFFFF, u32(data, at + 4), at + 8
    track = tracks.get(number)
    if track is None:
        raise VerificationError(f"MP4: a fragment is of track {number}, which the init segment has not")
    base = moof
    if flags & 0x1:
        base, at = struct.unpack_from(">Q", data, at)[0], at + 8
    at += 4 * bool(flags & 0x2)
    defaults = list(track.defaults)
    for index, bit in enumerate((0x8, 0x10, 0x20)):
        if flags & bit:
            defaults[index], at = u32(data, at), at + 4
    at, _ = find(data, *box, b"tfdt")
    time = struct.unpack_from(">Q" if data[at] == 1 else ">I", data, at + 4)[0]
    samples = found.setdefault(number, _Samples(track=track))
    if samples.begin is not None and time != samples.end:
        off = Fraction(time - samples.end, track.timescale)
        samples.gap = samples.gap or f"a fragment decodes {float(off):+.6f} s off the end of the one before"
    offset = moof_end - moof + 8
    for kind, first, last in children(data, *box):
        if kind == b"trun":
            for run in _runs(data, first, last, defaults, base, offset):
                _take(data, samples, moof, time, *run)
                time, offset = time + run[0], run[2] + run[1] - base
                if cut_off:
                    return


def _runs(
    data: bytes, at: int, end: int, defaults: list[int], base: int, offset: int
) -> Iterator[tuple[int, int, int, int, int]]:
    """Duration, size, position, flags and composition offset of each sample of a ``trun``."""
    version, flags, count, at = data[at], u32(data, at) & 0xFFFFFF, u32(data, at + 4), at + 8
    if flags & 0x1:
        offset, at = struct.unpack_from(">i", data, at)[0], at + 4
    first_flags = defaults[2]
    if flags & 0x4:
        first_flags, at = u32(data, at), at + 4
    position = base + offset
    for number in range(count):
        duration, size, sample_flags = defaults
        if number == 0:
            sample_flags = first_flags
        composition = 0
        if flags & 0x100:
            duration, at = u32(data, at), at + 4
        if flags & 0x200:
            size, at = u32(data, at), at + 4
        if flags & 0x400:
            sample_flags, at = u32(data, at), at + 4
        if flags & 0x800:
            composition, at = struct.unpack_from(">i" if version else ">I", data, at)[0], at + 4
        if at > end or position + size > len(data):
            raise VerificationError("MP4: a sample lies outside of its segment")
        yield duration, size, position, sample_flags, composition
        position += size


def _take(
    data: bytes,
    samples: _Samples,
    moof: int,
    time: int,
    duration: int,
    size: int,
    position: int,
    flags: int,
    composition: int,
) -> None:
    track, first = samples.track, samples.begin is None
    if first:
        samples.begin = time
    shown = time + composition - track.delay
    samples.shown = shown if samples.shown is None else min(samples.shown, shown)
    samples.end = time + duration
    samples.count += 1
    samples.size += size
    if duration:
        samples.shortest = min(samples.shortest or duration, duration)
    if track.format.kind != "video":
        return
    sample = data[position : position + size]
    samples.captions = samples.captions or nal.CAPTIONS in sample
    is_sync = not flags & NON_SYNC
    if not (first or is_sync):
        return
    idr = _is_idr(sample, track)
    if first:
        samples.first_is_idr = idr and is_sync
    samples.hdr = samples.hdr or _tells_hdr(sample, track)
    if is_sync:
        at = Fraction(time, track.timescale)
        samples.keys.append(Key(begin=moof, end=position + size, at=at, is_idr=idr))


def _is_idr(sample: bytes, track: InitTrack) -> bool:
    entry = track.format.entry
    try:
        if entry.startswith("av01"):
            return av1.is_key_frame(sample)
        family = nal.AVC if entry.startswith("avc") else nal.HEVC
        return nal.is_idr(nal.in_sample(sample, track.length_size), family)
    except IndexError:
        return False


def _tells_hdr(sample: bytes, track: InitTrack) -> bool:
    entry = track.format.entry
    try:
        if entry.startswith("av01"):
            return av1.has_hdr_metadata(sample)
        is_hevc = entry.startswith("h")
        return is_hevc and nal.has_hdr_metadata(nal.in_sample(sample, track.length_size))
    except IndexError:
        return False


def _stream(samples: _Samples) -> Stream:
    track = samples.track
    assert samples.begin is not None and samples.shown is not None
    return Stream(
        kind=track.format.kind,
        begin=Fraction(samples.begin, track.timescale),
        shown=Fraction(samples.shown, track.timescale),
        duration=Fraction(samples.end - samples.begin, track.timescale),
        samples=samples.count,
        size_bytes=samples.size,
        rate=Fraction(track.timescale, samples.shortest) if samples.shortest else Fraction(0),
        starts_with_idr=samples.first_is_idr,
        keys=tuple(samples.keys),
        gap=samples.gap,
        captions=samples.captions,
        hdr_metadata=samples.hdr,
    )
