"""The whole pipeline against one plain ffmpeg command: same source, same ladder, same encoder settings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from bench import media
from bench.stack import airflow


def measure(
    folder: Path, repeat: int, sources: dict[str, Path], preset: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """In turns, so that whatever slows the machine down slows down both; the ratios are of each pair."""
    found: dict[str, Any] = {}
    with airflow(folder / "against") as stack:
        for name, source in sources.items():
            plan = media.plan_of(source, preset)
            plain_folder = folder / f"plain-{name}"
            pairs: list[dict[str, Any]] = []
            for n in range(repeat):
                say(f"{name}: plain ffmpeg, {n + 1} of {repeat}")
                shutil.rmtree(plain_folder, ignore_errors=True)
                plain_folder.mkdir(parents=True)
                plain = media.cost_of(media.plain_command(source, plan, plain_folder))
                say(f"{name}: the pipeline, {n + 1} of {repeat}")
                video = f"{name}-{n}-{os.getpid()}"
                run = stack.run(video, source.as_uri(), preset)
                pairs.append(
                    {
                        "plain": asdict(plain),
                        "pipeline": {
                            "wall_s": run.published,
                            "cpu_s": run.media_cpu_s,
                            "airflow_cpu_s": run.airflow_cpu_s,
                            "peak_mb": max(step["tools_peak_mb"] for step in run.steps),
                            "head_s": run.head,
                            "tail_s": run.tail,
                        },
                        "wall_ratio": run.published / plain.wall_s,
                        "cpu_ratio": run.media_cpu_s / plain.cpu_s,
                    }
                )
                if n < repeat - 1:
                    stack.forget(video)
            say(f"{name}: VMAF")
            (version,) = (path for path in stack.results(video).iterdir() if path.is_dir())
            rungs = {
                rendition.name: {
                    "plain": media.vmaf(plain_folder / rendition.name / "index.m3u8", source),
                    "pipeline": media.vmaf(version / rendition.name / "index.m3u8", source),
                }
                for rendition in plan.renditions
            }
            lead_s, joins = media.lead_s(plan), len(run.of("transcode")) - 1
            found[name] = {
                "lead_s": lead_s,
                "encoded_s": (plan.source.duration_ms or 0) / 1000 + lead_s * joins,
                "pairs": pairs,
                "wall_ratio": median(pair["wall_ratio"] for pair in pairs),
                "cpu_ratio": median(pair["cpu_ratio"] for pair in pairs),
                "size_mb": {"plain": media.size_mb(plain_folder), "pipeline": media.size_mb(version)},
                "vmaf": rungs,
            }
            stack.forget(video)
    return found


def table(found: dict[str, Any]) -> list[str]:
    lines = []
    for name, row in found.items():
        plain, ours = ({key: median(pair[side][key] for pair in row["pairs"]) for key in
                        ("wall_s", "cpu_s", "peak_mb")} for side in ("plain", "pipeline"))  # fmt: skip
        lines += [
            f"{name:<12}{'wall':>10}{'CPU':>10}{'peak':>10}{'size':>10}",
            f"{'  ffmpeg':<12}{plain['wall_s']:>8.1f} s{plain['cpu_s']:>8.1f} s{plain['peak_mb']:>7.0f} MB"
            f"{row['size_mb']['plain']:>7.1f} MB",
            f"{'  pipeline':<12}{ours['wall_s']:>8.1f} s{ours['cpu_s']:>8.1f} s{ours['peak_mb']:>7.0f} MB"
            f"{row['size_mb']['pipeline']:>7.1f} MB",
            f"{'  ratio':<12}{row['wall_ratio']:>9.3f}x{row['cpu_ratio']:>9.3f}x"
            f"{ours['peak_mb'] / plain['peak_mb']:>9.2f}x"
            f"{row['size_mb']['pipeline'] / row['size_mb']['plain']:>9.3f}x",
            "  VMAF mean (5th percentile), ffmpeg -> pipeline: "
            + ", ".join(
                f"{rung} {a:.1f} ({a5:.1f}) -> {b:.1f} ({b5:.1f})"
                for rung, p in row["vmaf"].items()
                for (a, a5), (b, b5) in [(p["plain"], p["pipeline"])]
            ),
        ]
    return lines
