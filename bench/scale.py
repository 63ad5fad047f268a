"""Many workers, simulated with measured costs; one and two real ones to check the simulation by."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import Any

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Of a video and of a deployment; seconds and MB."""

    media_s: float
    source_mb: float
    output_mb: float
    renditions: int
    encode_s: float
    """What one worker takes to encode a second of media."""
    lead_s: float = 5.2
    """Media that a chunk encodes beside its own."""
    task_s: float
    """What a task takes beside its work, and until the next one begins in its slot."""
    hop_s: float
    """From the end of a step to the start of the next."""
    launches_per_s: float
    """Tasks that the scheduler starts at most."""
    prepare_s: float
    split_s_per_mb: float
    segment_s_per_mb: float
    publish_s: float
    host_mb_per_s: float
    """Between a host and S3, each way."""
    total_mb_per_s: float = 10_000
    """Of all hosts together."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    wall_s: float
    ideal_s: float
    """All encoding, without lead-ins, spread evenly."""
    serial_s: float
    """While no chunk is being encoded."""

    @property
    def ratio(self) -> float:
        return self.wall_s / self.ideal_s

    @property
    def serial(self) -> float:
        return self.serial_s / self.wall_s


def simulate(costs: Costs, workers: int, chunk_s: float) -> Simulated:
    """One video, alone on so many workers, each with one slot."""
    chunks = [min(chunk_s, costs.media_s - begin) for begin in _steps(costs.media_s, chunk_s)]
    # The source comes from S3, and its chunks go there.
    begin = costs.prepare_s + costs.hop_s
    begin += costs.source_mb * (costs.split_s_per_mb + 2 / costs.host_mb_per_s) + costs.hop_s
    bandwidth = min(costs.host_mb_per_s, costs.total_mb_per_s / min(workers, len(chunks)))
    slots = [begin] * workers
    end = begin
    for n, media_s in enumerate(chunks):
        free = heapq.heappop(slots)
        start = max(free, begin + n / costs.launches_per_s)
        around = (n > 0) + (n < len(chunks) - 1)
        encode = (media_s + costs.lead_s * around / 2) * costs.encode_s
        moved = (costs.source_mb + costs.output_mb) * media_s / costs.media_s / bandwidth
        done = start + costs.task_s + encode + moved
        heapq.heappush(slots, done)
        end = max(end, done)
    encoded = end
    # Largest first would need to know sizes; the largest rendition is taken as a third of all.
    tracks = [costs.output_mb / 3] + [costs.output_mb * 2 / 3 / (costs.renditions - 1)] * (
        costs.renditions - 1
    )
    slots = [encoded + costs.hop_s] * workers
    for size in tracks:
        free = heapq.heappop(slots)
        done = free + costs.task_s + size * (costs.segment_s_per_mb + 2 / costs.host_mb_per_s)
        heapq.heappush(slots, done)
        end = max(end, done)
    wall = end + costs.hop_s + costs.publish_s
    return Simulated(
        wall_s=wall,
        ideal_s=costs.media_s * costs.encode_s / workers,
        serial_s=begin + (wall - encoded),
    )


def _steps(total: float, step: float) -> list[float]:
    return [n * step for n in range(-int(-total // step))]


def report(costs: Costs, chunk_s: float) -> dict[str, Any]:
    found = {}
    for workers in WORKERS:
        result = simulate(costs, workers, chunk_s)
        found[str(workers)] = {
            "wall_s": result.wall_s, "ideal_s": result.ideal_s,
            "ratio": result.ratio, "serial": result.serial,
        }  # fmt: skip
    return found


def by_length(costs: Costs, workers: int, lengths: tuple[int, ...]) -> dict[str, float]:
    """Wall time as a multiple of the ideal, by seconds of a chunk."""
    return {str(length): simulate(costs, workers, length).ratio for length in lengths}


def slower_network(costs: Costs, mb_per_s: float) -> Costs:
    return replace(costs, host_mb_per_s=mb_per_s)


def table(found: dict[str, Any]) -> list[str]:
    lines = [f"{'workers':>8}{'wall':>10}{'ideal':>10}{'ratio':>9}{'serial':>9}"]
    for workers, row in found.items():
        lines.append(
            f"{workers:>8}{row['wall_s']:>8.0f} s{row['ideal_s']:>8.0f} s"
            f"{row['ratio']:>8.2f}x{row['serial']:>9.1%}"
        )
    return lines
