"""Reading parameter sets bit by bit."""

from __future__ import annotations


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


def signalled_transfer(bits: Bits) -> int:
    """Transfer characteristics at the beginning of a VUI (H.264 E.1.1, H.265 E.2.1); 2 if absent."""
    if bits.flag() and bits.u(8) == 255:  # sample aspect ratio
        bits.u(32)
    if bits.flag():  # overscan
        bits.u(1)
    if bits.flag():
        bits.u(4)  # video_format, full range
        if bits.flag():
            bits.u(8)
            transfer = bits.u(8)
            bits.u(8)
            return transfer
    return 2
