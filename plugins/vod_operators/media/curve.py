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

    VMAF is a parabola through each three neighbouring points, mixed where two of them overlap; where a
    parabola would rise with the CRF, a straight line. The bitrate is exponential between points.
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
        return self._inside(crf)

    def bitrate_bps(self, crf: float) -> float:
        """Expected bitrate."""
        points = self.points
        if len(points) == 1:
            return points[0].bitrate_bps
        n = self._segment(crf)
        a, b = points[n], points[n + 1]
        share = (crf - a.crf) / (b.crf - a.crf)
        low, high = (math.log(max(1.0, point.bitrate_bps)) for point in (a, b))
        return math.exp(low + share * (high - low))

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

    def _inside(self, crf: float) -> float:
        points, n = self.points, self._segment(crf)
        a, b = points[n], points[n + 1]
        share = (crf - a.crf) / (b.crf - a.crf)
        straight = a.vmaf + share * (b.vmaf - a.vmaf)
        bends = [
            _parabola(points[k : k + 3], crf, a, b) for k in (n - 1, n) if k >= 0 and k + 3 <= len(points)
        ]
        curved = [bend for bend in bends if bend is not None]
        if not curved:
            return straight
        if len(bends) < 2 or len(curved) < 2:
            return curved[0]
        return (1 - share) * curved[0] + share * curved[1]

    def _slope_at(self, end: float) -> float:
        inner = end + STEP if end == self.points[0].crf else end - STEP
        return (self._inside(inner) - self._inside(end)) / (inner - end)


NEAR_BEST = 0.3
"""VMAF that nobody sees, and that may cost a rendition at its cap several steps of the CRF."""


def _parabola(three: Sequence[Point], crf: float, a: Point, b: Point) -> float | None:
    """The parabola through three points at a CRF between ``a`` and ``b``; None if it rises anywhere there."""
    (x0, y0), (x1, y1), (x2, y2) = ((point.crf, point.vmaf) for point in three)
    first = (y1 - y0) / (x1 - x0)
    second = ((y2 - y1) / (x2 - x1) - first) / (x2 - x0)

    def slope(x: float) -> float:
        return first + second * (2 * x - x0 - x1)

    if slope(a.crf) > 0 or slope(b.crf) > 0:
        return None
    return y0 + first * (crf - x0) + second * (crf - x0) * (crf - x1)
