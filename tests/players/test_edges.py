"""Two edges, of which one stops while a video plays; and a steering manifest that moves players."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from players.extras import Edge, without_lost_edge, write_extras
from players.film import FRAMES, film
from players.playing import DASH, DASH_JS, HLS_JS, SHAKA
from players.published import Film
from support.session import Session
from vod_operators.work.steering import steering_manifest

STEERED = [HLS_JS, SHAKA, DASH, DASH_JS]


@pytest.fixture(scope="module")
def both_edges(results: Path) -> Iterator[list[Edge]]:
    edges = [Edge(results, host) for host in ("127.0.0.1", "localhost")]
    yield edges
    for edge in edges:
        edge.stop()


@pytest.fixture
def west_and_east(both_edges: list[Edge], results: Path) -> Iterator[list[Edge]]:
    for edge in both_edges:
        edge.start()
    yield both_edges
    (results / "steering.json").write_bytes(steering_manifest(["west", "east"]))


@pytest.fixture(scope="module")
def steered(
    publish: Callable[..., Film],
    both_edges: list[Edge],
    tmp_path_factory: pytest.TempPathFactory,
    results: Path,
) -> Film:
    """Published for these two edges; its URL is that of the first."""
    (results / "steering.json").unlink(missing_ok=True)
    urls = [edge.url for edge in both_edges]
    folder = write_extras(tmp_path_factory.mktemp("presets"), "steered")
    settings = {"presets_dir": str(folder), "edges": json.dumps(urls), "pathways": '["west", "east"]'}
    made = publish(film(), "steered", **settings)
    return Film(made.folder, f"{urls[0]}/{made.folder.name}")


def asked(session: Session, edge: Edge) -> list[str]:
    """Segments that were asked of an edge, by name."""
    urls = session.ask("() => performance.getEntriesByType('resource').map(entry => entry.name)")
    return [url.rsplit("/", 1)[-1] for url in urls if url.startswith(edge.url) and "/seg-" in url]


@pytest.mark.parametrize(("player", "manifest"), STEERED)
def test_playback_goes_on_at_the_other_edge(
    watch: Callable[..., Session], steered: Film, west_and_east: list[Edge], player: str, manifest: str
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
    without_lost_edge(session, west)


@pytest.mark.parametrize(("player", "manifest"), STEERED)
def test_another_order_moves_players(
    watch: Callable[..., Session],
    steered: Film,
    west_and_east: list[Edge],
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
