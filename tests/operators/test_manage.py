"""``vod_manage`` and ``vod delete``: what they change, what they refuse, and what they say of it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from support.results import Place, a_result, version
from vod_operators.cli.main import main
from vod_operators.errors import ClaimedError, InvalidInputError, NoSuchVideoError, StorageError
from vod_operators.operators.manage import VodManageOperator
from vod_operators.settings import get_settings
from vod_operators.storage import checksums, claim
from vod_operators.storage.base import digest_of
from vod_operators.storage.keys import claim_key
from vod_operators.storage.local import LocalStorage
from vod_operators.storage.s3 import S3Storage
from vod_operators.work.deletion import delete_video
from vod_operators.work.management import Manager
from vod_operators.work.stable import point_to

WORK = "work-0123456789ab"


class Instance:
    """Keeps what a task pushes."""

    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def manage(instance: Instance | None = None, **params: str) -> dict[str, Any]:
    run = SimpleNamespace(
        dag_id="vod_manage",
        run_id="now",
        run_after=datetime(2026, 11, 29, tzinfo=timezone.utc),
        clear_number=0,
    )
    context: Any = {"dag_run": run, "ti": instance or Instance()}
    return VodManageOperator(task_id="manage", **({"video_id": "film"} | params)).execute(context)


def publish(place: Place, *numbers: int) -> None:
    """Versions with checksums, a workspace, and what a killed writer left."""
    for number in numbers:
        place.publish(number)
        folder = place.keys.version(version(number), "")
        files = [info.uri for info in place.results.list(folder) if not info.uri.endswith("video.json")]
        digests = {uri.removeprefix(folder): digest_of(place.results.read(uri)).sha256 for uri in files}
        place.results.write(place.keys.version_checksums(version(number)), checksums.lines(digests))
    for name in ("plan.json", "chunk-00000/360p/seg-00001.m4s", "prepare.done.json"):
        place.temp.write(f"{place.temp_uri}/film/{WORK}/{name}", [b"x" * 100])


def left(place: Place, video_id: str = "film") -> set[str]:
    """Names of the video's objects in both stores, from its folders."""
    folders = ((place.temp, place.temp_uri), (place.results, place.keys.results_uri))
    return {
        info.uri.removeprefix(f"{root}/{video_id}/")
        for storage, root in folders
        for info in storage.list(f"{root}/{video_id}/")
    }


def owner(place: Place) -> str | None:
    found = claim.read_claim(place.temp, claim_key(place.temp_uri, "film"))
    return found.owner if found else None


# --- verify and repair ----------------------------------------------------------------------


def test_a_whole_video_is_verified(place: Place) -> None:
    publish(place, 1)
    instance = Instance()
    report = manage(instance, action="verify")
    assert (report["version"], report["damaged"], report["damage"]) == (version(1), 0, [])
    assert report["outcome"] == "all 4 files match their checksums" == instance.xcoms["outcome"]


def test_damage_fails_the_run_and_is_told_all_the_same(place: Place) -> None:
    publish(place, 1)
    uri = place.keys.version(version(1), "360p/seg-00001.m4s")
    place.results.write(uri, [version(2).encode()])
    instance = Instance()
    with pytest.raises(AirflowFailException, match="film: 1 of 4 files are damaged"):
        manage(instance, action="verify")
    report = instance.xcoms["return_value"]
    assert report["damage"] == [{"uri": uri, "found": "its content has changed (SHA-256)"}]
    assert instance.xcoms["outcome"] == report["outcome"] == "1 of 4 files are damaged"


def test_what_is_whole_needs_no_repair(place: Place) -> None:
    publish(place, 1)
    report = manage(action="repair")
    assert report["run"] is None
    assert report["outcome"] == "nothing to repair: all 4 files match their checksums"


def test_without_a_workspace_nothing_is_repaired_and_it_says_what_to_do(place: Place) -> None:
    publish(place, 1)
    place.results.write(place.keys.version(version(1), "360p/seg-00001.m4s"), [b"y"])
    with pytest.raises(InvalidInputError, match=r"the workspace of film in .* is gone.*ask for the whole"):
        manage(action="repair")


# --- rollback -------------------------------------------------------------------------------


def test_back_to_the_one_before_and_to_one_that_is_named(place: Place) -> None:
    publish(place, 1, 2, 3)
    report = manage(action="rollback")
    assert report["version"] == version(2) and place.seen() == (version(2), version(2))
    assert report["outcome"] == f"rolled back to {version(2)}"
    assert manage(action="rollback", version=version(3))["version"] == version(3)
    assert place.seen() == (version(3), version(3)) and owner(place) is None


@pytest.mark.parametrize("name", ["v-1", version(9), "../film", "latest"])
def test_a_version_that_does_not_exist(place: Place, name: str) -> None:
    publish(place, 1)
    with pytest.raises(InvalidInputError, match=f"has no version {name}; there are: {version(1)}"):
        manage(action="rollback", version=name)
    assert place.seen() == (version(1), version(1)) and owner(place) is None


# --- deletion -------------------------------------------------------------------------------


def test_everything_goes_but_the_claim_and_it_says_what(place: Place) -> None:
    publish(place, 1, 2)
    place.results.write(f"{place.keys.folder}/notes.txt", [b"by hand"])
    place.results.write(f"{place.keys.results_uri}/film-2/index.m3u8", [b"another"])
    place.temp.write(f"{place.temp_uri}/film-2/{WORK}/plan.json", [b"another"])
    there = len(left(place))

    instance = Instance()
    report = manage(instance, action="delete", confirm="film")

    assert left(place) == {"claim.json"} and owner(place) is None
    assert left(place, "film-2") == {"index.m3u8", f"{WORK}/plan.json"}
    removed = report["removed"]
    assert (removed["versions"], removed["workspaces"], removed["objects"]) == (2, 1, there)
    assert instance.xcoms["outcome"] == (
        f"deleted: 2 versions and 1 workspaces, {there} files, {removed['size_bytes']} bytes"
    )
    # Again, as Airflow does if the worker died before it could say that it was done.
    assert manage(action="delete", confirm="film")["outcome"] == "deleted: nothing was left of it"


def test_the_token_does_not_start_again(place: Place) -> None:
    uri = claim_key(place.temp_uri, "film")
    publish(place, 1)
    before = claim.hold(place.temp, uri, owner="vod_transcode/a", ttl_s=600).token
    claim.release(place.temp, uri, owner="vod_transcode/a")
    manage(action="delete", confirm="film")
    assert claim.hold(place.temp, uri, owner="vod_transcode/b", ttl_s=600).token == before + 2


class Killed(BaseException):
    """The process dies here."""


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], bool]:
    """Die before the store's ``number``-th removal; returns what tells whether it happened."""
    counts = {"left": number}

    def counted(real: Callable[..., None]) -> Callable[..., None]:
        def call(self: Any, uri: str) -> None:
            counts["left"] -= 1
            if counts["left"] == 0:
                raise Killed
            real(self, uri)

        return call

    for kind in (LocalStorage, S3Storage):
        for name in ("delete", "delete_folder"):
            monkeypatch.setattr(kind, name, counted(getattr(kind, name)))
    return lambda: counts["left"] <= 0


@pytest.mark.parametrize("number", range(1, 11))
def test_killed_anywhere_it_leaves_nothing_that_plays_and_the_next_one_ends_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    publish(place, 1, 2)
    uri, whole = claim_key(place.temp_uri, "film"), left(place)
    with monkeypatch.context() as patch:
        died = kill_at(patch, number)
        patch.setattr(claim, "release", lambda *_, **__: False)  # a dead process releases nothing
        with pytest.raises(Killed):
            manage(action="delete", confirm="film")
        assert died()
    assert owner(place) == "vod_manage/now"
    found = left(place)
    assert ("index.m3u8" in found) is (number == 1)
    # What still has its first object is whole.
    for folder, first in ((version(1), "video.json"), (version(2), "video.json"), (WORK, "plan.json")):
        if f"{folder}/{first}" in found:
            assert {name for name in whole if name.startswith(folder)} <= found
    with pytest.raises(StorageError, match="files are being changed by 'vod_manage/now'"):
        claim.hold(place.temp, uri, owner="vod_transcode/a", ttl_s=600)

    manage(action="delete", confirm="film")

    assert left(place) == {"claim.json"} and owner(place) is None


def test_a_video_that_a_run_works_on_is_left_alone(place: Place) -> None:
    publish(place, 1, 2)
    claim.hold(place.temp, claim_key(place.temp_uri, "film"), owner="vod_transcode/night", ttl_s=600)
    before = left(place)
    for params in ({"action": "delete", "confirm": "film"}, {"action": "rollback"}):
        with pytest.raises(ClaimedError, match="being worked on by run 'vod_transcode/night' since"):
            manage(**params)
    assert left(place) == before and owner(place) == "vod_transcode/night"
    assert manage(action="verify")["damaged"] == 0  # reading disturbs nobody


def test_who_loses_the_claim_removes_nothing_more(place: Place) -> None:
    publish(place, 1, 2)
    steps: list[str] = []

    def hold() -> None:
        steps.append("held")
        if len(steps) > 1:
            raise ClaimedError("video_id: another run has it")

    with pytest.raises(ClaimedError):
        delete_video(place.temp, place.results, place.temp_uri, place.keys, hold=hold)
    assert "index.m3u8" not in left(place)
    assert {"manifest.mpd", "video.json", f"{WORK}/plan.json"} < left(place)


def test_a_publisher_that_slept_through_a_deletion_publishes_nothing(place: Place) -> None:
    publish(place, 1, 2)
    uri = claim_key(place.temp_uri, "film")
    mine = claim.hold(place.temp, uri, owner="vod_transcode/slow", ttl_s=600)
    looks: list[int] = []

    def look() -> None:
        claim.check(place.temp, uri, mine)
        if not looks:  # it sleeps here; its claim lapses, and somebody deletes the video
            looks.append(1)
            claim.release(place.temp, uri, owner="vod_transcode/slow")
            manage(action="delete", confirm="film")

    with pytest.raises(ClaimedError):
        point_to(place.results, place.keys, a_result(version(3)), b"#EXTM3U\n", None, still_owner=look)
    assert left(place) == {"claim.json"}


def test_two_at_once_end_with_one_deletion(place: Place) -> None:
    publish(place, 1, 2, 3)
    there, barrier = len(left(place)), threading.Barrier(2)
    outcomes: list[Any] = []

    def delete(name: str) -> None:
        settings = get_settings()
        manager = Manager(
            settings=settings,
            temp=place.temp,
            results=place.results,
            owner=name,
            holder="",
            is_dead=lambda _: False,
        )
        barrier.wait()
        try:
            outcomes.append(manager.delete("film", "film").objects)
        except StorageError as error:  # the other one is at it: Airflow tries again in a moment
            outcomes.append(0)
            assert "files are being changed by" in str(error)

    threads = [threading.Thread(target=delete, args=(f"vod_manage/{n}",)) for n in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 2 and sum(outcomes) == there
    assert left(place) == {"claim.json"} and owner(place) is None


@pytest.mark.parametrize("confirm", ["", "Film", "film ", "film-2", "yes"])
def test_a_wrong_confirmation_deletes_nothing(place: Place, confirm: str) -> None:
    publish(place, 1)
    before = left(place)
    with pytest.raises(InvalidInputError, match="confirm: to delete 'film', give its id here too"):
        manage(action="delete", confirm=confirm)
    assert left(place) == before


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"action": "shred"}, "action: 'shred' is none of verify, repair, rollback, delete"),
        ({"action": "verify", "video_id": "a/b"}, "video_id: 'a/b' is not usable"),
        ({"action": "delete", "video_id": "..", "confirm": ".."}, r"video_id: '\.\.' is not usable"),
    ],
)
def test_what_cannot_be_is_refused(place: Place, params: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        manage(**params)


@pytest.mark.parametrize("action", ["verify", "repair", "rollback"])
def test_a_video_that_is_not_there_gets_no_claim(place: Place, action: str) -> None:
    with pytest.raises(NoSuchVideoError):
        manage(action=action)
    assert left(place) == set()


def test_a_video_that_never_stored_anything_is_deleted_without_a_claim(place: Place) -> None:
    report = manage(action="delete", confirm="film")
    assert (report["outcome"], report["removed"]["objects"]) == ("deleted: nothing was left of it", 0)
    assert left(place) == set()


# --- the command line -----------------------------------------------------------------------


def test_the_command_deletes_what_it_is_told_to(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    publish(place, 1)
    before = left(place)
    assert main(["delete", "film"]) == 1
    assert capsys.readouterr().err.startswith("vod: --yes: nothing is deleted without it")
    assert left(place) == before
    assert main(["delete", "film", "--yes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["video_id"], told["versions"], told["objects"]) == ("film", 1, len(before))
    assert left(place) == {"claim.json"} and owner(place) is None
    assert main(["delete", "film", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "film: removed: nothing was left of it"
    assert main(["delete", "other", "--yes"]) == 1
    assert "there is no video 'other'" in capsys.readouterr().err


def test_a_command_that_is_killed_loses_its_claim_and_the_next_one_goes_on(place: Place) -> None:
    """By the kernel, as soon as the playlist is gone."""
    publish(place, *range(1, 6))
    for number in range(50):
        place.temp.write(f"{place.temp_uri}/film/{WORK}/chunk-{number:05}/seg.m4s", [b"x"])
    command = [sys.executable, "-m", "vod_operators.cli.main", "delete", "film", "--yes"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while place.results.stat(place.keys.playlist) and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert place.results.stat(place.keys.playlist) is None
    assert main(["delete", "film", "--yes"]) == 0
    assert left(place) == {"claim.json"} and owner(place) is None
