"""A rule, and its verdict on a presentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from vod_operators.check.presentation import Presentation

Status = Literal["pass", "fail", "warn", "not applicable"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One place where a rule is broken."""

    where: str
    found: str
    expected: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: its id by number of the checklist, its source, and how it is judged."""

    id: str
    source: str
    says: str
    applies: Callable[[Presentation], bool]
    check: Callable[[Presentation], Iterable[Finding]]
    must: bool = True
    """False for a SHOULD: breaking it is a warning."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on one rule."""

    rule: Rule
    status: Status
    findings: tuple[Finding, ...] = ()


def judge(found: Presentation, rules: Iterable[Rule]) -> Iterator[Verdict]:
    """One verdict for each rule."""
    for rule in rules:
        if not rule.applies(found):
            yield Verdict(rule=rule, status="not applicable")
            continue
        findings = tuple(rule.check(found))
        broken: Status = "fail" if rule.must else "warn"
        yield Verdict(rule=rule, status=broken if findings else "pass", findings=findings)


# --- what rules apply to --------------------------------------------------------------------


def always(found: Presentation) -> bool:
    """It is any presentation."""
    return True


def has_master(found: Presentation) -> bool:
    """It has a master playlist."""
    return found.master is not None


def is_live(found: Presentation) -> bool:
    """Segments may follow: no media playlist has an end."""
    tracks = [*found.tracks.values(), *found.i_frames.values()]
    read = [track.playlist for track in tracks if not track.playlist.lost]
    return bool(read) and all(playlist.is_live for playlist in read)


def is_ended(found: Presentation) -> bool:
    """It is complete, or some media playlist says so."""
    return not is_live(found)


def has_video(found: Presentation) -> bool:
    """It has pictures that could be read."""
    return bool(found.of_kind("video"))


def has_ladder(found: Presentation) -> bool:
    """It has variants with pictures."""
    return has_master(found) and has_video(found)


def has_sound(found: Presentation) -> bool:
    """It has sound, alone or with the pictures."""
    return any(track.format("audio") for track in found.tracks.values())


def has_sound_renditions(found: Presentation) -> bool:
    """It has sound in EXT-X-MEDIA groups."""
    return found.master is not None and any(item.get("TYPE") == "AUDIO" for item in found.master.media)


def has_text(found: Presentation) -> bool:
    """It has subtitles that could be read."""
    return bool(found.of_kind("text"))


def has_fmp4(found: Presentation) -> bool:
    """Some segments are fragmented MP4."""
    return any(s.container == "fmp4" for track in found.tracks.values() for s in track.segments)


def has_ts(found: Presentation) -> bool:
    """Some segments are MPEG-TS."""
    return any(s.container == "ts" for track in found.tracks.values() for s in track.segments)


def has_i_frames(found: Presentation) -> bool:
    """It has I-frame playlists."""
    return bool(found.i_frames)


def is_served(found: Presentation) -> bool:
    """It came from a web server."""
    return bool(found.answers)
