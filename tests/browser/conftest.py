"""The local Airflow of `make up`, and people in a Chromium who are signed in to it.

Needs a Chromium on the machine (CHROMIUM names it, or `chromium` on PATH) and playwright, which
`make test-browser` installs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.place import SHOTS, LocalAirflow
from support.tools import ROOT

HERE = Path(__file__).parent
VIEW = {"width": 1400, "height": 1000}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def airflow() -> LocalAirflow:
    home = Path(os.environ.get("LOCAL_AIRFLOW") or ROOT / ".airflow")
    if not (home / "running.json").is_file():
        pytest.fail("no local Airflow is running; start it with: make up")
    state = json.loads((home / "running.json").read_text("utf-8"))
    passwords = json.loads((home / "passwords.json").read_text("utf-8"))
    return LocalAirflow(url=state["url"], home=home, settings=state["settings"], passwords=passwords)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Of its own, because one without its sandbox is not needed by the players."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.fail("no Chromium on PATH; set CHROMIUM to one")
    SHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def signed_in(airflow: LocalAirflow, chromium: Any) -> Callable[[str], dict[str, Any]]:
    """The cookies of a user, who signs in once: ``signed_in("viewer")``."""
    known: dict[str, dict[str, Any]] = {}

    def signed_in(user: str) -> dict[str, Any]:
        if user not in known:
            context = chromium.new_context()
            page = context.new_page()
            page.goto(airflow.url)
            page.wait_for_url("**/login**")
            page.fill("input[name=username]", user)
            page.fill("input[name=password]", airflow.passwords[user])
            page.click("button[type=submit]")
            page.wait_for_url("**/")
            known[user] = context.storage_state()
            context.close()
        return known[user]

    return signed_in


@pytest.fixture
def open_page(
    airflow: LocalAirflow, chromium: Any, signed_in: Callable[[str], dict[str, Any]]
) -> Iterator[Callable[..., Any]]:
    """Opens a path of Airflow's UI as a user: ``open_page("/plugin/videos", user="viewer", scheme="dark")``.

    An error of the page's script fails the test.
    """
    contexts, errors = [], []

    def open_page(path: str, *, user: str = "admin", scheme: str = "light", **size: int) -> Any:
        context = chromium.new_context(
            viewport=VIEW | size, color_scheme=scheme, storage_state=signed_in(user)
        )
        contexts.append(context)
        # Airflow remembers the choice of its menu; without one it is light.
        context.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(airflow.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors, "\n".join(errors)
