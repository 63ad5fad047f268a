"""Chooses the frames of each chunk whose quality is measured, by what that may cost.

Every choice follows from the plan, so that all hosts and tries make the same one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from vod_operators.media.encoders import EncoderName
from vod_operators.media.filters import PIXEL_FORMATS
from vod_operators.media.models import Chunk, Plan, Rendition, Timeline
from vod_operators.media.references import TRIPLE, Raw, References
from vod_operators.media.vmaf import LEAST_SIDE, points

BUDGET = 0.04
"""Share of the CPU time of the encoding tasks that the certificate may take, by the estimates below. They are
rough: it leaves a fifth of the 5 % that were promised."""

LEAST_POINTS = 48
"""Frames that are measured of a video, however short and whatever they cost; fewer only if a third of its
frames are fewer, or the first of them agree (``FIRST_SHARE``)."""

FIRST_SHARE = 3
"""Of this many of these points one is compared first; the others only if these leave a doubt."""

MOST_DOUBT = 0.4
"""VMAF by which the mean of a video may be uncertain after its first points, by ``vmaf.doubt``."""

LEAST_OF_WINDOW = 2
"""Frames that are measured of a window, if any are: to reach them, half of its GOP is decoded."""

SCREEN_SHARE = 2
"""Of this many points one is also compared at 1080p. The others are inferred (``vmaf.inferred``)."""

KEY_SHARE = 8
"""Of this many windows one has its first frame measured, which counts for the first frames of all."""

MAX_TOGETHER = 5_000_000
"""Most pixels of a picture, in all sizes, that are compared at once; libvmaf takes some 70 bytes for each."""

MAX_WAITING = 300_000_000
"""Most bytes of pictures at 1080p that may wait for each other in one command, of all its renditions. Long
chunks have more: there, renditions are compared one by one, and the start counts for little."""

MAX_BYTES = 2_000_000_000
"""Most bytes of a chunk's references. A point of the ladder ``h264`` takes 19 MB at 1080p."""

SCREEN = (1920, 1080)
SCREEN_PIXELS = 1920 * 1080

VMAF_S, DECODE_S, SOURCE_S = 20e-9, 2.5e-9, 6e-9
"""CPU seconds a pixel: a scored frame with its neighbours; decoding; decoding and scaling a source."""

START_S = 0.15
"""CPU seconds that the comparison of a rendition takes besides, in each chunk: for the buffers of libvmaf's
instances, and the frame that each measures in vain."""

ENCODE_S: Mapping[EncoderName, Mapping[str, float]] = {
    "libx264": {
        "ultrafast": 5e-9, "superfast": 8e-9, "veryfast": 12e-9, "faster": 18e-9, "fast": 26e-9,
        "medium": 32e-9, "slow": 48e-9, "slower": 85e-9, "veryslow": 130e-9,
    },
    "libx265": {
        "ultrafast": 15e-9, "superfast": 20e-9, "veryfast": 30e-9, "faster": 30e-9, "fast": 50e-9,
        "medium": 60e-9, "slow": 150e-9, "slower": 300e-9, "veryslow": 500e-9,
    },
    "libsvtav1": {str(preset): 11e-9 * 1.32 ** (12 - preset) for preset in range(13, 2, -1)},
    "h264_nvenc": {},
}  # fmt: skip
"""CPU seconds that an encoder takes for a pixel, by its preset."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """A GOP, and which of its frames are measured."""

    first: int
    """Number of its first frame in the video."""
    frames: int
    points: tuple[int, ...]
    """Frames that are compared at the rendition's own size."""
    at_screen: tuple[int, ...]
    """Those of them that are compared at 1080p, too."""

    @property
    def of_key(self) -> bool:
        """Whether its first frame is measured."""
        return self.points[:1] == (self.first,)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What is measured of a chunk."""

    windows: tuple[Window, ...]
    references: References
    first: frozenset[int]
    """The points that are compared first, of all renditions."""
    most_doubt: float = 0.0
    """How uncertain a mean of those may be so that the other points are not compared."""


def sample_of(plan: Plan, chunk: Chunk, timeline: Timeline, *, only: Collection[str] | None = None) -> Sample:
    """What is measured of a chunk; no windows if it is too short, or all pictures are too small.

    :param only: names of the renditions that are encoded; None: all.
    """
    names = [made.name for made in plan.sdr if only is None or made.name in only]
    gops = [
        (first, min(plan.gop_frames, chunk.last - first))
        for first in range(chunk.first, chunk.last, plan.gop_frames)
    ]
    screen_pixels = math.prod(screen_of(plan)) / SCREEN_SHARE
    scored = sum(
        rendition.width * rendition.height + (screen_pixels if needs_screen(rendition, plan) else 0)
        for rendition in plan.sdr
    )
    pixels = sum(rendition.width * rendition.height for rendition in plan.sdr)
    a_point, a_window = VMAF_S * scored, 0.7 * plan.gop_frames * DECODE_S * pixels
    # CPU seconds of a frame's encoding; and of a point, where each window has the fewest.
    encode_s, a_point = _encode_s(plan), a_point + a_window / LEAST_OF_WINDOW
    paid = int((BUDGET * chunk.frames * encode_s - START_S * len(names)) / a_point)
    least = math.ceil(LEAST_POINTS * chunk.frames / timeline.frames)
    count = max(paid, least)
    a_point_bytes = _references(plan, names, (0,), (0,)).size_bytes
    if not a_point_bytes:
        return Sample(windows=(), references=_references(plan, names, (), ()), first=frozenset())
    count = min(count, max(LEAST_OF_WINDOW, MAX_BYTES // a_point_bytes))
    windows = _windows(gops, count, plan.gop_frames, chunk.first - chunk.lead_in)
    references = _references(
        plan,
        names,
        tuple(n for window in windows for n in window.points),
        tuple(n for window in windows for n in window.at_screen),
    )
    first_share = 1 if paid >= least else FIRST_SHARE
    first = (
        n
        for number, window in enumerate(windows)
        for place, n in enumerate(window.points, start=number)
        if place % first_share == 0 or n == window.first
    )
    # The errors of chunks cancel each other.
    most_doubt = MOST_DOUBT * math.sqrt(timeline.frames / chunk.frames)
    return Sample(windows=windows, references=references, first=frozenset(first), most_doubt=most_doubt)


def _encode_s(plan: Plan) -> float:
    """About how many CPU seconds a frame takes: decoding, scaling, and all encoders."""
    video = plan.source.video
    assert video is not None
    return SOURCE_S * video.width * video.height + sum(
        ENCODE_S[rendition.encoder].get(rendition.encoder_preset, 0.0) * rendition.width * rendition.height
        for rendition in plan.renditions
    )


def _windows(gops: Sequence[tuple[int, int]], count: int, gop_frames: int, begin: int) -> tuple[Window, ...]:
    """Windows spread over the GOPs, with about ``count`` points.

    :param begin: the first frame that is encoded: triples lie behind it.
    """
    taken = max(1, min(len(gops), count // LEAST_OF_WINDOW))
    chosen = [gops[(2 * number + 1) * len(gops) // (2 * taken)] for number in range(taken)]
    may_have_key = [first for first, frames in chosen if first > begin and frames > 2 * TRIPLE]
    keys = may_have_key[len(may_have_key) % KEY_SHARE // 2 :: KEY_SHARE]
    windows = []
    for number, (first, frames) in enumerate(chosen):
        share = (number + 1) * count // taken - number * count // taken
        # A short last GOP has its share of the points.
        share = max(1, round(Fraction(share * frames, gop_frames)))
        # Triples lie apart: one round a key frame takes the frames beside it.
        early, late = 2 * (first in keys), int(first + frames in keys)
        own = points(first + early, frames - early - late, share, turn=first // gop_frames * share)
        own = [first, *own] if first in keys else own
        # The even ones of one window, the odd ones of the next: all parts of a GOP alike.
        at_screen = [n for place, n in enumerate(own, start=number) if place % SCREEN_SHARE == 0]
        windows.append(Window(first=first, frames=frames, points=tuple(own), at_screen=tuple(at_screen)))
    if windows and not any(window.at_screen for window in windows):
        windows[0] = Window(**vars(windows[0]) | {"at_screen": windows[0].points[:1]})
    return tuple(window for window in windows if window.points)


def _references(
    plan: Plan, names: Sequence[str], chosen: tuple[int, ...], at_screen: tuple[int, ...]
) -> References:
    video, largest, size = plan.source.video, plan.sdr[-1], screen_of(plan)
    assert video is not None
    encoded = [made for made in plan.sdr if made.name in names]
    depth = max(rendition.bit_depth for rendition in plan.sdr)
    screen = Raw(
        file="reference-screen.yuv", width=size[0], height=size[1], pixel_format=PIXEL_FORMATS[depth]
    )
    is_larger = any(own > made + 1 for own, made in zip(video.display_size, _size(largest), strict=True))
    return References(
        points=chosen,
        at_screen=at_screen,
        native={made.name: _raw(made) for made in encoded if is_measurable(made)},
        screen=screen if has_screen(plan) and any(needs_screen(made, plan) for made in encoded) else None,
        of_source=largest.name not in names or (is_larger and math.prod(_size(largest)) < math.prod(size)),
    )


def is_measurable(rendition: Rendition) -> bool:
    """Whether VMAF can be measured at the rendition's own size."""
    return min(_size(rendition)) >= LEAST_SIDE


def has_screen(plan: Plan) -> bool:
    """Whether VMAF can be measured at 1080p: a picture more than a hundred times as wide as high, or as high
    as wide, is too narrow there."""
    return min(screen_of(plan)) >= LEAST_SIDE


def needs_screen(rendition: Rendition, plan: Plan) -> bool:
    """Whether it must be compared at 1080p besides: otherwise it has that size."""
    return _size(rendition) != screen_of(plan)


def _size(rendition: Rendition) -> tuple[int, int]:
    return rendition.width, rendition.height


def _raw(rendition: Rendition) -> Raw:
    width, height, depth = rendition.width, rendition.height, rendition.bit_depth
    file = f"reference-{width}x{height}-{depth}.yuv"
    return Raw(file=file, width=width, height=height, pixel_format=PIXEL_FORMATS[depth])


def screen_of(plan: Plan) -> tuple[int, int]:
    """The size of the video's pictures on a screen of 1920x1080, upright for upright pictures; even."""
    width, height = _size(plan.sdr[-1])
    across, down = SCREEN if width >= height else SCREEN[::-1]
    scale = min(Fraction(across, width), Fraction(down, height))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))
