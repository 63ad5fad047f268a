"""Published videos behind the project's own edge, and a Chromium with players on another site.

Needs `npm` and a Chromium (CHROMIUM names it, or `chromium` on PATH). `make test-players`
installs playwright.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import m3u8
import pytest

from players.film import film
from players.session import Session
from steps import Steps
from tools import ROOT, configure

HERE = Path(__file__).parent
SHOTS = Path(os.environ.get("PLAYERS_SHOTS") or ROOT / "build" / "players")
"""Not ``VOD_...``: the tests remove those variables from the environment."""


PRESETS = ["h264", "h264_ts", "av1", "h264_hevc", "hevc", "h264_small"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.players)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The players from npm, of the versions in package-lock.json."""
    lock, installed = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return HERE / "node_modules"


class Server:
    """An ASGI application on a free port of the loopback interface, in a thread."""

    def __init__(self, app: Any) -> None:
        import uvicorn

        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@dataclass(frozen=True)
class Film:
    """A published video."""

    folder: Path
    url: str
    """Of that folder at the edge."""

    def manifest(self, name: str) -> str:
        """URL of its ``index.m3u8`` or ``manifest.mpd``."""
        if name == "manifest.mpd" and self.transport_stream:
            pytest.skip("DASH is not made of MPEG-TS")
        return f"{self.url}/{name}"

    @property
    def transport_stream(self) -> bool:
        """Whether its segments are MPEG-TS."""
        return any(self.folder.glob("v-*/*/*.ts"))


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where videos are published. ``PLAYERS_KEEP`` names a folder that is kept, so that the next run finds
    its encodes done."""
    kept = os.environ.get("PLAYERS_KEEP")
    root = Path(kept) if kept else tmp_path_factory.mktemp("players")
    (root / "results").mkdir(parents=True, exist_ok=True)
    return root / "results"


@pytest.fixture(scope="session")
def edge(results: Path, node_modules: Path) -> Iterator[str]:
    """The project's own edge, in front of the results."""
    from vod_operators.edge.server import create_app

    server = Server(create_app(results, node_modules / "hls.js" / "dist" / "hls.min.js"))
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def site(node_modules: Path) -> Iterator[str]:
    """A site of somebody else, with a page that has the players: so that the edge's CORS is tried too."""
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    pages = StaticFiles(directory=HERE / "page", html=True)
    server = Server(
        Starlette(routes=[Mount("/node_modules", StaticFiles(directory=node_modules)), Mount("/page", pages)])
    )
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright import sync_api as playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "no Chromium on PATH; set CHROMIUM to one"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser
        browser.close()


@pytest.fixture
def new_session(browser: Any, request: pytest.FixtureRequest) -> Iterator[Callable[[], Session]]:
    """Opens an empty page. An error in its console fails the test."""
    sessions: list[Session] = []

    def new_session() -> Session:
        shot = SHOTS / f"{request.node.name.replace('/', '-')}.png"
        sessions.append(Session(browser.new_page(viewport={"width": 800, "height": 640}), shot))
        return sessions[-1]

    yield new_session
    for session in sessions:
        session.close()
    for session in sessions:
        session.check_console()


@pytest.fixture
def watch(new_session: Callable[[], Session], site: str) -> Callable[..., Session]:
    """Opens a page with a player: ``watch("hls.js", url)``."""

    def watch(player: str, url: str, **options: Any) -> Session:
        session = new_session()
        session.open(f"{site}/page/?player={player}", url, options)
        return session

    return watch


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
