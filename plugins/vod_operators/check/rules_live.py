"""Rules 19 and 20: live and low-latency playlists, as they were when they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import pairwise

from vod_operators.check.attributes import Attributes
from vod_operators.check.playlist import first_time, time_of
from vod_operators.check.presentation import Presentation, Track, seconds
from vod_operators.check.rule import Finding, Rule, is_live
from vod_operators.check.rules_variants import number, variants

MIN_SEGMENTS = 6
"""Segments of a live playlist (Apple 8.11)."""

ROUNDING_S = Fraction(1, 100)
"""Apple's own example has 1.0 for three times 0.33334."""

LEAST_PART = Fraction(85, 100)
"""Length of a part, of PART-TARGET (RFC 8216bis 4.4.4.9)."""

KEPT_TARGETS = 3
"""Target durations from the end of the playlist in which parts are kept (RFC 8216bis 6.2.2)."""

PEAK = Fraction(125, 100)
"""Measured peak of live content, of BANDWIDTH (Apple 1.29)."""


def _live(presentation: Presentation) -> list[Track]:
    return [track for track in presentation.media if track.playlist.is_live]


def _dates(presentation: Presentation) -> Iterator[Finding]:
    for track in _live(presentation):
        # In a delta update EXT-X-SKIP may stand for the segment that has the date.
        is_delta = "EXT-X-SKIP" in track.playlist.lists
        if not is_delta and "\n#EXT-X-PROGRAM-DATE-TIME:" not in track.playlist.text:
            tag = "EXT-X-PROGRAM-DATE-TIME"
            yield Finding(where=track.name, found=f"no {tag}", expected=tag)


def _window(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        skipped = track.playlist.lists.get("EXT-X-SKIP", [])
        listed = len(track.playlist.entries) + sum(number(item, "SKIPPED-SEGMENTS") or 0 for item in skipped)
        if track.playlist.is_live and listed < MIN_SEGMENTS:
            yield Finding(where=track.name, found=f"{listed} segments", expected=f"at least {MIN_SEGMENTS}")


def _sequence(presentation: Presentation) -> Iterator[Finding]:
    for track in _live(presentation):
        tag = "EXT-X-DISCONTINUITY-SEQUENCE"
        if tag not in track.playlist.tags and any(e.discontinuity for e in track.playlist.entries):
            yield Finding(where=track.name, found=f"EXT-X-DISCONTINUITY and no {tag}", expected=tag)


def _peak(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in variants(presentation):
        bandwidth = number(declared, "BANDWIDTH")
        if bandwidth is not None and track.peak_bps >= PEAK * bandwidth:
            words = f"a peak of {track.peak_bps} b/s"
            yield Finding(where=where, found=words, expected=f"less than 125 % of BANDWIDTH={bandwidth}")


# --- low latency ----------------------------------------------------------------------------


def _controls(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
        control = next(iter(track.playlist.lists.get("EXT-X-SERVER-CONTROL", [])), {})
        target, part = track.playlist.target_s, first_time(track.playlist, "EXT-X-PART-INF", "PART-TARGET")
        least = {"CAN-SKIP-UNTIL": Fraction(6 * target), "HOLD-BACK": Fraction(3 * target)}
        if part is not None:
            least["PART-HOLD-BACK"] = 3 * part - ROUNDING_S
        for name, length in least.items():
            value = time_of(control, name)
            if (value is None and name == "PART-HOLD-BACK") or (value is not None and value < length):
                words = f"{name}={control.get(name, 'missing')}"
                yield Finding(where=track.name, found=words, expected=f"at least {float(length):g}")
        if "CAN-SKIP-DATERANGES" in control and "CAN-SKIP-UNTIL" not in control:
            yield Finding(where=track.name, found="CAN-SKIP-DATERANGES alone", expected="CAN-SKIP-UNTIL too")


def _parts(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
        parts = track.playlist.lists.get("EXT-X-PART", [])
        target = first_time(track.playlist, "EXT-X-PART-INF", "PART-TARGET")
        if parts and target is None:
            yield Finding(
                where=track.name, found="EXT-X-PART", expected="EXT-X-PART-INF with PART-TARGET too"
            )
            continue
        for part in parts:
            duration = time_of(part, "DURATION")
            if duration is None or target is None or duration > target:
                words = f"DURATION={part.get('DURATION', 'missing')}"
                yield Finding(where=track.name, found=words, expected=f"at most PART-TARGET={target}")
                break
        if target is not None:
            yield from _short_parts(track, target)
            yield from _wholes(track, target)


def _short_parts(track: Track, target: Fraction) -> Iterator[Finding]:
    """A finding if a part that is not the last of its segment is shorter than it may be."""
    for parts in (*(entry.parts for entry in track.playlist.entries), track.playlist.parts):
        for part, following in pairwise(parts):
            duration = time_of(part, "DURATION")
            is_free = "YES" in (part.get("INDEPENDENT"), part.get("GAP"), following.get("GAP"))
            if duration is not None and duration < LEAST_PART * target and not is_free:
                words = f"DURATION={part['DURATION']}"
                expected = f"at least 85 % of PART-TARGET={float(target):g}"
                yield Finding(where=track.name, found=words, expected=expected)
                return


def _wholes(track: Track, target: Fraction) -> Iterator[Finding]:
    """A finding if the parts of a segment do not last as long as it does."""
    left = _sum(track.playlist.parts) + track.playlist.duration
    are_removed = True  # the first parts may have been, when they left the end of the playlist
    for entry in track.playlist.entries:
        are_removed = are_removed and left > KEPT_TARGETS * track.playlist.target_s
        left -= entry.extinf or 0
        if not entry.parts:
            continue
        differ = abs(_sum(entry.parts) - (entry.extinf or 0))
        if not are_removed and entry.extinf is not None and differ > target / 2:
            words = f"parts of {seconds(_sum(entry.parts))}"
            yield Finding(where=track.place(entry), found=words, expected=f"EXTINF, {seconds(entry.extinf)}")
            return
        are_removed = False


def _sum(parts: Iterable[Attributes]) -> Fraction:
    return sum((time_of(part, "DURATION") or Fraction(0) for part in parts), Fraction(0))


def _hints(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
        for hint in track.playlist.lists.get("EXT-X-PRELOAD-HINT", []):
            if hint.get("TYPE", "PART") not in ("PART", "MAP"):
                yield Finding(where=track.name, found=f"TYPE={hint['TYPE']}", expected="PART or MAP")
        if track.playlist.lists.get("EXT-X-PRELOAD-HINT") and "EXT-X-ENDLIST" in track.playlist.tags:
            tags = "EXT-X-PRELOAD-HINT and EXT-X-ENDLIST"
            yield Finding(where=track.name, found=tags, expected="one of them")


def _has(*tags: str) -> Callable[[Presentation], bool]:
    return lambda p: any(tag in track.playlist.lists for track in p.media for tag in tags)


# fmt: off
RULES = (
    Rule(id="19.date", source="Apple 8.4", says="EXT-X-PROGRAM-DATE-TIME in live playlists",
         applies=is_live, check=_dates),
    Rule(id="19.window", source="Apple 8.11", says="at least six segments in live playlists",
         applies=is_live, check=_window),
    Rule(id="19.sequence", source="Apple 8.17", says="EXT-X-DISCONTINUITY-SEQUENCE of live discontinuities",
         applies=is_live, check=_sequence),
    Rule(id="19.peak", source="Apple 1.29", says="measured peak of live content below 125 % of BANDWIDTH",
         applies=lambda p: is_live(p) and p.master is not None, check=_peak),
    Rule(id="20.control", source="RFC 8216bis 4.4.3.8, Apple 14.3",
         says="distances in EXT-X-SERVER-CONTROL suffice",
         applies=_has("EXT-X-SERVER-CONTROL", "EXT-X-PART-INF"), check=_controls),
    Rule(id="20.parts", source="RFC 8216bis 4.4.4.9", says="parts of 85 % of PART-TARGET or more, up to it",
         applies=_has("EXT-X-PART"), check=_parts),
    Rule(id="20.hint", source="RFC 8216bis 4.4.5.3", says="hints of parts and maps, none after the end",
         applies=_has("EXT-X-PRELOAD-HINT"), check=_hints),
)
# fmt: on
