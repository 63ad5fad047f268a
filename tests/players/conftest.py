"""Published videos behind the project's own edge, for the players of ``support.players``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import m3u8
import pytest

from players.film import film
from players.published import Film
from support.players import Server
from support.session import Session
from support.settings import configure
from support.steps import Steps
from vod_operators.media.encoders import ENCODERS
from vod_operators.media.presets.catalog import load_preset, preset_names

HERE = Path(__file__).parent
PRESETS = [
    name
    for name in preset_names()
    if not any(
        ENCODERS[ladder.encoder].hardware or ladder.by_title or ladder.dynamic_range == "hdr"
        for ladder in load_preset(name).ladders
    )
]
"""All that need no GPU. Ladders by title, and those beside HDR, are made of the same kinds of streams as the
others; HDR is played in ``test_hdr_in_players``."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.players)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where videos are published. ``PLAYERS_KEEP`` names a folder that is kept, so that the next run finds
    its encodes done."""
    kept = os.environ.get("PLAYERS_KEEP")
    root = Path(kept) if kept else tmp_path_factory.mktemp("players")
    (root / "results").mkdir(parents=True, exist_ok=True)
    return root / "results"


@pytest.fixture(scope="session")
def edge(results: Path) -> Iterator[str]:
    """The project's own edge, in front of the results."""
    from edge_server import create_app

    server = Server(create_app(results))
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def publish(results: Path, edge: str) -> Callable[..., Film]:
    """Publishes a source with the real operators, once in a session: ``publish(source, preset)``."""
    films: dict[str, Film] = {}

    def publish(source: Path, preset: str, **settings: str) -> Film:
        video_id = "-".join([source.stem, preset])
        if video_id not in films:
            with pytest.MonkeyPatch.context() as patch:
                root = results.parent
                configure(
                    patch,
                    temp_uri=(root / "tmp").as_uri(),
                    results_uri=results.as_uri(),
                    work_dir=str(root / "work"),
                    **settings,
                )
                steps = Steps(video_id=video_id, source=source.as_uri(), preset=preset, chunk_seconds=6)
                steps.run(until="release")
            films[video_id] = Film(results / video_id, f"{edge}/{video_id}")
        return films[video_id]

    yield publish
    from vod_operators.settings import get_settings

    get_settings.cache_clear()


@pytest.fixture(scope="module", params=PRESETS)
def published(request: pytest.FixtureRequest, publish: Callable[..., Film]) -> Film:
    """The film of numbered pictures, of each preset."""
    return publish(film(), request.param)


@pytest.fixture(scope="module")
def playable(published: Film, browser: Any) -> Film:
    """The same, of each preset that has pictures which this browser decodes."""
    master = m3u8.load(str(published.folder / "index.m3u8"))
    formats = sorted({f'video/mp4; codecs="{v.stream_info.codecs}"' for v in master.playlists})
    page = browser.new_page()
    known = page.evaluate("formats => formats.map(format => MediaSource.isTypeSupported(format))", formats)
    page.close()
    if not any(known):
        pytest.skip(f"this browser decodes none of {formats}")
    return published


@pytest.fixture
def steady(watch: Callable[..., Session], request: pytest.FixtureRequest) -> Callable[..., Session]:
    """Does something in a player that must never wait: ``steady(act, "hls.js", url)``.

    On a busy machine the browser's decoder may be late, wherever that happens to be. What is wrong with the
    media makes a player wait each time: so it may try twice. ``PLAYERS_REPORT`` names a file for where it
    waited in each try.
    """

    def steady(act: Callable[[Session], None], player: str, url: str, **options: Any) -> Session:
        tries = []
        for _ in range(2):
            session = watch(player, url, **options)
            act(session)
            tries.append(session.waits())
            if not tries[-1]:
                break
            session.pause()
        if report := os.environ.get("PLAYERS_REPORT"):
            with open(report, "a", encoding="utf-8") as file:
                print(json.dumps({"test": request.node.name, "tries": tries}), file=file)
        return session

    return steady
