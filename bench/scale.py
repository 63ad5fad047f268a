"""Many workers, simulated with measured costs; one and two real ones to check the simulation by."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench import media
from bench.stack import airflow

from vod_operators.work.packaged import TRANSFERS

SHARED = 2
"""Tasks that shared a CPU while both ends were measured."""

FILM_S, SEGMENT_S = 7200, 6
CPUS = len(os.sched_getaffinity(0))

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
    lead_s: float
    """Media that a chunk encodes beside its own."""
    task_s: float
    """What a task takes beside its work, and until the next one begins in its slot."""
    hop_s: float
    """From the end of a step to the start of the next."""
    launches_per_s: float
    """Tasks that the scheduler starts at most."""
    prepare_s: float
    split_s: float
    segment_s: float
    """What a track's segments and playlists take, beside the store's requests."""
    publish_s: float
    host_mb_per_s: float
    """Between a host and S3, each way."""
    request_s: float = 0.05
    """What S3 takes to store or copy one segment, beside its bytes."""
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
    # The split reads the index; each chunk's task fetches its own part of the source.
    begin = costs.prepare_s + costs.hop_s
    begin += costs.split_s + costs.hop_s
    bandwidth = min(costs.host_mb_per_s, costs.total_mb_per_s / min(workers, len(chunks)))
    slots = [begin] * workers
    end = begin
    for n, media_s in enumerate(chunks):
        free = heapq.heappop(slots)
        start = max(free, begin + n / costs.launches_per_s)
        around = (n > 0) + (n < len(chunks) - 1)
        decoded_s = media_s + costs.lead_s * around / 2
        encode = decoded_s * costs.encode_s
        moved = (costs.source_mb * decoded_s + costs.output_mb * media_s) / costs.media_s / bandwidth
        requests = costs.renditions * media_s / SEGMENT_S * costs.request_s / TRANSFERS
        done = start + costs.task_s + encode + moved + requests
        heapq.heappush(slots, done)
        end = max(end, done)
    encoded = end
    # The store copies, so how large a rendition is does not matter.
    track = costs.task_s + costs.segment_s + costs.media_s / SEGMENT_S * costs.request_s / TRANSFERS
    slots = [encoded + costs.hop_s] * workers
    for _ in range(costs.renditions):
        done = heapq.heappop(slots) + track
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


def costs_of(report: dict[str, Any]) -> Costs:
    """A film of two hours, from what ``against``, ``orchestration`` and ``ends`` measured on this machine."""
    real = report["against"]["found"]["real"]
    orchestrated = report["orchestration"]["found"]
    ends = report["ends"]["found"]
    longest = max(ends, key=int)
    seconds = int(longest) * 60
    row, many = ends[longest], orchestrated[max(orchestrated, key=int)]
    head = median(row["head_s"])
    tasks = row["task_s"]
    # All cores worked on one chunk, so what encoding took is the CPU seconds spread over them.
    encode = median(pair["pipeline"]["cpu_s"] for pair in real["pairs"]) / CPUS / real["encoded_s"]
    film = FILM_S / seconds

    def for_film(step: str) -> float:
        """Seconds of all tasks of a step: on the line through the shortest and the longest video measured."""
        shortest = min(ends, key=int)
        first, last = (sum(ends[length]["task_s"][step]) for length in (shortest, longest))
        if shortest == longest:
            return last * film
        return last + (last - first) / (int(longest) - int(shortest)) * (FILM_S / 60 - int(longest))

    hop = median(many["hops_s"].values())
    return Costs(
        media_s=FILM_S,
        source_mb=row["source_mb"] * film,
        output_mb=row["output_mb"] * film,
        renditions=len(tasks["segment"]),
        encode_s=encode,
        lead_s=real["lead_s"],
        task_s=many["task_s"] + hop,
        hop_s=hop,
        launches_per_s=1 / many["a_chunk_s"],
        prepare_s=max(0.0, head - sum(tasks["split"])),
        split_s=for_film("split"),
        # Each worker has one slot; here as many tasks as CPUs shared them.
        segment_s=for_film("segment") / len(tasks["segment"]) / SHARED,
        publish_s=for_film("publish"),
        host_mb_per_s=400,
    )


def check(folder: Path, source: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """One and two real workers of one CPU each; two are foretold from what one was seen to cost."""
    ours, chunk_s, preset = os.sched_getaffinity(0), 12, "h264_small"
    runs = {}
    for workers in (1, 2):
        os.sched_setaffinity(0, set(sorted(ours)[:workers]))  # Airflow and its tasks inherit it
        try:
            with airflow(folder / f"workers-{workers}") as stack:
                stack.set_slots(workers)
                say(f"{workers} real workers")
                runs[workers] = stack.run(f"w{workers}-{os.getpid()}", source.as_uri(), preset, chunk_s)
                stack.forget(f"w{workers}-{os.getpid()}")
        finally:
            os.sched_setaffinity(0, ours)
    one = runs[1]
    encodes = one.of("transcode")
    gaps = [after.start - before.end for before, after in pairwise(encodes)]
    media_s = len(encodes) * chunk_s
    lead_s = media.lead_s(media.plan_of(source, preset))
    costs = Costs(
        media_s=media_s,
        source_mb=0,
        output_mb=0,
        renditions=2,
        encode_s=sum(task.end - task.start for task in encodes) / (media_s + lead_s * (len(encodes) - 1)),
        lead_s=lead_s,
        task_s=median(gaps),
        hop_s=0,
        launches_per_s=10,
        prepare_s=one.head,
        split_s=0,
        segment_s=0,
        request_s=0,
        publish_s=one.published - max(task.end for task in encodes) + one.triggered,
        host_mb_per_s=1e9,
    )
    return {
        str(workers): {"real_s": run.published, "simulated_s": simulate(costs, workers, chunk_s).wall_s}
        for workers, run in runs.items()
    }


def table(found: dict[str, Any]) -> list[str]:
    lines = [f"{'workers':>8}{'wall':>10}{'ideal':>10}{'ratio':>9}{'serial':>9}"]
    for workers, row in found["workers"].items():
        lines.append(
            f"{workers:>8}{row['wall_s']:>8.0f} s{row['ideal_s']:>8.0f} s"
            f"{row['ratio']:>8.2f}x{row['serial']:>9.1%}"
        )
    slow = found["slow_network"]["64"]
    lines.append(
        f"64 workers, 100 MB/s between a host and S3: {slow['ratio']:.2f}x, serial {slow['serial']:.1%}"
    )
    lengths = ", ".join(f"{length} s {ratio:.2f}x" for length, ratio in found["lengths"].items())
    lines.append(f"64 workers, by length of a chunk: {lengths}")
    for workers, row in found["checks"].items():
        lines.append(f"{workers} real: {row['real_s']:.1f} s, simulated {row['simulated_s']:.1f} s")
    return lines
