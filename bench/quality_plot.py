"""Pictures of what ``bench/quality.py`` found.

``draw`` makes one of all clips, or of some: ``python -m bench.quality_plot REPORT PICTURE CLIP...``.
``docs/ladders.png`` is drawn from the curves of ``tests/media/test_title.py``:
``python -m bench.quality_plot curves docs/ladders.png``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from bench.quality_rates import bd_rate
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

OURS, FIXED, TARGET, LIMIT = "#2166ac", "#999999", "#1b7837", "#b2182b"


def draw(found: Mapping[str, Any], path: Path, names: Sequence[str] | None = None) -> None:
    """Rate over VMAF of each rung, a panel for each clip, and a last one with the promises.

    :param names: only these clips.
    """
    shown = [name for name in names or found["ladders"] if name in found["ladders"]]
    panels = len(shown) + bool(found["promises"])
    columns = min(4, panels)
    rows = -(-panels // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.6 * columns, 3.1 * rows), squeeze=False)
    for axis in axes.flat[panels:]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, shown, strict=False):
        _rungs(axis, name, found["ladders"][name])
    if found["promises"]:
        _promises(axes.flat[len(shown)], found)
    for axis in axes.flat:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _rungs(axis: Axes, name: str, row: Mapping[str, Any]) -> None:
    for key, label, colour, mark in (("fixed", "h264", FIXED, "s--"), ("by_title", "h264_title", OURS, "o-")):
        rungs = sorted(row[key], key=lambda one: one["bitrate_bps"])
        rates = [one["bitrate_bps"] / 1000 for one in rungs]
        axis.plot(
            rates,
            [one["at_1080p"] for one in rungs],
            mark,
            color=colour,
            label=label,
            markersize=4.5,
            linewidth=1,
        )
        if key == "by_title":
            for one, rate in zip(rungs, rates, strict=True):
                height = min(one["width"], one["height"])
                axis.annotate(f"{height}p", (rate, one["at_1080p"]), (4, -10), textcoords="offset points",
                              fontsize=7, color=colour)  # fmt: skip
    saved = "" if row["bd_rate"] is None else f": {100 * row['bd_rate']:+.0f} % bits"
    axis.set_title(f"{name}{saved}", fontsize=9)
    axis.set_xscale("log")
    axis.set_xticks([50, 100, 200, 500, 1000, 2000, 5000])
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    every = [one["bitrate_bps"] / 1000 for key in ("fixed", "by_title") for one in row[key]]
    axis.set_xlim(min(every) / 1.3, max(every) * 1.3)
    axis.set_xlabel("kb/s", fontsize=8)
    axis.set_ylabel("VMAF at 1080p", fontsize=8)
    axis.legend(frameon=False, fontsize=7, loc="lower right")


def _promises(axis: Axes, found: Mapping[str, Any]) -> None:
    rows = [row for clip in found["promises"].values() for row in clip]
    for n, asked in enumerate(sorted({row["asked"] for row in rows})):
        for capped, colour in ((False, TARGET), (True, LIMIT)):
            own = [
                row for row in rows if row["asked"] == asked and (row["capped"] or row["at_limit"]) == capped
            ]
            places = [n + 0.6 * (k + 0.5) / max(1, len(own)) - 0.3 for k in range(len(own))]
            misses = [max(-8.0, min(8.0, row["got"] - asked)) for row in own]
            axis.plot(places, misses, "o", color=colour, markersize=3)
        axis.annotate(f"{asked:g}", (n, 2.6), ha="center", fontsize=8)
    axis.axhspan(-1, 1, color="#d9f0d3", zorder=0)
    axis.set_ylim(-8.5, 3.2)
    axis.set_xticks([])
    axis.set_title("asked, and what came; red: cap or limit", fontsize=9)
    axis.set_ylabel("VMAF, got minus asked", fontsize=8)


def of_curves(names: Mapping[str, str]) -> dict[str, Any]:
    """Ladders of the curves that the product's test has, in the shape of ``quality.measure``.

    :param names: title of a panel -> clip of the curves.
    """
    tests = Path(__file__).resolve().parent.parent / "tests"
    sys.path[:0] = [str(tests), str(tests / "media")]
    import test_title as curves

    found: dict[str, Any] = {"ladders": {}, "promises": {}}
    for title, clip in names.items():
        slots = {slot.name: slot for slot in curves.renditions_of(clip, "h264_title")}
        fixed, chosen = curves.fixed(clip), curves.kept(curves.by_title(clip))
        found["ladders"][title] = {
            "fixed": [{"bitrate_bps": bps, "at_1080p": vmaf} for bps, vmaf in fixed],
            "by_title": [
                {
                    "bitrate_bps": bps,
                    "at_1080p": vmaf,
                    "width": slots[name].width,
                    "height": slots[name].height,
                }
                for bps, vmaf, name in chosen
            ],
            "bd_rate": bd_rate([rung[:2] for rung in chosen], fixed),
        }
    return found


if __name__ == "__main__":
    if sys.argv[1] == "curves":
        kinds = {"cartoon": "cartoon", "talking head": "talk", "screen": "screen", "Big Buck Bunny": "bbb"}
        draw(of_curves(kinds), Path(sys.argv[2]))
    else:
        report = json.loads(Path(sys.argv[1]).read_text("utf-8"))
        draw(report["quality"]["found"], Path(sys.argv[2]), sys.argv[3:] or None)
