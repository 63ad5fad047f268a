"""Rates of two ladders at equal quality: Bjøntegaard's difference, over what a player can choose.

A ladder is a list of points: bits a second, VMAF. A player with more bandwidth never wants a rung that looks
worse, so only the rungs on the upper envelope count. Between rungs the logarithm of the rate is a straight
line over VMAF: a player that spends its time on two rungs gets a mixture of both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

Point: TypeAlias = tuple[float, float]
"""Bits a second, VMAF."""


def envelope(ladder: Sequence[Point]) -> list[Point]:
    """The rungs that look better than all with fewer bits, by rising rate."""
    found: list[Point] = []
    for rate, vmaf in sorted(ladder, key=lambda point: (point[0], -point[1])):
        if not found or vmaf > found[-1][1]:
            found.append((rate, vmaf))
    return found


def bd_rate(ladder: Sequence[Point], reference: Sequence[Point]) -> float | None:
    """By what part the ladder has more bits at equal VMAF (-0.25: a quarter fewer), on average over VMAF.

    :returns: None where the two have no VMAF in common.
    """
    ours, theirs = envelope(ladder), envelope(reference)
    low, high = max(ours[0][1], theirs[0][1]), min(ours[-1][1], theirs[-1][1])
    if high <= low:
        return None
    at = np.linspace(low, high, 400)
    return math.expm1(float(np.mean(_log_rates(ours, at) - _log_rates(theirs, at))))


def at_equal(ladder: Sequence[Point], reference: Sequence[Point], vmaf: float) -> float | None:
    """By what part the ladder has more bits at one VMAF; None where one of them does not reach it."""
    ours, theirs = envelope(ladder), envelope(reference)
    if not max(ours[0][1], theirs[0][1]) <= vmaf <= min(ours[-1][1], theirs[-1][1]):
        return None
    at = np.array([vmaf])
    return math.expm1(float((_log_rates(ours, at) - _log_rates(theirs, at))[0]))


def highest_common(ladder: Sequence[Point], reference: Sequence[Point]) -> float:
    """The highest VMAF that both reach."""
    return min(envelope(ladder)[-1][1], envelope(reference)[-1][1])


def _log_rates(points: Sequence[Point], at: np.ndarray) -> np.ndarray:
    rates = np.log([rate for rate, _ in points])
    return np.interp(at, [vmaf for _, vmaf in points], rates)
