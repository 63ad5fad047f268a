"""Regression with few samples and a prior: a Gaussian process. Pure, and quick for a hundred samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Vector = Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What is believed before the first sample: the value is about 0, plus a slope for each feature."""

    offset: float
    """Standard deviation of the value where all features are 0."""
    slopes: Vector
    """Standard deviation of each slope, in values per unit of the feature."""
    local: float
    """Standard deviation of what no slope explains, and what similar samples share."""
    noise: float
    """Standard deviation of what even equal samples do not share."""
    reach: float = 0.35
    """Distance between features, in their units, beyond which samples are hardly similar."""

    def covariance(self, one: Vector, other: Vector) -> float:
        """Of the values at two places, without the noise."""
        slopes = sum((s * a) * (s * b) for s, a, b in zip(self.slopes, one, other, strict=True))
        distance = sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
        return self.offset**2 + slopes + self.local**2 * math.exp(-distance / (2 * self.reach**2))


def predict(prior: Prior, samples: Sequence[tuple[Vector, float]], place: Vector) -> tuple[float, float]:
    """The value to expect at a place, and its standard deviation; with the noise of a new sample.

    :param samples: features and value of each.
    """
    places = [sample for sample, _ in samples]
    rows: list[list[float]] = []  # Cholesky's lower triangle of the samples' covariance
    for i, one in enumerate(places):
        row: list[float] = []
        for j, other in enumerate(places[: i + 1]):
            value = prior.covariance(one, other) + (prior.noise**2 if i == j else 0.0)
            value -= sum(a * b for a, b in zip(row, rows[j] if j < i else row, strict=False))
            row.append(value / rows[j][j] if j < i else math.sqrt(max(value, 1e-12)))
        rows.append(row)

    def solve(right: Sequence[float]) -> list[float]:
        found: list[float] = []
        for row, value in zip(rows, right, strict=True):
            found.append((value - sum(a * b for a, b in zip(row, found, strict=False))) / row[-1])
        return found

    across = solve([prior.covariance(one, place) for one in places])
    values = solve([value for _, value in samples])
    mean = sum(a * b for a, b in zip(across, values, strict=True))
    variance = prior.covariance(place, place) - sum(a * a for a in across)
    return mean, math.sqrt(max(variance, 0.0) + prior.noise**2)
