"""Headers of sound that frames itself, as in MPEG-TS and packed audio.

AAC in ADTS (ISO 14496-3, 1.A.2), MPEG audio (ISO 11172-3, 2.4.1; ISO 13818-3), AC-3 and E-AC-3
(ETSI TS 102 366).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from vod_operators.errors import VerificationError
from vod_operators.formats.dolby import BLOCK, KBPS, SPEAKERS, channels_of, read_unit
from vod_operators.formats.dolby import RATES as AC3_RATES
from vod_operators.formats.facts import Format, Stream
from vod_operators.formats.sample_entries import AAC_CHANNELS, RATES

AAC_FRAME = 1024
"""Samples a frame."""

HEADER_BYTES = 8
"""As many bytes of a frame as are read here."""

MAX_FRAME_BYTES = 1 << 13
"""ADTS has 13 bits for the size; frames of the others are smaller."""

CHAIN = 4
"""So many headers in a row are no accident: bytes that look like one come every few thousand bytes."""


class Frame(NamedTuple):
    """One frame, from its header."""

    size: int
    """Bytes, with the header."""
    samples: int
    """Samples of each channel; 0 if it is heard together with the frame before it."""
    sample_rate: int
    channels: int
    codecs: str
    """RFC 6381."""


Header = Callable[[bytes, int], Frame | None]
"""The frame whose header is at a place in the data, with ``HEADER_BYTES``; None if there is no header."""


def adts(data: bytes, at: int) -> Frame | None:
    """An AAC frame."""
    if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return None
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    index, channels = data[at + 2] >> 2 & 15, (data[at + 2] & 1) << 2 | data[at + 3] >> 6
    if size < 7 or index >= len(RATES):
        return None
    blocks, codecs = (data[at + 6] & 3) + 1, f"mp4a.40.{(data[at + 2] >> 6) + 1}"
    return Frame(size, blocks * AAC_FRAME, RATES[index], AAC_CHANNELS.get(channels, 0), codecs)


MPEG_RATES = (44_100, 48_000, 32_000)

MPEG_KBPS = {
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Whether it is MPEG-1, and the layer -> bitrates by their index, from 1 on."""


def mpeg_audio(data: bytes, at: int) -> Frame | None:
    """A frame of layer II or III (MP3)."""
    if data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    bitrate, rate = data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or layer not in (2, 3) or bitrate in (0, 15) or rate == 3:
        return None
    sample_rate = MPEG_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 576 if layer == 3 and version != 3 else 1152
    size = samples // 8 * MPEG_KBPS[version == 3, layer][bitrate - 1] * 1000 // sample_rate
    channels = 1 if data[at + 3] >> 6 == 3 else 2
    return Frame(size + (data[at + 2] >> 1 & 1), samples, sample_rate, channels, f"mp4a.40.{31 + layer}")


AC3_CHANNELS = tuple(map(channels_of, SPEAKERS))
"""By ``acmod``, without the LFE channel."""


def dolby(data: bytes, at: int) -> Frame | None:
    """A frame of AC-3 or E-AC-3."""
    if data[at] != 0x0B or data[at + 1] != 0x77:
        return None
    version = data[at + 5] >> 3
    return _ac3(data, at, version) if version <= 10 else _eac3(data, at) if version <= 16 else None


def _ac3(data: bytes, at: int, version: int) -> Frame | None:
    code, size_code = data[at + 4] >> 6, data[at + 4] & 63
    if code == 3 or size_code // 2 >= len(KBPS):
        return None
    rate = AC3_RATES[code]
    words = KBPS[size_code // 2] * 96_000 // rate + (size_code & 1 if rate == 44_100 else 0)
    mode = data[at + 6] >> 5
    # Mixing levels stand between the mode and the LFE bit, if there are such channels.
    before_lfe = 3 + 2 * (mode & 1 and mode != 1) + 2 * bool(mode & 4) + 2 * (mode == 2)
    lfe = (data[at + 6] << 8 | data[at + 7]) >> 15 - before_lfe & 1
    channels = AC3_CHANNELS[mode] + lfe
    return Frame(2 * words, 6 * BLOCK, rate >> max(version, 8) - 8, channels, "ac-3")


def _eac3(data: bytes, at: int) -> Frame | None:
    size = 2 * (((data[at + 2] & 7) << 8 | data[at + 3]) + 1)
    code, second = data[at + 4] >> 6, data[at + 4] >> 4 & 3
    if code == second == 3:
        return None
    rate, blocks = (AC3_RATES[second] >> 1, 6) if code == 3 else (AC3_RATES[code], (1, 2, 3, 6)[second])
    # Dependent substreams add channels to the independent one; substream 0 is the programme.
    is_main = data[at + 2] >> 6 != 1 and not data[at + 2] & 0x38
    channels = AC3_CHANNELS[data[at + 4] >> 1 & 7] + (data[at + 4] & 1)
    return Frame(size, blocks * BLOCK if is_main else 0, rate, channels, "ec-3")


def header_in(data: bytes) -> Header:
    """What reads the frames of a packed audio segment without its ID3 tags."""
    if data[:2] == b"\x0b\x77":
        return dolby
    return adts if data[1:2] and not data[1] & 6 else mpeg_audio


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The frames that begin in a part of a stream."""

    first: Frame
    starts: list[int]
    """First byte of each frame that is heard after the one before it."""
    channels: int
    """0 if a frame of other channels is heard with the first one."""
    starts_inside: bool
    """Whether a frame from before the part ends in it."""
    ends_inside: bool
    """Whether the last frame ends after the part."""
    joc: int = 0
    """As ``Format.joc``."""

    @property
    def frame_s(self) -> Fraction:
        """Seconds of a frame."""
        return Fraction(self.first.samples, self.first.sample_rate)

    def before(self, place: int) -> int:
        """Number of frames that begin before a byte."""
        return bisect_left(self.starts, place)

    def stream(self, begin: Fraction, size_bytes: int, gap: str | None = None) -> Stream:
        """They as a stream.

        :param begin: time of the first one.
        """
        return Stream(
            kind="audio",
            begin=begin,
            shown=begin,
            duration=len(self.starts) * self.frame_s,
            samples=len(self.starts),
            size_bytes=size_bytes,
            rate=1 / self.frame_s,
            gap=gap,
            starts_inside=self.starts_inside,
            ends_inside=self.ends_inside,
        )

    def format(self, *, encrypted: bool = False) -> Format:
        """How they are coded."""
        return Format(
            kind="audio",
            codecs=self.first.codecs,
            entry=self.first.codecs[:4],
            encrypted=encrypted,
            channels=self.channels,
            sample_rate=self.first.sample_rate,
            joc=self.joc,
        )


def frames_in(data: bytes, header: Header) -> Frames | None:
    """The frames that begin in the data; None if there is none.

    :raises VerificationError: bytes between frames are no frame.
    """
    begin = next((at for at in range(min(len(data), MAX_FRAME_BYTES)) if _begins(data, at, header)), None)
    if begin is None:
        raise VerificationError("sound: a frame does not begin with a header of its codec")
    at, starts, first, alone = begin, [], None, True
    while at + HEADER_BYTES <= len(data):
        if tag := id3_bytes(data, at):
            at += tag
            continue
        frame = header(data, at)
        if frame is None:
            raise VerificationError(f"sound: a frame does not begin with a header of its codec, at byte {at}")
        if frame.samples:
            starts.append(at)
            first = first or frame
        elif len(starts) == 1:
            alone = False
        at += frame.size
    if first is None:
        return None
    if at < len(data):  # less than a header
        starts.append(at)
    return Frames(
        first=first,
        starts=starts,
        channels=first.channels if alone else 0,
        starts_inside=begin > 0,
        ends_inside=at != len(data),
        joc=_objects_in(data[starts[0] : starts[1] if len(starts) > 1 else None]) if header is dolby else 0,
    )


def _objects_in(data: bytes) -> int:
    """The complexity index of the objects in an access unit; 0 if it has none, or cannot be understood."""
    unit = read_unit(data)
    return unit.format.joc if unit else 0


def _begins(data: bytes, at: int, header: Header) -> bool:
    """Whether frames follow each other from that byte on."""
    for _ in range(CHAIN):
        if at + HEADER_BYTES > len(data):
            return True
        frame = header(data, at)
        tag = 0 if frame else id3_bytes(data, at)
        if frame is None and not tag:
            return False
        at += frame.size if frame else tag
    return True


def id3_bytes(data: bytes, at: int) -> int:
    """Size of the ID3v2 tag that begins at that byte; 0 if none does."""
    if data[at : at + 3] != b"ID3" or at + 10 > len(data):
        return 0
    size = data[at + 6] << 21 | data[at + 7] << 14 | data[at + 8] << 7 | data[at + 9]
    return 10 + size + (10 if data[at + 5] & 0x10 else 0)
