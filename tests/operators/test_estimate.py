"""The history of a preset: bounded, and whole after concurrent publications and damage."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest

from support.results import Place
from vod_operators.errors import StorageError
from vod_operators.media.cost import PastRun
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.workload import Work
from vod_operators.settings import get_settings
from vod_operators.storage import checkpoint
from vod_operators.storage.keys import history_key
from vod_operators.work import estimate as module
from vod_operators.work.estimate import KEPT, add_run, note_run, read_history

PRESET = load_preset("h264_small")


def a_run(version: str, cpu_s: float = 10) -> PastRun:
    return PastRun(
        version=version,
        at=datetime(2026, 11, 30, tzinfo=timezone.utc),
        source="1280x720 h264",
        work=Work(
            seconds=60,
            features=(0, 0, 0),
            cpu_s=10,
            bits={"360p": 1e6},
            caps={"360p": 1e7},
            sound_bits=1e6,
            sound_s=60,
            tasks=2,
        ),
        cpu_s={"transcode": cpu_s},
        busy_s={"transcode": cpu_s / 2},
        wall_s=12,
        lanes=1,
        bytes_out={"360p": 125_000},
    )


@pytest.fixture
def uri(place: Place) -> str:
    return history_key(place.keys.results_uri, "0123456789ab")


def versions(place: Place, uri: str) -> list[str]:
    return [run.version for run in checkpoint.read_document(place.results, uri, module.History).runs]


def test_the_newest_runs_are_kept(place: Place, uri: str) -> None:
    for number in range(KEPT + 3):
        add_run(place.results, uri, a_run(f"v-{number}"))
    assert versions(place, uri) == [f"v-{number}" for number in range(KEPT + 2, 2, -1)]


def test_a_publication_that_is_repeated_counts_once(place: Place, uri: str) -> None:
    for cpu_s in (10, 20):
        add_run(place.results, uri, a_run("v-1", cpu_s))
    (run,) = checkpoint.read_document(place.results, uri, module.History).runs
    assert run.cpu_s == {"transcode": 20}


def test_publications_at_once_lose_nothing(place: Place, uri: str) -> None:
    count = 16
    start = threading.Barrier(8)

    def publish(number: int) -> None:
        if number < 8:
            start.wait()
        add_run(place.results, uri, a_run(f"v-{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(count)))
    assert sorted(versions(place, uri)) == sorted(f"v-{number}" for number in range(count))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"sha256":"0","content":{"runs":[]}}'])
def test_a_damaged_history_begins_anew(place: Place, uri: str, content: bytes) -> None:
    add_run(place.results, uri, a_run("v-1"))
    place.results.write(uri, [content])
    add_run(place.results, uri, a_run("v-2"))
    assert versions(place, uri) == ["v-2"]


def test_a_missing_or_damaged_history_fails_nothing(place: Place) -> None:
    settings = get_settings()
    assert read_history(place.results, settings, PRESET).runs == ()
    note_run(place.results, settings, PRESET, a_run("v-1"))
    assert len(read_history(place.results, settings, PRESET).runs) == 1
    (info,) = place.results.list(f"{settings.results_uri}/_history/")
    place.results.write(info.uri, [b"damaged"])
    assert read_history(place.results, settings, PRESET).runs == ()


def test_a_store_that_fails_fails_no_publication(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StorageError("it does not answer")

    monkeypatch.setattr(module, "add_run", fail)
    note_run(place.results, get_settings(), PRESET, a_run("v-1"))
    monkeypatch.setattr(module, "_read", fail)
    assert read_history(place.results, get_settings(), PRESET).runs == ()
