"""Rules 10 and 15 of what a viewer sees and hears together: pictures, sound and subtitles on one clock."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from vod_operators.check.presentation import Presentation, Track, seconds
from vod_operators.check.rule import Finding, Rule, has_text, is_live
from vod_operators.formats.facts import Cues
from vod_operators.formats.ts import WRAP_S

START_S = Fraction(1, 4)
"""How far apart right tracks may begin, where no edit list says what to cut off. HE-AAC with 24,000 samples
of its core a second takes 105 ms to start (two frames of 1024, and the 481 of its SBR decoder), and three
reordered pictures of 24 take 125 ms. Beyond 185 ms sound that is late is not acceptable (ITU-R BT.1359)."""

CUE_S = Fraction(1, 2)
"""A cue that is this much outside of its segment was put there by rounding, not by another clock."""


def _begin(track: Track) -> Fraction | None:
    """When its first segment is shown or heard; None if that could not be read."""
    kind = track.kind
    if kind is None or kind == "text" or not track.segments:
        return None
    stream = track.segments[0].stream(kind)
    return stream.shown if stream else None


def _off(time: Fraction) -> Fraction:
    """The distance of two times on clocks that may have wrapped."""
    return time - WRAP_S * round(time / WRAP_S)


def _clocks(presentation: Presentation) -> list[tuple[Track, Fraction]]:
    """Tracks of pictures, then of sound, and their begin. The first one's clock is the presentation's."""
    tracks = (*presentation.of_kind("video"), *presentation.of_kind("audio"))
    return [(track, begin) for track in tracks if (begin := _begin(track)) is not None]


def _has_clock(presentation: Presentation) -> bool:
    return bool(_clocks(presentation)) and not is_live(presentation)


def _same_start(presentation: Presentation) -> Iterator[Finding]:
    first, expected = _clocks(presentation)[0]
    for track in presentation.tracks.values():
        begin = _begin(track)
        if begin is not None and abs(_off(begin - expected)) > START_S:
            yield Finding(
                where=f"{track.name}: its first segment",
                found=f"begins at {seconds(begin)}",
                expected=f"{seconds(expected)}, as in {first.name}",
            )


def _one_clock(presentation: Presentation) -> bool:
    """Whether cues can be judged: subtitles, a clock, and no discontinuity that begins another."""
    if not (has_text(presentation) and _has_clock(presentation)):
        return False
    tracks = [_clocks(presentation)[0][0], *presentation.of_kind("text")]
    return not any(entry.discontinuity for track in tracks for entry in track.playlist.entries[1:])


def _cues(
    presentation: Presentation, track: Track
) -> Iterator[tuple[str, Fraction, Fraction, Cues, Fraction]]:
    """Of each segment with cues: its place (for messages), begin and end, its cues, and what to add to them.

    All times count from the begin of the presentation.
    """
    zero, at = _clocks(presentation)[0][1], Fraction(0)
    for entry, segment in track.pairs():
        end = at + (entry.extinf or 0)
        if segment.cues:
            offset = segment.cues.offset - zero
            moved = _off(segment.cues.begin + offset) - segment.cues.begin
            yield track.place(entry), at, end, segment.cues, moved
        at = end


def _in_segment(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("text"):
        for where, begin, end, cues, offset in _cues(presentation, track):
            if cues.begin + offset >= end + CUE_S or cues.end + offset <= begin - CUE_S:
                yield Finding(
                    where=where,
                    found=f"cues from {seconds(cues.begin + offset)} to {seconds(cues.end + offset)}",
                    expected=f"cues between {seconds(begin)} and {seconds(end)}, by EXTINF",
                )
                break


def _in_presentation(presentation: Presentation) -> Iterator[Finding]:
    end = _clocks(presentation)[0][0].playlist.duration
    for track in presentation.of_kind("text"):
        for where, _, _, cues, offset in _cues(presentation, track):
            if cues.last + offset >= end + CUE_S:
                yield Finding(
                    where=where,
                    found=f"a cue at {seconds(cues.last + offset)}",
                    expected=f"none after the end, {seconds(end)}",
                )
                break


# fmt: off
RULES = (
    Rule(id="10.start", source="RFC 8216bis 6.2.4", says="pictures and sound begin at the same time",
         applies=lambda p: len(p.tracks) > 1 and _has_clock(p), check=_same_start),
    Rule(id="15.cues", source="RFC 8216bis 3.1.4", says="cues are of their segment, on the pictures' clock",
         applies=_one_clock, check=_in_segment),
    Rule(id="15.end", source="RFC 8216bis 3.1.4", says="no cue begins after the end",
         applies=_one_clock, check=_in_presentation),
)
# fmt: on
