"""AV1: sequence header -> format, and which samples are key frames (AV1 5.5, 5.9; AV1-ISOBMFF)."""

from __future__ import annotations

from collections.abc import Iterator

from vod_operators.formats.bits import Bits
from vod_operators.formats.facts import RANGES, Cicp, Format
from vod_operators.formats.hdr import StaticMetadata, of_obus

AV1 = "av01"
HDR10_PLUS = bytes.fromhex("04b5003c000104")
"""Begin of a metadata OBU: T.35, country, provider (Samsung), and its code."""

SEQUENCE_HEADER, FRAME_HEADER, METADATA, FRAME = 1, 3, 5, 6


def obus(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each OBU."""
    at = 0
    while at < len(data):
        header = data[at]
        at += 2 if header & 4 else 1
        size = len(data) - at
        if header & 2:
            size = shift = 0
            while True:
                byte, at = data[at], at + 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80 or shift > 56:
                    break
        yield header >> 3 & 15, data[at : at + size]
        at += size


def is_key_frame(sample: bytes) -> bool:
    """Whether a sample begins with a sequence header and a shown key frame."""
    header = False
    for kind, payload in obus(sample):
        if kind == SEQUENCE_HEADER:
            header = True
        elif kind in (FRAME_HEADER, FRAME) and payload:
            # show_existing_frame, frame_type (KEY_FRAME is 0), show_frame
            return header and payload[0] >> 4 == 1
    return False


def static_metadata(data: bytes) -> StaticMetadata:
    """The light level (1) and the mastering display (2) of metadata OBUs."""
    told = {payload[:1]: payload[1:] for kind, payload in obus(data) if kind == METADATA}
    return of_obus(told.get(b"\x02"), told.get(b"\x01"))


def is_hdr10_plus(data: bytes) -> bool:
    """Whether metadata OBUs hold SMPTE ST 2094-40 (ITU-T T.35, as "HDR10+ AV1 Metadata Handling" has it)."""
    return any(kind == METADATA and payload.startswith(HDR10_PLUS) for kind, payload in obus(data))


def av1_format(box: bytes, width: int, height: int) -> Format:
    """The format that an ``av1C`` box's payload describes.

    :param width: of the sample entry, pixels; ``height`` likewise.
    """
    profile, level, flags = box[1] >> 5, box[1] & 31, box[2]
    tier, depth = flags >> 7, 8 + 2 * (flags >> 6 & 1) + 2 * (flags >> 5 & 1)
    header = next((payload for kind, payload in obus(box[4:]) if kind == SEQUENCE_HEADER), b"")
    colour, full_range = _colour(header) if header else (None, False)
    video_range = RANGES.get(colour.transfer, "SDR") if colour else "SDR"
    codecs = f"{AV1}.{profile}.{level:02d}{'MH'[tier]}.{depth:02d}"
    if colour and video_range != "SDR":  # what is left out stands for BT.709 (AV1-ISOBMFF, 5)
        monochrome, across, down, position = flags >> 4 & 1, flags >> 3 & 1, flags >> 2 & 1, flags & 3
        codecs += f".{monochrome}.{across}{down}{position}."
        codecs += ".".join(f"{code_point:02d}" for code_point in colour) + f".{int(full_range)}"
    metadata = static_metadata(box[4:])
    return Format(
        kind="video",
        codecs=codecs,
        entry=AV1,
        profile=profile,
        level=level,
        width=width,
        height=height,
        video_range=video_range,
        hdr_metadata=bool(metadata),
        depth=depth,
        colour=colour,
        metadata=metadata or None,
    )


def _colour(header: bytes) -> tuple[Cicp, bool]:
    """Colours of a sequence header, and whether they are in full range."""
    bits = Bits(header)
    profile = bits.u(3)
    bits.u(1)
    reduced = bits.flag()
    if reduced:
        bits.u(5)
    else:
        _skip_operating_points(bits)
    across, down = bits.u(4) + 1, bits.u(4) + 1
    bits.u(across), bits.u(down)
    if not reduced and bits.flag():
        bits.u(7)
    bits.u(3)
    if not reduced:
        bits.u(4)
        ordered = bits.flag()
        if ordered:
            bits.u(2)
        screen = 2 if bits.flag() else bits.u(1)
        if screen and not bits.flag():
            bits.u(1)
        if ordered:
            bits.u(3)
    bits.u(3)
    high = bits.flag()
    if profile == 2 and high:
        bits.u(1)
    if profile != 1:
        bits.u(1)
    colour = Cicp(bits.u(8), bits.u(8), bits.u(8)) if bits.flag() else Cicp()
    is_rgb = colour == (1, 13, 0)  # sRGB is in full range, without a bit that says so
    return colour, is_rgb or bits.flag()


def _skip_operating_points(bits: Bits) -> None:
    delay_bits = None
    if bits.flag():  # timing
        bits.u(64)
        if bits.flag():
            bits.ue()
        if bits.flag():  # decoder model
            delay_bits = bits.u(5) + 1
            bits.u(42)
    delays = bits.flag()
    for _ in range(bits.u(5) + 1):
        bits.u(12)
        if bits.u(5) > 7:
            bits.u(1)
        if delay_bits is not None and bits.flag():
            bits.u(2 * delay_bits + 1)
        if delays and bits.flag():
            bits.u(4)
