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


def judge(presentation: Presentation, rules: Iterable[Rule]) -> Iterator[Verdict]:
    """One verdict for each rule."""
    for rule in rules:
        if not rule.applies(presentation):
            yield Verdict(rule=rule, status="not applicable")
            continue
        findings = tuple(rule.check(presentation))
        broken: Status = "fail" if rule.must else "warn"
        yield Verdict(rule=rule, status=broken if findings else "pass", findings=findings)


# --- what rules apply to --------------------------------------------------------------------


def always(presentation: Presentation) -> bool:
    """It is any presentation."""
    return True


def has_master(presentation: Presentation) -> bool:
    """It has a master playlist."""
    return presentation.master is not None


def is_live(presentation: Presentation) -> bool:
    """Segments may follow: no media playlist has an end."""
    readable = [track.playlist for track in presentation.media if not track.playlist.unreadable]
    return bool(readable) and all(playlist.is_live for playlist in readable)


def is_ended(presentation: Presentation) -> bool:
    """It is complete, or some media playlist says so."""
    return not is_live(presentation)


def has_video(presentation: Presentation) -> bool:
    """It has pictures that could be read."""
    return bool(presentation.of_kind("video"))


def has_ladder(presentation: Presentation) -> bool:
    """It has variants with pictures."""
    return has_master(presentation) and has_video(presentation)


def has_sound(presentation: Presentation) -> bool:
    """It has sound, alone or with the pictures."""
    return any(track.format("audio") for track in presentation.tracks.values())


def has_text(presentation: Presentation) -> bool:
    """It has subtitles that could be read."""
    return bool(presentation.of_kind("text"))


def has_fmp4(presentation: Presentation) -> bool:
    """Some segments are fragmented MP4."""
    return any(s.container == "fmp4" for track in presentation.tracks.values() for s in track.segments)


def has_ts(presentation: Presentation) -> bool:
    """Some segments are MPEG-TS."""
    return any(s.container == "ts" for track in presentation.tracks.values() for s in track.segments)


def has_i_frames(presentation: Presentation) -> bool:
    """It has I-frame playlists."""
    return bool(presentation.i_frames)


def is_served(presentation: Presentation) -> bool:
    """It came from a web server."""
    return bool(presentation.answers)
