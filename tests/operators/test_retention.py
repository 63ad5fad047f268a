"""What can go: the rules, on hand-made facts. It is noon of the 10th; the grace period is 72 h."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from vod_operators.work.retention import Folder, VideoFacts, expired_versions, expired_workspaces

NOW = datetime(2026, 5, 10, 12, tzinfo=timezone.utc)
GRACE = timedelta(hours=72)
OLD, NEW, SHOWN = "v-aaaaaaaaaaaa-000001", "v-bbbbbbbbbbbb-000002", "v-cccccccccccc-000003"


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def folder(name: str, hours: float) -> Folder:
    return Folder(name=name, size_bytes=1, objects=1, modified=ago(hours))


def workspaces(**facts: Any) -> dict[str, str]:
    found = expired_workspaces(VideoFacts(**facts), now=NOW, grace=GRACE)
    return {removal.folder.name: removal.why for removal in found}


def versions(*, kept: bool = False, **facts: Any) -> dict[str, str]:
    found = expired_versions(VideoFacts(**facts), now=NOW, grace=GRACE, kept=kept)
    return {removal.folder.name: removal.why for removal in found}


def test_workspaces_go_together_when_the_last_write_is_old() -> None:
    split, work = folder("source-000000000000", 300), folder("work-cccccccccccc", 72)
    assert workspaces(workspaces=[split, work], shown=frozenset({SHOWN})) == {
        "source-000000000000": "finished, and nothing was written for 72 h",
        "work-cccccccccccc": "finished, and nothing was written for 72 h",
    }
    assert workspaces(workspaces=[split, folder("work-cccccccccccc", 71.9)]) == {}
    assert workspaces() == {}


@pytest.mark.parametrize(
    ("name", "shown", "said"),
    [
        ("work-cccccccccccc", {SHOWN}, "finished"),
        ("work-aaaaaaaaaaaa", {SHOWN}, "superseded or abandoned"),
        ("work-aaaaaaaaaaaa", set(), "abandoned"),
    ],
)
def test_why_a_workspace_goes(name: str, shown: set[str], said: str) -> None:
    (why,) = workspaces(workspaces=[folder(name, 100)], shown=frozenset(shown)).values()
    assert why == f"{said}, and nothing was written for 100 h"


def test_a_version_is_kept_for_the_grace_period_after_players_had_it_not_after_it_was_made() -> None:
    made = [folder(OLD, 9000), folder(NEW, 8000)]
    superseded = {OLD: ago(73), NEW: ago(71)}
    assert versions(versions=made, shown=frozenset({SHOWN}), superseded=superseded) == {
        OLD: "superseded 73 h ago"
    }


def test_what_is_shown_is_never_removed() -> None:
    made = [folder(SHOWN, 9000), folder(OLD, 9000)]
    found = versions(versions=made, shown=frozenset({SHOWN, OLD}), superseded={SHOWN: ago(8000)})
    assert found == {}


def test_a_version_that_was_just_written_stays_whatever_the_history_says() -> None:
    assert versions(versions=[folder(OLD, 1)], superseded={OLD: ago(100)}) == {}


def test_a_version_that_was_never_shown_stays_as_long_as_its_workspace() -> None:
    facts = {"versions": [folder(NEW, 100)], "workspaces": [folder("work-bbbbbbbbbbbb", 1)]}
    assert versions(**facts, kept=True) == {}
    assert versions(**facts, kept=False) == {NEW: "never shown, and last written 100 h ago"}
    assert list(versions(versions=[folder(NEW, 100)], kept=True)) == [NEW]
    assert versions(versions=[folder(NEW, 71)]) == {}
