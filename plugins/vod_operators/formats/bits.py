"""Reading parameter sets bit by bit."""

from __future__ import annotations

from fractions import Fraction

SHAPES = dict(
    enumerate(
        [(1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11), (80, 33), (18, 11),
         (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)],
        start=1,
    )
)  # fmt: skip
"""``aspect_ratio_idc`` -> width and height of a pixel (H.264 table E-1, H.265 table E.1)."""


class Bits:
    """Reads big-endian bits. Reading past the end raises ``IndexError``."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def u(self, count: int) -> int:
        """An unsigned number of ``count`` bits."""
        self._left -= count
        if self._left < 0:
            raise IndexError("a parameter set ends early")
        return self._value >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        """One bit."""
        return self.u(1) == 1

    def ue(self) -> int:
        """An Exp-Golomb number."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise IndexError("a parameter set has an impossible number")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """A signed Exp-Golomb number."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def unescaped(nal: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes."""
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")


def signalled(bits: Bits) -> tuple[Fraction, tuple[int, int, int]]:
    """Width of a pixel, of its height; and primaries, transfer characteristics and matrix, by the VUI if
    there is one (H.264 E.1.1, H.265 E.2.1); 1 and 2 if unknown."""
    return (_shape(bits), _colour(bits)) if bits.flag() else (Fraction(1), (2, 2, 2))


def _shape(bits: Bits) -> Fraction:
    number = bits.u(8) if bits.flag() else 0
    across, down = (bits.u(16), bits.u(16)) if number == 255 else SHAPES.get(number, (1, 1))
    return Fraction(across, down) if across and down else Fraction(1)


def _colour(bits: Bits) -> tuple[int, int, int]:
    if bits.flag():  # overscan
        bits.u(1)
    if bits.flag():
        bits.u(4)  # video_format, full range
        if bits.flag():
            return bits.u(8), bits.u(8), bits.u(8)
    return 2, 2, 2
