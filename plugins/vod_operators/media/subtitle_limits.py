"""How much subtitles may be: of a request's file before it is converted, of any track before it is cut.

Each limit is far above what is made for people to read: subtitles of a long film have 2,000 cues, typeset
ones with signs and songs some 10,000; what is beyond is made to keep a worker busy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from heapq import heappop, heappush

from vod_operators.errors import InvalidInputError
from vod_operators.media.webvtt import Cue

MAX_CUES = 50_000

MAX_CUE_CHARS = 65_536
"""With all its tags; outlines of shapes in ASS have up to some 10,000."""

MAX_TAGS = 200_000
"""Of a whole file: ``<...>`` and ``{...}``."""

MAX_AT_ONCE = 1_000
"""Cues that are shown at the same time."""

MAX_CUES_IN_SEGMENTS = 200_000
"""A cue counts once for each segment that it is shown in: one that spans two hours is in 1,200."""

MAX_SEGMENT_BYTES = 100_000_000
"""Of all segments of a track."""

_BLANK = re.compile(r"\n[ \t]*\n")


def check_file(text: str, kind: str, name: str) -> None:
    """Before a file is converted, in linear time.

    :param kind: ``srt``, ``vtt`` or ``ass``.
    :raises InvalidInputError: it has too many cues or tags, or a cue is too long; the limit is named.
    """
    tags = text.count("<") + (text.count("{") if kind == "ass" else 0)
    if tags > MAX_TAGS:
        raise _over(name, f"it has {tags} tags", "MAX_TAGS", MAX_TAGS)
    cues = text.count("\nDialogue:") if kind == "ass" else text.count("-->")
    if cues > MAX_CUES:
        raise _over(name, f"it has {cues} cues", "MAX_CUES", MAX_CUES)
    # A line of ASS is a cue; elsewhere a cue ends with an empty line.
    at = 0
    for block in text.split("\n") if kind == "ass" else _BLANK.split(text):
        if len(block) > MAX_CUE_CHARS:
            line = text.count("\n", 0, text.index(block, at)) + 1
            raise _over(
                f"{name}, line {line}", f"a cue has {len(block)} characters", "MAX_CUE_CHARS", MAX_CUE_CHARS
            )
        at += len(block)


def check_track(cues: Sequence[Cue], name: str) -> None:
    """Before a track is cut, of a file or of the source itself.

    :param cues: by time.
    :raises InvalidInputError: there are too many, too many at once, or one is too long.
    """
    if len(cues) > MAX_CUES:
        raise _over(name, f"it has {len(cues)} cues", "MAX_CUES", MAX_CUES)
    longest = max((len(cue.text) for cue in cues), default=0)
    if longest > MAX_CUE_CHARS:
        raise _over(name, f"a cue has {longest} characters", "MAX_CUE_CHARS", MAX_CUE_CHARS)
    ends: list[int] = []
    for cue in cues:
        while ends and ends[0] <= cue.begin_ms:
            heappop(ends)
        heappush(ends, cue.end_ms)
        if len(ends) > MAX_AT_ONCE:
            raise _over(name, f"it shows {len(ends)} cues at once", "MAX_AT_ONCE", MAX_AT_ONCE)


class SegmentBudget:
    """Counts what is written into a track's segments.

    :param name: of the track.
    """

    def __init__(self, name: str) -> None:
        self._name, self._cues, self._bytes = name, 0, 0

    def spend(self, cues: int, size_bytes: int) -> None:
        """Of one segment.

        :raises InvalidInputError: with it the segments have too many cues, or too many bytes.
        """
        self._cues += cues
        self._bytes += size_bytes
        if self._cues > MAX_CUES_IN_SEGMENTS:
            raise _over(
                self._name,
                "its cues last so long that more of them stand in its segments",
                "MAX_CUES_IN_SEGMENTS",
                MAX_CUES_IN_SEGMENTS,
            )
        if self._bytes > MAX_SEGMENT_BYTES:
            raise _over(self._name, "its segments have more bytes", "MAX_SEGMENT_BYTES", MAX_SEGMENT_BYTES)


def _over(name: str, what: str, limit: str, most: int) -> InvalidInputError:
    return InvalidInputError(f"{name}: {what}; the limit is {most} ({limit} of subtitles)")
