"""The stable playlist: whoever is late overwrites nothing, and viewers see one version or the next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.results import Place, a_result, version
from vod_operators.errors import ClaimedError, CorruptObjectError, ObjectNotFoundError
from vod_operators.storage.base import Storage
from vod_operators.storage.stores import get_bytes
from vod_operators.work.stable import publications, read_result, roll_back, shown_version


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
@pytest.mark.parametrize("what", ["metadata", "manifest", "playlist"])
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


def test_a_rollback_to_what_the_sleeper_had_seen_does_not_let_it_through(place: Place) -> None:
    """The same version is shown again, so the store's version of the playlist must not be the same."""
    owner = "first"
    place.publish(1)

    def others_publish_and_go_back() -> None:
        nonlocal owner
        owner = "second"
        place.publish(3)
        place.publish(1)

    def still_owner() -> None:
        if owner != "first":
            raise ClaimedError("taken over")

    sleeper = Paused(place.results, place.keys.playlist, others_publish_and_go_back)
    with pytest.raises(ClaimedError):
        place.publish(2, still_owner, through=sleeper)
    assert place.seen() == (version(1), version(1))


def test_who_was_late_itself_is_written_over(place: Place) -> None:
    """The old owner's last write comes between the new owner's two: the new owner's wins, whole."""
    place.publish(1)
    sleeper = Paused(place.results, place.keys.playlist, lambda: place.publish(2))
    place.publish(3, through=sleeper)
    assert place.seen() == (version(3), version(3))


def test_the_manifest_is_that_of_the_playlist(place: Place) -> None:
    def listed() -> str:
        return get_bytes(place.results, place.keys.manifest).decode().split("<!--")[0]

    place.publish(1)
    place.publish(2)
    assert listed() == f"<MPD>{version(2)}</MPD>\n"
    roll_back(place.results, place.keys, None, still_owner=lambda: None)
    assert listed() == f"<MPD>{version(1)}</MPD>\n"
    # A version without one (MPEG-TS): what is there would name files that go one day.
    place.results.delete(place.keys.version_manifest(version(2)))
    roll_back(place.results, place.keys, version(2), still_owner=lambda: None)
    assert listed() == ""
    place.publish(3)
    assert listed() == f"<MPD>{version(3)}</MPD>\n"


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
