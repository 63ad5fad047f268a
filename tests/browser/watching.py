"""What a person sees of videos on the page."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from support.clips import numbers_in

MINUTE_S = 60

PICTURE = """async index => {
    const video = document.querySelectorAll('video')[index];
    if (!video || video.readyState < 2) return null;
    const frame = new VideoFrame(video);
    const context = new OffscreenCanvas(64, 36).getContext('2d', {willReadFrequently: true});
    context.drawImage(frame, 0, 0, 64, 36);
    const size = [frame.displayWidth, frame.displayHeight];
    frame.close();
    const pixels = context.getImageData(0, 0, 64, 36).data;
    return {size, luma: btoa(String.fromCharCode(...pixels.filter((_, place) => place % 4 === 1)))};
}"""


def picture(page: Any, index: int = 0) -> tuple[int, int]:
    """Number of the picture that a player shows (-1: none can be read), and its height (0: there is none)."""
    seen = page.evaluate(PICTURE, index)
    if seen is None:
        return -1, 0
    luma = np.frombuffer(base64.b64decode(seen["luma"]), np.uint8).reshape(1, 36, 64)
    return numbers_in(luma)[0], seen["size"][1]


def until(page: Any, seen: Callable[[], Any], what: str, timeout_s: float = 30) -> Any:
    """What ``seen`` returns, once that is true.

    Polled, because Airflow's pages may forbid what playwright's own waiting evaluates.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := seen()):
        assert time.monotonic() < deadline, f"not seen within {timeout_s} s: {what}"
        page.wait_for_timeout(100)
    return found


def badge(page: Any) -> str:
    """The state beside the video's name, such as ``Encoding 43 %``; empty while there is none."""
    found = page.locator("h1 + .chakra-badge")
    return str(found.inner_text()) if found.count() else ""


def until_state(page: Any, state: str, timeout_s: float = 5 * MINUTE_S) -> None:
    until(page, lambda: badge(page).startswith(state), f"the state {state}", timeout_s)


def seek(page: Any, seconds: float) -> None:
    """Move the player's slider, and wait until the picture is there."""
    page.get_by_label("Position").fill(str(seconds))
    there = """() => [...document.querySelectorAll('video')].every(
        video => !video.seeking && video.readyState >= 2)"""
    until(page, lambda: page.evaluate(there), f"the picture at {seconds} s")
