"""Static metadata of HDR10: mastering display (SMPTE ST 2086) and content light level (CTA-861.3).

``mdcv`` and ``clli`` boxes (ISO 14496-12, 12.1.6 and 12.1.7) hold the same bytes as the SEIs of H.265 (D.2.28
and D.2.35). AV1's metadata OBUs use other units (AV1 6.7.3 and 6.7.4) and are converted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import Field

from vod_operators.formats.base import Model
from vod_operators.formats.isobmff import box

MASTERING_BYTES, LIGHT_BYTES = 24, 4

CHROMATICITY, LUMINANCE = 50_000, 10_000
"""Units in 1: of a CIE 1931 coordinate, and of a cd/m2."""

MAX_NITS = 10_000
"""Largest luminance that PQ can express, in cd/m2."""


class Mastering(NamedTuple):
    """A mastering display, in the units above."""

    green: tuple[int, int]
    blue: tuple[int, int]
    red: tuple[int, int]
    white: tuple[int, int]
    max_luminance: int
    min_luminance: int

    @property
    def is_possible(self) -> bool:
        """Whether such a display can be: points inside the diagram, red at the right, green at the top, and
        white brighter than black."""
        points = (self.green, self.blue, self.red, self.white)
        return (
            all(x + y <= CHROMATICITY and y > 0 for x, y in points)
            and self.red[0] > max(self.green[0], self.blue[0])
            and self.green[1] > max(self.red[1], self.blue[1])
            and self.min_luminance < self.max_luminance <= MAX_NITS * LUMINANCE
        )


class Light(NamedTuple):
    """Content light level in cd/m2; 0: unknown."""

    max_content: int
    max_average: int

    @property
    def is_possible(self) -> bool:
        """Whether PQ can express it, and no frame is brighter on average than the brightest pixel."""
        return self.max_average <= self.max_content <= MAX_NITS


class StaticMetadata(Model):
    """What a bitstream, a sample entry or a source says."""

    mastering: str = Field("", exclude_if=lambda value: not value)
    """The 24 bytes of ``mdcv`` in hex; empty: not told."""
    light: str = Field("", exclude_if=lambda value: not value)
    """The 4 bytes of ``clli`` in hex; empty: not told."""

    def __bool__(self) -> bool:
        return bool(self.mastering or self.light)

    def completed(self, other: StaticMetadata) -> StaticMetadata:
        """What this says, and of what it does not tell, what the other says."""
        return StaticMetadata(mastering=self.mastering or other.mastering, light=self.light or other.light)

    @property
    def display(self) -> Mastering | None:
        """The mastering display; None if it is not told."""
        if not self.mastering:
            return None
        n = struct.unpack(">8H2I", bytes.fromhex(self.mastering))
        return Mastering((n[0], n[1]), (n[2], n[3]), (n[4], n[5]), (n[6], n[7]), n[8], n[9])

    @property
    def levels(self) -> Light | None:
        """The content light level; None if it is not told."""
        return Light(*struct.unpack(">2H", bytes.fromhex(self.light))) if self.light else None

    @property
    def words(self) -> str:
        """For a person: ``a display of 0.005 to 1000 cd/m2, MaxCLL 1000, MaxFALL 200``."""
        parts = []
        if display := self.display:
            least, most = display.min_luminance / LUMINANCE, display.max_luminance / LUMINANCE
            parts.append(f"a display of {least:g} to {most:g} cd/m2")
        if light := self.levels:
            parts.append(f"MaxCLL {light.max_content}, MaxFALL {light.max_average}")
        return ", ".join(parts) or "no static metadata"

    def differs(self, other: StaticMetadata) -> bool:
        """Whether both tell something that is not the same. AV1 rounds otherwise."""
        ours, theirs = self.display, other.display
        if ours and theirs:
            pairs = zip(_flat(ours), _flat(theirs), strict=True)
            if any(abs(a - b) > _tolerance(a) for a, b in pairs):
                return True
        return bool(self.light and other.light and self.light != other.light)


def _flat(display: Mastering) -> Iterator[int]:
    for value in display:
        yield from value if isinstance(value, tuple) else (value,)


def _tolerance(value: int) -> float:
    return 2 + value / 1000


def static_metadata(mastering: Mastering | None, light: Light | None) -> StaticMetadata:
    """Both as bytes.

    :raises struct.error: a number does not fit.
    """
    return StaticMetadata(
        mastering=struct.pack(">8H2I", *_flat(mastering)).hex() if mastering else "",
        light=struct.pack(">2H", *light).hex() if light else "",
    )


def of_payloads(mastering: bytes | None, light: bytes | None) -> StaticMetadata:
    """What the payloads of boxes or SEIs tell. Those that are cut off tell nothing, and no more does a light
    level of 0 and 0, which x265 writes beside a mastering display."""
    return StaticMetadata(
        mastering=mastering[:MASTERING_BYTES].hex()
        if mastering and len(mastering) >= MASTERING_BYTES
        else "",
        light=light[:LIGHT_BYTES].hex() if light and len(light) >= LIGHT_BYTES and any(light) else "",
    )


def of_obus(mastering: bytes | None, light: bytes | None) -> StaticMetadata:
    """What the payloads of AV1's metadata OBUs tell, after their type; red is first there."""
    display = None
    if mastering and len(mastering) >= MASTERING_BYTES:
        n = struct.unpack_from(">8H2I", mastering)
        red, green, blue, white = (
            (round(n[i] * CHROMATICITY / 65536), round(n[i + 1] * CHROMATICITY / 65536)) for i in (0, 2, 4, 6)
        )
        most, least = round(n[8] * LUMINANCE / 256), round(n[9] * LUMINANCE / 16384)
        display = Mastering(green, blue, red, white, min(most, 2**32 - 1), min(least, 2**32 - 1))
    level = Light(*struct.unpack_from(">2H", light)) if light and len(light) >= LIGHT_BYTES else None
    return static_metadata(display, level)


def boxes_of(metadata: StaticMetadata) -> bytes:
    """The boxes ``mdcv`` and ``clli`` of a sample entry."""
    told = ((b"mdcv", metadata.mastering), (b"clli", metadata.light))
    return b"".join(box(kind, bytes.fromhex(text)) for kind, text in told if text)
