"""What of a video can go, and why: facts in, decisions out; looks at nothing and removes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vod_operators.work.stable import VERSION_NAME


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A workspace or a version."""

    name: str
    size_bytes: int
    objects: int
    modified: datetime
    """When an object of it was last written, by its store's clock."""


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """All that is asked about a video that no run is working on."""

    workspaces: Sequence[Folder] = ()
    versions: Sequence[Folder] = ()
    """Those that players are not shown."""
    shown: frozenset[str] = frozenset()
    """What the stable playlist points to; what ``video.json`` tells, if that is another."""
    superseded: Mapping[str, datetime] = field(default_factory=dict)
    """Version -> when players were last shown it."""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A folder that can go."""

    folder: Folder
    why: str


def expired_workspaces(facts: VideoFacts, *, now: datetime, grace: timedelta) -> list[Removal]:
    """All of a video's workspaces, or none: they are parts of one work.

    :param now: by the clock of their store.
    """
    if not facts.workspaces:
        return []
    last = max(folder.modified for folder in facts.workspaces)
    if now - last < grace:
        return []
    return [
        Removal(folder=folder, why=f"{_end(folder, facts)}, and nothing was written for {_ago(now - last)}")
        for folder in facts.workspaces
    ]


def expired_versions(facts: VideoFacts, *, now: datetime, grace: timedelta, kept: bool) -> list[Removal]:
    """The versions that no player has, and that no rollback within the grace period needs.

    :param kept: the video's workspaces stay, so a run that is continued may yet publish from them.
    """
    removals = []
    for folder in facts.versions:
        if folder.name in facts.shown:
            continue
        superseded = facts.superseded.get(folder.name)
        if superseded is not None:
            age, what = now - superseded, "superseded"
        elif kept and f"work-{_work(folder.name)}" in {workspace.name for workspace in facts.workspaces}:
            continue
        else:
            age, what = now - folder.modified, "never shown, and last written"
        # The files are looked at too: a history could be wrong, and what was just written is wanted.
        if min(age, now - folder.modified) >= grace:
            removals.append(Removal(folder=folder, why=f"{what} {_ago(age)} ago"))
    return removals


def _end(folder: Folder, facts: VideoFacts) -> str:
    if not facts.shown:
        return "abandoned"
    kind, _, fingerprint = folder.name.partition("-")
    is_shown = kind == "source" or fingerprint in {_work(version) for version in facts.shown}
    return "finished" if is_shown else "superseded or abandoned"


def _work(version: str) -> str:
    match = VERSION_NAME.fullmatch(version)
    return match[1] if match else ""


def _ago(age: timedelta) -> str:
    return f"{age.total_seconds() / 3600:.0f} h"
