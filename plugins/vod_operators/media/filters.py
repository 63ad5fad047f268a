"""Filters between decoder and encoders: one chain, then a branch for each rendition."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from typing import TypeAlias

import ffmpeg

from vod_operators.media.hdr import TRANSFERS, Hdr
from vod_operators.media.models import SDR, Colour, Plan, Rendition, VideoStream
from vod_operators.media.plan import needs_conversion

HDR_PEAK_NITS = 1000
"""Peak brightness of HDR that declares none: most is graded for this."""

PIXEL_FORMATS = {8: "yuv420p", 10: "yuv420p10le"}
"""Bit depth -> pixel format."""

AT_ONCE = {"flush_packets": 1}
"""Output options: write each packet at once, so that ``work.partial`` finds it."""

Stream: TypeAlias = ffmpeg.nodes.FilterableStream
Output: TypeAlias = ffmpeg.nodes.OutputStream


def upright(stream: Stream, plan: Plan) -> Stream:
    """The decoded pictures, upright, deinterlaced and cropped, and tagged with their colours."""
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
        # ``weave`` gives the frame the time of its second field; subtract half a frame.
        stream = stream.filter("weave", "top").filter("setpts", f"PTS-1/({2 * video.frame_rate})/TB")
    turns = video.display_matrix.filters if video.display_matrix else ()
    # These filters need pictures of one size. Where the size never changes, scaling does nothing.
    if video.interlaced or turns or any(video.crop):
        stream = stream.filter("scale", video.width, video.height)
    if video.interlaced:
        if video.field_order:
            stream = stream.filter("setfield", video.field_order)
        unit = "field" if plan.frame_rate > video.frame_rate else "frame"
        # In a mixed source only the pictures that are flagged as interlaced are deinterlaced.
        options = {"deint": "interlaced"} if video.scan == "mixed" else {}
        stream = stream.filter("bwdif", mode=f"send_{unit}", **options)
    stream = cropped(stream, video)
    for name, *arguments in turns:
        stream = stream.filter(name, *arguments)
    return stream


def cropped(stream: Stream, video: VideoStream) -> Stream:
    """The pictures without what the container crops. A cut chunk in NUT no longer carries the crop."""
    if not any(video.crop):
        return stream
    width, height = video.shown_size
    return stream.filter("crop", width, height, video.crop.left, video.crop.top, exact=1)


def on_grid(stream: Stream, plan: Plan, begin: int, end: int) -> Stream:
    """The output frames ``[begin, end)`` of the whole video's grid, numbered from 0, none missing.

    Where the source has no picture (in a pause, after its last one, where it is damaged) the one before is
    repeated; before its first picture, that one is shown.

    :param stream: pictures with times from the start of the video.
    """
    rate = plan.frame_rate
    start = f"{float(begin / rate):.9f}"
    if begin:
        # ``fps`` passes the captions of dropped pictures on to later ones. Without this, the pictures dropped
        # before ``begin`` would delay all captions of the chunk.
        before_begin = f"lt(t,{float((begin - Fraction(1, 2)) / rate):.9f})"
        stream = stream.filter("sidedata", mode="delete", type="A53_CC", enable=before_begin)
    stream = stream.filter("fps", fps=f"{rate.numerator}/{rate.denominator}", round="near", start_time=start)
    stream = stream.filter("tpad", stop_mode="clone", stop=-1)
    return stream.filter("trim", end_pts=end).filter("setpts", f"PTS-{begin}")


def black(plan: Plan) -> Stream:
    """Black pictures of the largest rendition's size, without end, in the colours of the SDR output."""
    size, rate, colour = plan.renditions[-1], plan.frame_rate, _video(plan).colour
    if needs_conversion(colour):
        colour = SDR
    source = f"color=black:s={size.width}x{size.height}:r={rate.numerator}/{rate.denominator}"
    # They are tagged as decoded pictures are: all chunks of a rendition share one init segment.
    return ffmpeg.input(source, format="lavfi")["v:0"].filter(
        "setparams",
        color_primaries=colour.primaries,
        color_trc=colour.transfer,
        colorspace=SDR.matrix if colour.matrix == "gbr" else colour.matrix,
        range="tv",
    )


def cascade(
    picture: Stream, plan: Plan, *, converted: bool, only: Container[str] | None = None
) -> Iterator[tuple[Rendition, Stream]]:
    """Each rendition's pictures, largest first.

    All encoders share one decode, and one scaling of each size. Each size is scaled from the next larger one,
    not from the source.

    HDR renditions come first. They are scaled apart, because the others are tone-mapped when they are scaled
    for the first time.

    :param converted: whether the colours are already those of the output.
    :param only: names of the renditions that are wanted, None for all. Others are only scaled, where
        those depend on it.
    """
    hdr = tuple(made for made in plan.renditions if made.hdr and (only is None or made.name in only))
    if hdr and (only is None or any(made.name in only for made in plan.sdr)):
        picture, other = branches(picture, 2)
        yield from _steps(other, plan, hdr, converted=converted, only=only)
        yield from _steps(picture, plan, plan.sdr, converted=converted, only=only)
    else:
        yield from _steps(picture, plan, hdr or plan.sdr, converted=converted, only=only)


def _steps(
    picture: Stream,
    plan: Plan,
    ladder: Sequence[Rendition],
    *,
    converted: bool,
    only: Container[str] | None,
) -> Iterator[tuple[Rendition, Stream]]:
    """``cascade`` of renditions of one dynamic range, smallest first."""
    hdr = ladder[0].hdr
    depth = max(rendition.bit_depth for rendition in ladder)
    by_size = groupby(reversed(ladder), key=lambda rendition: (rendition.width, rendition.height))
    sizes = [
        (size, [made for made in renditions if only is None or made.name in only])
        for size, renditions in by_size
    ]
    while sizes and not sizes[-1][1]:
        sizes.pop()
    for number, ((width, height), renditions) in enumerate(sizes):
        if hdr is None:
            picture = sized(picture, plan, (width, height), convert=number == 0 and not converted)
        else:
            picture = picture.filter("scale", width, height, flags="bicubic").filter("setsar", 1)
            if number == 0:
                picture = _as_hdr(picture, hdr, None if converted else _video(plan).colour)
        copies = branches(picture, len(renditions) + (number < len(sizes) - 1))
        picture = copies[-1]
        for rendition, branch in zip(renditions, copies, strict=False):
            if rendition.bit_depth != depth:
                branch = branch.filter("format", PIXEL_FORMATS[rendition.bit_depth])
            yield rendition, branch


def sized(picture: Stream, plan: Plan, size: tuple[int, int], *, convert: bool) -> Stream:
    """The pictures in another size, in the greatest bit depth of the output.

    :param convert: whether the colours are still those of the source.
    """
    picture = picture.filter("scale", *size, flags="bicubic", **_to_limited(plan, convert))
    if convert:
        picture = _to_sdr(picture, plan)
    picture = picture.filter("setsar", 1)  # rounding to even sizes would leave 1001:1000
    depth = max(rendition.bit_depth for rendition in plan.sdr)
    return picture.filter("format", PIXEL_FORMATS[depth])


SIDE_DATA = (
    "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID",
    "DOVI_RPU_BUFFER", "DOVI_METADATA", "AMBIENT_VIEWING_ENVIRONMENT",
)  # fmt: skip
"""Metadata of HDR that decoded pictures may carry. An encoder would write what it finds with a chunk's first
picture. So they are removed, and the plan tells the encoder, the same in all chunks."""


def _as_hdr(picture: Stream, hdr: Hdr, source: Colour | None) -> Stream:
    """HDR pictures with ten bits in limited range, and the colours of BT.2100.

    :param source: the colours that they have; None: those of the output, or they are black.
    """
    for kind in SIDE_DATA:
        picture = picture.filter("sidedata", mode="delete", type=kind)
    transfer = TRANSFERS[hdr.range]
    if source and source != Colour(primaries="bt2020", transfer=transfer, matrix="bt2020nc"):
        picture = picture.filter(
            "zscale", primaries="bt2020", transfer=transfer, matrix="bt2020nc", range="limited"
        )
    # Also black in place of what cannot be decoded has these tags: all chunks share one init segment.
    picture = picture.filter(
        "setparams",
        color_primaries="bt2020",
        color_trc=transfer,
        colorspace="bt2020nc",
        range="tv",
        chroma_location=hdr.chroma_location,
    )
    return picture.filter("format", PIXEL_FORMATS[10])


def branches(stream: Stream, count: int) -> list[Stream]:
    """``count`` copies of a stream."""
    if count == 1:
        return [stream]
    split = stream.filter_multi_output("split", count)
    return [split.stream(branch) for branch in range(count)]


def _to_limited(plan: Plan, convert: bool) -> dict[str, str]:
    """Options of the first scaling: limited range, and YUV in place of RGB."""
    source = _video(plan).colour
    if not convert or needs_conversion(source):
        return {}  # ``_to_sdr`` converts the range as well
    matrix = {"out_color_matrix": "bt709"} if source.matrix == "gbr" else {}
    return {"out_range": "tv", **matrix}


def _to_sdr(stream: Stream, plan: Plan) -> Stream:
    """Converts HDR and wide-gamut pictures to BT.709, in linear light."""
    video = _video(plan)
    if not needs_conversion(video.colour):
        return stream
    stream = stream.filter("zscale", transfer="linear", npl=100)
    stream = stream.filter("format", "gbrpf32le").filter("zscale", primaries="bt709")
    if video.colour.hdr:
        # Mobius keeps skin and text as they are and compresses only brighter light. The peak is the whole
        # video's: one for each chunk would make joins visible.
        peak = max(2.0, (video.peak_nits or HDR_PEAK_NITS) / 100)
        stream = stream.filter("tonemap", tonemap="mobius", desat=0, peak=f"{peak:g}")
    return stream.filter("zscale", transfer="bt709", matrix="bt709", range="limited")


def _video(plan: Plan) -> VideoStream:
    assert plan.source.video is not None
    return plan.source.video
