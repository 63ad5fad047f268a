"""How quality and bitrate follow the CRF, fitted through the rates that were probed. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from vod_operators.formats.base import Model

STEP = 0.05
"""Of the search for a CRF; encoders do not react to less."""


class Point(Model):
    """What the analysed windows came to at one CRF."""

    crf: float
    vmaf: float
    """Mean of all frames, at the rendition's own size."""
    bitrate_bps: float = Field(ge=0)
    at_cap: float = Field(0, ge=0, le=1)
    """Share of the frames in windows whose bitrate is at the cap."""


@dataclass(frozen=True)
class Curve:
    """VMAF and bitrate over the CRF.

    VMAF, and the logarithm of the bitrate, are a parabola through each three neighbouring points, mixed where
    two of them overlap; where a parabola would rise with the CRF, a straight line. Where an encoder begins to
    store noise, the bitrate grows more than exponentially: with a camera's noise at 720p a straight line
    between CRF 20 and 26 read 32 % too high at 23, parabolas 10 %.
    """

    points: Sequence[Point]
    """At least one, by ascending CRF."""

    def vmaf(self, crf: float) -> float:
        """Expected VMAF; outside the probed range along the slope at its end."""
        points = self.points
        if len(points) == 1:
            return points[0].vmaf
        low, high = points[0].crf, points[-1].crf
        if crf < low:
            return min(100.0, points[0].vmaf + max(0.0, -self._slope_at(low)) * (low - crf))
        if crf > high:
            return max(0.0, points[-1].vmaf + min(0.0, self._slope_at(high)) * (crf - high))
        return self._inside(crf, [point.vmaf for point in points])

    def bitrate_bps(self, crf: float) -> float:
        """Expected bitrate; outside the probed range exponential."""
        points = self.points
        if len(points) == 1:
            return points[0].bitrate_bps
        rates = [math.log(max(1.0, point.bitrate_bps)) for point in points]
        n = self._segment(crf)
        if points[0].crf <= crf <= points[-1].crf:
            # Below a point at the cap the bitrate is flat: its bend there says nothing of the next part.
            after_cap = n > 0 and points[n - 1].at_cap > 0
            return math.exp(self._inside(crf, rates, earliest=n if after_cap else 0))
        share = (crf - points[n].crf) / (points[n + 1].crf - points[n].crf)
        return math.exp(rates[n] + share * (rates[n + 1] - rates[n]))

    def crf_of(self, vmaf: float, lowest: float, highest: float) -> float:
        """The highest CRF in ``[lowest, highest]`` that is expected to reach a VMAF.

        Where none does, the highest that is within ``NEAR_BEST`` of the best: below it only bits are added.
        """
        count = max(1, round((highest - lowest) / STEP))
        crfs = [lowest + (highest - lowest) * n / count for n in range(count + 1)]
        expected = [self.vmaf(crf) for crf in crfs]
        aim = min(vmaf, max(expected) - (NEAR_BEST if max(expected) < vmaf else 0))
        return next(
            crf for crf, found in zip(reversed(crfs), reversed(expected), strict=True) if found >= aim
        )

    def _segment(self, crf: float) -> int:
        """Index of the point at or before a CRF that has another one after it."""
        return max(0, max((n for n, p in enumerate(self.points[:-1]) if p.crf <= crf), default=0))

    def _inside(self, crf: float, values: Sequence[float], *, earliest: int = 0) -> float:
        """A value of each point, at a CRF between two of them.

        :param earliest: index of the first point that parabolas may go through.
        """
        crfs, n = [point.crf for point in self.points], self._segment(crf)
        share = (crf - crfs[n]) / (crfs[n + 1] - crfs[n])
        bends = [
            _parabola(crfs[k : k + 3], values[k : k + 3], crf, (crfs[n], crfs[n + 1]))
            for k in (n - 1, n)
            if k >= earliest and k + 3 <= len(crfs)
        ]
        curved = [bend for bend in bends if bend is not None]
        if not curved:
            return values[n] + share * (values[n + 1] - values[n])
        if len(bends) < 2 or len(curved) < 2:
            return curved[0]
        return (1 - share) * curved[0] + share * curved[1]

    def _slope_at(self, end: float) -> float:
        inner = end + STEP if end == self.points[0].crf else end - STEP
        values = [point.vmaf for point in self.points]
        return (self._inside(inner, values) - self._inside(end, values)) / (inner - end)


NEAR_BEST = 0.3
"""VMAF that nobody sees, and that may cost a rendition at its cap several steps of the CRF."""


def _parabola(
    crfs: Sequence[float], values: Sequence[float], crf: float, between: tuple[float, float]
) -> float | None:
    """The parabola through three points at a CRF; None if it rises anywhere in the range ``between``."""
    (x0, x1, x2), (y0, y1, y2) = crfs, values
    first = (y1 - y0) / (x1 - x0)
    second = ((y2 - y1) / (x2 - x1) - first) / (x2 - x0)
    if any(first + second * (2 * x - x0 - x1) > 0 for x in between):
        return None
    return y0 + first * (crf - x0) + second * (crf - x0) * (crf - x1)
