"""H.264 and H.265: parameter sets -> formats, and which pictures are IDR (ITU-T H.264 7.3, H.265 7.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from vod_operators.formats.bits import Bits, signalled, unescaped
from vod_operators.formats.facts import RANGES, Cicp, Codec, Format
from vod_operators.formats.hdr import StaticMetadata, of_payloads

AVC, HEVC = "avc1", "hvc1"

AVC_SLICES, AVC_IDR = range(1, 6), (5,)
HEVC_SLICES, HEVC_IDR = range(32), (19, 20)
"""``IDR_W_RADL`` and ``IDR_N_LP``. Not ``CRA``: its leading pictures may refer to pictures before it."""

CAPTIONS = b"\xb5\x00\x31GA94\x03"
"""Beginning of user data (ITU-T T.35, ATSC A/53) with CEA-608 and CEA-708 captions, whose channels follow."""

_ENHANCEMENT = re.compile(rb"\x04\xff*[^\xff]\xb4\x00\x50", re.DOTALL)
"""Begin of user data (ITU-T T.35) with LCEVC (MPEG-5 part 2): type, size, country, and V-Nova as provider."""

_CHROMA_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)


def in_sample(sample: bytes | memoryview, length_size: int = 4) -> Iterator[bytes]:
    """NAL units of an MP4 sample."""
    at, end = 0, len(sample)
    while at + length_size < end:
        size = int.from_bytes(sample[at : at + length_size], "big")
        at += length_size
        yield bytes(sample[at : at + size])
        at += size


def in_byte_stream(data: bytes) -> Iterator[bytes]:
    """NAL units of an Annex B byte stream."""
    for unit in data.split(b"\x00\x00\x01")[1:]:
        yield unit.rstrip(b"\x00")


def kind_of(nal: bytes, codec: Codec) -> int:
    """``nal_unit_type`` of a NAL unit.

    :param codec: ``h264`` or ``hevc``.
    """
    return nal[0] & 0x1F if codec == "h264" else nal[0] >> 1 & 0x3F


def is_idr(nals: Iterable[bytes], codec: Codec) -> bool:
    """Whether the first slice of a picture is of an IDR picture."""
    slices, idr = (AVC_SLICES, AVC_IDR) if codec == "h264" else (HEVC_SLICES, HEVC_IDR)
    kinds = (kind_of(nal, codec) for nal in nals if nal)
    return next((kind for kind in kinds if kind in slices), None) in idr


MASTERING_DISPLAY, LIGHT_LEVEL, ALTERNATIVE_TRANSFER = 137, 144, 147
"""Payload types of H.265's SEIs (D.2.28, D.2.35, D.2.38)."""


def hevc_seis(nals: Iterable[bytes]) -> dict[int, bytes]:
    """Payload of each prefix SEI message of H.265, by its type (7.3.5); the first of each type.

    Messages that are cut off are left out.
    """
    found: dict[int, bytes] = {}
    for unit in nals:
        if len(unit) < 4 or kind_of(unit, "hevc") != 39:
            continue
        data, at = unescaped(unit[2:]), 0
        while at + 2 < len(data):  # the rest is the stop bit
            numbers = []
            for _ in range(2):  # type and size
                number = 0
                while at < len(data) and data[at] == 255:
                    number, at = number + 255, at + 1
                numbers.append(number + (data[at] if at < len(data) else 0))
                at += 1
            kind, size = numbers
            if at + size > len(data):
                break
            found.setdefault(kind, data[at : at + size])
            at += size
    return found


def static_metadata(seis: Mapping[int, bytes]) -> StaticMetadata:
    """What ``hevc_seis`` found of mastering display and light level."""
    return of_payloads(seis.get(MASTERING_DISPLAY), seis.get(LIGHT_LEVEL))


def prefers_hlg(seis: Mapping[int, bytes]) -> bool:
    """Whether ``hevc_seis`` found HLG as the alternative transfer characteristics."""
    return RANGES.get(seis.get(ALTERNATIVE_TRANSFER, b"\0")[0]) == "HLG"


def is_enhanced(nals: Iterable[bytes], codec: Codec) -> bool:
    """Whether SEIs hold an LCEVC enhancement of the picture.

    :param codec: ``h264`` or ``hevc``.
    """
    kind = 6 if codec == "h264" else 39
    return any(kind_of(nal, codec) == kind and bool(_ENHANCEMENT.search(nal)) for nal in nals if nal)


# --- H.264 ----------------------------------------------------------------------------------


class AvcHead(NamedTuple):
    """An H.264 sequence parameter set up to its picture order counts (7.3.2.1.1)."""

    profile: int
    constraints: int
    level: int
    number: int
    chroma: int
    """``chroma_format_idc``; 0 also for separate colour planes."""
    separate: bool
    frame_bits: int
    """Bits of ``frame_num``."""
    order_bits: int
    """Bits of ``pic_order_cnt_lsb``; 0 if there is none."""
    depth: int
    """Bits of a luma sample."""


def avc_head(bits: Bits) -> AvcHead:
    """The head of a sequence parameter set.

    :param bits: after the NAL header.
    """
    profile, constraints, level = bits.u(8), bits.u(8), bits.u(8)
    number, chroma, separate, depth = bits.ue(), 1, False, 8
    if profile in _CHROMA_PROFILES:
        chroma = bits.ue()
        separate = bits.flag() if chroma == 3 else False
        depth += bits.ue()
        bits.ue(), bits.u(1)  # depth of chroma, transform bypass
        if bits.flag():
            for index in range(12 if chroma == 3 else 8):
                if bits.flag():
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
        chroma = 0 if separate else chroma
    frame_bits, order, order_bits = bits.ue() + 4, bits.ue(), 0
    if order == 0:
        order_bits = bits.ue() + 4
    elif order == 1:
        bits.u(1), bits.se(), bits.se()
        for _ in range(bits.ue()):
            bits.se()
    return AvcHead(profile, constraints, level, number, chroma, separate, frame_bits, order_bits, depth)


def avc_format(sps: bytes, entry: str = AVC) -> Format:
    """The format that a sequence parameter set describes.

    :param sps: with its NAL header.
    """
    bits = Bits(unescaped(sps[1:]))
    head = avc_head(bits)
    chroma = head.chroma
    bits.ue(), bits.u(1)
    columns, rows, frames_only = bits.ue() + 1, bits.ue() + 1, bits.flag()
    if not frames_only:
        bits.u(1)
    bits.u(1)
    left, right, top, bottom = (bits.ue() for _ in range(4)) if bits.flag() else (0, 0, 0, 0)
    across, down = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1) * (1 if frames_only else 2)
    width = 16 * columns - across * (left + right)
    shape, colour = signalled(bits)
    return Format(
        kind="video",
        codecs=f"{entry}.{head.profile:02x}{head.constraints:02x}{head.level:02x}",
        entry=entry,
        profile=head.profile,
        level=head.level,
        width=width,
        shown_width=round(width * shape) if shape != 1 else 0,
        height=16 * rows * (1 if frames_only else 2) - down * (top + bottom),
        interlaced=not frames_only,
        video_range=RANGES.get(colour[1], "SDR"),
        depth=head.depth,
        colour=Cicp(*colour),
    )


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


# --- H.265 ----------------------------------------------------------------------------------


def hevc_codecs(entry: str, head: bytes) -> str:
    """RFC 6381 string of HEVC (ISO 14496-15 E.3).

    :param head: the 12 bytes of general profile, tier and level.
    """
    space, tier, profile = head[0] >> 6, head[0] >> 5 & 1, head[0] & 31
    flags = int(f"{int.from_bytes(head[1:5], 'big'):032b}"[::-1], 2)
    constraints = head[5:11].rstrip(b"\x00")
    letter = ("", "A", "B", "C")[space]
    text = f"{entry}.{letter}{profile}.{flags:X}.{'LH'[tier]}{head[11]}"
    return "".join([text, *(f".{byte:X}" for byte in constraints)])


class HevcHead(NamedTuple):
    """An H.265 sequence parameter set up to the size of the pictures (7.3.2.2.1)."""

    general: bytes
    """12 bytes of general profile, tier and level."""
    interlaced: bool
    sub_layers: int
    number: int
    chroma: int
    separate: bool


def hevc_head(raw: bytes) -> tuple[HevcHead, Bits]:
    """The head of a sequence parameter set, and its bits after that.

    :param raw: without its NAL header and emulation prevention.
    """
    bits = Bits(raw)
    bits.u(4)
    sub_layers = bits.u(3)
    bits.u(1), bits.u(40)
    progressive, interlaced = bits.flag(), bits.flag()
    bits.u(46), bits.u(8)
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    if sub_layers:
        bits.u(2 * (8 - sub_layers))
    for profile, level in present:
        bits.u(88 * profile), bits.u(8 * level)
    number, chroma = bits.ue(), bits.ue()
    separate = bits.flag() if chroma == 3 else False
    return HevcHead(raw[1:13], interlaced and not progressive, sub_layers, number, chroma, separate), bits


def hevc_format(sps: bytes, entry: str = HEVC) -> Format:
    """The format that a sequence parameter set describes.

    :param sps: with its NAL header.
    """
    (head, interlaced, sub_layers, _, chroma, _), bits = hevc_head(unescaped(sps[2:]))
    width, height = bits.ue(), bits.ue()
    if bits.flag():
        left, right, top, bottom = (bits.ue() for _ in range(4))
        width -= (2 if chroma in (1, 2) else 1) * (left + right)
        height -= (2 if chroma == 1 else 1) * (top + bottom)
    depth, shape, colour = _hevc_vui(bits, sub_layers)
    return Format(
        kind="video",
        codecs=hevc_codecs(entry, head),
        entry=entry,
        profile=head[0] & 31,
        level=head[11],
        width=width,
        height=height,
        interlaced=interlaced,
        shown_width=round(width * shape) if shape != 1 else 0,
        video_range=RANGES.get(colour[1], "SDR"),
        depth=depth,
        colour=Cicp(*colour),
    )


def _hevc_vui(bits: Bits, sub_layers: int) -> tuple[int, Fraction, tuple[int, int, int]]:
    """Bits of a luma sample, shape of its pixels, and colours."""
    depth = 8 + bits.ue()
    bits.ue()  # depth of chroma
    order_bits = bits.ue() + 4
    for _ in range(sub_layers + 1 if bits.flag() else 1):
        bits.ue(), bits.ue(), bits.ue()
    for _ in range(6):
        bits.ue()
    if bits.flag() and bits.flag():
        _skip_hevc_scaling(bits)
    bits.u(2)
    if bits.flag():  # PCM
        bits.u(8), bits.ue(), bits.ue(), bits.u(1)
    deltas: list[int] = []
    for number in range(bits.ue()):
        deltas.append(_reference_set(bits, number, deltas))
    if bits.flag():
        for _ in range(bits.ue()):
            bits.u(order_bits + 1)
    bits.u(2)
    return depth, *signalled(bits)


def _skip_hevc_scaling(bits: Bits) -> None:
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.flag():
                bits.ue()
                continue
            if size > 1:
                bits.se()
            for _ in range(min(64, 1 << (4 + 2 * size))):
                bits.se()


def _reference_set(bits: Bits, number: int, before: list[int]) -> int:
    """Number of pictures in a short-term reference picture set (H.265 7.3.7)."""
    if number and bits.flag():
        bits.u(1), bits.ue()
        # A picture counts if used_by_curr_pic_flag or, read only without that, use_delta_flag is set.
        return sum(bits.flag() or bits.flag() for _ in range(before[-1] + 1))
    counts = bits.ue(), bits.ue()
    for _ in range(sum(counts)):
        bits.ue(), bits.u(1)
    return sum(counts)
