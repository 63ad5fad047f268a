"""What Airflow and the steps cost without their media commands: all of them are answered from recordings."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from bench import media
from bench.stack import Run, Stack, airflow

CHUNK_S = 6

PRESET = {
    "title": "Bench",
    "description": "One rendition of almost nothing.",
    "ladders": [
        {
            "encoder": "libx264",
            "encoder_preset": "ultrafast",
            "rungs": [
                {
                    "name": "72p",
                    "width": 128,
                    "height": 72,
                    "crf": 30,
                    "max_bitrate_bps": 200_000,
                    "buffer_bits": 200_000,
                }
            ],
        }
    ],
    "audio": {"bitrate_bps": 64_000},
}

BEHIND = {
    "prepare": ("split",),
    "split": ("transcode",),
    "transcode": ("segment",),
    "segment": ("publish",),
}
"""The chain of steps that a video waits for."""


def measure(folder: Path, repeat: int, counts: tuple[int, ...], say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds from the request until it is published, by number of chunks; CPU seconds of Airflow a chunk."""
    presets = folder / "presets"
    presets.mkdir(parents=True, exist_ok=True)
    (presets / "bench.json").write_text(json.dumps(PRESET))
    found: dict[str, Any] = {}
    shutil.rmtree(folder / "orchestration" / "recordings", ignore_errors=True)  # of other code, perhaps
    numbers = count(1)
    # No encode takes anything, so as many at once as Airflow runs at all.
    settings = {"BENCH_RUNNER": "all", "VOD_PRESETS_DIR": str(presets), "VOD_TRANSCODE_POOL": "default_pool"}
    with airflow(folder / "orchestration", **settings) as stack:
        for chunks in counts:
            source = media.small(folder, chunks * CHUNK_S)

            def once(source: Path = source, stack: Stack = stack) -> Run:
                return stack.run(f"v{next(numbers)}-{os.getpid()}", source.as_uri(), "bench", CHUNK_S)

            say(f"{chunks} chunks: recording")
            once()
            runs = []
            for n in range(repeat if chunks < 500 else 1):
                say(f"{chunks} chunks: run {n + 1}")
                runs.append(once())
            found[str(chunks)] = {
                "published_s": [run.published for run in runs],
                "a_chunk_s": median(run.published for run in runs) / chunks,
                "airflow_cpu_s": [run.airflow_cpu_s for run in runs],
                "task_s": median(task.end - task.start for run in runs for task in run.of("transcode")),
                "hops_s": {name: median(_hop(run, name) for run in runs) for name in BEHIND},
            }
    return found


def _hop(run: Run, step: str) -> float:
    """Seconds between the end of a step and the start of the next one."""
    return min(task.start for name in BEHIND[step] for task in run.of(name)) - max(
        task.end for task in run.of(step)
    )


def table(found: dict[str, Any]) -> list[str]:
    lines = [f"{'chunks':>8}{'published after':>17}{'a chunk':>10}{'a task':>9}{'Airflow CPU a chunk':>21}"]
    for chunks, row in found.items():
        cpu = median(row["airflow_cpu_s"]) / int(chunks)
        lines.append(
            f"{chunks:>8}{median(row['published_s']):>15.1f} s{row['a_chunk_s']:>8.2f} s"
            f"{row['task_s']:>7.2f} s{cpu:>19.2f} s"
        )
    hops = next(iter(found.values()))["hops_s"]
    lines.append("hops: " + ", ".join(f"after {step} {seconds:.2f} s" for step, seconds in hops.items()))
    return lines
