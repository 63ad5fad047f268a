"""The index of published videos: nobody's write is lost, and what is lost comes back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from support.page import a_row
from support.results import Place, version
from vod_operators.errors import StorageError
from vod_operators.operators.janitor import VodJanitorOperator
from vod_operators.settings import get_settings
from vod_operators.storage import replacing
from vod_operators.work.cleaning import Cleaner
from vod_operators.work.index import SHARDS, Index, Row, note_deleted, note_published, shard_of
from vod_operators.work.management import Manager

NOW = datetime.now(timezone.utc)


def same_shard(count: int) -> list[str]:
    """Ids of videos that share a shard."""
    names = (f"film-{number}" for number in range(SHARDS * count * 3))
    return [name for name in names if shard_of(name) == 7][:count]


def rows(place: Place) -> dict[str, Row]:
    """As another process sees them."""
    return {row.video_id: row for row in Index(place.temp, place.temp_uri).rows()}


@pytest.fixture
def index(place: Place) -> Index:
    return Index(place.temp, place.temp_uri)


def test_rows_are_put_replaced_and_removed(place: Place, index: Index) -> None:
    first, second = same_shard(2)
    index.put(a_row(first))
    index.put(a_row(second))
    index.put(a_row(first, preset="hevc"))
    assert rows(place) == {first: a_row(first, preset="hevc"), second: a_row(second)}
    index.remove(first)
    index.remove("never-there")
    assert list(rows(place)) == [second]


def test_a_late_publisher_does_not_hide_a_newer_row(place: Place, index: Index) -> None:
    index.put(a_row("film", NOW, by="bob"))
    index.put(a_row("film", NOW - timedelta(seconds=1), by="ada"))
    assert rows(place)["film"].by == "bob"


def test_fifty_publications_at_once_in_one_shard(place: Place) -> None:
    names = same_shard(50)
    start = threading.Barrier(10)

    def put(number: int) -> None:
        start.wait()
        for name in names[number::10]:
            Index(place.temp, place.temp_uri).put(a_row(name))

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(put, range(10)))
    assert sorted(rows(place)) == sorted(names)


def test_who_always_comes_late_gives_up(place: Place, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.put(a_row("film"))
    monkeypatch.setattr(type(place.temp), "replace", lambda *a, **k: None)
    monkeypatch.setattr(replacing, "ATTEMPTS", 3)
    with pytest.raises(StorageError, match="changed 3 times"):
        index.put(a_row("film", NOW))


def test_only_changed_shards_are_read_again(
    place: Place, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        index.put(a_row(f"film-{number}"))
    read: list[str] = []
    real = type(place.temp).read

    def note(self: Any, uri: str, **options: Any) -> Any:
        read.append(uri)
        return real(self, uri, **options)

    reader = Index(place.temp, place.temp_uri)
    assert len(reader.rows()) == 20
    monkeypatch.setattr(type(place.temp), "read", note)
    reader.rows()
    assert read == []
    Index(place.temp, place.temp_uri).put(a_row("film-3", NOW))
    read.clear()
    assert {row.video_id: row.updated_at for row in reader.rows()}["film-3"] == NOW
    assert [uri[-7:-5] for uri in read] == [f"{shard_of('film-3'):02}"]


def test_a_rebuild_adds_what_is_missing_and_keeps_what_only_the_index_knows(
    place: Place, index: Index
) -> None:
    note_published(place.temp, place.temp_uri, place.publish(1), run_id="a-run", by="ada")
    before = rows(place)["film"]
    gone = a_row("gone", NOW - timedelta(days=2))
    index.put(gone)
    index.put(a_row("just-published", NOW))  # by another host, since the listing began
    assert index.rebuild(place.results, place.keys.results_uri) == 1
    assert rows(place) == {"film": before, "just-published": a_row("just-published", NOW)}
    assert before.by == "ada"

    place.temp.delete_folder(f"{place.temp_uri}/_index/")
    index.rebuild(place.results, place.keys.results_uri)
    assert rows(place) == {"film": before.model_copy(update={"run_id": None, "by": None})}


def test_a_rebuild_notices_a_rollback_that_was_not_noted(place: Place, index: Index) -> None:
    for number in (1, 2):
        note_published(place.temp, place.temp_uri, place.publish(number), by="ada")
    place.publish(1)
    index.rebuild(place.results, place.keys.results_uri)
    assert (rows(place)["film"].version, rows(place)["film"].by) == (version(1), None)


def test_a_rebuild_keeps_the_row_of_a_damaged_document(place: Place, index: Index) -> None:
    note_published(place.temp, place.temp_uri, place.publish(1))
    before = rows(place)
    place.results.write(place.keys.metadata, [b"{"])
    index.rebuild(place.results, place.keys.results_uri)
    assert rows(place) == before


def test_a_damaged_or_lost_shard_loses_only_its_own_rows(place: Place, index: Index) -> None:
    note_published(place.temp, place.temp_uri, place.publish(1))
    other = next(f"film-{n}" for n in range(99) if shard_of(f"film-{n}") != shard_of("film"))
    index.put(a_row(other, NOW))
    uri = f"{place.temp_uri}/_index/{shard_of('film'):02}.json"
    place.temp.write(uri, [b'{"sha256":"00",\n"content":{"videos":{}}}'])
    assert list(rows(place)) == [other]
    place.temp.delete(uri)
    assert list(rows(place)) == [other]
    index.rebuild(place.results, place.keys.results_uri)
    assert sorted(rows(place)) == sorted(["film", other])


def test_a_failing_index_fails_no_publication(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: Any) -> None:
        raise StorageError("the store is away")

    monkeypatch.setattr(Index, "_replace", fail)
    note_published(place.temp, place.temp_uri, place.publish(1))
    note_deleted(place.temp, place.temp_uri, "film")
    assert caplog.text.count("the store is away") == 2 and "until the janitor runs" in caplog.text


def test_a_rollback_and_a_deletion_change_it(place: Place) -> None:
    for number in (1, 2):
        note_published(place.temp, place.temp_uri, place.publish(number), run_id="a-run", by="ada")
    manager = Manager(
        settings=get_settings(), temp=place.temp, results=place.results, owner="vod_manage/a", holder=""
    )
    manager.roll_back("film", None)
    assert (rows(place)["film"].version, rows(place)["film"].by) == (version(1), None)
    manager.delete("film", "film")
    assert rows(place) == {}


def test_the_janitor_rebuilds_it_and_takes_it_for_no_video(place: Place, index: Index) -> None:
    from types import SimpleNamespace

    place.publish(1)
    index.put(a_row("gone", NOW - timedelta(days=200)))
    context: Any = {"dag_run": SimpleNamespace(dag_id="vod_janitor", run_id="today")}
    dry = VodJanitorOperator(task_id="clean", is_dry_run="True")
    dry.execute(context)
    assert list(rows(place)) == ["gone"]
    janitor = VodJanitorOperator(task_id="clean", grace_hours="0")
    assert list(Cleaner.of(janitor.worker, timedelta()).videos()) == ["film"]
    assert janitor.execute(context)["videos"] == 1
    assert list(rows(place)) == ["film"]
