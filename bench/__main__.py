"""The whole benchmark, or parts of it: ``make bench``, ``make bench PARTS="against ends" REPEAT=1``.

Prints a table for each part, and writes ``report.json`` (with the machine's facts) and ``report.png``. The
parts use what earlier ones measured, also in an earlier call with the same folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from bench import (
    against,
    check,
    chunks,
    downloads,
    ends,
    estimate,
    first_look,
    listing,
    media,
    memory,
    orchestration,
    scale,
    source_report,
)
from tqdm import tqdm

from vod_operators.media.plan import CHUNK_S

PARTS = (
    "against",
    "orchestration",
    "first_look",
    "ends",
    "ends_s3",
    "chunks",
    "check",
    "downloads",
    "memory",
    "scale",
    "listing",
    "estimate",
    "quality",
    "report",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (default 5)")
    parser.add_argument("--runs", type=int, default=30, help="videos of estimate")
    parser.add_argument("--seconds", type=int, default=120, help="length of the sources (default 120)")
    parser.add_argument("--preset", default="h264")
    parser.add_argument("--minutes", type=int, nargs="+", default=[2, 20, 120], help="of head and tail")
    parser.add_argument("--chunks", type=int, nargs="+", default=[1, 12, 100, 900], help="of orchestration")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/bench"), help="needs 60 GB for 120 minutes"
    )
    parser.add_argument("--quick", action="store_true", help="quality: small clips, few whole runs")
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="quality: only these")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C does: what was started ends with it
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.json"
    report: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    parts = options.parts or PARTS
    moving = sys.stderr.isatty()
    with tqdm(parts, file=sys.stderr, disable=not moving, bar_format="{n}/{total} {desc} [{elapsed}]") as bar:
        for part in bar:

            def say(text: str, part: str = part, bar: tqdm[Any] = bar) -> None:
                if moving:
                    bar.set_description_str(f"{part}: {text}")
                else:
                    print(f"{part}: {text}", file=sys.stderr, flush=True)

            begin = time.monotonic()
            found, lines = run(part, folder, options, report, say)
            seconds = round(time.monotonic() - begin)
            report[part] = {"machine": machine(), "seconds": seconds, "found": found}
            path.write_text(json.dumps(report, indent=1), "utf-8")
            bar.write(f"\n{part} ({seconds} s)", file=sys.stdout)
            bar.write("\n".join(lines), file=sys.stdout)
    from bench.plot import plot  # here, because only the last step needs its library

    plot(report, folder / "report.png")
    if "quality" in report:
        from bench.quality_plot import draw

        draw(report["quality"]["found"], folder / "quality.png")
    print(f"\n{path}\n{path.with_suffix('.png')}")


def run(
    part: str, folder: Path, options: argparse.Namespace, report: dict[str, Any], say: Callable[[str], None]
) -> tuple[Any, list[str]]:
    """What a part found, and its table."""
    if part == "against":
        say("making the sources")
        sources = {
            "real": media.real(folder, options.seconds),
            "hard": media.hard(folder, options.seconds),
        }
        found: Any = against.measure(folder, options.repeat, sources, options.preset, say)
        return found, against.table(found)
    if part == "orchestration":
        found = orchestration.measure(folder, options.repeat, tuple(options.chunks), say)
        return found, orchestration.table(found)
    if part == "first_look":
        found = first_look.measure(folder, options.repeat, tuple(options.minutes), say)
        return found, first_look.table(found)
    if part == "ends":
        found = ends.measure(folder, options.repeat, tuple(options.minutes), options.preset, say)
        return found, ends.table(found)
    if part == "ends_s3":
        minutes = tuple(length for length in options.minutes if length <= 20)  # the server holds it all
        with ends.s3_server() as (bucket, settings):
            found = ends.measure(folder, options.repeat, minutes, options.preset, say, bucket, **settings)
        return found, ends.table(found)
    if part == "chunks":
        source = media.real(folder, options.seconds)
        found = chunks.measure(folder, min(options.repeat, 3), source, "h264_small", say)
        return found, chunks.table(found)
    if part == "check":
        found = check.measure(folder, min(options.repeat, 3), max(options.minutes), say)
        return found, check.table(found)
    if part == "downloads":
        found = downloads.measure(folder, options.repeat, say)
        return found, downloads.table(found)
    if part == "memory":
        found = memory.compare([3, 30], say)
        return found, memory.table(found)
    if part == "listing":
        found = listing.measure(folder, options.repeat, say)
        return found, listing.table(found)
    if part == "quality":
        from bench import quality  # here, because only it needs Pillow

        found = quality.measure(folder, say, quick=options.quick, names=options.clips)
        return found, quality.table(found)
    if part == "report":
        found = source_report.measure(folder, options.preset, min(options.repeat, 3), say)
        return found, source_report.table(found)
    if part == "estimate":
        found = estimate.measure(folder, options.runs, say)
        return found, estimate.table(found)
    costs = scale.costs_of(report)
    found = {
        "costs": vars(costs),
        "workers": scale.report(costs, CHUNK_S),
        "slow_network": scale.report(replace(costs, host_mb_per_s=100), CHUNK_S),
        "lengths": scale.by_length(costs, 64, (30, 60, 90, 120, 180)),
        "checks": scale.check(folder, media.real(folder, options.seconds), say),
    }
    return found, scale.table(found)


def machine() -> dict[str, Any]:
    """What the figures are of."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
    )
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.machine(),
    )  # fmt: skip
    return {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "airflow": version("apache-airflow"),
        "ffmpeg": version("imageio-ffmpeg"),
        "load_before": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
