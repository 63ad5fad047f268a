"""Storyboards and key frames, as players find them in playlists and manifests."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from players.extras import write_extras
from players.film import FRAMES, film
from players.playing import DASH, DASH_JS, HLS_JS, SHAKA, VIDEO_JS
from players.published import Film
from support.session import RATE, Session, with_numbers


@pytest.fixture(scope="module")
def extras(publish: Callable[..., Film], tmp_path_factory: pytest.TempPathFactory) -> Film:
    folder = write_extras(tmp_path_factory.mktemp("presets"))
    return publish(film(), "extras", presets_dir=str(folder))


@pytest.mark.parametrize(("player", "manifest"), [SHAKA, DASH, DASH_JS])
def test_players_find_the_storyboard(
    watch: Callable[..., Session], extras: Film, player: str, manifest: str
) -> None:
    video = json.loads((extras.folder / "video.json").read_text("utf-8"))
    board = video["storyboard"]
    session = watch(player, extras.manifest(manifest))
    cells = [session.ask("at => player.tile(at)", (frame + 0.5) / RATE) for frame in range(0, FRAMES, 5)]

    assert len({cell["at"] for cell in cells}) == board["pictures"] > 1
    assert {(cell["width"], cell["height"]) for cell in cells} == {(board["width"], board["height"])}
    step = round(board["interval_s"] * RATE)
    numbers = [cell["number"] for cell in with_numbers(cells)]
    assert numbers == [frame // step * step for frame in range(0, FRAMES, 5)]


def test_fast_playback_shows_key_frames(watch: Callable[..., Session], extras: Film) -> None:
    session = watch("shaka", extras.manifest("manifest.mpd"), bufferSeconds=4)
    session.play()
    session.play_to(1)
    session.ask("() => { player.player.trickPlay(4); watcher.clear(); }")
    session.until(lambda state: state["at"] > 12 or state["ended"], "played fast", seconds=30)
    assert session.ask("() => player.tracks().find(track => track.active).height") in (216, 432)

    late = [frame["number"] for frame in session.frames() if frame["at"] > 6]
    assert late and {number % RATE for number in late} == {0}, late
    requested = session.ask("() => performance.getEntriesByType('resource').map(entry => entry.name)")
    assert any("/216p/trick-" in url for url in requested)
    session.check_no_errors()


@pytest.mark.parametrize(("player", "manifest"), [HLS_JS, SHAKA, DASH, VIDEO_JS, DASH_JS])
def test_ordinary_playback_is_as_without(
    watch: Callable[..., Session], extras: Film, player: str, manifest: str
) -> None:
    session = watch(player, extras.manifest(manifest))
    levels = session.ask("() => player.levels()")
    assert sorted(level["height"] for level in levels) == [216, 432]
    session.play()
    session.play_to_the_end()
    session.check_no_errors()
    assert len(session.check_numbers()) > FRAMES // 10  # on a busy machine many are not painted
    requested = session.ask("() => performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not any("trick-" in url for url in requested)
