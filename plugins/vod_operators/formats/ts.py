"""MPEG-2 transport streams and packed audio -> facts (ISO 13818-1, RFC 8216bis 3.1.1, 3.1.3)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

from vod_operators.errors import VerificationError
from vod_operators.formats import audio_frames, nal
from vod_operators.formats.facts import Codec, Format, Key, SegmentFacts, Stream
from vod_operators.formats.order import PictureOrder
from vod_operators.formats.psi import (
    PACKET,
    PADDING,
    SYNC,
    descriptors,
    payload_of,
    pid_at,
    programmes_in,
    section_in,
    streams_in,
    u16,
)

CLOCK = 90_000
WRAP = 1 << 33
"""Ticks after which the clock begins again."""
WRAP_S = Fraction(WRAP, CLOCK)
"""X-TIMESTAMP-MAP wraps as MPEG-TS does; fragmented MP4 counts on."""

AVC, HEVC, PRIVATE = 0x1B, 0x24, 0x06
PICTURES: dict[int, Codec] = {AVC: "h264", HEVC: "hevc", 0xDB: "h264"}
SOUND = {
    0x03: audio_frames.mpeg_audio,
    0x04: audio_frames.mpeg_audio,
    0x0F: audio_frames.adts,
    0x81: audio_frames.dolby,
    0x87: audio_frames.dolby,
    0xC1: audio_frames.dolby,
    0xC2: audio_frames.dolby,
    0xCF: audio_frames.adts,
}
SAMPLE_AES = (0xC1, 0xC2, 0xCF, 0xDB)
DVB = {0x6A: 0x81, 0x7A: 0x87}
"""Descriptors of private streams (ETSI EN 300 468, annex D) -> stream type of the same coding elsewhere."""

REGISTERED = {b"AC-3": 0x81, b"EAC3": 0x87, b"HEVC": HEVC}
"""Registrations of private streams (ISO 13818-1, 2.6.8) -> stream type of the same coding elsewhere."""
FOREIGN = {0x01: "MPEG-1 video", 0x02: "MPEG-2 video", 0x10: "MPEG-4 video", 0x11: "AAC in LATM",
           0x33: "VVC"}  # fmt: skip
FOREIGN_REGISTERED = {b"Opus": "Opus", b"AC-4": "AC-4", b"AV01": "AV1", b"VVC ": "VVC", b"BSSD": "PCM",
                      b"DTS1": "DTS", b"DTS2": "DTS", b"DTS3": "DTS"}  # fmt: skip
"""Pictures and sound that are not read, because HLS does not have them in MPEG-TS."""

Times = tuple[int, int]
"""Decoding and presentation time, in ticks."""


class _Elementary:
    """An elementary stream, out of the payloads of its packets."""

    def __init__(self, kind: int, unwrapped: Callable[[Times], Times]) -> None:
        self.encrypted = kind in SAMPLE_AES
        self.times: list[Times] = []
        self.size = 0
        self._unwrapped = unwrapped
        self._pes_at = 0
        self._header: bytes | None = None
        """Begin of a PES packet whose header is not complete."""

    def take(self, payload: bytes, at: int, starts: bool) -> None:
        """Add the payload of the transport packet at ``at``.

        :param starts: whether a PES packet begins with it.
        """
        if starts:
            self._header, self._pes_at = b"", at
        if self._header is not None:
            payload = self._header = self._header + payload
            if len(payload) < 9 or len(payload) < 9 + payload[8]:
                return
            if payload[:3] != b"\x00\x00\x01":
                raise VerificationError("MPEG-TS: a PES packet does not begin with its start code")
            if payload[7] & 0x80:
                shown = _time(payload, 9)
                decoded = _time(payload, 14) if payload[7] & 0x40 else shown
                self._begin(self._unwrapped((decoded, shown)), self._pes_at)
            payload, self._header = payload[9 + payload[8] :], None
        self._add(payload, at + PACKET)

    def _begin(self, times: Times, at: int) -> None:
        """Bytes with these times follow."""
        self.times.append(times)

    def _add(self, payload: bytes, end: int) -> None:
        """Take bytes of the stream, whose packet ends at ``end``."""
        self.size += len(payload)

    def described(self) -> tuple[Format | None, Stream] | None:
        """What was in it, and its format if it tells; None if nothing with a time."""
        raise NotImplementedError


class _Pictures(_Elementary):
    """Pictures: each begins with a PES packet that has a time."""

    def __init__(self, kind: int, unwrapped: Callable[[Times], Times]) -> None:
        super().__init__(kind, unwrapped)
        self._codec = PICTURES[kind]
        self._format: Format | None = None
        self._keys: list[Key] = []
        self._starts_with_idr = self._captions = self._enhanced = False
        self._order = PictureOrder(self._codec)
        self._picture = bytearray()
        self._at = self._end = 0

    def _begin(self, times: Times, at: int) -> None:
        self._close()
        self._picture, self._at = bytearray(), at
        super()._begin(times, at)

    def _add(self, payload: bytes, end: int) -> None:
        super()._add(payload, end)
        self._picture += payload
        self._end = end

    def _close(self) -> None:
        """Look into the picture that is complete now; what comes before the first time is of none."""
        if not self.times:
            return
        units = [unit for unit in nal.in_byte_stream(bytes(self._picture)) if unit]
        self._captions = self._captions or nal.CAPTIONS in self._picture
        self._enhanced = self._enhanced or nal.is_enhanced(units, self._codec)
        self._order.take(units)
        if nal.is_idr(units, self._codec):
            at = Fraction(self.times[-1][0], CLOCK)
            self._keys.append(Key(begin=self._at, end=self._end, at=at, is_idr=True))
            self._starts_with_idr = self._starts_with_idr or len(self.times) == 1
        if self._format is None:
            parameters, read = (7, nal.avc_format) if self._codec == "h264" else (33, nal.hevc_format)
            unit = next((unit for unit in units if nal.kind_of(unit, self._codec) == parameters), None)
            self._format = read(unit).model_copy(update={"encrypted": self.encrypted}) if unit else None

    def described(self) -> tuple[Format | None, Stream] | None:
        self._close()
        if not self.times:
            return None
        decoded, shown = [time for time, _ in self.times], sorted(time for _, time in self.times)
        span = Fraction(shown[-1] - shown[0], CLOCK)
        # The last picture lasts as long as the average of the others: 90 kHz ticks are rounded.
        step = span / (len(shown) - 1) if len(shown) > 1 else Fraction(0)
        return self._format, Stream(
            kind="video",
            begin=Fraction(decoded[0], CLOCK),
            shown=Fraction(shown[0], CLOCK),
            duration=span + step,
            decoded_s=Fraction(decoded[-1] - decoded[0], CLOCK) + step,
            samples=len(shown),
            size_bytes=self.size,
            rate=1 / step if step else Fraction(0),
            starts_with_idr=self._starts_with_idr,
            keys=tuple(self._keys),
            gap=_backward(decoded),
            captions=self._captions,
            enhanced=self._enhanced,
            encrypted=self.encrypted,
            lacks_composition=self._order.is_reordered
            and len({late - early for early, late in self.times}) == 1,
        )


class _Sound(_Elementary):
    """Sound: frames may begin and end anywhere in PES packets, and in segments."""

    def __init__(self, kind: int, unwrapped: Callable[[Times], Times]) -> None:
        super().__init__(kind, unwrapped)
        self._header_of = SOUND[kind]
        self._data = bytearray()
        self._first_place = 0
        """First byte that the first time speaks of: that of the frame that begins there, or next."""

    def _begin(self, times: Times, at: int) -> None:
        if not self.times:
            self._first_place = len(self._data)
        super()._begin(times, at)

    def _add(self, payload: bytes, end: int) -> None:
        super()._add(payload, end)
        self._data += payload

    def described(self) -> tuple[Format | None, Stream] | None:
        frames = audio_frames.frames_in(bytes(self._data), self._header_of) if self.times else None
        if frames is None:
            return None
        begin = Fraction(self.times[0][0], CLOCK) - frames.before(self._first_place) * frames.frame_s
        gap = _backward([time for time, _ in self.times])
        return frames.format(encrypted=self.encrypted), frames.stream(begin, self.size, gap)


def _backward(decoded: list[int]) -> str | None:
    return "its times go backward" if any(a >= b for a, b in pairwise(decoded)) else None


def _time(data: bytes, at: int) -> int:
    return (data[at] >> 1 & 7) << 30 | u16(data, at + 1) >> 1 << 15 | u16(data, at + 3) >> 1


class _Clock:
    """Times of a clock of 33 bits, as one that counts on."""

    def __init__(self) -> None:
        self._last: int | None = None

    def unwrapped(self, times: Times) -> Times:
        """The times next to the last ones, of whatever stream."""
        decoded, shown = times
        self._last = decoded = nearest(decoded, decoded if self._last is None else self._last)
        return decoded, nearest(shown, decoded)


def nearest(time: int, to: int) -> int:
    """The time that the clock shows as ``time`` and that is nearest to another."""
    return time + (to - time + WRAP // 2) // WRAP * WRAP


class _Counters:
    """Continuity counters of each PID (ISO 13818-1, 2.4.3.3)."""

    def __init__(self) -> None:
        self.ends: dict[int, tuple[int, int]] = {}
        """First and last one."""
        self.error: str | None = None

    def take(self, packet: bytes, pid: int, at: int) -> None:
        """Count a packet with a payload."""
        counter = packet[3] & 15
        first, last = self.ends.get(pid, (counter, counter - 1 & 15))
        is_declared = packet[3] & 0x20 and packet[4] and packet[5] & 0x80  # discontinuity_indicator
        if counter != last + 1 & 15 and not is_declared and self.error is None:
            self.error = f"PID {pid}: counter {counter} after {last} in packet {at // PACKET}"
        self.ends[pid] = (first, counter)


def read_segment(data: bytes, size_bytes: int) -> SegmentFacts:
    """The facts of an MPEG-TS segment; for the parameters see ``measure_segment``.

    :raises VerificationError: it is not whole packets, or has neither picture nor sound.
    """
    if len(data) % PACKET or not data or any(data[at] != SYNC for at in range(0, len(data), PACKET)):
        raise VerificationError("MPEG-TS: it is not whole packets of 188 bytes that begin with 0x47")
    programmes, kinds, unread, tables_first = _tables(data)
    clock, counters = _Clock(), _Counters()
    streams = {
        pid: (_Pictures if kind in PICTURES else _Sound)(kind, clock.unwrapped) for pid, kind in kinds.items()
    }
    for at in range(0, len(data), PACKET):
        packet = data[at : at + PACKET]
        pid = pid_at(packet, 0)
        if pid != PADDING and packet[3] & 0x10:
            counters.take(packet, pid, at)
            if stream := streams.get(pid):
                stream.take(packet[payload_of(packet) :], at, bool(packet[1] & 0x40))
    described = [known for stream in streams.values() if (known := stream.described())]
    if not described:
        raise VerificationError(f"MPEG-TS: {' and '.join(unread) or 'no picture and no sound'} in it")
    return SegmentFacts(
        size_bytes=size_bytes,
        container="ts",
        formats=tuple(known for known, _ in described if known),
        streams=tuple(stream for _, stream in described),
        counters=counters.ends,
        counter_error=counters.error,
        programmes=programmes,
        unread=unread,
        tables_first=tables_first,
    )


def _tables(data: bytes) -> tuple[int, dict[int, int], tuple[str, ...], bool]:
    """Number of programmes, PID -> stream type of what can be read, what else there is, and whether tables
    are the first packets.

    The first list of programmes and the first map are taken, wherever they are.
    """
    programmes: dict[int, int] = {}
    for at in range(0, len(data), PACKET):
        pid = pid_at(data, at)
        if data[at + 1] & 0x40 and (pid == 0 or pid in programmes.values()):
            section = section_in(data[at : at + PACKET])
            if section and pid:
                kinds = {stream: _kind(kind, described) for stream, kind, described in streams_in(section)}
                known = {stream: kind for stream, kind in kinds.items() if kind in PICTURES or kind in SOUND}
                unread = tuple(
                    name for _, kind, told in streams_in(section) if (name := _foreign(kind, told))
                )
                return len(programmes), known, unread, at == PACKET
            programmes = programmes_in(section) or programmes
    return len(programmes), {}, (), False


def _kind(kind: int, described: bytes) -> int:
    """The stream type, also of a private stream whose descriptors tell what it is."""
    if kind != PRIVATE:
        return kind
    dvb = (DVB[tag] for tag, _ in descriptors(described) if tag in DVB)
    return next(dvb, REGISTERED.get(_registration(described), kind))


def _registration(described: bytes) -> bytes:
    return next((content[:4] for tag, content in descriptors(described) if tag == 5), b"")


def _foreign(kind: int, described: bytes) -> str | None:
    """The coding of pictures or sound that are not read; None of what is read, or is neither."""
    named = FOREIGN_REGISTERED.get(_registration(described)) if kind == PRIVATE else None
    return named or FOREIGN.get(kind)


def read_packed_audio(data: bytes, size_bytes: int) -> SegmentFacts:
    """The facts of a packed audio segment: frames after an ID3 tag with their time (RFC 8216bis 3.1.3).

    :raises VerificationError: it has no frames, or damaged ones.
    """
    time, at = None, 0
    while size := audio_frames.id3_bytes(data, at):
        time = _tagged_time(data[at : at + size]) if time is None else time
        at += size
    frames = audio_frames.frames_in(data[at:], audio_frames.header_in(data[at:]))
    if frames is None:
        raise VerificationError("sound: no frame in it")
    return SegmentFacts(
        size_bytes=size_bytes,
        container="aac",
        formats=(frames.format(),),
        streams=(frames.stream(Fraction(time or 0, CLOCK), len(data) - at),),
        has_time=time is not None,
    )


def _tagged_time(tag: bytes) -> int | None:
    """The time in an ID3 tag, in ticks; None if it has none."""
    _, owner, value = tag.partition(b"com.apple.streaming.transportStreamTimestamp\x00")
    return int.from_bytes(value[:8], "big") if owner and len(value) >= 8 else None


def continued(facts: SegmentFacts, before: SegmentFacts | None) -> SegmentFacts:
    """A segment's facts with times that count on from the segment before, also where the clock began again.

    Packed audio without a time begins where the segment before ends.

    :param before: facts that this returned for it; None if there is none on the same clock.
    """
    if before is None or facts.container not in ("ts", "aac") or not facts.streams:
        return facts
    end = before.streams[0].begin + before.streams[0].duration
    late = end - facts.streams[0].begin
    shift = late if facts.has_time is False else round(late / WRAP_S) * WRAP_S
    return facts.model_copy(update={"streams": tuple(_later(stream, shift) for stream in facts.streams)})


def _later(stream: Stream, shift: Fraction) -> Stream:
    keys = tuple(key.model_copy(update={"at": key.at + shift}) for key in stream.keys)
    times = {"begin": stream.begin + shift, "shown": stream.shown + shift, "keys": keys}
    return stream.model_copy(update=times) if shift else stream
