"""Dolby's sound (AC-3 and E-AC-3, ETSI TS 102 366): decoder configurations and frames -> formats.

A sample of MP4 is an *access unit*: one frame of the programme, or up to six short ones, each with the frames
of its dependent substreams, which add loudspeakers. Objects (Dolby Atmos) are told by two bytes of the field
``addbsi``, and the same two at the end of ``dec3`` (ETSI TS 103 420).
"""

from __future__ import annotations

from typing import NamedTuple

from vod_operators.formats.bits import Bits
from vod_operators.formats.facts import Format

ENTRIES = ("ac-3", "ec-3")
"""Sample entries, which are also the names of the codecs (RFC 6381)."""

BLOCK = 256
"""Samples."""

UNIT_SAMPLES = 6 * BLOCK
"""Samples of an access unit."""

RATES = (48_000, 44_100, 32_000)

KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
"""Bitrates of AC-3, by half its code of the frame's size."""

LFE = 0x0001
SPEAKERS = (0xA000, 0x4000, 0xA000, 0xE000, 0xA100, 0xE100, 0xB800, 0xF800)
"""By ``acmod``: the loudspeakers without the LFE, in the bits of ``chanmap`` (annex E): L, C, R, Ls, Rs,
Lc/Rc, Lrs/Rrs, Cs, Ts, Lsd/Rsd, Lw/Rw, Lvh/Rvh, Cvh, Lts/Rts, LFE2, LFE from the highest bit on."""

PAIRS = 0x0400 | 0x0200 | 0x0040 | 0x0020 | 0x0010 | 0x0004
"""Those bits that stand for two loudspeakers."""

LOCATIONS = (0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010, 0x0008, 0x0002)
"""What the bits of ``chan_loc`` in ``dec3`` stand for, from the lowest bit on (annex F)."""

HEADER_BYTES = 192
"""More than a frame's header has: ``mixdata`` up to 33 bytes, ``addbsi`` 64, all else less than 60."""


class Frame(NamedTuple):
    """One frame, from its header."""

    size: int
    """Bytes."""
    samples: int
    sample_rate: int
    entry: str
    speakers: int
    """In the bits of ``chanmap``."""
    is_dependent: bool
    """Whether it only adds loudspeakers to the frame before."""
    substream: int
    joc: int
    """Complexity index of the objects; 0: it has none."""


def channels_of(speakers: int) -> int:
    """Number of loudspeakers."""
    return speakers.bit_count() + (speakers & PAIRS).bit_count()


def read_frame(data: bytes, at: int) -> Frame | None:
    """The frame whose header is at that byte; None if there is no header, or not the whole of it."""
    if data[at : at + 2] != b"\x0b\x77" or at + 8 > len(data):
        return None
    version = data[at + 5] >> 3
    try:
        bits = Bits(data[at + 2 : at + HEADER_BYTES])
        return _read_ac3(bits, version) if version <= 10 else _read_eac3(bits) if version <= 16 else None
    except IndexError:
        return None


def _read_ac3(bits: Bits, version: int) -> Frame | None:
    bits.u(16)  # crc1
    code, size_code = bits.u(2), bits.u(6)
    if code == 3 or size_code // 2 >= len(KBPS):
        return None
    rate = RATES[code]
    words = KBPS[size_code // 2] * 96_000 // rate + (size_code & 1 if rate == 44_100 else 0)
    bits.u(8)  # bsid, bsmod
    mode = bits.u(3)
    bits.u(2 * ((mode & 1 and mode != 1) + bool(mode & 4) + (mode == 2)))  # mixing levels
    speakers = SPEAKERS[mode] | bits.u(1) * LFE
    return Frame(2 * words, UNIT_SAMPLES, rate >> max(version, 8) - 8, "ac-3", speakers, False, 0, 0)


def _read_eac3(bits: Bits) -> Frame | None:
    kind, substream, words = bits.u(2), bits.u(3), bits.u(11) + 1
    code, second = bits.u(2), bits.u(2)
    if kind == 3 or code == second == 3:
        return None
    rate, blocks = (RATES[second] >> 1, 6) if code == 3 else (RATES[code], (1, 2, 3, 6)[second])
    mode, lfe = bits.u(3), bits.u(1)
    bits.u(5)  # bsid
    for _ in range(2 if mode == 0 else 1):
        bits.u(5)  # dialnorm
        _skip(bits, 8)  # compr
    speakers = SPEAKERS[mode] | lfe * LFE
    if kind == 1 and bits.flag():
        speakers = bits.u(16)
    if bits.flag():
        _skip_mixing(bits, kind, mode, lfe, blocks)
    if bits.flag():
        _skip_information(bits, mode, has_source_rate=code < 3)
    if kind == 0 and blocks != 6:
        bits.u(1)  # convsync
    if kind == 2 and (blocks == 6 or bits.flag()):
        bits.u(6)  # frmsizecod
    joc = 0
    if bits.flag() and bits.u(6) >= 1:  # addbsi of two bytes and more
        joc = bits.u(16)
        joc = joc & 0xFF if joc >> 8 == 1 else 0
    return Frame(2 * words, blocks * BLOCK, rate, "ec-3", speakers, kind == 1, substream, joc)


def _skip(bits: Bits, count: int) -> None:
    """Skip a field that is there if the bit before it says so."""
    if bits.flag():
        bits.u(count)


def _skip_mixing(bits: Bits, kind: int, mode: int, lfe: int, blocks: int) -> None:
    """Skip the mixing metadata (annex E)."""
    bits.u(2 * (mode > 2) + 6 * (mode & 1 and mode > 2) + 6 * bool(mode & 4))
    if lfe:
        _skip(bits, 5)
    if kind:
        return
    for _ in range(3 if mode == 0 else 2):
        _skip(bits, 6)  # scale factors of the programme, and of an external one
    option = bits.u(2)
    bits.u((0, 5, 12, 0)[option])
    if option == 3:
        bits.u(8 * (bits.u(5) + 2))
    for _ in range({0: 2, 1: 1}.get(mode, 0)):
        _skip(bits, 14)  # panning
    if bits.flag():
        for _ in range(blocks):
            if blocks == 1:
                bits.u(5)
            else:
                _skip(bits, 5)


def _skip_information(bits: Bits, mode: int, *, has_source_rate: bool) -> None:
    """Skip the informational metadata (annex E)."""
    bits.u(5 + 4 * (mode == 2) + 2 * (mode >= 6))
    for _ in range(2 if mode == 0 else 1):
        _skip(bits, 8)
    bits.u(int(has_source_rate))


MAX_FRAMES = 6 * 16
"""Most frames of an access unit: six short ones of each of eight programmes, each with a dependent one."""


class Unit(NamedTuple):
    """One access unit."""

    samples: int
    format: Format


def read_unit(data: bytes) -> Unit | None:
    """The access unit that the data are, of the first programme; None if they are anything else."""
    at, samples, speakers, joc, first = 0, 0, 0, 0, None
    for _ in range(MAX_FRAMES):
        if at >= len(data):
            break
        frame = read_frame(data, at)
        if frame is None or at + frame.size > len(data) or (first is None and frame.is_dependent):
            return None
        first = first or frame
        if frame.entry != first.entry:
            return None
        if not frame.is_dependent and frame.substream == 0:
            samples += frame.samples
        if frame.is_dependent or frame.substream == 0:
            speakers, joc = speakers | frame.speakers, max(joc, frame.joc)
        at += frame.size
    if first is None or at < len(data):
        return None
    return Unit(samples, _format(first.entry, speakers, first.sample_rate, joc))


def _format(entry: str, speakers: int, rate: int, joc: int) -> Format:
    return Format(
        kind="audio",
        codecs=entry,
        entry=entry,
        channels=channels_of(speakers),
        sample_rate=rate,
        speakers=speakers,
        joc=joc,
    )


def of_dac3(config: bytes) -> Format:
    """The format that an ``AC3SpecificBox`` describes (annex F).

    :raises IndexError: it is damaged.
    """
    bits = Bits(config)
    code, version = bits.u(2), bits.u(5)
    bits.u(3)  # bsmod
    speakers = SPEAKERS[bits.u(3)] | bits.u(1) * LFE
    return _format("ac-3", speakers, RATES[code] >> max(version, 8) - 8, 0)


def of_dec3(config: bytes) -> Format:
    """The format of the first programme that an ``EC3SpecificBox`` describes (annex F; TS 103 420).

    :raises IndexError: it is damaged.
    """
    bits = Bits(config)
    bits.u(13)  # data rate
    programmes = bits.u(3) + 1
    speakers = rate = 0
    for number in range(programmes):
        code = bits.u(2)
        bits.u(5 + 1 + 1 + 3)  # bsid, reserved, asvc, bsmod
        mode, lfe = bits.u(3), bits.u(1)
        bits.u(3)
        added = bits.u(9) if bits.u(4) else bits.u(1) and 0
        if number == 0:
            rate = RATES[code] if code < 3 else 0
            speakers = SPEAKERS[mode] | lfe * LFE
            speakers |= sum(place for n, place in enumerate(LOCATIONS) if added >> n & 1)
    used = (16 + programmes * 24) // 8 + sum(_has_dependent(config, programmes))
    has_extension = len(config) >= used + 2 and config[used] & 1
    return _format("ec-3", speakers, rate, config[used + 1] if has_extension else 0)


def _has_dependent(config: bytes, programmes: int) -> list[bool]:
    """Of each programme, whether it has dependent substreams, and so one byte more."""
    found, at = [], 2
    for _ in range(programmes):
        found.append(bool(config[at + 2] >> 1 & 15))
        at += 4 if found[-1] else 3
    return found


def with_locations(config: bytes, speakers: int) -> bytes:
    """An ``EC3SpecificBox`` of one programme that names these loudspeakers of its dependent substreams.

    ffmpeg writes other bits of ``chan_loc`` than the specification has.
    """
    if config[1] & 7 or not config[4] >> 1 & 15:
        return config
    added = sum(1 << n for n, place in enumerate(LOCATIONS) if speakers & place)
    value = int.from_bytes(config[2:6], "big") & ~0x1FF | added
    return config[:2] + value.to_bytes(4, "big") + config[6:]
