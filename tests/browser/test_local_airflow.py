"""A person's way through the local Airflow, in a real Chromium: `make up`, then `make test-browser`.

Needs a Chromium on the machine (CHROMIUM names it, or `chromium` on PATH) and playwright, which
`make test-browser` installs.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("VOD_HOME") or ROOT / ".airflow")
CLIP = ROOT / "tests" / "media" / "bbb-720p-5s.mp4"
SHOTS = ROOT / "build" / "screenshots"


@pytest.fixture(scope="module")
def state() -> dict:
    file = HOME / "running.json"
    if not file.is_file():
        pytest.fail("no local Airflow is running; start it with: make up")
    return json.loads(file.read_text("utf-8"))


@pytest.fixture(scope="module")
def page() -> Iterator[object]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.fail("no Chromium on PATH; set CHROMIUM to one")
    SHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


def test_an_editor_triggers_a_video_with_the_form(page, state) -> None:
    password = json.loads((HOME / "passwords.json").read_text("utf-8"))["admin"]
    video_id = f"form-{int(time.time())}"

    page.goto(state["url"])
    page.wait_for_url("**/login**")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url("**/")

    page.goto(f"{state['url']}/dags/vod_transcode")
    page.get_by_role("button", name="Trigger").first.click()
    page.locator("[name=element_video_id]").fill(video_id)
    page.locator("[name=element_source]").fill(CLIP.as_uri())
    page.screenshot(path=SHOTS / "trigger-form.png")
    trigger = page.get_by_role("dialog").get_by_role("button", name="Trigger")
    trigger.click()

    playlist = Path(state["settings"]["VOD_RESULTS_URI"].removeprefix("file://")) / video_id / "index.m3u8"
    deadline = time.monotonic() + 180
    while not playlist.is_file() and time.monotonic() < deadline:
        page.wait_for_timeout(1000)
    assert playlist.is_file(), (
        f"{video_id} was not published; its run is in {state['url']}/dags/vod_transcode"
    )
    page.goto(f"{state['url']}/dags/vod_transcode/")
    page.wait_for_timeout(3000)
    page.screenshot(path=SHOTS / "dag.png")
