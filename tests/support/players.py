"""A Chromium with players, on a site of its own.

Needs `npm` and a Chromium (CHROMIUM names it, or `chromium` on PATH). `make test-players`
installs playwright.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.session import Session
from support.tools import ROOT

PLAYERS = ROOT / "tests" / "players"
"""Has the page, and what npm installs."""

SHOTS = Path(os.environ.get("PLAYERS_SHOTS") or ROOT / "build" / "players")
"""Not ``VOD_...``: the tests remove those variables from the environment."""


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The players from npm, of the versions in package-lock.json."""
    lock, installed = PLAYERS / "package-lock.json", PLAYERS / "node_modules" / ".package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        done = subprocess.run(command, cwd=PLAYERS, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return PLAYERS / "node_modules"


class Server:
    """An ASGI application on the loopback interface, in a thread.

    :param port: 0 for a free one.
    """

    def __init__(self, app: Any, port: int = 0) -> None:
        import uvicorn

        listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture(scope="session")
def site(node_modules: Path) -> Iterator[str]:
    """A site of somebody else, with a page that has the players: so that the edge's CORS is tried too."""
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    pages = StaticFiles(directory=PLAYERS / "page", html=True)
    server = Server(
        Starlette(routes=[Mount("/node_modules", StaticFiles(directory=node_modules)), Mount("/page", pages)])
    )
    yield server.url
    server.stop()


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
