"""What is done to pictures between decoder and encoders: one chain, then a branch for each rendition."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby
from typing import TypeAlias

import ffmpeg

from vod_operators.media.models import Plan, Rendition, VideoStream
from vod_operators.media.plan import needs_conversion

HDR_PEAK_NITS = 1000
"""Brightest light of an HDR picture that does not declare its own: what most are graded for."""

PIXEL_FORMATS = {8: "yuv420p", 10: "yuv420p10le"}
"""By bit depth."""

Stream: TypeAlias = ffmpeg.nodes.FilterableStream


def upright(stream: Stream, plan: Plan) -> Stream:
    """Whole upright pictures with their colours named."""
    video = _video(plan)
    colour = video.colour
    stream = stream.filter(
        "setparams",
        color_primaries=colour.primaries,
        color_trc=colour.transfer,
        colorspace=colour.matrix,
        range="pc" if colour.full_range else "tv",
    )
    if video.fields_apart:
        # The pair gets the time of its second field.
        stream = stream.filter("weave", "top").filter("setpts", f"PTS-1/({2 * video.frame_rate})/TB")
    turns = video.display_matrix.filters if video.display_matrix else ()
    # These filters want pictures of one size; where all are, scaling does nothing.
    if video.interlaced or turns or any(video.crop):
        stream = stream.filter("scale", video.width, video.height)
    if video.interlaced:
        if video.field_order:
            stream = stream.filter("setfield", video.field_order)
        each = "field" if plan.frame_rate > video.frame_rate else "frame"
        # Of a mixed source only what its pictures call interlaced; the others go through as they are.
        only = {"deint": "interlaced"} if video.scan == "mixed" else {}
        stream = stream.filter("bwdif", mode=f"send_{each}", **only)
    stream = cropped(stream, video)
    for name, *arguments in turns:
        stream = stream.filter(name, *arguments)
    return stream


def cropped(stream: Stream, video: VideoStream) -> Stream:
    """Without what the container hides. NUT does not tell decoders of it."""
    if not any(video.crop):
        return stream
    width, height = video.shown_size
    return stream.filter("crop", width, height, video.crop.left, video.crop.top, exact=1)


def on_grid(stream: Stream, plan: Plan, begin: int, end: int) -> Stream:
    """The output frames ``[begin, end)`` of the whole video's grid, numbered from 0, none missing.

    The picture before stands where the source has none: in a pause, after its last one, or where it is
    damaged; and the first one before itself.

    :param stream: timed from the start of the video.
    """
    rate = plan.frame_rate
    start = f"{float(begin / rate):.9f}"
    if begin:
        # The grid keeps the captions of pictures that it drops, and gives them to later ones; so the pictures
        # before the first must have none, or all captions of this chunk would be late by so many pictures.
        early = f"lt(t,{float((begin - Fraction(1, 2)) / rate):.9f})"
        stream = stream.filter("sidedata", mode="delete", type="A53_CC", enable=early)
    stream = stream.filter("fps", fps=f"{rate.numerator}/{rate.denominator}", round="near", start_time=start)
    stream = stream.filter("tpad", stop_mode="clone", stop=-1)
    return stream.filter("trim", end_pts=end).filter("setpts", f"PTS-{begin}")


def black(plan: Plan) -> Stream:
    """Black pictures of the largest size, without end."""
    size, rate = plan.renditions[-1], plan.frame_rate
    source = f"color=black:s={size.width}x{size.height}:r={rate.numerator}/{rate.denominator}"
    return ffmpeg.input(source, format="lavfi")["v:0"]


def cascade(picture: Stream, plan: Plan, *, converted: bool) -> Iterator[tuple[Rendition, Stream]]:
    """Each rendition's pictures, largest first: one decode and one scaling of each size, for all encoders.

    Each size is scaled from the next larger one, not from the source.

    :param converted: whether its colours are those of the output already.
    """
    depth = max(rendition.bit_depth for rendition in plan.renditions)
    by_size = groupby(reversed(plan.renditions), key=lambda rendition: (rendition.width, rendition.height))
    sizes = [(size, list(renditions)) for size, renditions in by_size]
    for number, ((width, height), renditions) in enumerate(sizes):
        convert = number == 0 and not converted
        picture = picture.filter("scale", width, height, flags="bicubic", **_to_limited(plan, convert))
        if convert:
            picture = _to_sdr(picture, plan)
        picture = picture.filter("setsar", 1)  # rounding to even sizes would leave 1001:1000
        picture = picture.filter("format", PIXEL_FORMATS[depth])
        each = branches(picture, len(renditions) + (number < len(sizes) - 1))
        picture = each[-1]
        for rendition, branch in zip(renditions, each, strict=False):
            if rendition.bit_depth != depth:
                branch = branch.filter("format", PIXEL_FORMATS[rendition.bit_depth])
            yield rendition, branch


def branches(stream: Stream, count: int) -> list[Stream]:
    """The same pictures so many times."""
    if count == 1:
        return [stream]
    split = stream.filter_multi_output("split", count)
    return [split.stream(branch) for branch in range(count)]


def _to_limited(plan: Plan, convert: bool) -> dict[str, str]:
    """Options of the first scaling that bring numbers into what players expect."""
    source = _video(plan).colour
    if not convert or needs_conversion(source):
        return {}  # done with the light itself
    matrix = {"out_color_matrix": "bt709"} if source.matrix == "gbr" else {}
    return {"out_range": "tv", **matrix}


def _to_sdr(stream: Stream, plan: Plan) -> Stream:
    """Computes the light of HDR and wide-gamut pictures anew, as BT.709."""
    video = _video(plan)
    if not needs_conversion(video.colour):
        return stream
    stream = stream.filter("zscale", transfer="linear", npl=100)
    stream = stream.filter("format", "gbrpf32le").filter("zscale", primaries="bt709")
    if video.colour.hdr:
        # Keeps skin and text as they are and bends only what is brighter. A peak of its own for each
        # chunk would make joins visible, so it is the whole video's.
        peak = max(2.0, (video.peak_nits or HDR_PEAK_NITS) / 100)
        stream = stream.filter("tonemap", tonemap="mobius", desat=0, peak=f"{peak:g}")
    return stream.filter("zscale", transfer="bt709", matrix="bt709", range="limited")


def _video(plan: Plan) -> VideoStream:
    assert plan.source.video is not None
    return plan.source.video
