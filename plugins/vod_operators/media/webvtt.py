"""WebVTT that ffmpeg made of any subtitles -> cleaned cues -> segments.

A cue that crosses a segment's end is in both segments, each time with its full times, as Apple's tools write
it. Players recognise by text and times that it is one cue.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate

from vod_operators.errors import VerificationError
from vod_operators.media.models import Plan, Timeline

_TIMING = re.compile(
    r"(?P<begin>(?:\d{1,9}:)?\d\d:\d\d\.\d{3})[ \t]+-->[ \t]+"
    r"(?P<end>(?:\d{1,9}:)?\d\d:\d\d\.\d{3})(?P<settings>.*)"
)

_SETTING = re.compile(r"(vertical|line|position|size|align):\S+")
"""Settings of a cue that are kept. Regions are not: the file's header defines them, and segments lack it."""

_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<\d\d(?::\d\d){1,2}\.\d{3}>|</>")

_KEPT_TAG = re.compile(
    r"</?(?:b|i|u|ruby|rt|c|v|lang)>|<(?:b|i|u|ruby|rt|c)(?:\.[\w-]+)+>|<v(?:\.[\w-]+)*[ \t][^<>&]*>"
    r"|<lang [A-Za-z0-9-]+>|<\d\d(?::\d\d){1,2}\.\d{3}>"
)
"""All tags of WebVTT (W3C WebVTT 3.5). Anything else that looks like a tag is HTML or a mistake."""

_DRAWING = re.compile(r"\bm(?: -?\d+(?:\.\d+)?){2}(?: [mnlbspc](?: -?\d+(?:\.\d+)?)*)+")
"""Outlines of shapes in ASS, which ffmpeg leaves in the text."""


@dataclass(frozen=True, kw_only=True)
class Cue:
    """One cue of a subtitle track. Times count from the start of the presentation."""

    begin_ms: int
    end_ms: int
    text: str
    settings: str = ""
    """Cue settings as in the file: ``line:0 align:start``."""


def parse(document: str, *, shift_ms: int = 0, drawings: bool = False) -> list[Cue]:
    """The cleaned cues of a WebVTT file, sorted by time, without those that are empty or have no duration.

    :param shift_ms: subtracted from all times.
    :param drawings: whether to remove outlines of shapes from the text (ASS).
    """
    blocks: list[tuple[re.Match[str], list[str]]] = []
    for block in re.split(r"\n\s*\n", document.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n").split("\n")
        # A cue's identifier may precede its times; players need none.
        timings = [(n, timing) for n, line in enumerate(lines[:2]) if (timing := _TIMING.match(line))]
        if timings:
            at, timing = timings[0]
            blocks.append((timing, lines[at + 1 :]))
        elif blocks:  # not a new cue: ffmpeg leaves empty lines of ASS in the text
            blocks[-1][1].extend(lines)
    cues = []
    for timing, lines in blocks:
        text = "\n".join(lines)
        text = clean(_DRAWING.sub("", text) if drawings else text)
        begin, end = (milliseconds(timing[name]) - shift_ms for name in ("begin", "end"))
        if text and begin < end:
            settings = " ".join(setting[0] for setting in _SETTING.finditer(timing["settings"]))
            cues.append(Cue(begin_ms=begin, end_ms=end, text=text, settings=settings))
    return sorted(cues, key=lambda cue: (cue.begin_ms, cue.end_ms))


def milliseconds(time: str) -> int:
    """The milliseconds of ``1:02:03.004`` or ``02:03.004``."""
    seconds, _, fraction = time.partition(".")
    total = 0
    for part in seconds.split(":"):
        total = 60 * total + int(part)
    return 1000 * total + int(fraction)


def clean(text: str) -> str:
    """The text as valid WebVTT: tags of WebVTT stay, others are removed, stray characters are escaped."""
    parts, at = [], 0
    for tag in _TAG.finditer(text):
        parts.append(_escaped(text[at : tag.start()]))
        parts.append(tag[0] if _KEPT_TAG.fullmatch(tag[0]) else "")
        at = tag.end()
    parts.append(_escaped(text[at:]))
    lines = "".join(parts).split("\n")
    return "\n".join(line.strip() for line in lines if line.strip())


def _escaped(text: str) -> str:
    text = re.sub(r"&(?!(?:amp|lt|gt|lrm|rlm|nbsp|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)", "&amp;", text)
    # Control characters are not allowed, and some stop players.
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text)
    return text.replace("<", "&lt;").replace(">", "&gt;")


def time_of(milliseconds: int) -> str:
    """The time as ``00:01:02.003``."""
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}.{fraction:03d}"


# --- segments -------------------------------------------------------------------------------


def segment_lengths(plan: Plan, timeline: Timeline) -> list[int]:
    """Length of each text segment in ticks of ``plan.timescale``.

    They are as long as the video segments, and span the picture; for sound only, the longest track. So text
    spans the whole presentation (Apple 5.5) with the same target duration.
    """
    ticks = timeline.seconds(plan.frame_rate) * plan.timescale
    total = max(1, round(ticks))
    step = plan.segment_frames * plan.frame_ticks
    return [min(step, total - begin) for begin in range(0, total, step)]


def cut(cues: Sequence[Cue], lengths: Sequence[int], timescale: int) -> Iterator[list[Cue]]:
    """The cues that each segment shows.

    :param cues: sorted by time.
    :param lengths: ticks of each segment.
    """
    begin, following, visible = Fraction(0), 0, list[Cue]()
    for length in lengths:
        end = begin + Fraction(1000 * length, timescale)
        # In linear time: a hundred thousand short cues may follow one that spans the film.
        visible = [cue for cue in visible if cue.end_ms > begin]
        while following < len(cues) and cues[following].begin_ms < end:
            if cues[following].end_ms > begin:
                visible.append(cues[following])
            following += 1
        yield list(visible)
        begin = end


def segment(cues: Sequence[Cue], clock_start: int = 0) -> str:
    """The file of one segment; valid also without cues.

    :param clock_start: 90 kHz ticks on the video's clock at its first picture, for ``X-TIMESTAMP-MAP``
        (Apple 5.3). It is 0 in our fragmented MP4, whose edit list compensates the encoder's delay.
    """
    return _document(f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{clock_start},LOCAL:00:00:00.000", cues)


def whole(cues: Sequence[Cue]) -> str:
    """A whole track in one file, for DASH."""
    return _document("WEBVTT", cues)


def _document(head: str, cues: Sequence[Cue]) -> str:
    blocks = [head]
    for cue in cues:
        times = f"{time_of(max(0, cue.begin_ms))} --> {time_of(cue.end_ms)}"
        blocks.append(f"{times} {cue.settings}".rstrip() + f"\n{cue.text}")
    # An empty line at the end too: GStreamer does not show a segment's last cue without one.
    return "\n\n".join(blocks) + "\n\n"


def check(
    name: str, files: Sequence[str], lengths: Sequence[int], timescale: int, cues: Sequence[Cue]
) -> None:
    """Check written segments by reading them again.

    :param files: text of each segment.
    :param lengths: ticks of each segment.
    :param cues: the cues of the whole track.
    :raises VerificationError: the segments do not show these cues, each for all of its time.
    """
    expected = {replace(cue, begin_ms=max(0, cue.begin_ms)) for cue in cues}
    ends = [Fraction(1000 * ticks, timescale) for ticks in accumulate(lengths)]
    segments_of: dict[Cue, list[int]] = {}
    for number, text in enumerate(files):
        for cue in parse(text):
            segments_of.setdefault(cue, []).append(number)
    if set(segments_of) != expected or len(files) != len(lengths):
        raise VerificationError(
            f"{name}: its {len(files)} segments show {len(segments_of)} cues, the subtitles have "
            f"{len(expected)}; {len(expected - set(segments_of))} are missing"
        )
    for cue, numbers in segments_of.items():
        first = bisect_right(ends, cue.begin_ms)
        last = min(bisect_left(ends, cue.end_ms), len(ends) - 1)
        if numbers != list(range(first, last + 1)):
            raise VerificationError(
                f"{name}: the cue at {time_of(cue.begin_ms)} is in the segments {numbers}, "
                f"not in those from {first} to {last}"
            )
