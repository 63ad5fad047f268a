"""The ladder by title against the fixed one, and CRFs for a target against what they give.

The decisions are the product's (``media.title``, ``media.choice``), on what its probes would measure: the
same encoder at the same CRFs. Compared are encodes at the CRFs that were decided, measured like all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import media
from bench.quality_clips import Clip
from bench.quality_measure import Encode, Part, measure
from bench.quality_rates import at_equal, bd_rate, highest_common

from vod_operators.media.choice import AT_CAP, choose_one
from vod_operators.media.curve import Curve, Point
from vod_operators.media.encoders import ENCODERS
from vod_operators.media.models import Plan, Rendition
from vod_operators.media.title import Measured, choose_ladder


def part_of(clip: Clip, plan: Plan, points: int) -> Part:
    """The second GOP of a clip, or the first of a short one."""
    frames = int(float(plan.frame_rate) * (plan.source.duration_ms or 0) / 1000)
    first = plan.gop_frames if frames >= 2 * plan.gop_frames else 0
    return Part(clip.path.resolve(), plan, first, plan.gop_frames, points)


def compare(clip: Clip, fixed: str, by_title: str, points: int, kept: Path) -> dict[str, Any]:
    """Both ladders of one clip, as encoded, and their rates at equal VMAF.

    :param fixed: name of the preset; ``by_title`` likewise.
    :param points: frames measured in each GOP.
    """
    plan, candidates = media.plan_of(clip.path.resolve(), fixed), media.plan_of(clip.path.resolve(), by_title)
    part = part_of(clip, plan, points)
    probes = probed(part, plan.renditions, kept)
    measured = {
        size: Measured(curve=Curve(points_of(encodes, "at_1080p", encodes[0].max_bitrate_bps)), burst=1.0)
        for size, encodes in probes.items()
    }
    chosen = choose_ladder(candidates.renditions, measured)
    kept_rungs = [
        one.model_copy(update={"crf": chosen[one.name].crf})
        for one in candidates.renditions
        if chosen[one.name].crf is not None
    ]
    theirs, ours = measure(part, plan.renditions, kept), measure(part, kept_rungs, kept)
    a, b = ([(one.bitrate_bps, one.at_1080p) for one in ladder] for ladder in (ours, theirs))
    top = highest_common(a, b)
    return {
        "kind": clip.kind,
        "fixed": [asdict(one) for one in theirs],
        "by_title": [asdict(one) for one in ours],
        "left_out": {name: one.why for name, one in chosen.items() if one.crf is None},
        "expected": {one.name: chosen[one.name].vmaf for one in kept_rungs},
        "bd_rate": bd_rate(a, b),
        "top_vmaf": top,
        "at_top": at_equal(a, b, top),
        "bits": sum(one.bitrate_bps for one in ours) / sum(one.bitrate_bps for one in theirs) - 1,
    }


def probed(part: Part, renditions: Sequence[Rendition], kept: Path) -> dict[tuple[int, int], list[Encode]]:
    """Size -> its encodes at the CRFs that the product probes, with the largest cap of that size."""
    largest = {
        (one.width, one.height): one for one in sorted(renditions, key=lambda one: one.max_bitrate_bps)
    }
    grid = [
        one.model_copy(update={"crf": float(crf)})
        for one in largest.values()
        for crf in ENCODERS[one.encoder].probed_crfs
    ]
    found: dict[tuple[int, int], list[Encode]] = {}
    for encode in measure(part, grid, kept):
        found.setdefault((encode.width, encode.height), []).append(encode)
    return found


def points_of(encodes: Sequence[Encode], what: str, cap_bps: int) -> tuple[Point, ...]:
    """A curve's points, by ascending CRF.

    :param what: ``native`` or ``at_1080p``.
    :param cap_bps: at which some of them may be.
    """
    return tuple(
        Point(
            crf=one.crf,
            vmaf=getattr(one, what),
            bitrate_bps=one.bitrate_bps,
            at_cap=float(one.peak_bps >= AT_CAP * cap_bps),
        )
        for one in sorted(encodes, key=lambda one: one.crf)
    )


def promises(clip: Clip, fixed: str, asking: str, points: int, kept: Path) -> list[dict[str, Any]]:
    """What the renditions of a preset with targets came to.

    :param fixed: name of a preset with the same sizes and caps, by whose renditions the part is probed.
    :param asking: name of the preset with targets.
    """
    plan = media.plan_of(clip.path.resolve(), fixed)
    part = part_of(clip, plan, points)
    probes = probed(part, plan.renditions, kept)
    found: list[dict[str, Any]] = []
    seconds = part.frames / float(plan.frame_rate)
    for wanted in media.plan_of(clip.path.resolve(), asking).targets:
        curve = points_of(probes[wanted.width, wanted.height], "native", wanted.max_bitrate_bps)
        chosen = choose_one(wanted, curve)
        (made,) = measure(part, [wanted.model_copy(update={"crf": chosen.crf, "target_vmaf": None})], kept)
        found.append(
            {
                "rendition": wanted.name,
                "asked": wanted.target_vmaf,
                "crf": chosen.crf,
                "expected": chosen.vmaf,
                "got": made.native,
                "capped": chosen.capped,
                "at_limit": chosen.why is not None,
                "bitrate_bps": made.bitrate_bps,
                "over_cap": made.bitrate_bps * seconds > made.max_bitrate_bps * seconds + wanted.buffer_bits,
            }
        )
    return found


def summary(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Of all clips: the median saving of calm kinds, and the worst of all."""
    calm = [
        row["bd_rate"]
        for row in rows.values()
        if row["kind"].split(",")[0] in CALM and row["bd_rate"] is not None
    ]
    every = [row["bd_rate"] for row in rows.values() if row["bd_rate"] is not None]
    return {
        "calm_mean": sum(calm) / len(calm) if calm else None,
        "better": sum(rate < 0 for rate in every),
        "of": len(rows),
        "worst": max(every, default=None),
    }


CALM = ("cartoon", "talking head", "screen")
"""Kinds of clips that a ladder by title must make smaller by a quarter."""
