"""The edge's own page of a video, with hls.js."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from players.film import FRAMES, film
from support.session import RATE, Session

STATE = "(({ended, duration, error}) => ({ended, duration, error}))(document.querySelector('video'))"
CHOSEN = "select => select.selectedOptions[0].text"
SHOWING = (
    "Array.from(document.querySelector('video').textTracks)"
    ".filter(track => track.mode === 'showing').map(track => track.label)"
)


def test_the_page_plays_and_offers_what_there_is(new_session: Callable[[], Session], publish: Any) -> None:
    session = new_session()
    page = session.page
    page.goto(f"{publish(film(), 'h264').url}/watch")
    quality, sound = page.get_by_label("Quality"), page.get_by_label("Sound")
    subtitles = page.get_by_label("Subtitles")
    quality.wait_for()
    assert len(quality.locator("option").all()) >= 3
    assert sound.locator("option").all_inner_texts() == ["English", "Français"]
    page.evaluate("document.querySelector('video').play()")
    page.wait_for_timeout(1500)
    session.screenshot()
    assert page.evaluate(SHOWING) == [subtitles.evaluate(CHOSEN)] == ["English"]  # the default
    assert sound.evaluate(CHOSEN) == "English"
    subtitles.select_option("Français")
    page.wait_for_timeout(500)
    assert page.evaluate(SHOWING) == [subtitles.evaluate(CHOSEN)] == ["Français"]
    subtitles.select_option("off")
    page.wait_for_timeout(500)
    assert (page.evaluate(SHOWING), subtitles.evaluate(CHOSEN)) == ([], "off")
    quality.select_option(index=1)
    sound.select_option(index=1)
    page.evaluate("document.querySelector('video').playbackRate = 2")
    for _ in range(600):
        if page.evaluate(STATE)["ended"]:
            break
        page.wait_for_timeout(100)
    assert page.evaluate(STATE) == {
        "ended": True,
        "duration": pytest.approx(FRAMES / RATE, abs=0.1),
        "error": None,
    }
