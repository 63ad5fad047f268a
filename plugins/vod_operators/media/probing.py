"""Commands of the step ``analyse``: one window decoded once, and references for its encodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import ffmpeg as builder

from vod_operators.media import ffmpeg, filters, title, vmaf
from vod_operators.media.certificate import screen_of
from vod_operators.media.choice import ProbeScore
from vod_operators.media.ffmpeg import Argv
from vod_operators.media.filters import PIXEL_FORMATS
from vod_operators.media.models import Plan, Rendition, Timeline, Window
from vod_operators.media.vmaf import LEAST_SIDE, TRIPLE, Raw

POINTS = 12
"""Frames of 2 s that are measured, of each encode; they take a tenth of the time of the encodes."""


def measured_frames(window: Window, rate: float) -> list[int]:
    """The frames of a window that are measured, numbered from its first."""
    count = max(1, round(POINTS * window.frames / (2 * rate)))
    return vmaf.points(0, window.frames, count, turn=window.index * POINTS)


def probed(plan: Plan) -> tuple[Rendition, ...]:
    """The renditions that are analysed: those with a target that the model can measure, and one of each size
    of a ladder by title."""
    targets = (made for made in plan.targets if min(made.width, made.height) >= LEAST_SIDE)
    return (*targets, *title.probes(plan))


def alike(plan: Plan, renditions: Sequence[Rendition]) -> list[list[Rendition]]:
    """Renditions that differ only by target and cap, in groups; in each the one with the highest cap first.

    While the caps do not bind, the encodes of a group at one CRF are the same.
    """
    groups: dict[object, list[Rendition]] = {}
    for made in sorted(renditions, key=lambda made: -made.max_bitrate_bps):
        look = made.encoder, made.encoder_preset, made.width, made.height, made.profile, made.bit_depth
        groups.setdefault((*look, plan.gop_of(made)), []).append(made)
    return list(groups.values())


UNCAPPED_BELOW = 0.5
"""Share of a cap below which a window of some seconds is encoded as if there were none: its buffer holds more
than a second at the cap."""


def may_be_capped(rendition: Rendition, window: Window, score: ProbeScore, rate: Fraction) -> bool:
    """Whether a rendition's cap may bind, by the same window encoded with a higher one."""
    return 8 * score.bytes * rate / window.frames > UNCAPPED_BELOW * rendition.max_bitrate_bps


def reference_of(rendition: Rendition, plan: Plan) -> Raw:
    """The reference of a rendition: at its own size, of a ladder by title at that of the screen. Those of one
    size share it."""
    width, height = title.size_of(rendition) if rendition.target_vmaf else screen_of(plan)
    form = PIXEL_FORMATS[rendition.bit_depth]
    return Raw(file=f"{width}x{height}-{form}.yuv", width=width, height=height, pixel_format=form)


def decode_window(
    tool: str,
    source: str,
    output: str,
    chosen: Sequence[int],
    *,
    plan: Plan,
    window: Window,
    timeline: Timeline,
) -> Argv:
    """Decode one window with the frames after it that encoders look ahead to.

    Writes raw pictures of the largest rendition's size, from which the others are scaled, and the references
    of the analysed renditions.

    :param source: a cut that holds the window's packets, and perhaps those before.
    :param chosen: the frames to measure, numbered from the window's first.
    """
    largest = plan.sdr[-1]
    references = {
        reference_of(made, plan): made.name if made.target_vmaf else largest.name for made in probed(plan)
    }
    names = {largest.name, *references.values()}
    outputs = []
    for rendition, stream in ffmpeg.window_pictures(
        source, plan=plan, window=window, timeline=timeline, only=sorted(names)
    ):
        own = [raw for raw, name in references.items() if name == rendition.name]
        copies = filters.branches(stream, len(own) + (rendition is largest))
        if rendition is largest:
            outputs.append(ffmpeg.raw_output(copies.pop(), output))
        for raw, copy in zip(own, copies, strict=True):
            if raw.size != title.size_of(rendition):
                copy = copy.filter("scale", *raw.size, flags="bicubic")
            outputs.append(vmaf.write_reference(copy, raw, chosen))
    return ffmpeg.command(tool, builder.merge_outputs(*outputs), *ffmpeg.ENCODING)


def raw_bytes(plan: Plan, frames: int, chosen: Sequence[int]) -> int:
    """Bytes of all that ``decode_window`` writes.

    :param frames: decoded in all.
    """
    largest = plan.sdr[-1]
    sizes: Mapping[Raw, int] = {reference_of(made, plan): TRIPLE * len(chosen) for made in probed(plan)}
    deep = max(made.bit_depth for made in plan.sdr) > 8
    whole = frames * largest.width * largest.height * (1 + deep)
    references = sum(
        count * raw.width * raw.height * (2 if raw.pixel_format != "yuv420p" else 1)
        for raw, count in sizes.items()
    )
    return 3 * (whole + references) // 2 + OVERHEAD


OVERHEAD = 1_000_000
"""Bytes of a container of raw pictures, at most."""
