"""Rules 10 of MPEG-TS and packed audio."""

from __future__ import annotations

from collections.abc import Iterator

from vod_operators.check.playlist import Entry
from vod_operators.check.presentation import Presentation, Track
from vod_operators.check.rule import Finding, Rule, has_ts
from vod_operators.formats.facts import SegmentFacts


def _segments(presentation: Presentation, container: str) -> Iterator[tuple[Track, Entry, SegmentFacts]]:
    """Track, entry and facts of each segment in a container."""
    for track in presentation.tracks.values():
        for entry, segment in track.pairs():
            if segment.container == container:
                yield track, entry, segment


def _has_packed(presentation: Presentation) -> bool:
    return any(_segments(presentation, "aac"))


def _joins(presentation: Presentation) -> Iterator[tuple[str, SegmentFacts, SegmentFacts]]:
    """Place (for messages) and facts of each segment that continues another one, with those of that one."""
    for track in presentation.tracks.values():
        before: SegmentFacts | None = None
        for entry, segment in track.pairs():
            if segment.container not in ("ts", "aac"):
                before = None  # nobody knows what is in it
                continue
            if before and not entry.discontinuity:
                yield track.place(entry), before, segment
            before = segment


def _counters(presentation: Presentation) -> Iterator[Finding]:
    for track, entry, segment in _segments(presentation, "ts"):
        if segment.counter_error:
            yield Finding(
                where=track.place(entry), found=segment.counter_error, expected="each counter one more"
            )
    for where, before, segment in _joins(presentation):
        for pid in before.counters.keys() & segment.counters.keys():
            last, first = before.counters[pid][1], segment.counters[pid][0]
            if first != (last + 1) % 16:
                words = f"PID {pid}: counter {first} after {last} of the segment before"
                yield Finding(where=where, found=words, expected="each counter one more")
                break


def _cut_frames(presentation: Presentation) -> Iterator[Finding]:
    for where, before, segment in _joins(presentation):
        previous, stream = before.stream("audio"), segment.stream("audio")
        if previous is None or stream is None or previous.ends_inside == stream.starts_inside:
            continue
        words = "the segment before ends" if previous.ends_inside else "it starts"
        yield Finding(
            where=where,
            found=f"{words} within a frame of sound",
            expected="a frame that both segments hold a part of, or neither",
        )


def _programmes(presentation: Presentation) -> Iterator[Finding]:
    for track, entry, segment in _segments(presentation, "ts"):
        if segment.programmes != 1:
            words = f"{segment.programmes} programmes"
            yield Finding(where=track.place(entry), found=words, expected="one")


def _tables(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        for entry, segment in track.pairs():
            if segment.container == "ts" and segment.tables_first is False:
                yield Finding(
                    where=track.place(entry), found="other packets first", expected="PAT and PMT first"
                )
                break


def _timestamps(presentation: Presentation) -> Iterator[Finding]:
    for track, entry, segment in _segments(presentation, "aac"):
        if segment.has_time is False:
            yield Finding(
                where=track.place(entry),
                found="no time at its beginning",
                expected="an ID3 tag com.apple.streaming.transportStreamTimestamp",
            )


# fmt: off
RULES = (
    Rule(id="10.counters", source="RFC 8216bis 3", says="MPEG-TS continuity counters continue",
         applies=has_ts, check=_counters),
    Rule(id="10.frames", source="RFC 8216bis 3", says="a frame of sound that a segment's end cuts continues",
         applies=lambda p: has_ts(p) or _has_packed(p), check=_cut_frames),
    Rule(id="10.programme", source="RFC 8216bis 3.1.1", says="MPEG-TS has a single programme",
         applies=has_ts, check=_programmes),
    Rule(id="10.tables", source="RFC 8216bis 3.1.1", says="PAT and PMT are the first packets of MPEG-TS",
         must=False, applies=has_ts, check=_tables),
    Rule(id="10.timestamp", source="RFC 8216bis 3.1.3", says="packed audio begins with its time (ID3)",
         applies=_has_packed, check=_timestamps),
)
# fmt: on
