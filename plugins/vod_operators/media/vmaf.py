"""Measures picture quality with VMAF: models -> argv of ffmpeg, and its log -> scores.

VMAF scores a frame from what it sees in that frame, and from how much the reference moves from the frame
before and to the frame after. So a frame has the same score alone between its two neighbours as in a run over
the whole video (measured: equal in all digits), and the neighbours are cheap: 0.1 of a scored frame. Few
frames from many places tell more of a video than many frames from few places, at the same cost. ``points``
chooses them.

A reference (``media.references``) holds these three frames for each point that is measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import ffmpeg
from pydantic import model_validator

from vod_operators.formats.base import Model
from vod_operators.media.ffmpeg import LOCAL_ONLY, Argv, command
from vod_operators.media.filters import Output, Stream, branches
from vod_operators.media.references import TRIPLE as TRIPLE
from vod_operators.media.references import Raw as Raw
from vod_operators.media.references import write_reference as write_reference

MODEL = "vmaf_v0.6.1"

LEAST_SIDE = 18
"""Least width and height that libvmaf can measure (at 16 it has no scale left to compare)."""

GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, modulo 1, are spread evenly, however many there are."""


class Score(Model):
    """The VMAF of a rendition, 0 to 100."""

    mean: float
    p5: float
    """95 % of the frames are at least as good."""
    worst: float
    """Mean of the worst window."""
    worst_at_s: float
    """Where that window begins, in seconds from the first picture."""


class Target(Model):
    """The VMAF that was asked of a rendition, and what came of it."""

    vmaf: float
    crf: float
    """With which it was encoded."""
    first_crf: float | None = None
    """With which it was encoded first, where that missed the target; None if it was encoded once."""
    missed_by: float
    """Measured minus asked."""
    capped: bool = False
    """Whether the cap on the bitrate keeps it from the target."""


class Quality(Model):
    """What was measured of a rendition."""

    model: str = MODEL
    native: Score | None
    """Compared at the rendition's own size; None: it is too small for the model."""
    at_1080p: Score | None
    """Both scaled into 1920x1080, as on a screen of that size."""
    measured_s: float
    """Seconds of video that the measured frames stand for: the length of their windows."""
    target: Target | None = None


class WindowScore(Model):
    """The measured frames of a window, which is a GOP."""

    first: int
    """Number of its first frame in the video."""
    frames: int
    native: tuple[float | None, ...]
    """VMAF of each point; None where it was not measured."""
    at_1080p: tuple[float | None, ...] = ()
    """Of the same points; empty: of none."""

    @model_validator(mode="after")
    def _is_of_the_same_points(self) -> WindowScore:
        if self.at_1080p and len(self.at_1080p) != len(self.native):
            raise ValueError(f"at_1080p: of {len(self.at_1080p)} points, native of {len(self.native)}")
        return self


# --- which frames ---------------------------------------------------------------------------


def points(first: int, frames: int, count: int, *, turn: int = 0) -> list[int]:
    """The frames to measure of a window: one in each of ``count`` equal parts of it, at changing places.

    Equal distances would meet the same kinds of pictures again and again: encoders repeat I, P and B pictures
    at distances of their own. (Every sixth frame read 0.5 to 1.6 too high.)

    :param first: number of the window's first frame.
    :param frames: of the window. Its first and last frame are never chosen, so that triples lie inside.
    :param turn: how many points of other windows come before; changes the places.
    :returns: ascending numbers, at least ``TRIPLE`` apart; fewer than ``count`` in a short window.
    """
    count = min(count, frames // TRIPLE)
    chosen: list[int] = []
    for number in range(count):
        place = (number + (GOLDEN * (turn + number + 1)) % 1) / count
        earliest = chosen[-1] + TRIPLE if chosen else first + 1
        latest = first + frames - 2 - TRIPLE * (count - number - 1)
        chosen.append(min(max(earliest, first + int(place * frames)), latest))
    return chosen


# --- comparing ------------------------------------------------------------------------------

ONE_COLOUR = {"range": "tv", "color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709"}
"""Tags of both inputs, whatever they are. Where one has none, ffmpeg would convert the other to BT.601, which
cost identical pictures 5 VMAF."""

_CLOCK = "1/25"
"""Time base of both inputs, whose frames are numbered: any would do."""


def compare(
    tool: str,
    encoded: str,
    chosen: Sequence[int],
    references: Mapping[str, Raw],
    *,
    only: Mapping[str, Sequence[int]] | None = None,
    container: Mapping[str, Any] | None = None,
    threads: int = 1,
) -> Argv:
    """Compare frames of an encoded file with references of different sizes, in one decode.

    :param encoded: fragmented MP4. It is scaled to each reference's size, bicubic.
    :param chosen: the points, as numbers of the file's frames in the order that they are shown.
    :param references: file for the log (``scores`` reads it) -> the reference for these points.
    :param only: file for the log -> the points that this reference is for; all if it is not named.
    :param container: input options in place of those for fragmented MP4.
    :param threads: that compare frames beside each other; the sum of their work is the same.
    """
    options = {"format": "mov", "ignore_editlist": 1} if container is None else container
    media = ffmpeg.input(encoded, **options, **LOCAL_ONLY)["v:0"].filter("setparams", **ONE_COLOUR)
    media = media.filter("select", "+".join(f"eq(n,{n})" for n in chosen))
    outputs = []
    for branch, (log, raw) in zip(branches(media, len(references)), references.items(), strict=True):
        own = (only or {}).get(log, chosen)
        if len(own) < len(chosen):
            places = [place for place, n in enumerate(chosen) if n in own]
            branch = branch.filter("select", "+".join(f"eq(n,{place})" for place in places))
        branch = branch.filter("scale", raw.width, raw.height, flags="bicubic")
        branch = branch.filter("format", raw.pixel_format)
        outputs.append(_compared(branch, raw, len(own), log, threads))
    return command(tool, ffmpeg.merge_outputs(*outputs))


def _compared(picture: Stream, raw: Raw, count: int, log: str, threads: int) -> Output:
    # libvmaf scores every third frame, from number 0 on, and of the others sees only how the reference moves.
    # Two pictures in front bring the middle of each triple to numbers 3, 6 ...; number 0 is not used.
    reference = ffmpeg.input(
        raw.file, format="rawvideo", video_size=raw.size, pixel_format=raw.pixel_format,
        framerate=25, protocol_whitelist="file", format_whitelist="rawvideo",
    )["v:0"]  # fmt: skip
    reference = reference.filter("setparams", **ONE_COLOUR)
    reference = reference.filter("tpad", start=TRIPLE - 1, start_mode="clone")
    reference = reference.filter("settb", _CLOCK).filter("setpts", "N")
    # The picture takes the place of all three: repeated frames are not copied.
    picture = picture.filter("settb", _CLOCK).filter("setpts", f"{TRIPLE}*(N+1)")
    picture = picture.filter("fps", fps=25, start_time=0).filter("tpad", stop=TRIPLE, stop_mode="clone")
    picture = picture.filter("trim", end_frame=TRIPLE * count + 2)
    scored = ffmpeg.filter(
        [picture.filter("setsar", 1), reference.filter("setsar", 1)], "libvmaf", model=f"version={MODEL}",
        n_subsample=TRIPLE, n_threads=threads, log_fmt="json", log_path=log,
    )  # fmt: skip
    return scored.output("pipe:1", format="null", fps_mode="passthrough")


def scores(text: str) -> list[float]:
    """The VMAF of each point, from the log that ``compare`` has libvmaf write.

    :raises ValueError: it is not such a log.
    """
    try:
        frames = json.loads(text)["frames"]
        found = {frame["frameNum"]: float(frame["metrics"]["vmaf"]) for frame in frames
                 if "vmaf" in frame["metrics"]}  # fmt: skip
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"not a log of libvmaf: {error!r}") from error
    values = [score for number, score in sorted(found.items()) if number]
    if any(not math.isfinite(value) for value in values):
        raise ValueError("a log of libvmaf with scores that are no numbers")
    return values


def lacks_libvmaf(lines: Iterable[str]) -> bool:
    """Whether ffmpeg says that it was built without libvmaf, or without the model."""
    return any(
        "No such filter: 'libvmaf'" in line or "could not load libvmaf model" in line for line in lines
    )


# --- merging --------------------------------------------------------------------------------


def merge(windows: Sequence[WindowScore], rate: Fraction) -> Quality | None:
    """The quality of a rendition, from the windows of all chunks; None if nothing was measured.

    :param rate: frames a second.
    """
    native = [_Measured.of(window, window.native) for window in windows]
    at_1080p = [
        _Measured.of(window, values) for window, values in zip(windows, inferred(windows), strict=True)
    ]
    measured = [window for window, *scores in zip(windows, native, at_1080p, strict=True) if any(scores)]
    if not measured:
        return None
    return Quality(
        native=_score([window for window in native if window], rate),
        at_1080p=_score([window for window in at_1080p if window], rate),
        measured_s=round(float(sum(window.frames for window in measured) / rate), 3),
    )


LEAST_PAIRS = 6
"""Least points with both scores for a line through them; with fewer, one constant is added."""


def inferred(windows: Sequence[WindowScore]) -> list[tuple[float | None, ...]]:
    """The scores at 1080p of each window's points, where only the native one was measured by a straight line.

    It costs as much to compare a small rendition at 1080p as a large one, and of one rendition the two scores
    go together.
    """
    pairs = [
        (native, screen)
        for window in windows
        for native, screen in zip(window.native, window.at_1080p, strict=False)
        if native is not None and screen is not None
    ]
    if not pairs:
        return [window.at_1080p for window in windows]
    mean_x, mean_y = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in pairs)
    slope = 1.0
    if len(pairs) >= LEAST_PAIRS and spread > len(pairs) / 100:
        # Scores of 100 are cut off, and few points may lie oddly: never a slope that is not plausible.
        slope = float(min(2.0, max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in pairs) / spread)))

    def value(native: float | None, screen: float | None) -> float | None:
        if screen is not None or native is None:
            return screen
        return float(min(100.0, max(0.0, mean_y + slope * (native - mean_x))))

    return [
        tuple(value(*both) for both in zip(window.native, window.at_1080p, strict=True))
        if window.at_1080p else ()
        for window in windows
    ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """The scores of a window."""

    first: int
    frames: int
    values: tuple[float, ...]

    @classmethod
    def of(cls, window: WindowScore, values: Sequence[float | None]) -> _Measured | None:
        known = tuple(value for value in values if value is not None)
        return cls(first=window.first, frames=window.frames, values=known) if known else None


def _score(windows: Sequence[_Measured], rate: Fraction) -> Score | None:
    if not windows:
        return None
    # A window counts by its length, however many of its frames were measured.
    weighted = sorted(
        (value, window.frames / len(window.values)) for window in windows for value in window.values
    )
    total = sum(weight for _, weight in weighted)
    worst, first = min((sum(window.values) / len(window.values), window.first) for window in windows)
    return Score(
        mean=_rounded(sum(value * weight for value, weight in weighted) / total),
        p5=_rounded(_quantile(weighted, 0.05 * total)),
        worst=_rounded(worst),
        worst_at_s=round(float(first / rate), 3),
    )


def _quantile(weighted: Sequence[tuple[float, float]], weight: float) -> float:
    """The value below which so much weight lies.

    :param weighted: values, ascending, and their weights.
    """
    passed = 0.0
    for value, own in weighted:
        passed += own
        if passed >= weight:
            return value
    return weighted[-1][0]


def _rounded(value: float) -> float:
    return round(min(100.0, max(0.0, value)), 2)
