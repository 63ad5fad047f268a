"""Known, aimed at, and promised quality: `make bench PARTS=quality`.

- *certificate*: what runs of ``h264`` say of their renditions, against VMAF of every frame; and its CPU time.
- *promise*: what renditions with a target of VMAF come to, by encodes of our own and by whole runs.
- *ladders*: ``h264_title`` against ``h264``, as bits at equal VMAF at 1080p.

Everything measured is kept in the folder by its content; another call goes on where one was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import media, quality_ladders
from bench.quality_clips import SECONDS, Clip, clips
from bench.quality_measure import published
from bench.quality_runs import Run, plain, run

from vod_operators.media.plan import ANALYSED_S

FIXED, BY_TITLE, ASKING = "h264", "h264_title", "h264_quality"

QUICK = {"seconds": 4, "height": 720, "points": 6}
WHOLE = {"seconds": SECONDS, "height": 1080, "points": 24}

RUNS = (
    "cartoon-walk",
    "cartoon-talk",
    "talking-head",
    "interview",
    "editor",
    "match",
    "street-pan",
    "film",
    "night",
    "trailer",
    "bbb-720p-5s",
    "bikes-640x272-10s",
)
"""Clips of which a quick measurement makes whole runs."""

FILM_S = 1200
"""The length for which the probes' share is told."""


def measure(
    folder: Path, say: Callable[[str], None], *, quick: bool = False, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """All three, clip by clip.

    :param quick: clips of 4 s and at most 720 lines, fewer measured frames, and whole runs of a few.
    :param names: only these clips.
    """
    how, kept = QUICK if quick else WHOLE, folder / "quality"
    found: dict[str, Any] = {
        "quick": quick,
        "clips": {},
        "ladders": {},
        "promises": {},
        "runs": {},
        "targets": {},
    }
    say("drawing clips")
    for clip in clips(kept / "clips", names, seconds=how["seconds"], height=how["height"]):
        found["clips"][clip.name] = {"kind": clip.kind, "origin": clip.origin}
        say(f"{clip.name}: ladders")
        found["ladders"][clip.name] = quality_ladders.compare(
            clip, FIXED, BY_TITLE, how["points"], kept / "curves"
        )
        say(f"{clip.name}: promises")
        found["promises"][clip.name] = quality_ladders.promises(
            clip, FIXED, ASKING, how["points"], kept / "curves"
        )
        if quick and clip.name not in RUNS:
            continue
        say(f"{clip.name}: whole runs")
        found["runs"][clip.name] = certified(clip, run(clip.path, FIXED, kept / "runs", say), kept)
        asked = run(clip.path, ASKING, kept / "runs", say)
        found["targets"][clip.name] = certified(clip, asked, kept)
    return found


def certified(clip: Clip, made: Run, kept: Path) -> dict[str, Any]:
    """What a run says of its renditions against every frame of what it published; and its costs."""
    plan = media.plan_of(clip.path.resolve(), FIXED)
    rows = []
    for facts in made.video["renditions"]:
        if not facts["height"]:  # sound
            continue
        name = facts["name"]
        like = next(one for one in plan.renditions if one.height == facts["height"])
        rendition = like.model_copy(update={"name": name})
        full = published(made.playlists[name], clip.path, plan, rendition, kept / "published")
        quality = facts.get("quality") or {}
        rows.append(
            {
                "rendition": name,
                "target": quality.get("target"),
                **{
                    what: {"full": _score(full[what]), "told": quality.get(what)}
                    for what in ("native", "at_1080p")
                },
            }
        )
    spent, seconds = made.cpu_s, (plan.source.duration_ms or 0) / 1000
    without = sum(spent.values()) - spent["certificate"] - spent["probe"]
    analysed = min(seconds, ANALYSED_S)
    return {
        **plain(made),
        "seconds": seconds,
        "renditions": rows,
        "certificate_share": spent["certificate"] / without,
        "probe_share_of_film": (spent["probe"] / analysed * ANALYSED_S) / (without / seconds * FILM_S),
    }


def _score(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"mean": sum(values) / len(values), "p5": ordered[max(0, -(-len(values) // 20) - 1)]}


# --- tables ---------------------------------------------------------------------------------


def table(found: dict[str, Any]) -> list[str]:
    """All that was measured, and each target with what came of it."""
    return [*_ladders(found), "", *_promises(found), "", *_certificates(found)]


def _ladders(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{'by title against fixed':<22}{'kind':<16}{'rungs':>9}{'BD-rate':>9}{'at top':>9}{'VMAF':>7}"
        f"{'stored':>9}"
    ]
    for name, row in found["ladders"].items():
        rungs = f"{len(row['by_title'])} of {len(row['fixed'])}"
        lines.append(
            f"{name:<22}{row['kind']:<16}{rungs:>9}{_percent(row['bd_rate']):>9}{_percent(row['at_top']):>9}"
            f"{row['top_vmaf']:>7.1f}{_percent(row['bits']):>9}"
        )
    told = quality_ladders.summary(found["ladders"])
    lines.append(
        f"calm clips: {_percent(told['calm_mean'])} (target -25 %); better on {told['better']} of "
        f"{told['of']} (target: all); worst {_percent(told['worst'])} (target: +1 %)"
    )
    return lines


def _promises(found: dict[str, Any]) -> list[str]:
    rows = [row for clip in found["promises"].values() for row in clip]
    lines = [
        f"{'promise, own encodes':<22}{'asked':>7}{'of':>5}{'reachable':>11}{'within 1':>10}{'worst':>8}"
        f"{'over cap':>10}"
    ]
    for asked in sorted({row["asked"] for row in rows}):
        own = [row for row in rows if row["asked"] == asked]
        free = [row for row in own if not row["capped"] and not row["at_limit"]]
        misses = [row["got"] - asked for row in free]
        lines.append(
            f"{'':<22}{asked:>7g}{len(own):>5}{len(free):>11}{sum(abs(miss) <= 1 for miss in misses):>10}"
            f"{max(misses, key=abs, default=0):>+8.2f}"
            f"{sum(row['over_cap'] for row in own):>10}"
        )
    for name, made in found["targets"].items():
        cells = [
            f"{row['rendition']} {row['native']['full']['mean']:.1f}"
            + (" (cap)" if (row["target"] or {}).get("capped") else "")
            for row in made["renditions"]
        ]
        lines.append(f"  run of {ASKING}, {name}: {', '.join(cells)}")
        lines.append(
            f"    probes: {_percent(made['probe_share_of_film'])} of the CPU time of 20 minutes like this"
        )
    return lines


def _certificates(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{'certificate':<22}{'renditions':>11}{'mean, worst':>13}{'p5, worst':>11}{'1080p':>8}{'CPU':>8}"
    ]
    for name, made in found["runs"].items():
        told = [row for row in made["renditions"] if row["native"]["told"]]
        if not told:
            lines.append(f"{name:<22} not measured")
            continue
        off = {
            (what, key): max(
                (row[what]["told"][key] - row[what]["full"][key] for row in told if row[what]["told"]),
                key=abs, default=0.0,
            )
            for what in ("native", "at_1080p") for key in ("mean", "p5")
        }  # fmt: skip
        lines.append(
            f"{name:<22}{len(told):>11}{off['native', 'mean']:>+13.2f}{off['native', 'p5']:>+11.2f}"
            f"{off['at_1080p', 'mean']:>+8.2f}{_percent(made['certificate_share']):>8}"
        )
    return lines


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{100 * part:+.1f} %"
