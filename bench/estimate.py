"""How far estimates are from what videos did cost: 30 runs in sequence, each estimated by those before it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench import estimate_clips
from bench.estimate_clips import Clip

from vod_operators.work.result import VideoResult

PRESET = "h264_small"
AMOUNTS = ("cpu_s", "wall_s", "bytes_out")
LEARNED = 5
"""Runs that an estimate needs before it counts as learned."""


def measure(folder: Path, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """What each run was estimated to cost before it began, and what it cost.

    :param count: runs.
    """
    clips = folder / "estimate-clips"
    clips.mkdir(parents=True, exist_ok=True)
    stores = folder / f"estimate-{os.getpid()}"  # a history of its own
    runs = []
    for number, clip in enumerate(estimate_clips.clips(clips, count)):
        say(f"run {number + 1} of {count}: {clip.name}")
        estimate_clips.make(clip)
        runs.append({"clip": clip.name} | _run(clip, stores))
    return {"runs": runs}


def _run(clip: Clip, stores: Path) -> dict[str, Any]:
    """Run ``vod run``; returns for each amount what it came to, and what was estimated."""
    chunks = ["--chunk-seconds", str(clip.chunk_seconds)] if clip.chunk_seconds else []
    places = [f"--{name}={(stores / folder).as_uri()}" for name, folder in (("tmp", "t"), ("results", "r"))]
    subprocess.run(
        [sys.executable, "-m", "vod_operators.cli.main", "run", str(clip.path), "--video-id", clip.name,
         "--preset", PRESET, *chunks, *places, "--json"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    cost = VideoResult.model_validate_json((stores / "r" / clip.name / "video.json").read_text("utf-8")).cost
    assert cost is not None and cost.estimated is not None
    came = {"cpu_s": sum(cost.cpu_s.values()), "wall_s": cost.wall_s, "bytes_out": cost.bytes_out}
    return {"came": came, "estimated": json.loads(cost.estimated.model_dump_json())}


def table(found: dict[str, Any]) -> list[str]:
    """Lines for people: the error of each run, and medians of all and of those after ``LEARNED``."""
    errors = {name: [_error(run, name) for run in found["runs"]] for name in AMOUNTS}
    lines = [f"{'clip':34}" + "".join(f"{name:>10}" for name in AMOUNTS)]
    for number, run in enumerate(found["runs"]):
        lines.append(f"{run['clip']:34}" + "".join(f"{errors[name][number]:+10.0%}" for name in AMOUNTS))
    for words, first in (("median error", 0), (f"from run {LEARNED + 1} on", LEARNED)):
        if len(found["runs"]) > first:
            cells = (median(map(abs, errors[name][first:])) for name in AMOUNTS)
            lines.append(f"{words:34}" + "".join(f"{cell:10.1%}" for cell in cells))
    inside = (_share(found["runs"], name) for name in AMOUNTS)
    lines.append(f"{'within their range':34}" + "".join(f"{share:10.0%}" for share in inside))
    return lines


def _error(run: dict[str, Any], name: str) -> float:
    return float(run["estimated"][name]["likely"] / run["came"][name] - 1)


def _share(runs: list[dict[str, Any]], name: str) -> float:
    ranges = [(run["estimated"][name], run["came"][name]) for run in runs]
    return sum(told["low"] <= came <= told["high"] for told, came in ranges) / len(runs)
