"""Two edges, of which one stops while a video plays; and a steering manifest that moves players."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from players.extras import edges, without_lost_edge, write_extras
from players.film import FRAMES, film
from players.playing import DASH, DASH_JS, HLS_JS, SHAKA
from players.published import Film
from support.players import Server
from support.session import Session

STEERED = [HLS_JS, SHAKA, DASH, DASH_JS]


@pytest.fixture
def west_and_east(results: Path) -> Iterator[list[Server]]:
    (results / "steering.json").unlink(missing_ok=True)
    with edges(results) as servers:
        yield servers
    (results / "steering.json").unlink(missing_ok=True)


@pytest.fixture
def steered(publish: Callable[..., Film], west_and_east: list[Server], tmp_path: Path, results: Path) -> Film:
    """Published for these two edges; its URL is that of the first."""
    folder = write_extras(tmp_path)
    urls = [server.url for server in west_and_east]
    # A name of its own, because ports differ each time; the encode is the same.
    name = f"extras{urls[0].rpartition(':')[2]}"
    (folder / "extras.json").rename(folder / f"{name}.json")
    settings = {"presets_dir": str(folder), "edges": json.dumps(urls), "pathways": '["west", "east"]'}
    made = publish(film(), name, **settings)
    return Film(made.folder, f"{urls[0]}/{made.folder.name}")


def asked(session: Session, server: Server) -> list[str]:
    """Segments that were asked of an edge, by name."""
    urls = session.ask("() => performance.getEntriesByType('resource').map(entry => entry.name)")
    return [url.rsplit("/", 1)[-1] for url in urls if url.startswith(server.url) and "/seg-" in url]


@pytest.mark.parametrize(("player", "manifest"), STEERED)
def test_playback_goes_on_at_the_other_edge(
    watch: Callable[..., Session], steered: Film, west_and_east: list[Server], player: str, manifest: str
) -> None:
    west, east = west_and_east
    session = watch(player, steered.manifest(manifest), bufferSeconds=4)
    session.play()
    session.play_to(2)
    assert asked(session, west) and not asked(session, east)
    west.stop()
    session.play_to_the_end()

    assert asked(session, east)
    shown = session.check_numbers()
    assert shown[-1]["number"] > FRAMES - 10
    without_lost_edge(session, west.url)


@pytest.mark.parametrize(("player", "manifest"), STEERED)
def test_another_order_moves_players(
    watch: Callable[..., Session],
    steered: Film,
    west_and_east: list[Server],
    results: Path,
    player: str,
    manifest: str,
) -> None:
    west, east = west_and_east
    order = results / "steering.json"
    told = json.loads(order.read_text("utf-8"))
    assert told["PATHWAY-PRIORITY"] == ["west", "east"]
    order.write_text(json.dumps(told | {"TTL": 1}), "utf-8")
    session = watch(player, steered.manifest(manifest), bufferSeconds=4)
    session.play()
    session.play_to(1)
    assert asked(session, west) and not asked(session, east)
    order.write_text(json.dumps(told | {"TTL": 1, "PATHWAY-PRIORITY": ["east", "west"]}), "utf-8")
    session.play_to_the_end()

    assert asked(session, east)
    session.check_no_errors()
    session.check_numbers()
