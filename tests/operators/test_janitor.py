"""The janitor: removes what can go, says what and why, and touches nothing that is in use."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.results import Place, version
from support.settings import configure
from vod_operators.errors import ObjectNotFoundError, StorageError
from vod_operators.operators.janitor import VodJanitorOperator
from vod_operators.storage import claim
from vod_operators.storage.keys import claim_key
from vod_operators.storage.local import LocalStorage
from vod_operators.storage.s3 import S3Storage
from vod_operators.storage.uploads import uploads_for
from vod_operators.work.cleaning import Cleaner

CONTEXT: Any = {"dag_run": SimpleNamespace(dag_id="vod_janitor", run_id="today")}
SPLIT, WORK = "source-0123456789ab", f"work-{version(3).split('-')[1]}"


def clean(**options: str) -> dict[str, Any]:
    return VodJanitorOperator(task_id="clean", **options).execute(CONTEXT)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets the stores' clocks, and only those, be so many hours ahead."""

    def set_clock(hours: float) -> None:
        for kind, real in REAL_CLOCKS.items():
            monkeypatch.setattr(
                kind, "now", lambda self, uri, real=real: real(self, uri) + timedelta(hours=hours)
            )

    return set_clock


REAL_CLOCKS = {LocalStorage: LocalStorage.now, S3Storage: S3Storage.now}


def a_published_video(place: Place) -> None:
    """Published three times; its workspace and the last one's chunks are there."""
    for number in (1, 2, 3):
        place.publish(number)
    for name in (f"{SPLIT}/chunk-00000.nut", f"{WORK}/plan.json", f"{WORK}/chunk-00000/360p.mp4"):
        place.temp.write(f"{place.temp_uri}/film/{name}", [b"x" * 1000])


def folders(place: Place) -> set[str]:
    return {
        *place.temp.folders(f"{place.temp_uri}/film/"),
        *place.results.folders(f"{place.keys.folder}/"),
    }


ALL = {SPLIT, WORK, version(1), version(2), version(3)}


def test_within_the_grace_period_all_stays(place: Place, later: Callable[[float], None]) -> None:
    a_published_video(place)
    later(71)
    report = clean()
    assert (report["videos"], report["bytes_freed"], report["items"]) == (1, 0, [])
    assert folders(place) == ALL


def test_after_it_what_nobody_needs_goes(place: Place, later: Callable[[float], None]) -> None:
    a_published_video(place)
    later(73)
    sizes = {
        name: sum(info.size for info in place.results.list(place.keys.version(name, "")))
        for name in (version(1), version(2))
    }

    promised = clean(is_dry_run="True")
    assert folders(place) == ALL and promised["dry_run"] is True
    report = clean()

    assert report == promised | {"dry_run": False}
    assert report["removed"] == {"workspaces": 2, "versions": 2, "unfinished": 0}
    assert report["bytes_freed"] == 3000 + sum(sizes.values())
    assert {item["what"]: item["why"] for item in report["items"]} == {
        f"film/{SPLIT}": "finished, and nothing was written for 73 h",
        f"film/{WORK}": "finished, and nothing was written for 73 h",
        f"film/{version(1)}": "superseded 73 h ago",
        f"film/{version(2)}": "superseded 73 h ago",
    }
    assert folders(place) == {version(3)}
    assert place.seen() == (version(3), version(3))
    assert claim.read_claim(place.temp, claim_key(place.temp_uri, "film")) is None
    assert clean()["removed"] == {"workspaces": 0, "versions": 0, "unfinished": 0}


def test_a_rollback_starts_the_grace_period_of_what_it_replaced(
    place: Place, later: Callable[[float], None]
) -> None:
    a_published_video(place)
    later(100)
    place.publish(2)
    report = clean()
    assert {item["what"] for item in report["items"]} == {
        f"film/{name}" for name in (SPLIT, WORK, version(1))
    }
    later(175)
    assert [item["what"] for item in clean()["items"]] == [f"film/{version(3)}"]
    assert place.seen() == (version(2), version(2))


def test_nothing_of_a_video_that_a_run_has(place: Place, later: Callable[[float], None]) -> None:
    a_published_video(place)
    later(100)
    uri = claim_key(place.temp_uri, "film")
    claim.hold(place.temp, uri, owner="vod_transcode/night", ttl_s=600)
    assert clean()["items"] == []
    later(101)  # it died; its claim lapsed
    assert len(clean()["items"]) == 4


def test_no_run_begins_while_folders_go_and_one_that_began_is_left_alone(
    place: Place, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_published_video(place)
    later(100)
    uri = claim_key(place.temp_uri, "film")
    refused = []
    remove, expired = Cleaner.remove, Cleaner.expired

    def a_run_comes(self: Cleaner, video_id: str, name: str) -> None:
        with pytest.raises(StorageError, match="files are being changed by 'vod_janitor/today'"):
            claim.hold(place.temp, uri, owner="vod_transcode/a", ttl_s=600)
        refused.append(name)
        remove(self, video_id, name)

    monkeypatch.setattr(Cleaner, "remove", a_run_comes)

    def a_run_begins(self: Cleaner, *args: Any) -> Any:
        found = expired(self, *args)
        claim.hold(place.temp, uri, owner="vod_transcode/b", ttl_s=600)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Cleaner, "expired", a_run_begins)
        assert clean()["items"] == [] and folders(place) == ALL
    assert claim.release(place.temp, uri, owner="vod_transcode/b")
    clean()
    assert sorted(refused) == sorted(ALL - {version(3)})


def test_a_run_that_came_and_went_in_between_is_seen(
    place: Place, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_published_video(place)
    later(100)
    hold = claim.hold

    def after_a_publication(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(claim, "hold", hold)
        place.publish(1)
        return hold(*args, **options)

    monkeypatch.setattr(claim, "hold", after_a_publication)
    clean()
    assert version(1) in folders(place) and place.seen() == (version(1), version(1))


def test_a_video_that_is_not_understood_is_kept_and_told(
    place: Place, later: Callable[[float], None]
) -> None:
    a_published_video(place)
    place.results.write(place.keys.playlist, [b"#EXTM3U\n"])
    place.temp.write(f"{place.temp_uri}/other/{WORK}/plan.json", [b"{}"])
    later(100)
    with pytest.raises(StorageError, match="1 of 2 videos could not be looked at, film among them"):
        clean()
    assert folders(place) == ALL
    assert list(place.temp.list(f"{place.temp_uri}/other/{WORK}/")) == []


def test_what_killed_writers_left_goes(
    place: Place, later: Callable[[float], None], request: pytest.FixtureRequest
) -> None:
    uri = f"{place.temp_uri}/film/360p.mp4"
    if place.temp_uri.startswith("file://"):
        part = Path(uri.removeprefix("file://")).with_name(".0123456789abcdef.vod-part")
        part.parent.mkdir(parents=True)
        part.write_bytes(b"x" * 1000)
    else:
        bucket = request.getfixturevalue("s3_bucket")
        key = {"Bucket": bucket.name, "Key": uri.removeprefix(f"{bucket.uri}/")}
        upload = bucket.client.create_multipart_upload(**key)["UploadId"]
        bucket.client.upload_part(**key, UploadId=upload, PartNumber=1, Body=b"x" * 1000)
    left = list(place.temp.unfinished(f"{place.temp_uri}/"))
    assert [found.size for found in left] == [1000]
    claim.hold(place.temp, claim_key(place.temp_uri, "film"), owner="a", ttl_s=86_400 * 4)

    later(73)
    assert clean()["removed"]["unfinished"] == 0  # a run has the video
    claim.release(place.temp, claim_key(place.temp_uri, "film"), owner="a")
    if place.temp_uri.startswith("file://"):  # moto dates all uploads 2010
        assert clean(grace_hours="74")["removed"]["unfinished"] == 0
    assert clean(is_dry_run="True")["removed"]["unfinished"] == 1
    report = clean()
    assert report["removed"]["unfinished"] == 1 and report["bytes_freed"] >= 1000
    assert list(place.temp.unfinished(f"{place.temp_uri}/")) == []


def test_uploads_that_people_did_not_end_go(
    place: Place, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = place.temp_uri.removesuffix("tmp") + "in"
    configure(monkeypatch, uploads_uri=root)
    uploads = uploads_for(root, place.conn_id)
    done, left = (uploads.begin("film.mp4", 5) for _ in range(2))
    for upload in (done, left):
        uploads.write_part(upload, 1, io.BytesIO(b"video"))
    uri = uploads.complete(done)
    claim.hold(place.temp, claim_key(place.temp_uri, left.folder), owner="a", ttl_s=86_400 * 4)

    if root.startswith("file://"):  # moto dates all uploads 2010
        later(71)
        assert clean()["removed"]["unfinished"] == 0 and uploads.parts(left) == [1]
    later(73)
    assert clean(is_dry_run="True")["removed"]["unfinished"] == 1 and uploads.parts(left) == [1]
    assert clean()["removed"]["unfinished"] == 1
    with pytest.raises(ObjectNotFoundError):
        uploads.parts(left)
    assert place.temp.stat(uri) is not None


def test_many_videos_one_at_a_time_in_both_stores(place: Place, later: Callable[[float], None]) -> None:
    for name in ("a", "a-b", "a_b", "b"):
        place.temp.write(f"{place.temp_uri}/{name}/{WORK}/plan.json", [b"{}"])
        place.results.write(f"{place.keys.results_uri}/{name}/{version(1)}/video.json", [b"{}"])
    later(100)
    report = clean()
    assert report["videos"] == 4
    assert report["removed"] == {"workspaces": 4, "versions": 4, "unfinished": 0}
    left = [info.uri.rpartition("/")[2] for info in place.temp.list(f"{place.temp_uri}/")]
    assert left == ["claim.json"] * 4
