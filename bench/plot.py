"""The report as one picture."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

GOOD, OTHER, LIMIT = "#2166ac", "#bbbbbb", "#b2182b"


def plot(report: dict[str, Any], path: Path) -> None:
    """A panel for each part that was measured."""
    panels = [(name, draw) for name, draw in PANELS.items() if name in report]
    if not panels:
        return
    columns = 3
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(5 * columns, 3.6 * rows), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (name, draw) in zip(axes.flat, panels, strict=False):
        draw(axis, report[name]["found"])
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    facts = report[panels[0][0]]["machine"]
    figure.suptitle(
        f"{facts['cpus']} CPUs, {facts['cpu']}, {facts['at'][:10]}, {facts['commit']}", fontsize=9
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _against(axis: Axes, found: dict[str, Any]) -> None:
    names = [f"{source}\n{what}" for source in found for what in ("wall", "CPU")]
    ratios = [found[source][key] for source in found for key in ("wall_ratio", "cpu_ratio")]
    axis.bar(names, ratios, color=GOOD)
    axis.axhline(1, color=OTHER, linewidth=1)
    axis.axhline(1.1, color=LIMIT, linewidth=1, linestyle=":")
    axis.set_title("whole pipeline / plain ffmpeg")


def _orchestration(axis: Axes, found: dict[str, Any]) -> None:
    counts = [int(count) for count in found]
    axis.plot(counts, [median(row["published_s"]) for row in found.values()], "o-", color=GOOD)
    axis.plot(counts, [0.3 * count for count in counts], ":", color=LIMIT, linewidth=1)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("chunks")
    axis.set_title("no-op media: s to published (0.30 s a chunk)")


def _ends(axis: Axes, found: dict[str, Any]) -> None:
    heads = [median(row["head_s"]) for row in found.values()]
    axis.bar(list(found), heads, color=GOOD, label="head")
    tails = [median(row["tail_s"]) for row in found.values()]
    axis.bar(list(found), tails, bottom=heads, color=OTHER, label="tail")
    axis.legend(frameon=False)
    axis.set_xlabel("minutes of video")
    axis.set_title("s before the first and after the last encode")


def _ends_s3(axis: Axes, found: dict[str, Any]) -> None:
    _ends(axis, found)
    axis.set_title("the same on S3 (moto)")


def _chunks(axis: Axes, found: dict[str, Any]) -> None:
    lengths = [int(length) for length in found]
    for key, label, color in (("wall_s", "wall", GOOD), ("media_cpu_s", "CPU", OTHER)):
        values = [median(row[key]) for row in found.values()]
        axis.plot(lengths, [value / values[-1] for value in values], "o-", color=color, label=label)
    axis.legend(frameon=False)
    axis.set_xlabel("s a chunk")
    axis.set_title("cost by chunk length, as ratio to the longest")


def _scale(axis: Axes, found: dict[str, Any]) -> None:
    workers = [int(count) for count in found["workers"]]
    rows = found["workers"].values()
    axis.plot(workers, [row["wall_s"] for row in rows], "o-", color=GOOD, label="simulated")
    axis.plot(workers, [row["ideal_s"] for row in rows], "--", color=OTHER, label="ideal")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.legend(frameon=False)
    axis.set_xlabel("workers")
    axis.set_title("s for a film of 2 hours")


PANELS = {
    "against": _against,
    "orchestration": _orchestration,
    "ends": _ends,
    "ends_s3": _ends_s3,
    "chunks": _chunks,
    "scale": _scale,
}
