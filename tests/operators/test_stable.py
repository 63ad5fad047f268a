"""The stable playlist: whoever is late overwrites nothing, and viewers see one version or the next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from vod_operators.errors import ClaimedError, CorruptObjectError, ObjectNotFoundError
from vod_operators.operators.result import SourceFacts, Timings, VideoResult
from vod_operators.operators.stable import (
    IMMUTABLE,
    point_to,
    publications,
    read_result,
    shown_version,
)
from vod_operators.storage.base import Storage
from vod_operators.storage.keys import ResultKeys
from vod_operators.storage.stores import get_bytes, storage_for


def a_result(version: str) -> VideoResult:
    return VideoResult(
        video_id="film",
        version=version,
        preset="h264",
        playlist_urls=(),
        duration_s=1.0,
        frames=25,
        frame_rate=None,
        chunks=1,
        source=SourceFacts(
            name="film.mp4", container="mp4", size_bytes=1, duration_s=1, bitrate_bps=1, video_codec=None,
            width=None, height=None, frame_rate=None, audio_tracks=0, normalised=(), damage=(),
        ),
        renditions=(),
        timings=Timings(
            started_at=None, published_at=datetime(2026, 1, 1, tzinfo=timezone.utc), wall_s=None, encode_s=0
        ),
        made_by={},
    )  # fmt: skip


def version(number: int) -> str:
    return f"v-{number:012x}-{number:06x}"


@dataclass(frozen=True)
class Place:
    results: Storage
    keys: ResultKeys

    def publish(
        self, number: int, still_owner: Callable[[], None] = lambda: None, through: Any = None
    ) -> VideoResult:
        """A version with two files, and the stable playlist pointing to it."""
        name = version(number)
        playlist = f"#EXTM3U\n{name}/a.m3u8\n{name}/b.m3u8\n".encode()
        result = a_result(name)
        for uri, data in (
            (self.keys.version(name, "a.m3u8"), name.encode()),
            (self.keys.version(name, "b.m3u8"), name.encode()),
            (self.keys.version_playlist(name), playlist),
            (self.keys.version_metadata(name), result.model_dump_json().encode()),
        ):
            self.results.write(uri, [data], cache_control=IMMUTABLE)
        return point_to(through or self.results, self.keys, result, playlist, still_owner=still_owner)

    def seen(self) -> tuple[str | None, str]:
        """What the playlist and the metadata point to."""
        found = read_result(self.results, self.keys.metadata)
        assert found is not None
        return shown_version(self.results, self.keys), found.version


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "file":
        root, conn_id = (tmp_path / "results").as_uri(), "unused"
    else:
        bucket = request.getfixturevalue("s3_bucket")
        root, conn_id = f"{bucket.uri}/results", bucket.conn_id
    return Place(storage_for(root, conn_id), ResultKeys(results_uri=root, video_id="film"))


class Paused:
    """A store whose client sleeps before a write of one object; others go on meanwhile."""

    def __init__(self, real: Storage, uri: str, meanwhile: Callable[[], object]) -> None:
        self.real, self.uri, self.meanwhile = real, uri, meanwhile

    def __getattr__(self, name: str) -> Any:
        if name not in ("create", "replace"):
            return getattr(self.real, name)

        def write(uri: str, *args: Any, **kwargs: Any) -> Any:
            if uri == self.uri:
                self.uri = ""  # once
                self.meanwhile()
            return getattr(self.real, name)(uri, *args, **kwargs)

        return write


@pytest.mark.parametrize("published_before", [False, True])
@pytest.mark.parametrize("what", ["metadata", "playlist"])
def test_who_sleeps_before_a_write_until_another_published_overwrites_nothing(
    place: Place, what: str, published_before: bool
) -> None:
    owner = "first"
    if published_before:
        place.publish(1)

    def another_takes_over_and_publishes() -> None:
        nonlocal owner
        owner = "second"
        place.publish(3)

    def still_owner() -> None:
        if owner != "first":
            raise ClaimedError("taken over")

    sleeper = Paused(place.results, getattr(place.keys, what), another_takes_over_and_publishes)
    with pytest.raises(ClaimedError, match="taken over"):
        place.publish(2, still_owner, through=sleeper)

    assert place.seen() == (version(3), version(3))


def test_who_was_late_itself_is_written_over(place: Place) -> None:
    """The old owner's last write comes between the new owner's two: the new owner's wins, whole."""
    place.publish(1)
    sleeper = Paused(place.results, place.keys.playlist, lambda: place.publish(2))
    place.publish(3, through=sleeper)
    assert place.seen() == (version(3), version(3))


def test_what_was_shown_is_remembered_with_its_time(place: Place) -> None:
    for number in (1, 2, 2, 1, 3):
        before = place.results.now(place.keys.playlist)
        shown = place.publish(number)
    assert [p.version for p in shown.history] == [version(n) for n in (3, 1, 2, 1)]
    assert shown.history[0].since >= before
    assert list(shown.history) == sorted(shown.history, key=lambda p: p.since, reverse=True)
    copy = read_result(place.results, place.keys.version_metadata(version(3)))
    assert copy is not None and copy.history == ()


def test_a_result_without_a_history_has_the_one_it_tells(place: Place) -> None:
    old = a_result(version(1))
    place.results.write(place.keys.metadata, [old.model_dump_json(exclude={"history"}).encode()])
    assert [p.version for p in publications(old)] == [version(1)]
    assert [p.version for p in place.publish(2).history] == [version(2), version(1)]


def test_a_damaged_result_does_not_keep_players_from_a_good_one(place: Place) -> None:
    place.results.write(place.keys.metadata, [b"{"])
    with pytest.raises(CorruptObjectError):
        read_result(place.results, place.keys.metadata)
    place.publish(2)
    assert place.seen() == (version(2), version(2))


def test_a_playlist_that_names_no_version_is_not_guessed_at(place: Place) -> None:
    assert shown_version(place.results, place.keys) is None
    place.results.write(place.keys.playlist, [b"#EXTM3U\nelsewhere/a.m3u8\n"])
    with pytest.raises(CorruptObjectError, match="points to no version"):
        shown_version(place.results, place.keys)


def test_a_viewer_of_a_video_published_twenty_times_never_sees_a_mix(place: Place) -> None:
    place.publish(0)
    done = threading.Event()
    seen: list[str] = []
    wrong: list[str] = []

    def watch() -> None:
        while not done.is_set():
            try:
                names = [
                    line
                    for line in get_bytes(place.results, place.keys.playlist).decode().splitlines()
                    if not line.startswith("#")
                ]
                bodies = {get_bytes(place.results, f"{place.keys.folder}/{name}") for name in names}
            except ObjectNotFoundError as error:
                wrong.append(str(error))
                continue
            if len(names) != 2 or len(bodies) != 1:
                wrong.append(f"{names}: {bodies}")
            seen.append(bodies.pop().decode())

    viewer = threading.Thread(target=watch)
    viewer.start()
    for number in range(1, 21):
        place.publish(number)
    done.set()
    viewer.join()
    assert wrong == []
    assert len(set(seen)) > 3 and seen == sorted(seen)
