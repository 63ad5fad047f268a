"""Ingest and re-encoding: what is asked for, what is left out, and what is said of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from support.results import Place, a_result
from support.settings import configure
from vod_operators.errors import InvalidInputError
from vod_operators.media.plan import fingerprint
from vod_operators.media.presets.catalog import load_preset
from vod_operators.operators import ingest
from vod_operators.operators.ingest import VodIngestOperator, VodReencodeOperator
from vod_operators.storage.keys import ResultKeys
from vod_operators.storage.originals import video_id_of

DAY, NEXT = "2026-11-24 00:00:00+00:00", "2026-11-25T00:00:00+00:00"


class Airflow:
    """Remembers the runs that are asked for, as Airflow's database does."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.states: dict[str, str] = {}

    def ask(self, context: Any, dag_id: str, run_id: str, conf: dict[str, Any]) -> str:
        assert dag_id == "vod_transcode_bulk"
        before = self.states.get(run_id)
        if before in (None, "failed", "success"):
            self.runs[run_id], self.states[run_id] = conf, "queued"
        return {None: "new", "failed": "continued", "success": "repeated"}.get(before, "running")

    def videos(self) -> list[str]:
        return sorted(conf["source"].rpartition("/")[2] for conf in self.runs.values())


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    airflow = Airflow()
    monkeypatch.setattr(ingest, "ask_for_run", airflow.ask)
    return airflow


@pytest.fixture
def inbox(place: Place) -> str:
    return f"{place.temp_uri.removesuffix('tmp')}in"


def put(place: Place, *uris: str, data: bytes = b"video") -> None:
    for uri in uris:
        place.temp.write(uri, [data])


def take(
    prefix: str, pattern: str = "{prefix}/%Y/%m/%d/", begin: str = DAY, end: str = NEXT, **more: str
) -> Any:
    task = VodIngestOperator(
        task_id="ask", prefix=prefix, pattern=pattern, preset="h264", begin=begin, end=end, **more
    )
    return task.execute({})["sources"]


def publish(place: Place, uri: str, preset: str = "h264", **changes: Any) -> None:
    """A ``video.json`` as of that source and preset as they are now."""
    found = place.temp.stat(uri)
    assert found
    keys = ResultKeys(results_uri=place.keys.results_uri, video_id=video_id_of(uri))
    result = a_result("v-1")
    facts = {
        "preset_fingerprint": fingerprint(load_preset(preset)),
        "source": result.source.model_copy(update={"fingerprint": fingerprint(found.version)}),
    }
    document = result.model_copy(update=facts | changes).model_dump_json()
    place.results.write(keys.metadata, [document.encode()])


def test_a_day_by_its_key(place: Place, airflow: Airflow, inbox: str) -> None:
    put(place, f"{inbox}/2026/11/24/a.mp4", f"{inbox}/2026/11/24/more/b c.mov", f"{inbox}/2026/11/25/c.mp4")
    put(place, f"{inbox}/2026/11/24/a.srt", f"{inbox}/2026/11/240/d.mp4", f"{inbox}/a.mp4")

    assert take(inbox) == {"new": 2, "not media by its name": 1}

    video_id = video_id_of(f"{inbox}/2026/11/24/a.mp4")
    (run_id,) = [run for run in airflow.runs if run.startswith(f"vod.{video_id}.h264.")]
    assert airflow.runs[run_id] == {
        "video_id": video_id, "source": f"{inbox}/2026/11/24/a.mp4", "preset": "h264",
    }  # fmt: skip
    assert len(airflow.runs) == 2
    # Again, while they wait: nothing is asked twice.
    assert take(inbox) == {"running": 2, "not media by its name": 1}
    assert len(airflow.runs) == 2


def test_what_is_published_is_left_out_and_what_failed_is_not(
    place: Place, airflow: Airflow, inbox: str
) -> None:
    done, failed, lost, changed, other = (f"{inbox}/2026/11/24/{n}.mp4" for n in "abcde")
    put(place, done, failed, lost, changed, other)
    assert take(inbox) == {"new": 5}
    for run_id, conf in airflow.runs.items():
        airflow.states[run_id] = "failed" if conf["source"] == failed else "success"
    publish(place, done)
    publish(place, changed)
    publish(place, other, preset="h264_small")
    put(place, changed, data=b"another video")

    # "lost" was published, and is gone; "other" has been encoded with another preset since.
    assert take(inbox) == {"published already": 1, "continued": 1, "repeated": 2, "new": 1}
    assert len(airflow.runs) == 6


def test_a_preset_that_has_changed_is_another_one(
    place: Place, airflow: Airflow, inbox: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place, f"{inbox}/2026/11/24/a.mp4")
    publish(place, f"{inbox}/2026/11/24/a.mp4")
    assert take(inbox) == {"published already": 1}
    (tmp_path / "h264.json").write_text(
        load_preset("h264").model_copy(update={"max_frame_rate": 50}).model_dump_json(exclude={"name"})
    )
    configure(monkeypatch, presets_dir=str(tmp_path))
    assert take(inbox) == {"new": 1}


def test_a_damaged_result_is_made_again(place: Place, airflow: Airflow, inbox: str) -> None:
    put(place, f"{inbox}/2026/11/24/a.mp4")
    keys = ResultKeys(results_uri=place.keys.results_uri, video_id=video_id_of(f"{inbox}/2026/11/24/a.mp4"))
    place.results.write(keys.metadata, [b'{"video_id":'])
    assert take(inbox) == {"new": 1}


def test_a_dry_run_asks_for_nothing(place: Place, airflow: Airflow, inbox: str) -> None:
    put(place, f"{inbox}/2026/11/24/a.mp4")
    assert take(inbox, is_dry_run="True") == {"would be asked for": 1}
    assert airflow.runs == {}


def test_a_day_by_the_modification_time(tmp_path: Path, airflow: Airflow, stores: Path) -> None:
    """And a day before it: S3 dates a multipart upload by its beginning."""
    midnight = datetime(2026, 11, 24, tzinfo=timezone.utc)
    hours = {"early": -24.01, "late": -23.99, "first": 0, "last": 23.99, "next": 24}
    for name, hour in hours.items():
        path = tmp_path / "in" / name / "film.mp4"
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
        time = (midnight + timedelta(hours=hour)).timestamp()
        os.utime(path, (time, time))
    assert take((tmp_path / "in").as_uri(), pattern="") == {"new": 3}
    assert {conf["source"].split("/")[-2] for conf in airflow.runs.values()} == {"late", "first", "last"}


def test_more_than_airflow_can_map_over(tmp_path: Path, airflow: Airflow, stores: Path) -> None:
    folder = tmp_path / "in" / "2026" / "11" / "24"
    folder.mkdir(parents=True)
    for number in range(1100):
        (folder / f"{number}.mp4").touch()
    task = VodIngestOperator(
        task_id="ask",
        prefix=(tmp_path / "in").as_uri(),
        pattern="{prefix}/%Y/%m/%d/",
        preset="h264",
        begin=DAY,
        end=NEXT,
    )
    report = task.execute({})
    assert report["sources"] == {"new": 1100} and len(airflow.runs) == 1100
    assert len(report["items"]) == 100  # what Airflow's database keeps stays small


def test_without_a_folder_nothing_happens_and_it_says_so(airflow: Airflow) -> None:
    with pytest.raises(AirflowSkipException, match="VOD_INGEST_URI"):
        take("")


@pytest.mark.parametrize(
    "below",
    [
        lambda place: place.temp_uri,
        lambda place: place.temp_uri.removesuffix("/tmp"),
        lambda place: f"{place.keys.results_uri}/film",
    ],
)
def test_our_own_files_are_no_originals(
    place: Place, airflow: Airflow, below: Callable[[Place], str]
) -> None:
    with pytest.raises(InvalidInputError, match="lie in each other"):
        take(below(place))


def test_a_run_without_an_interval(place: Place, airflow: Airflow, inbox: str) -> None:
    with pytest.raises(InvalidInputError, match=r"begin: .*logical date"):
        take(inbox, begin="")


def test_a_bad_preset_asks_for_nothing(place: Place, airflow: Airflow, inbox: str) -> None:
    put(place, f"{inbox}/a.mp4")
    with pytest.raises(InvalidInputError, match="preset: there is no preset 'nope'"):
        VodReencodeOperator(task_id="ask", prefix=inbox, preset="nope").execute({})
    assert airflow.runs == {}


# --- re-encoding ----------------------------------------------------------------------------


def reencode(**options: Any) -> Any:
    return VodReencodeOperator(task_id="ask", preset="h264_small", **options).execute({})["sources"]


def test_a_whole_folder_with_another_preset(place: Place, airflow: Airflow, inbox: str) -> None:
    put(place, f"{inbox}/a.mp4", f"{inbox}/x/b.mp4", f"{inbox}/x/c.mp4", f"{inbox}else/d.mp4")
    publish(place, f"{inbox}/a.mp4", preset="h264")
    publish(place, f"{inbox}/x/c.mp4", preset="h264_small")
    assert reencode(prefix=f"{inbox}/") == {"new": 2, "published already": 1}
    assert airflow.videos() == ["a.mp4", "b.mp4"]


def test_a_list_names_videos_that_the_cms_has_named(place: Place, airflow: Airflow, inbox: str) -> None:
    put(place, f"{inbox}/a.mp4", f"{inbox}/b b.mp4")
    lines = f'["film-42 {inbox}/a.mp4", "{inbox}/b b.mp4"]'
    assert reencode(videos=lines) == {"new": 2}
    assert {conf["video_id"] for conf in airflow.runs.values()} == {
        "film-42",
        video_id_of(f"{inbox}/b b.mp4"),
    }


def test_what_a_list_names_and_is_not_there_is_told_after_the_rest(
    place: Place, airflow: Airflow, inbox: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(place, f"{inbox}/b.mp4")
    with pytest.raises(InvalidInputError, match="1 of them do not exist"):
        reencode(videos=[f"{inbox}/a.mp4", f"{inbox}/b.mp4"])
    assert airflow.videos() == ["b.mp4"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "prefix: give either"),
        ({"prefix": "s3://b/in", "videos": ["s3://b/a.mp4"]}, "prefix: give either"),
        ({"videos": ["s3://b/a.mp4", "film.mp4"]}, "videos: 'film.mp4' is neither"),
        ({"videos": ["film s3://b/a.mp4", "film s3://b/b.mp4"]}, "videos: film are listed more than once"),
    ],
)
def test_a_bad_list_asks_for_nothing(airflow: Airflow, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        reencode(**options)
    assert airflow.runs == {}
