"""The list of videos: published ones, and those at work or failed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from support.page import NOON, Runs, a_row
from support.results import Place, a_result
from vod_operators.settings import get_settings
from vod_operators.work.index import Index, Row, note_published
from vod_operators.work.worker import open_stores


@pytest.fixture
def index(stores: Path) -> Index:
    settings = get_settings()
    return Index(open_stores(settings)[0], settings.temp_uri)


def listed(client: TestClient, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/vod/api/videos?{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(client: TestClient, query: str = "") -> list[str]:
    return [video["video_id"] for video in listed(client, query)["videos"]]


def test_nothing_yet(viewer: TestClient) -> None:
    zero = {"queued": 0, "encoding": 0, "published": 0, "failed": 0}
    assert listed(viewer) == {"videos": [], "total": 0, "counts": zero, "presets": []}


def test_a_published_video(viewer: TestClient, index: Index, runs: Runs) -> None:
    index.put(a_row("film", dag_id="vod_transcode", run_id="vod.film.h264"))
    assert listed(viewer)["videos"] == [
        {
            "video_id": "film",
            "title": "film.mov",
            "state": "published",
            "percent": None,
            "reason": None,
            "duration_s": 60.0,
            "preset": "h264",
            "updated_at": "2026-11-01T12:00:00Z",
            "by": "ada",
            "poster": "v-0123456789ab-012345/pictures/poster.jpg",
            "version": "v-0123456789ab-012345",
            "dag_id": "vod_transcode",
            "run_id": "vod.film.h264",
        }
    ]


def test_a_video_at_work(viewer: TestClient, runs: Runs) -> None:
    run_id = runs.add("film", "running", preset="hevc", source="https://films.example/a%20b.mp4?key=s3cret")
    for task, state in (("prepare", "success"), ("split", "success"), ("audio", "running")):
        runs.task(run_id, task, state, percent=50 if task == "audio" else None)
    for index, (state, percent) in enumerate(
        [("success", 100), ("running", 40), ("queued", 99), (None, None)]
    ):
        runs.task(run_id, "transcode", state, index=index, percent=percent)
    (video,) = listed(viewer)["videos"]
    # 2 + 3 + 4 / 2 + 80 * (1 + 0.4) / 4; an earlier try's progress does not count
    assert video["percent"] == 35
    assert (video["state"], video["title"], video["preset"]) == ("encoding", "a b.mp4", "hevc")
    assert (video["by"], video["run_id"], video["version"]) == ("ada", run_id, None)
    assert "s3cret" not in viewer.get("/vod/api/videos").text


def test_a_published_video_that_is_encoded_again_keeps_its_poster(
    viewer: TestClient, index: Index, runs: Runs
) -> None:
    index.put(a_row("film", by="ada"))
    run_id = runs.add("film", "queued", at=NOON + timedelta(hours=1), by="bob", preset="hevc")
    (video,) = listed(viewer)["videos"]
    assert (video["state"], video["by"], video["preset"]) == ("queued", "bob", "hevc")
    assert video["poster"] and video["version"] and video["duration_s"] == 60
    assert video["run_id"] == run_id


def test_a_failure_counts_until_the_video_is_published_again(
    viewer: TestClient, index: Index, runs: Runs
) -> None:
    failed = runs.add("film", "failed", at=NOON)
    failure = {
        "code": "host",
        "retry": "later",
        "step": "transcode",
        "item": "chunk 2/4",
        "reason": "no memory",
    }
    runs.xcom(failed, "transcode", "failure", {"task": "transcode_1", "by_itself": True, "failure": failure})
    (video,) = listed(viewer)["videos"]
    assert (video["state"], video["reason"]) == ("failed", "chunk 2/4: no memory")
    assert video["updated_at"] == "2026-11-01T12:10:00Z"

    chosen = failure | {"item": None, "step": "segment", "reason": "the store failed"}
    runs.xcom(failed, "release", "failure", chosen)
    assert listed(viewer)["videos"][0]["reason"] == "segment: the store failed"

    index.put(a_row("film", NOON + timedelta(minutes=5)))  # published before the failure
    assert listed(viewer)["videos"][0]["state"] == "failed"
    index.put(a_row("film", NOON + timedelta(hours=1)))
    assert listed(viewer)["videos"][0]["state"] == "published"


def test_a_failure_without_a_reason(viewer: TestClient, runs: Runs) -> None:
    runs.add("film", "failed")
    assert "logs" in listed(viewer)["videos"][0]["reason"]


def test_a_failed_video_that_was_deleted_is_gone(viewer: TestClient, runs: Runs) -> None:
    runs.add("film", "failed", at=NOON)
    runs.add("other", "failed", at=NOON)
    runs.add("film", "success", dag_id="vod_manage", at=NOON + timedelta(hours=1), action="delete")
    assert ids(viewer) == ["other"]
    runs.add("film", "failed", at=NOON + timedelta(hours=2))
    assert ids(viewer) == ["film", "other"]


def test_search_filters_sorting_and_pages(viewer: TestClient, index: Index, runs: Runs) -> None:
    for number in range(5):
        at = NOON + timedelta(minutes=number)
        index.put(
            a_row(f"film-{number}", at, duration_s=100.0 - number, preset="hevc" if number % 2 else "h264")
        )
    runs.add("other", "queued", at=NOON - timedelta(hours=1), source="s3://films/Film-X.mov")
    assert ids(viewer) == ["film-4", "film-3", "film-2", "film-1", "film-0", "other"]
    assert ids(viewer, "sort=updated_at&limit=2") == ["other", "film-0"]
    assert ids(viewer, "sort=-updated_at&offset=4&limit=2") == ["film-0", "other"]
    assert ids(viewer, "sort=duration_s") == ["other", "film-4", "film-3", "film-2", "film-1", "film-0"]
    assert ids(viewer, "sort=-video_id&limit=1") == ["other"]
    assert ids(viewer, "sort=state&limit=1") == ["other"]
    assert ids(viewer, "sort=-preset&limit=2&search=film-") == ["film-1", "film-3"]
    assert ids(viewer, "search=FILM-x") == ["other"]
    found = listed(viewer, "state=published&preset=h264&limit=1")
    assert found["total"] == 3 and len(found["videos"]) == 1
    assert found["counts"] == {"queued": 1, "encoding": 0, "published": 3, "failed": 0}
    assert found["presets"] == ["h264", "hevc"]


@pytest.mark.parametrize("query", ["sort=reason", "limit=0", "limit=1000", "state=odd", "offset=-1"])
def test_nonsense_is_refused(viewer: TestClient, query: str) -> None:
    assert viewer.get(f"/vod/api/videos?{query}").status_code == 422


def test_queries_do_not_grow_with_the_list(viewer: TestClient, index: Index, runs: Runs) -> None:
    from airflow import settings
    from sqlalchemy import event

    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    def queries() -> int:
        statements.clear()
        listed(viewer)
        return sum(statement.startswith("SELECT") for statement in statements)

    def add(number: int) -> None:
        runs.task(runs.add(f"a{number}", "running"), "transcode", "running", index=0, percent=10)
        runs.add(f"b{number}", "failed")
        index.put(a_row(f"c{number}"))

    listed(viewer)  # Airflow asks some things once in each process
    event.listen(settings.engine, "after_cursor_execute", note)
    try:
        add(0)
        few = queries()
        for number in range(1, 20):
            add(number)
        assert queries() == few
    finally:
        event.remove(settings.engine, "after_cursor_execute", note)


def test_a_row_comes_from_what_is_published(place: Place) -> None:
    row = Row.of(place.publish(1), dag_id="vod_transcode", run_id="a", by="ada")
    result = a_result(row.version)
    assert (row.title, row.preset, row.duration_s) == ("film.mp4", "h264", result.duration_s)


def both(client: TestClient) -> tuple[str, str] | None:
    """State and run of ``film``, which the list and the video itself must show alike; None: it is gone."""
    rows = [(video["state"], video["run_id"]) for video in listed(client, "search=film")["videos"]]
    answer = client.get("/vod/api/videos/film")
    own = [(answer.json()["state"], answer.json()["run_id"])] if answer.status_code == 200 else []
    assert rows == own
    return rows[0] if rows else None


def test_the_list_and_the_video_choose_the_same_run(viewer: TestClient, runs: Runs) -> None:
    later = NOON + timedelta(hours=1)
    again = runs.add("film", "failed", at=later)  # an older run that was cleared, and failed after
    runs.add("film", "success", at=NOON)
    assert both(viewer) == ("failed", again)
    running = runs.add("film", "running", at=NOON)
    runs.add("film", "queued", at=later)
    assert both(viewer) == ("encoding", running)


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_run_that_is_cleared_after_a_deletion_counts(viewer: TestClient, runs: Runs, state: str) -> None:
    run_id = runs.add("film", state, at=NOON + timedelta(hours=5))
    runs.add("film", "failed", at=NOON, run_id="before")
    runs.add("film", "success", dag_id="vod_manage", at=NOON + timedelta(hours=1), action="delete")
    shown = both(viewer)
    assert shown is not None and shown[1] == run_id


def test_a_row_without_a_run_gets_the_newest_that_succeeded(
    viewer: TestClient, place: Place, runs: Runs
) -> None:
    note_published(place.temp, place.temp_uri, place.publish(1))  # as after a rollback
    assert both(viewer) == ("published", None)
    runs.add("film", "success", at=NOON, by="bob")
    newest = runs.add("film", "success", at=NOON, run_id="bulk", dag_id="vod_transcode_bulk")
    runs.add("film-2", "success", at=NOON, by="eve")
    runs.add("film", "failed", at=NOON, run_id="failed.before")
    assert both(viewer) == ("published", newest)
    assert [(row["dag_id"], row["by"]) for row in listed(viewer)["videos"]] == [("vod_transcode_bulk", "ada")]
    later = NOON + timedelta(hours=1)
    runs.add("film", "success", dag_id="vod_manage", at=later, action="delete")
    assert both(viewer) == ("published", None)
