"""A quick look at how hard a source's pictures are: some of them, encoded by ``prepare`` as they will be.

Only the pictures tell how many bits they will take. The source's own bitrate does not: one encoder spends a
megabit on noise that another one drops (docs/decisions/032-estimates.md has figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import ffmpeg
from pydantic import Field

from vod_operators.formats.base import Model
from vod_operators.media import filters
from vod_operators.media.encoders import ENCODERS, encoder_options
from vod_operators.media.ffmpeg import UNCROPPED, Argv, command, source_input
from vod_operators.media.models import Plan, Rendition

PIXELS = 300_000
"""Most pixels of the rendition that is tried: 360p and 432p are large enough to tell of all."""

FRAMES = 25
"""Pictures at each place: a key frame, and what follows from it."""

LEAST_PLACES, MOST_PLACES = 2, 8
SHARE = Fraction(1, 25)
"""Of the video's pictures, at most, between these numbers of places."""


class Sample(Model):
    """What became of the pictures."""

    rendition: str
    """The rendition that was tried."""
    key_bits: float = Field(gt=0)
    """Bits of a pixel in key frames."""
    other_bits: float = Field(gt=0)
    """Bits of a pixel in the frames between."""


def tried(plan: Plan) -> Rendition | None:
    """The rendition to try; None if each needs a device that this host may not have."""
    usable = [made for made in plan.sdr if not ENCODERS[made.encoder].hardware]
    small = [made for made in usable if made.width * made.height <= PIXELS]
    return small[-1] if small else usable[0] if usable else None


def places(plan: Plan) -> list[Fraction]:
    """Times on the source's clock from its start, in seconds; empty if its length is not known."""
    frames = plan.source.frames_at(plan.frame_rate)
    if not frames:
        return []
    count = min(MOST_PLACES, max(LEAST_PLACES, int(frames * SHARE / FRAMES)))
    seconds = plan.seconds(frames)
    return [seconds * (2 * number + 1) / (2 * count) for number in range(count)]


def encode_sample(tool: str, source: str, at_s: Fraction, *, plan: Plan, rendition: Rendition) -> Argv:
    """Encode ``FRAMES`` pictures from the key frame before a time on; prints a line for each.

    :param at_s: seconds from the beginning of the file.
    """
    video = plan.source.video
    assert video is not None
    media = source_input(
        source,
        transport=plan.source.is_transport,
        begins_late=plan.source.begins_late,
        noautorotate=None,
        noaccurate_seek=None,
        ss=f"{float(at_s):.3f}",
        **UNCROPPED,
    )
    rate = plan.frame_rate
    picture = filters.upright(media[str(video.index)], plan)
    picture = picture.filter("fps", fps=f"{rate.numerator}/{rate.denominator}")
    alone = plan.model_copy(update={"renditions": (rendition,)})  # without the scaling of larger ones
    ((_, stream),) = filters.cascade(picture, alone, converted=False)
    options = encoder_options(rendition, plan.gop_of(rendition))
    out = stream.output(
        "pipe:1",
        format="framecrc",
        **{"frames:v": FRAMES},
        **{f"{name}:v": value for name, value in options.items() if name != "tag"},
    )
    return command(tool, ffmpeg.merge_outputs(out))


def frame_sizes(lines: Sequence[str]) -> list[int]:
    """Bytes of each frame that ``encode_sample`` printed, a key frame first."""
    columns = [line.split(",") for line in lines if line and not line.startswith("#")]
    return [int(column[4]) for column in columns if len(column) > 5 and column[4].strip().isdecimal()]


def sample_of(places_sizes: Sequence[Sequence[int]], rendition: Rendition) -> Sample | None:
    """What the places say together; None if there is no frame after a key frame.

    :param places_sizes: bytes of each frame, of each place.
    """
    whole = [sizes for sizes in places_sizes if len(sizes) > 1]
    keys = [sizes[0] for sizes in whole]
    others = [size for sizes in whole for size in sizes[1:]]
    if not sum(keys) or not sum(others):
        return None
    pixels = rendition.width * rendition.height
    return Sample(
        rendition=rendition.name,
        key_bits=8 * sum(keys) / len(keys) / pixels,
        other_bits=8 * sum(others) / len(others) / pixels,
    )
