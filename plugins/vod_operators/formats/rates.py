"""Bitrates of segments, as HLS defines them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm


def rate_bps(size_bytes: int, ticks: int | Fraction, timescale: int) -> int:
    """Bits a second, rounded up."""
    return -(-8 * size_bytes * timescale // ticks)


def peak_bps(
    pieces: Sequence[tuple[int, int | Fraction]], timescale: int, target_s: int, at_least: int
) -> int:
    """Highest bitrate of contiguous pieces that last 0.5 to 1.5 target durations (RFC 8216bis 4.4.6.2).

    :param pieces: bytes and ticks of each.
    :param at_least: the least result, which stands if nothing lasts that long.
    """
    whole = lcm(*(ticks.denominator for _, ticks in pieces))
    sizes = [size for size, _ in pieces]
    lasts = [ticks.numerator * (whole // ticks.denominator) for _, ticks in pieces]
    timescale *= whole
    shortest, longest = target_s * timescale, 3 * target_s * timescale  # in halves of ticks
    peak = at_least
    for begin in range(len(pieces)):
        size = ticks = 0
        for at in range(begin, len(pieces)):
            size, ticks = size + sizes[at], ticks + lasts[at]
            if 2 * ticks > longest:
                break
            if 2 * ticks >= shortest:
                peak = max(peak, rate_bps(size, ticks, timescale))
    return peak
