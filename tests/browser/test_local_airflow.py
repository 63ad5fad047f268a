"""A person's way through Airflow's own trigger form, in the local Airflow."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from browser.place import SHOTS, LocalAirflow
from browser.watching import MINUTE_S, until
from support.tools import ROOT

CLIP = ROOT / "tests" / "media" / "bbb-720p-5s.mp4"


def test_an_editor_triggers_a_video_with_the_form(
    airflow: LocalAirflow, open_page: Callable[..., Any]
) -> None:
    video_id = f"form-{uuid.uuid4().hex[:8]}"
    page = open_page("/dags/vod_transcode", user="editor")
    page.get_by_role("button", name="Trigger").first.click()
    page.locator("[name=element_video_id]").fill(video_id)
    page.locator("[name=element_source]").fill(CLIP.as_uri())
    page.screenshot(path=SHOTS / "trigger-form.png")
    page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
    playlist = airflow.results / video_id / "index.m3u8"
    until(page, playlist.is_file, f"{video_id}, published", 5 * MINUTE_S)

    # Its run was named by Airflow; the page finds the video all the same, and plays it with its sound.
    page.goto(f"{airflow.url}/plugin/videos/{video_id}?play")
    state = """() => {
        const video = document.querySelector('video');
        return video && {ended: video.ended, at: video.currentTime, sound: video.webkitAudioDecodedByteCount};
    }"""
    until(page, lambda: (page.evaluate(state) or {}).get("ended"), "the end of the video", MINUTE_S)
    played = page.evaluate(state)
    assert 5.2 <= played["at"] <= 5.4
    assert played["sound"] > 10_000
