"""Fragmented MP4 of any maker -> facts (ISO 14496-12, 14496-15, 23001-7)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction

from vod_operators.errors import VerificationError
from vod_operators.formats import av1, dolby, nal, ttml
from vod_operators.formats.facts import Codec, Cues, Format, Init, Key, Protection, SegmentFacts, Stream
from vod_operators.formats.hdr import StaticMetadata
from vod_operators.formats.isobmff import (
    SAMPLE_DESCRIPTIONS,
    Defaults,
    Fragment,
    Sample,
    children,
    find,
    read_fragments,
    u32,
    whole_headers,
)
from vod_operators.formats.order import PictureOrder
from vod_operators.formats.pssh import read_pssh
from vod_operators.formats.sample_entries import codec_of, format_of, parameter_sets, protection_of
from vod_operators.formats.sample_groups import key_groups

IMSC = "stpp"
"""Sample entry of TTML."""


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
    defaults: Defaults
    sets: tuple[bytes, ...] = ()
    """Parameter sets of H.264 and H.265."""
    descriptions: int = 1
    """Sample entries; of several, a clear one may stand beside that of encrypted samples."""


@dataclass(kw_only=True)
class _Samples:
    """Collects the facts of one track's samples in one segment."""

    track: InitTrack
    begin: int | None = None
    end: int = 0
    shown: int | None = None
    shown_end: int = 0
    count: int = 0
    size: int = 0
    shortest: int = 0
    first_is_idr: bool = False
    keys: list[Key] = field(default_factory=list)
    gap: str | None = None
    captions: bool = False
    metadata: StaticMetadata | None = None
    is_hlg: bool = False
    enhanced: bool = False
    encrypted: bool = False
    key_ids: list[str] = field(default_factory=list)
    lines: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    """IMSC1: begin and end of all text, in seconds."""
    not_text_profile: str | None = None
    pictures: list[Sample] = field(default_factory=list)
    """The samples of a clear video track."""
    coded: Format | None = None


@whole_headers("MP4")
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
    extends: dict[int, Defaults] = {}
    tracks: dict[int, InitTrack] = {}
    protections: list[Protection] = []
    has_mvex = has_samples = False
    for kind, first, last in children(data, begin, end):
        if kind == b"mvex":
            has_mvex = True
            for inner, at, _ in children(data, first, last):
                if inner == b"trex":
                    extends[u32(data, at + 4)] = Defaults(*struct.unpack_from(">3I", data, at + 12))
    movie, _ = find(data, begin, end, b"mvhd")
    movie_scale = u32(data, movie + (20 if data[movie] == 1 else 12))
    has_duration = _lasts(data, movie, 16)
    for kind, first, last in children(data, begin, end):
        if kind == b"trak":
            track, samples = _read_track(data, first, last, extends, movie_scale)
            tracks[track.number] = track
            protection = protection_of(data, *find(data, first, last, *SAMPLE_DESCRIPTIONS))
            protections += [protection] if protection else []
            has_duration = has_duration or _lasts(data, find(data, first, last, b"tkhd")[0], 20)
            has_samples = has_samples or samples
    init = Init(
        size_bytes=len(data),
        brands=tuple(brands),
        has_samples=has_samples,
        has_mvex=has_mvex,
        has_duration=has_duration,
        formats=tuple(track.format for track in tracks.values()),
        protections=tuple(protections),
        pssh=tuple(
            read_pssh(data[first - 8 : last])
            for kind, first, last in children(data, begin, end)
            if kind == b"pssh"
        ),
    )
    return init, tracks


def _lasts(data: bytes, begin: int, at: int) -> bool:
    """Whether a header tells a duration, which is at ``at`` in version 0."""
    place, size = (begin + at + 8, 8) if data[begin] == 1 else (begin + at, 4)
    return any(data[place : place + size])


def _read_track(
    data: bytes, begin: int, end: int, extends: dict[int, Defaults], movie_scale: int
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
        defaults=extends.get(number, Defaults()),
        sets=tuple(parameter_sets(data, *find(data, *table, b"stsd"))),
        descriptions=u32(data, find(data, *table, b"stsd")[0] + 4),
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
    """A media segment's facts; for the parameters see ``measure_segment``.

    :raises VerificationError: it is damaged.
    """
    found: dict[int, _Samples] = {}
    defaults = {number: track.defaults for number, track in tracks.items()}
    for fragment in read_fragments(data, defaults, cut_off=cut_off):
        track = tracks.get(fragment.track)
        if track is None:
            raise VerificationError(
                f"MP4: a fragment is of track {fragment.track}, which the init segment has not"
            )
        _take_fragment(data, fragment, found.setdefault(fragment.track, _Samples(track=track)))
    streams = tuple(_stream(data, samples) for samples in found.values() if samples.begin is not None)
    if not streams:
        raise VerificationError("MP4: no 'moof' box with samples of a track of the init segment")
    facts = SegmentFacts(size_bytes=size_bytes, container="fmp4", streams=streams)
    texts = [samples for samples in found.values() if samples.track.format.entry == IMSC]
    return facts.model_copy(update=_text_facts(texts[0])) if texts else facts


def _text_facts(samples: _Samples) -> dict[str, object]:
    facts: dict[str, object] = {"not_text_profile": samples.not_text_profile}
    if samples.lines:
        begins, ends = zip(*samples.lines, strict=True)
        offset = Fraction(-samples.track.delay, samples.track.timescale)
        facts["cues"] = Cues(begin=min(begins), last=max(begins), end=max(ends), offset=offset)
    return facts


def _take_fragment(data: bytes, fragment: Fragment, samples: _Samples) -> None:
    track = samples.track
    if samples.begin is not None and fragment.decode_time != samples.end:
        off = Fraction(fragment.decode_time - samples.end, track.timescale)
        samples.gap = samples.gap or f"a fragment decodes {float(off):+.6f} s off the end of the one before"
    samples.encrypted = samples.encrypted or _is_encrypted(fragment, track)
    if b"sgpd" in fragment.boxes and track.format.encrypted:
        moof = find(data, fragment.offset, len(data), b"moof")
        samples.key_ids += [group.key_id for group in key_groups(data, *find(data, *moof, b"traf"))]
    for sample in fragment.samples:
        first = samples.begin is None
        if first:
            samples.begin = sample.time
        shown = sample.time + sample.composition - track.delay
        samples.shown = shown if samples.shown is None else min(samples.shown, shown)
        shown_end = shown + sample.duration
        samples.shown_end = shown_end if first else max(samples.shown_end, shown_end)
        samples.end = sample.time + sample.duration
        samples.count += 1
        samples.size += sample.size
        if sample.duration:
            samples.shortest = min(samples.shortest or sample.duration, sample.duration)
        if track.format.kind == "video":
            _take_picture(data, fragment.offset, sample, samples, first)
        elif first and track.format.entry in dolby.ENTRIES and not track.format.encrypted:
            unit = dolby.read_unit(data[sample.position : sample.end])
            samples.coded = unit.format if unit else None
        elif track.format.entry == IMSC and not samples.encrypted:
            _take_document(data, sample, samples)


def _take_document(data: bytes, sample: Sample, samples: _Samples) -> None:
    """Take an IMSC1 document, whose times count from the begin of the track (ISO 14496-30)."""
    if not sample.size:
        return
    document, scale = ttml.read_document(data[sample.position : sample.end]), samples.track.timescale
    samples.not_text_profile = samples.not_text_profile or document.fault
    begin, end = Fraction(sample.time, scale), Fraction(sample.time + sample.duration, scale)
    samples.lines += (
        (begin if line.begin is None else line.begin, end if line.end is None else line.end)
        for line in document.lines
    )


def _is_encrypted(fragment: Fragment, track: InitTrack) -> bool:
    """Whether it tells how samples are encrypted, or all are alike (ISO 23001-7 7, 10.3)."""
    told = bool({b"senc", b"saiz"} & fragment.boxes)
    alike = track.descriptions == 1 and not {b"sbgp", b"sgpd"} & fragment.boxes
    return track.format.encrypted and (told or alike)


def _take_picture(data: bytes, moof: int, sample: Sample, samples: _Samples, first: bool) -> None:
    track = samples.track
    if not track.format.encrypted:
        samples.pictures.append(sample)
    samples.captions = samples.captions or data.find(nal.CAPTIONS, sample.position, sample.end) >= 0
    if not (first or sample.is_sync):
        return
    content = data[sample.position : sample.end]
    codec = codec_of(track.format.entry)
    idr = starts_with_idr(content, codec, track.length_size)
    if first:
        samples.first_is_idr = idr and sample.is_sync
    if first:
        samples.metadata, samples.is_hlg = _hdr_of(content, codec, track.length_size)
    samples.enhanced = samples.enhanced or _is_enhanced(content, codec, track.length_size)
    if sample.is_sync:
        at = Fraction(sample.time, track.timescale)
        samples.keys.append(Key(begin=moof, end=sample.end, at=at, is_idr=idr))


def starts_with_idr(sample: bytes, codec: Codec | None, length_size: int = 4) -> bool:
    """Whether decoding can begin at a sample, and no later picture refers to one before it.

    H.264 and HEVC: the first slice is of an IDR picture. AV1: the first frame is a shown key frame, after a
    sequence header.

    :param codec: None for any other, of which it is not known.
    :param length_size: bytes of a NAL unit's length.
    """
    try:
        if codec == "av1":
            return av1.is_key_frame(sample)
        return codec is not None and nal.is_idr(nal.in_sample(sample, length_size), codec)
    except IndexError:
        return False


def _hdr_of(sample: bytes, codec: Codec | None, length_size: int) -> tuple[StaticMetadata | None, bool]:
    """Static metadata of HDR10 with a picture, and whether it may be read as HLG."""
    try:
        if codec == "av1":
            return av1.static_metadata(sample) or None, False
        if codec == "hevc":
            seis = nal.hevc_seis(nal.in_sample(sample, length_size))
            return nal.static_metadata(seis) or None, nal.prefers_hlg(seis)
    except IndexError:
        pass
    return None, False


def _is_enhanced(sample: bytes, codec: Codec | None, length_size: int) -> bool:
    try:
        return codec in ("h264", "hevc") and nal.is_enhanced(nal.in_sample(sample, length_size), codec)
    except IndexError:
        return False


def _lacks_composition(data: bytes, samples: _Samples) -> bool:
    """Whether pictures are reordered, and all composition offsets are equal."""
    track, pictures = samples.track, samples.pictures
    codec = codec_of(track.format.entry)
    if codec not in ("h264", "hevc") or len({picture.composition for picture in pictures}) != 1:
        return False
    order = PictureOrder(codec, track.sets)
    if track.sets and not order.is_possible:
        return False
    for picture in pictures:
        order.take(nal.in_sample(data[picture.position : picture.end], track.length_size))
        if order.is_reordered:
            return True
    return False


def _stream(data: bytes, samples: _Samples) -> Stream:
    track = samples.track
    assert samples.begin is not None and samples.shown is not None
    lasts, shown_lasts = samples.end - samples.begin, samples.shown_end - samples.shown
    return Stream(
        kind=track.format.kind,
        begin=Fraction(samples.begin, track.timescale),
        shown=Fraction(samples.shown, track.timescale),
        duration=Fraction(lasts, track.timescale),
        shown_s=Fraction(shown_lasts if shown_lasts != lasts else 0, track.timescale),
        samples=samples.count,
        size_bytes=samples.size,
        rate=Fraction(track.timescale, samples.shortest) if samples.shortest else Fraction(0),
        starts_with_idr=samples.first_is_idr,
        keys=tuple(samples.keys),
        gap=samples.gap,
        captions=samples.captions,
        hdr_metadata=samples.metadata is not None,
        metadata=samples.metadata,
        is_hlg=samples.is_hlg,
        enhanced=samples.enhanced,
        encrypted=samples.encrypted,
        key_ids=tuple(dict.fromkeys(samples.key_ids)),
        lacks_composition=_lacks_composition(data, samples),
        coded=samples.coded,
    )
