"""Decides which workspaces and versions of a video expire, and why. Pure: reads and removes nothing."""

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
    """When one of its objects was last written, by its store's clock."""


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """The facts of a video that no run is working on."""

    workspaces: Sequence[Folder] = ()
    versions: Sequence[Folder] = ()
    """Those that the stable playlist does not point to."""
    shown: frozenset[str] = frozenset()
    """The version that the stable playlist points to, and the one that ``video.json`` names if it differs."""
    superseded: Mapping[str, datetime] = field(default_factory=dict)
    """Version -> when the stable playlist stopped pointing to it."""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A folder that may be removed."""

    folder: Folder
    why: str


def expired_workspaces(facts: VideoFacts, *, now: datetime, grace: timedelta) -> list[Removal]:
    """All of a video's workspaces or none, because a run needs them together.

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
    """The versions that no player uses, and that no rollback within the grace period needs.

    :param now: by the clock of their store.
    :param kept: whether the video's workspaces stay, so that a continued run may still publish from them.
    """
    removals = []
    for folder in facts.versions:
        if folder.name in facts.shown:
            continue  # whoever gathered the facts was wrong
        superseded = facts.superseded.get(folder.name)
        if superseded is not None:
            age, what = now - superseded, "superseded"
        elif kept and f"work-{_work(folder.name)}" in {workspace.name for workspace in facts.workspaces}:
            continue
        else:
            age, what = now - folder.modified, "never shown, and last written"
        # The files' age counts too: the history may be wrong, and a run may need what was just written.
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
