"""MPEG-2 transport streams and packed audio -> facts (ISO 13818-1, 14496-3 for ADTS)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from vod_operators.errors import VerificationError
from vod_operators.formats import nal
from vod_operators.formats.facts import Codec, Format, Key, SegmentFacts, Stream
from vod_operators.formats.order import PictureOrder
from vod_operators.formats.psi import (
    PACKET,
    PADDING,
    SYNC,
    payload_of,
    pid_at,
    programmes_in,
    section_in,
    streams_in,
    u16,
)
from vod_operators.formats.sample_entries import AAC_CHANNELS, RATES

CLOCK = 90_000

AVC, HEVC, AAC = 0x1B, 0x24, 0x0F
SAMPLE_AES = {0xDB: AVC, 0xCF: AAC}
OTHER_SOUND = {0x03: "mp4a.40.34", 0x04: "mp4a.40.34", 0x81: "ac-3", 0x87: "ec-3"}
STREAM_TYPES = (AVC, HEVC, AAC, *SAMPLE_AES, *OTHER_SOUND)

AAC_FRAME = 1024
"""Samples a frame."""


@dataclass(kw_only=True)
class _Pes:
    """One PES packet; of video, it is a picture."""

    begin: int
    """First byte of its first transport packet."""
    end: int = 0
    data: bytearray = field(default_factory=bytearray)


@dataclass(kw_only=True)
class _Elementary:
    kind: int
    encrypted: bool
    times: list[tuple[int, int]] = field(default_factory=list)
    """Decoding and presentation time of each PES packet, in ticks of 90 kHz."""
    keys: list[Key] = field(default_factory=list)
    starts_with_idr: bool = False
    captions: bool = False
    order: PictureOrder | None = None
    format: Format | None = None
    frames: int = 0
    size: int = 0


def read_segment(data: bytes, size_bytes: int) -> SegmentFacts:
    """The facts of an MPEG-TS segment; for the parameters see ``measure_segment``.

    :raises VerificationError: it is not whole packets, or has neither picture nor sound.
    """
    if len(data) % PACKET or not data or any(data[at] != SYNC for at in range(0, len(data), PACKET)):
        raise VerificationError("MPEG-TS: it is not whole packets of 188 bytes that begin with 0x47")
    counters: dict[int, tuple[int, int]] = {}
    wrong: str | None = None
    kinds: dict[int, int] = {}
    tables: set[int] = {0}
    streams: dict[int, _Elementary] = {}
    open_pes: dict[int, _Pes] = {}
    for at in range(0, len(data), PACKET):
        pid, counter = pid_at(data, at), data[at + 3] & 15
        if pid == PADDING or not data[at + 3] & 0x10:
            continue
        first, last = counters.get(pid, (counter, counter - 1 & 15))
        if counter != last + 1 & 15 and wrong is None:
            wrong = f"PID {pid}: counter {counter} after {last} in packet {at // PACKET}"
        counters[pid] = (first, counter)
        starts = bool(data[at + 1] & 0x40)
        packet = data[at : at + PACKET]
        if pid in tables:
            section = section_in(packet) if starts else b""
            if section and pid == 0:
                tables.update(programmes_in(section).values())
            elif section:
                kinds |= {pid: kind for pid, kind, _ in streams_in(section) if kind in STREAM_TYPES}
        elif pid in kinds:
            if starts:
                _close(streams, kinds, pid, open_pes.pop(pid, None))
                open_pes[pid] = _Pes(begin=at)
            if pes := open_pes.get(pid):
                pes.data += packet[payload_of(packet) :]
                pes.end = at + PACKET
    for pid, pes in open_pes.items():
        _close(streams, kinds, pid, pes)
    found = [(stream, stream.format) for stream in streams.values() if stream.times]
    if not found:
        raise VerificationError("MPEG-TS: no picture and no sound in it")
    return SegmentFacts(
        size_bytes=size_bytes,
        container="ts",
        formats=tuple(known for _, known in found if known),
        streams=tuple(_stream(stream) for stream, known in found if known),
        counters=counters,
        counter_error=wrong,
    )


def _close(streams: dict[int, _Elementary], kinds: dict[int, int], pid: int, pes: _Pes | None) -> None:
    """Add one complete PES packet to its stream."""
    if pes is None or len(pes.data) < 9 or pes.data[:3] != b"\x00\x00\x01":
        return
    kind = kinds[pid]
    stream = streams.setdefault(
        pid, _Elementary(kind=SAMPLE_AES.get(kind, kind), encrypted=kind in SAMPLE_AES)
    )
    flags, begin = pes.data[7] >> 6, 9 + pes.data[8]
    if not flags & 2:
        return
    shown = _time(pes.data, 9)
    decoded = _time(pes.data, 14) if flags & 1 else shown
    first = not stream.times
    stream.times.append((decoded, shown))
    payload = bytes(pes.data[begin:])
    stream.size += len(payload)
    if stream.kind in (AVC, HEVC):
        _take_picture(stream, payload, pes, decoded, first)
    elif stream.kind == AAC:
        for described in adts(payload, stream.encrypted):
            stream.format, stream.frames = stream.format or described, stream.frames + 1
    else:
        codecs = OTHER_SOUND[stream.kind]
        stream.format = Format(kind="audio", codecs=codecs, entry=codecs[:4])
        stream.frames += 1


def _time(data: bytearray, at: int) -> int:
    return (data[at] >> 1 & 7) << 30 | u16(data, at + 1) >> 1 << 15 | u16(data, at + 3) >> 1


def _take_picture(stream: _Elementary, payload: bytes, pes: _Pes, decoded: int, first: bool) -> None:
    codec: Codec = "h264" if stream.kind == AVC else "hevc"
    units = [unit for unit in nal.in_byte_stream(payload) if unit]
    stream.captions = stream.captions or nal.CAPTIONS in payload
    idr = nal.is_idr(units, codec)
    stream.order = stream.order or PictureOrder(codec)
    stream.order.take(units)
    if first:
        stream.starts_with_idr = idr
    if idr:
        stream.keys.append(Key(begin=pes.begin, end=pes.end, at=Fraction(decoded, CLOCK), is_idr=True))
    if stream.format is None:
        wanted, read = (7, nal.avc_format) if codec == "h264" else (33, nal.hevc_format)
        for unit in units:
            if nal.kind_of(unit, codec) == wanted:
                described = read(unit)
                stream.format = described.model_copy(update={"encrypted": stream.encrypted})
                return


def adts(data: bytes, encrypted: bool = False) -> Iterator[Format]:
    """The format of each AAC frame, from its header.

    :raises VerificationError: a frame does not begin with an ADTS header.
    """
    at = 0
    while at + 7 <= len(data):
        if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
            raise VerificationError("AAC: a frame does not begin with an ADTS header")
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        index, channels = data[at + 2] >> 2 & 15, (data[at + 2] & 1) << 2 | data[at + 3] >> 6
        yield Format(
            kind="audio",
            codecs=f"mp4a.40.{(data[at + 2] >> 6) + 1}",
            entry="mp4a",
            encrypted=encrypted,
            channels=AAC_CHANNELS.get(channels, 0),
            sample_rate=RATES[index] if index < len(RATES) else 0,
        )
        at += max(size, 7)


def _stream(stream: _Elementary) -> Stream:
    decoded = [time for time, _ in stream.times]
    shown = sorted(time for _, time in stream.times)
    begin, kind = Fraction(decoded[0], CLOCK), stream.format.kind if stream.format else "video"
    if stream.kind == AAC:
        rate = Fraction(stream.format.sample_rate if stream.format else 0, AAC_FRAME)
        duration, count = stream.frames / rate if rate else Fraction(0), stream.frames
    else:
        step = Fraction(shown[-1] - shown[0], CLOCK * (len(shown) - 1)) if len(shown) > 1 else Fraction(0)
        rate = 1 / step if step else Fraction(0)
        # The last picture lasts as long as the average of the others: 90 kHz ticks are rounded.
        duration, count = Fraction(shown[-1] - shown[0], CLOCK) + step, len(shown)
    goes_backward = any(time >= following for time, following in pairwise(decoded))
    return Stream(
        kind=kind,
        begin=begin,
        shown=Fraction(shown[0], CLOCK),
        duration=duration,
        samples=count,
        size_bytes=stream.size,
        rate=rate,
        starts_with_idr=stream.starts_with_idr,
        keys=tuple(stream.keys),
        gap="its times go backward" if goes_backward else None,
        captions=stream.captions,
        lacks_composition=bool(stream.order and stream.order.is_reordered)
        and len({late - early for early, late in stream.times}) == 1,
    )


def read_packed_audio(data: bytes, size_bytes: int) -> SegmentFacts:
    """The facts of a packed audio segment: ADTS frames after an ID3 tag with its time (RFC 8216bis 3.1.3).

    :raises VerificationError: it has no frames, or damaged ones.
    """
    begin = Fraction(0)
    if data[:3] == b"ID3":
        size = data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]
        tag, data = data[: 10 + size], data[10 + size :]
        owner = b"com.apple.streaming.transportStreamTimestamp\x00"
        if owner in tag:
            at = tag.index(owner) + len(owner)
            begin = Fraction(int.from_bytes(tag[at : at + 8], "big"), CLOCK)
    frames = list(adts(data))
    if not frames:
        raise VerificationError("AAC: no frame in it")
    rate = Fraction(frames[0].sample_rate, AAC_FRAME)
    stream = Stream(
        kind="audio",
        begin=begin,
        shown=begin,
        duration=len(frames) / rate if rate else Fraction(0),
        samples=len(frames),
        size_bytes=len(data),
        rate=rate,
    )
    return SegmentFacts(size_bytes=size_bytes, container="aac", formats=(frames[0],), streams=(stream,))
