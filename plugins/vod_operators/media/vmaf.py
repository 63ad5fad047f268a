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
from itertools import pairwise
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
    of_key: bool = False
    """Whether the first value is that of the window's first frame, which is a key frame."""

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

_RATE = 1000
"""Frames a second of the inputs, whose frames are numbered: any would do."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A reference, and what one instance of libvmaf compares with it. Its start costs about as much as two
    points."""

    log: str
    """File that the scores are written to."""
    raw: Raw
    places: tuple[int, ...]
    """Which of each encoded file's points the reference is for."""
    of: tuple[str, ...]
    """The encoded files: first the first point of each, then the second of each ..."""
    triples: tuple[int, ...] | None = None
    """Which of the reference's triples are compared; None: all. Equally many as ``places``."""


def compare(
    tool: str,
    encoded: str,
    chosen: Sequence[int],
    references: Mapping[str, Raw],
    *,
    container: Mapping[str, Any] | None = None,
    threads: int = 1,
) -> Argv:
    """Compare frames of an encoded file with references of different sizes, in one decode.

    :param references: file for the log (``scores`` reads it) -> the reference for these points.

    The other parameters are those of ``compare_together``.
    """
    places = tuple(range(len(chosen)))
    instances = [Instance(log=log, raw=raw, places=places, of=(encoded,)) for log, raw in references.items()]
    return compare_together(tool, {encoded: chosen}, instances, container=container, threads=threads)


def compare_together(
    tool: str,
    encoded: Mapping[str, Sequence[int]],
    instances: Sequence[Instance],
    *,
    container: Mapping[str, Any] | None = None,
    threads: int = 1,
) -> Argv:
    """Compare frames of encoded files with references of different sizes, each decoded once.

    :param encoded: fragmented MP4 -> the points, as numbers of its frames in the order that they are shown;
        of all files equally many. Their pictures are scaled to each reference's size, bicubic.
    :param container: input options in place of those for fragmented MP4.
    :param threads: that compare frames beside each other in each instance. More than one takes memory, and
        some CPU time for its start.
    """
    options = {"format": "mov", "ignore_editlist": 1} if container is None else container
    pictures: dict[tuple[str, str], Stream] = {}
    for file, chosen in encoded.items():
        media = ffmpeg.input(file, **options, **LOCAL_ONLY)["v:0"].filter("setparams", **ONE_COLOUR)
        media = media.filter("select", "+".join(f"eq(n,{n})" for n in chosen))
        own = [instance for instance in instances if file in instance.of]
        for branch, instance in zip(branches(media, len(own)), own, strict=True):
            if len(instance.places) < len(chosen):
                branch = branch.filter("select", "+".join(f"eq(n,{place})" for place in instance.places))
            branch = branch.filter("scale", instance.raw.width, instance.raw.height, flags="bicubic")
            pictures[instance.log, file] = branch.filter("format", instance.raw.pixel_format)
    most = max(len(instance.places) for instance in instances)
    outputs = []
    for instance in instances:
        own_pictures = [pictures[instance.log, file] for file in instance.of]
        # ffmpeg advances all outputs by their times. At such a rate they last equally long.
        rate = max(1, round(_RATE * len(own_pictures) * len(instance.places) / most))
        outputs.append(_compared(own_pictures, instance, rate, threads))
    return command(tool, ffmpeg.merge_outputs(*outputs))


def _compared(pictures: Sequence[Stream], instance: Instance, rate: int, threads: int) -> Output:
    # libvmaf scores every third frame, from number 0 on, and of the others sees only how the reference moves.
    # Two pictures in front bring the middle of each triple to numbers 3, 6 ...; number 0 is not used.
    raw, files = instance.raw, len(pictures)
    source = ffmpeg.input(
        raw.file, format="rawvideo", video_size=raw.size, pixel_format=raw.pixel_format,
        framerate=rate, protocol_whitelist="file", format_whitelist="rawvideo",
    )["v:0"].filter("setparams", **ONE_COLOUR).filter("settb", f"1/{rate}")  # fmt: skip
    if instance.triples is not None:
        source = source.filter(
            "select", "+".join(f"between(n,{TRIPLE * n},{TRIPLE * n + TRIPLE - 1})" for n in instance.triples)
        ).filter("setpts", "N")
    total = TRIPLE * files * len(instance.places) + 2
    if files > 1:  # ``interleave`` may drop the last frame: it gets more, which are trimmed
        source = source.filter("tpad", stop=TRIPLE, stop_mode="clone")
        pictures = [picture.filter("tpad", stop=1, stop_mode="clone") for picture in pictures]
    # Each triple once for each file.
    turns = [
        copy.filter("setpts", f"N+{TRIPLE}*({files - 1}*floor(N/{TRIPLE})+{turn})")
        for turn, copy in enumerate(branches(source, files))
    ]
    reference = _in_turn(turns).filter("tpad", start=TRIPLE - 1, start_mode="clone")
    reference = reference.filter("settb", f"1/{rate}").filter("setpts", "N").filter("trim", end_frame=total)
    # The picture takes the place of all three: repeated frames are not copied.
    placed = [
        picture.filter("settb", f"1/{rate}").filter("setpts", f"{TRIPLE}*({files}*N+{turn + 1})")
        for turn, picture in enumerate(pictures)
    ]
    picture = _in_turn(placed).filter("fps", fps=rate, start_time=0)
    picture = picture.filter("tpad", stop=TRIPLE, stop_mode="clone")
    picture = picture.filter("trim", end_frame=total)
    scored = ffmpeg.filter(
        [picture.filter("setsar", 1), reference.filter("setsar", 1)], "libvmaf", model=f"version={MODEL}",
        n_subsample=TRIPLE, n_threads=threads if threads > 1 else 0, log_fmt="json", log_path=instance.log,
    )  # fmt: skip
    return scored.output("pipe:1", format="null", fps_mode="passthrough")


def _in_turn(streams: Sequence[Stream]) -> Stream:
    """The frames of all streams in the order of their times."""
    return streams[0] if len(streams) == 1 else ffmpeg.filter(streams, "interleave", nb_inputs=len(streams))


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


def doubt(values: Sequence[float]) -> float:
    """The standard error of a mean, from how much each value differs from the one before.

    :param values: of points of a video in their order. Slow changes of quality are not counted: each part of
        the video has its point.
    :returns: infinite for fewer than four values.
    """
    if len(values) < 4:
        return math.inf
    steps = sum((later - earlier) ** 2 for earlier, later in pairwise(values))
    return math.sqrt(steps / (2 * (len(values) - 1) * len(values)))


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
    key: float | None
    """Of the first frame."""

    @classmethod
    def of(cls, window: WindowScore, values: Sequence[float | None]) -> _Measured | None:
        key = values[0] if window.of_key and values else None
        known = tuple(value for value in values[window.of_key :] if value is not None)
        # A key frame counts for key frames only: a window with nothing else is not measured.
        return cls(first=window.first, frames=window.frames, values=known, key=key) if known else None


def _score(windows: Sequence[_Measured], rate: Fraction) -> Score | None:
    if not windows:
        return None
    # A window counts by its length, however many of its frames were measured; and the measured key frames for
    # those of all windows.
    keys = [window.key for window in windows if window.key is not None]
    weighted = [(key, len(windows) / len(keys)) for key in keys]
    weighted += [
        (value, (window.frames - bool(keys)) / len(window.values))
        for window in windows
        for value in window.values
    ]
    weighted.sort()
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
