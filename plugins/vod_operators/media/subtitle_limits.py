"""Limits of subtitles. A file of a request is checked before it is converted, any track before it is cut.

The limits are far above what people read. A long film has 2,000 cues; typeset subtitles with signs and songs
have about 10,000. Larger ones are made to keep a worker busy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from heapq import heappop, heappush

from pydantic import Field

from vod_operators.errors import InvalidInputError
from vod_operators.formats.base import Model
from vod_operators.media.subtitles import Format
from vod_operators.media.webvtt import Cue


class SubtitleLimits(Model):
    """Upper limits of subtitles. The setting ``VOD_NAME`` sets the limit ``name``."""

    max_cues: int = Field(gt=0)
    """Cues of a track."""
    max_cue_chars: int = Field(gt=0)
    """Characters of a cue, with its tags. Outlines of shapes in ASS have up to about 10,000."""
    max_segment_cues: int = Field(gt=0)
    """Cues of all segments of a track. A cue counts in each segment that shows it: two hours, 1,200 times."""

    @property
    def tags(self) -> int:
        """Most tags of a whole file: ``<...>``, and ``{...}`` in ASS."""
        return 4 * self.max_cues

    @property
    def at_once(self) -> int:
        """Most cues that are shown at the same time."""
        return max(1, self.max_cues // 50)

    @property
    def segment_bytes(self) -> int:
        """Most bytes of all segments of a track."""
        return 500 * self.max_segment_cues


_BLANK = re.compile(r"\n[ \t]*\n")


def check_file(text: str, kind: Format, name: str, limits: SubtitleLimits) -> None:
    """Check a file before it is converted, in linear time.

    :raises InvalidInputError: it has too many cues or tags, or too long a cue; the message names the limit.
    """
    tags = text.count("<") + (text.count("{") if kind == "ass" else 0)
    if tags > limits.tags:
        raise _over(name, f"it has {tags} tags", limits.tags, "max_cues")
    cues = text.count("\nDialogue:") if kind == "ass" else text.count("-->")
    if cues > limits.max_cues:
        raise _over(name, f"it has {cues} cues", limits.max_cues, "max_cues")
    # In ASS a line is a cue; in the other formats a cue ends with an empty line.
    at = 0
    for block in text.split("\n") if kind == "ass" else _BLANK.split(text):
        if len(block) > limits.max_cue_chars:
            line = text.count("\n", 0, text.index(block, at)) + 1
            excess = f"a cue has {len(block)} characters"
            raise _over(f"{name}, line {line}", excess, limits.max_cue_chars, "max_cue_chars")
        at += len(block)


def check_track(cues: Sequence[Cue], name: str, limits: SubtitleLimits) -> None:
    """Check a track before it is cut, whether from a file or from the source.

    :param cues: sorted by time.
    :raises InvalidInputError: there are too many cues, too many at once, or one is too long.
    """
    if len(cues) > limits.max_cues:
        raise _over(name, f"it has {len(cues)} cues", limits.max_cues, "max_cues")
    longest = max((len(cue.text) for cue in cues), default=0)
    if longest > limits.max_cue_chars:
        raise _over(name, f"a cue has {longest} characters", limits.max_cue_chars, "max_cue_chars")
    ends: list[int] = []
    for cue in cues:
        while ends and ends[0] <= cue.begin_ms:
            heappop(ends)
        heappush(ends, cue.end_ms)
        if len(ends) > limits.at_once:
            raise _over(name, f"it shows {len(ends)} cues at once", limits.at_once, "max_cues")


class SegmentBudget:
    """Counts the cues and bytes of a track's segments against the limits.

    :param name: name of the track, for messages.
    """

    def __init__(self, name: str, limits: SubtitleLimits) -> None:
        self._name, self._limits, self._cues, self._bytes = name, limits, 0, 0

    def spend(self, cues: int, size_bytes: int) -> None:
        """Count one segment.

        :raises InvalidInputError: all segments so far have too many cues or bytes.
        """
        limits = self._limits
        self._cues += cues
        self._bytes += size_bytes
        if self._cues > limits.max_segment_cues:
            excess = f"its cues last so long that its segments hold {self._cues} of them"
            raise _over(self._name, excess, limits.max_segment_cues, "max_segment_cues")
        if self._bytes > limits.segment_bytes:
            excess = f"its segments have {self._bytes} bytes"
            raise _over(self._name, excess, limits.segment_bytes, "max_segment_cues")


def _over(name: str, excess: str, limit: int, setting: str) -> InvalidInputError:
    return InvalidInputError(f"{name}: {excess}; the limit is {limit} (VOD_{setting.upper()})")
