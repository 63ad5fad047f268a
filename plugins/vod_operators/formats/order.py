"""H.264 and H.265: whether pictures are decoded in another order than they are shown (8.2.1 and 8.3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from vod_operators.formats import nal
from vod_operators.formats.bits import Bits, unescaped
from vod_operators.formats.facts import Codec

HEAD_BYTES = 32
"""Bytes of a slice that hold its header up to the picture order count."""

B_SLICE = {"h264": 1, "hevc": 0}
"""``slice_type``; in H.264, modulo 5."""


class _Sequence(NamedTuple):
    """What a sequence parameter set tells of slice headers."""

    order_bits: int
    """0: pictures are shown in decoding order, or their order counts are not understood."""
    frame_bits: int = 0
    frames_only: bool = True
    separate: bool = False


class _Picture(NamedTuple):
    """What a picture parameter set tells of slice headers."""

    sequence: int
    has_output_flag: bool = False
    extra_bits: int = 0


class PictureOrder:
    """Takes a stream's pictures in decoding order, and finds one that is shown before its predecessor.

    :param sets: parameter sets that are not in the stream itself.
    """

    def __init__(self, codec: Codec, sets: Iterable[bytes] = ()) -> None:
        self._codec: Codec = codec
        self._sequences: dict[int, _Sequence] = {}
        self._pictures: dict[int, _Picture] = {}
        self._last: int | None = None
        self.is_reordered = False
        """Whether there was such a picture. Only B pictures count: others may begin the counts anew."""
        for unit in sets:
            self.take([unit])

    @property
    def is_possible(self) -> bool:
        """Whether some parameter set allows another order than that of decoding."""
        return any(sequence.order_bits for sequence in self._sequences.values())

    def take(self, units: Iterable[bytes]) -> None:
        """Take the NAL units of one picture."""
        with suppress(IndexError):  # damaged: other rules report it
            for unit in units:
                if unit and self._take(unit):
                    return

    def _take(self, unit: bytes) -> bool:
        """Whether the unit is a slice, so that the picture's others tell nothing more."""
        kind = nal.kind_of(unit, self._codec)
        if self._codec == "h264":
            if kind in (7, 8):
                (self._take_avc_sequence if kind == 7 else self._take_avc_picture)(unit[1:])
            elif kind in nal.AVC_SLICES:
                self._compare(*self._of_avc(Bits(unescaped(unit[1:HEAD_BYTES])), kind), kind in nal.AVC_IDR)
            return kind in nal.AVC_SLICES
        if kind in (33, 34):
            (self._take_hevc_sequence if kind == 33 else self._take_hevc_picture)(unescaped(unit[2:]))
        elif kind in nal.HEVC_SLICES:
            head = Bits(unescaped(unit[2:HEAD_BYTES]))
            self._compare(*self._of_hevc(head, kind), kind in nal.HEVC_IDR)
        return kind in nal.HEVC_SLICES

    def _compare(self, is_b: bool, count: int, size: int, begins: bool) -> None:
        """Compare a picture's count, modulo ``size``, with that of the one before."""
        if self._last is not None and size and is_b and not begins:
            ahead = (count - self._last) % size
            self.is_reordered = self.is_reordered or ahead > size // 2
        self._last = count

    def _take_avc_sequence(self, sps: bytes) -> None:
        bits = Bits(unescaped(sps))
        head = nal.avc_head(bits)
        bits.ue(), bits.u(1), bits.ue(), bits.ue()
        self._sequences[head.number] = _Sequence(head.order_bits, head.frame_bits, bits.flag(), head.separate)

    def _take_avc_picture(self, pps: bytes) -> None:
        bits = Bits(unescaped(pps[:HEAD_BYTES]))
        self._pictures[bits.ue()] = _Picture(bits.ue())

    def _of_avc(self, bits: Bits, kind: int) -> tuple[bool, int, int]:
        """Whether a slice is B, and its order count and the count's modulus (7.3.3)."""
        bits.ue()
        is_b = bits.ue() % 5 == B_SLICE["h264"]
        sequence = self._sequence(bits.ue())
        bits.u(2 * sequence.separate + sequence.frame_bits)
        if not sequence.frames_only and bits.flag():
            bits.u(1)
        if kind in nal.AVC_IDR:
            bits.ue()
        return is_b, bits.u(sequence.order_bits), _modulus(sequence)

    def _take_hevc_sequence(self, raw: bytes) -> None:
        head, bits = nal.hevc_head(raw)
        bits.ue(), bits.ue()
        if bits.flag():
            bits.ue(), bits.ue(), bits.ue(), bits.ue()
        bits.ue(), bits.ue()  # depths
        self._sequences[head.number] = _Sequence(bits.ue() + 4, separate=head.separate)

    def _take_hevc_picture(self, raw: bytes) -> None:
        bits = Bits(raw[:HEAD_BYTES])
        number, sequence = bits.ue(), bits.ue()
        bits.u(1)
        self._pictures[number] = _Picture(sequence, bits.flag(), bits.u(3))

    def _of_hevc(self, bits: Bits, kind: int) -> tuple[bool, int, int]:
        """As ``_of_avc`` (H.265 7.3.6.1), for the first slice of a picture."""
        bits.u(1)
        if 16 <= kind <= 23:  # random access points
            bits.u(1)
        number = bits.ue()
        sequence = self._sequence(number)
        picture = self._pictures.get(number, _Picture(0))
        bits.u(picture.extra_bits)
        is_b = bits.ue() == B_SLICE["hevc"]
        if kind in nal.HEVC_IDR:
            return is_b, 0, _modulus(sequence)
        bits.u(picture.has_output_flag + 2 * sequence.separate)
        return is_b, bits.u(sequence.order_bits), _modulus(sequence)

    def _sequence(self, picture: int) -> _Sequence:
        found = self._pictures.get(picture)
        return self._sequences.get(found.sequence, _Sequence(0)) if found else _Sequence(0)


def _modulus(sequence: _Sequence) -> int:
    return 1 << sequence.order_bits if sequence.order_bits else 0
