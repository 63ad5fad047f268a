"""How long a chunk should be: the same video in chunks of several lengths."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench import media
from bench.stack import airflow

LENGTHS = (6, 12, 30, 60, 120)


def measure(
    folder: Path, repeat: int, source: Path, preset: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Wall, CPU, size and quality by seconds of a chunk; in turns."""
    runs: dict[int, list[Any]] = {length: [] for length in LENGTHS}
    sizes, quality = {}, {}
    plan = media.plan_of(source, preset)
    largest = plan.renditions[-1].name
    with airflow(folder / "chunks") as stack:
        for n in range(repeat):
            for length in LENGTHS:
                say(f"chunks of {length} s, {n + 1} of {repeat}")
                video = f"c{length}-{n}-{os.getpid()}"
                runs[length].append(stack.run(video, source.as_uri(), preset, length))
                if n == 0:
                    (version,) = (path for path in stack.results(video).iterdir() if path.is_dir())
                    sizes[length] = media.size_mb(version / largest)
                    quality[length] = media.vmaf(version / largest / "index.m3u8", source)
                stack.forget(video)
    return {
        str(length): {
            "wall_s": [run.published for run in runs[length]],
            "media_cpu_s": [run.media_cpu_s for run in runs[length]],
            "longest_chunk_s": median(
                max(t.end - t.start for t in run.of("transcode")) for run in runs[length]
            ),
            "size_mb": sizes[length],
            "vmaf": quality[length],
        }
        for length in LENGTHS
    }


def table(found: dict[str, Any]) -> list[str]:
    longest = str(max(LENGTHS))
    base_wall, base_cpu = (median(found[longest][key]) for key in ("wall_s", "media_cpu_s"))
    lines = [f"{'chunk':>7}{'wall':>9}{'CPU':>9}{'one chunk':>12}{'size':>11}{'VMAF (5th percentile)':>24}"]
    for length, row in found.items():
        wall, cpu = median(row["wall_s"]) / base_wall, median(row["media_cpu_s"]) / base_cpu
        lines.append(
            f"{length:>5} s{wall:>8.2f}x{cpu:>8.2f}x"
            f"{row['longest_chunk_s']:>10.0f} s{row['size_mb']:>8.2f} MB"
            f"{row['vmaf'][0]:>16.2f} ({row['vmaf'][1]:.2f})"
        )
    lines.append(f"wall and CPU as ratios to chunks of {longest} s; size and VMAF of the largest rendition")
    return lines
