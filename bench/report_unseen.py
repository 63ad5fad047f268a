"""What the source report finds in clips that its thresholds were not chosen on (``report_clips``)."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench import quality_clips, report_clips
from bench.media import FFMPEG
from bench.report_clips import Case, Defect
from tqdm import tqdm

KINDS = ("black", "frozen", "flashes", "silent", "clipped", "bars")

STILL, CUT, WHITE = 0.3, 12, 215
"""Of pictures of 160x90 with 8 bits: a mean change that cannot be seen; that of a cut; a luma that has
80 % of the peak's luminance, from which no flash begins."""

OWN_LIGHT = ("flashes of cameras", "lightning at night", "lights of a concert", "trailer", "slides")
"""Clips whose own picture gets brighter or darker beside a seeded flash: that is one more change."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The clean pictures of a kind, measured by other means than the report's."""

    changes: list[float]
    """Mean change of each picture from the one before."""
    dark: list[float]
    """Share of each picture that is dark enough to flash."""


def see(case: Case) -> Seen:
    graph = f"fps={case.rate},scale=160:90,format=gray"
    command = [FFMPEG, "-v", "error", "-nostdin", "-i", str(case.path), "-vf", graph, "-f", "rawvideo", "-"]
    raw = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    pictures = np.frombuffer(raw, np.uint8).reshape(-1, 90, 160).astype(np.int16)
    changes = np.abs(np.diff(pictures, axis=0, prepend=pictures[:1])).mean(axis=(1, 2))
    return Seen(changes=list(changes), dark=list((pictures < WHITE).mean(axis=(1, 2))))


def _what(defect: Defect, case: Case, seen: Seen) -> str:
    """The kind of a defect; or why nobody could see it, or the report takes it for intended."""
    first, last, context = defect.first, defect.last, round(0.4 * case.rate)
    if defect.kind == "frozen":
        around = (seen.changes[max(1, first - context) : first], seen.changes[last + 1 : last + context])
        parts = [part for part in (*around, seen.changes[first + 1 : last]) if part]
        if min(sum(part) / len(part) for part in parts) < STILL:
            return "frozen, of what is still"
        if max(seen.changes[max(1, first - 1) : first + 2], default=0) > CUT:
            return "frozen, from a cut on"
    if defect.kind == "flashes" and min(seen.dark[first:last], default=1) < 0.28:
        return "flashes, on white"
    return defect.kind


def judge(case: Case, report: dict[str, Any], seen: Seen) -> tuple[list[dict[str, Any]], Counter[str]]:
    """What was found of each defect, and how much is told of what is not there, by kind."""
    hits, false = [], Counter[str]()
    frame_s = 1.01 / float(min(case.rate, 25))
    for kind in KINDS[:-1]:
        intervals = [(found["start_s"], found["end_s"]) for found in report[kind] or ()]
        matched = set()
        for defect in case.defects:
            if defect.kind != kind:
                continue
            begin, end = float(defect.first / case.rate), float(defect.last / case.rate)
            of_it = [each for each in intervals if each[0] < end and each[1] > begin]
            matched.update(of_it)
            off = min((max(abs(a - begin), abs(b - end)) for a, b in of_it), default=None)
            covered = sum(min(b, end) - max(a, begin) for a, b in of_it)
            exact = off is not None and off <= frame_s
            if kind == "clipped" or (kind == "flashes" and case.kind in OWN_LIGHT):
                exact = covered >= 0.5 * (end - begin)
            hits.append({"what": _what(defect, case, seen), "found": exact, "off_s": off, "of": case.name,
                         "aside": case.kind in report_clips.KEPT_ASIDE})  # fmt: skip
        false[kind] += len(set(intervals) - matched)
    bars = report["bars"] or dict.fromkeys(("left", "top", "right", "bottom"), 0)
    off_px = max(abs(one - other) for one, other in zip(bars.values(), case.bars, strict=True))
    if any(case.bars):
        hits.append({"what": "bars", "found": off_px <= 2, "off_s": None, "of": case.name,
                     "aside": case.kind in report_clips.KEPT_ASIDE})  # fmt: skip
    elif off_px:
        false["bars"] += 1
    return hits, +false


def measure(folder: Path, clips: Path, report_of: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """The hits, and the false alarms of each file, of clips that are kept in a folder."""
    bases = {clip.name: clip.path for clip in quality_clips.clips(clips, seconds=4, height=720)}
    hits: list[dict[str, Any]] = []
    false: dict[str, dict[str, int]] = {}
    count = Counter[str]()
    for kind in tqdm(report_clips.KINDS, desc="clips that were not seen before"):
        cases = report_clips.cases(folder, bases, [kind])
        seen = see(cases[0]) if cases else None
        for case in cases:
            assert seen is not None
            found, more = judge(case, report_of(case.path), seen)
            hits += found
            count["with defects" if case.defects else "clean"] += 1
            if more:
                false[case.name] = dict(more)
    return {"hits": hits, "false": false, "count": dict(count)}


def table(found: dict[str, Any]) -> list[str]:
    """By kind: those of the clips that were looked at meanwhile, and those that were kept aside."""
    lines = [f"{'kind, in other clips':<28}{'found':>12}{'kept aside':>14}"]

    def part(hits: Iterable[dict[str, Any]]) -> str:
        listed = [hit["found"] for hit in hits]
        return f"{sum(listed)} of {len(listed)}"

    for what in sorted({hit["what"] for hit in found["hits"]}):
        of_kind = [hit for hit in found["hits"] if hit["what"] == what]
        sides = [part(hit for hit in of_kind if hit["aside"] == aside) for aside in (False, True)]
        lines.append(f"{what:<28}{sides[0]:>12}{sides[1]:>14}")
    lines.append(f"files: {found['count']}; found where nothing is: {found['false'] or 'nothing'}")
    lines.append(f"not found: {[(hit['what'], hit['of']) for hit in found['hits'] if not hit['found']]}")
    return lines
