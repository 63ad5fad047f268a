"""One page with one player in it, and what a viewer must never see there."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from support.clips import decoded, numbers_in

RATE = 25
"""Pictures a second of what is played."""

FRAME_S = 1 / RATE


class Session:
    """A player in a page of its own.

    :param shot: where screenshots go.
    """

    def __init__(self, page: Any, shot: Path) -> None:
        self.page, self.shot = page, shot
        self.console: list[str] = []
        self.start_s = 0.0
        """When the first picture is shown. Not 0 only in MPEG-TS, where players count from the first decoding
        time, and pictures are decoded some frames before they are shown."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.console.append(f"page: {error}"))
        page.on("response", self._response)
        page.set_default_timeout(60_000)

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.console.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.console.append(f"HTTP {response.status}: {response.url}")

    def open(self, page: str, url: str, options: dict[str, Any]) -> None:
        self.page.goto(page)
        self.page.evaluate("([url, options]) => player.load(url, options)", [url, options])
        self.start_s = self.ask("() => watcher.picture()?.at ?? 0")

    def close(self) -> None:
        self.page.close()

    def check_console(self) -> None:
        """No error in the console, and no request refused."""
        assert not self.console, "\n".join(self.console)

    def screenshot(self, name: str = "") -> None:
        self.shot.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self.shot.with_stem(f"{self.shot.stem}{name}"))

    # --- asking -----------------------------------------------------------------------------

    def ask(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def state(self) -> dict[str, Any]:
        return self.ask("() => watcher.state()")

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [event for event in self.ask("() => watcher.events") if not names or event["name"] in names]

    def frames(self) -> list[dict[str, Any]]:
        """Every picture that was shown: its time, size and number."""
        return with_numbers(self.ask("() => watcher.frames"))

    def recorded(self) -> tuple[float, NDArray[np.float32]]:
        """When the record of the sound begins, by its own clock, and its samples."""
        record = self.ask("() => watcher.recorded()")
        return record["at"], np.frombuffer(base64.b64decode(record["samples"]), "<i2") / np.float32(32767)

    # --- doing ------------------------------------------------------------------------------

    def play(self, rate: float = 1) -> None:
        self.ask("rate => { video.playbackRate = rate; return video.play(); }", rate)

    def listen(self) -> None:
        """Record the sound from now on, and when each picture is shown by the sound's clock."""
        self.ask("() => watcher.listen()")

    def pause(self) -> None:
        self.ask("() => video.pause()")

    def until(
        self, condition: Callable[[dict[str, Any]], bool], what: str, seconds: float = 90
    ) -> dict[str, Any]:
        """Wait for something of the video's state."""
        deadline = time.monotonic() + seconds
        while not condition(state := self.state()):
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; {state}; {self.events()}"
            self.page.wait_for_timeout(100)
        return state

    def play_to(self, seconds: float) -> None:
        self.until(lambda state: state["at"] >= seconds or state["ended"], f"played to {seconds}")

    def play_to_the_end(self) -> dict[str, Any]:
        return self.until(lambda state: state["ended"], "played to the end")

    def seek(self, frame: int) -> dict[str, Any]:
        """Go to the middle of a frame; the picture that is shown, empty if no script may read it."""
        picture = self.ask("([at, length]) => watcher.seek(at, length)", [self.time_of(frame + 0.5), FRAME_S])
        return with_numbers([picture])[0] if picture else {}

    def number_on_screen(self, folder: Path, what: str = "video") -> int:
        """The number of the picture on a screenshot of an element."""
        self.page.wait_for_timeout(300)  # until it is painted
        shot = folder / "screen.png"
        shot.write_bytes(self.page.locator(what).screenshot())
        (number,) = numbers_in(decoded(shot, 64, 36, "scale=64:36"))
        return number

    def time_of(self, frame: float) -> float:
        """When a picture is shown, in seconds."""
        return self.start_s + frame / RATE

    def lowest_and_highest(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Two levels: of the smallest and of the largest picture."""
        levels = self.ask("() => player.levels()")
        low, high = (pick(levels, key=lambda level: level["height"]) for pick in (min, max))
        assert low["height"] < high["height"], levels
        return low, high

    def start_at(self, level: dict[str, Any]) -> None:
        """Have that level, and nothing else, in the buffer; and forget what happened so far."""
        self.play()  # without that, the picture of the level before stays
        self.ask("id => player.setLevel(id, true)", level["id"])
        self.until(
            lambda state: state["height"] == level["height"] and state["buffered"] != [], "first level"
        )
        self.pause()
        self.seek(0)
        self.ask("() => watcher.clear()")

    def wait_for_pitch(self, hertz: float, seconds: float = 8) -> None:
        """Wait until that is heard, the end of the video notwithstanding."""
        self.ask("() => { video.loop = true; }")
        heard = []
        deadline = time.monotonic() + seconds
        while not heard or abs(heard[-1] - hertz) > 12:  # twice the analyser's resolution
            assert time.monotonic() < deadline, f"{heard} Hz, not {hertz}"
            self.page.wait_for_timeout(250)
            heard.append(round(self.ask("() => watcher.pitch()")))

    def wait_for_text(self, lines: list[str], seconds: float = 20) -> None:
        """Wait until these are the subtitles on the screen."""
        deadline = time.monotonic() + seconds
        while (shown := self.ask("() => activeCues()")) != lines:
            assert time.monotonic() < deadline, f"{shown} at {self.state()['at']}, not {lines}"
            self.page.wait_for_timeout(50)

    def cues(self) -> list[dict[str, Any]]:
        """All subtitles that are loaded."""
        return list(self.ask("() => cues()"))

    # --- judging ----------------------------------------------------------------------------

    def check_no_errors(self) -> None:
        """No jump over a gap, and no error of the player."""
        bad = self.events("gap", "player-error", "error")
        assert not bad, "\n".join(map(str, bad))

    def waits(self) -> list[dict[str, Any]]:
        """Where it stalled, or waited once it had begun to play."""
        events = self.events()
        playing = next((n for n, event in enumerate(events) if event["name"] == "playing"), len(events))
        return [
            event
            for n, event in enumerate(events)
            if event["name"] == "stall"
            or (event["name"] == "waiting" and n > playing and not event["seeking"])
        ]

    def check_smooth(self) -> None:
        """And no stall, and no waiting once it plays."""
        self.check_no_errors()
        assert not (waits := self.waits()), "\n".join(map(str, waits))

    def check_decoded(self, frames: int, again: int = 0) -> None:
        """Each of these pictures was decoded, and none of them in part.

        :param again: how many may be decoded twice.
        """
        quality = self.state()["quality"]
        assert frames <= quality["total"] <= frames + again, quality
        assert quality["corrupted"] == 0

    def check_numbers(self) -> list[dict[str, Any]]:
        """Every picture that was shown is the one of its time."""
        shown = self.frames()
        wrong = [
            (frame["at"], frame["width"], frame["number"])
            for frame in shown
            if frame["number"] != round((frame["at"] - self.start_s) * RATE)
        ]
        assert wrong == [], f"of {len(shown)} pictures"
        return shown

    def check_buffer(self, seconds: float, tolerance_s: float = FRAME_S) -> None:
        """All of the video is in the buffer, without a gap."""
        buffered = self.state()["buffered"]
        assert len(buffered) == 1, buffered
        assert buffered[0] == [
            pytest.approx(self.start_s, abs=tolerance_s),
            pytest.approx(self.start_s + seconds, abs=tolerance_s),
        ]


def with_numbers(pictures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, with the numbers that are read in them."""
    if not pictures:
        return []
    bright = [np.frombuffer(base64.b64decode(picture.pop("luma")), np.uint8) for picture in pictures]
    numbers = numbers_in(np.stack(bright).reshape(-1, 36, 64))
    return [picture | {"number": number} for picture, number in zip(pictures, numbers, strict=True)]
