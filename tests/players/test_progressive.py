"""A file to download plays in Chromium before it has come, from a server that sends no ranges."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from players.published import Film
from support.players import Server
from support.presets import write_preset
from support.tools import generate

SECONDS = 8

PAGE = """<!doctype html><title>video</title><video muted playsinline src="/file"></video>"""

STATE = """() => {
  const video = document.querySelector("video");
  const quality = video.getVideoPlaybackQuality();
  return {at: video.currentTime, duration: video.duration, ended: video.ended, width: video.videoWidth,
          error: video.error && video.error.message, frames: quality.totalVideoFrames,
          sound: video.webkitAudioDecodedByteCount, ahead: video.buffered.length ? video.buffered.end(0) : 0};
}"""


@pytest.fixture(scope="module")
def file(publish: Callable[..., Film], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("progressive")
    source = generate(
        folder / "noise.mp4",
        *(
            "-f",
            "lavfi",
            "-i",
            f"testsrc2=s=128x72:r=25:d={SECONDS}",
            "-f",
            "lavfi",
            "-i",
            f"sine=d={SECONDS}",
        ),
        *("-vf", "noise=alls=40:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac"),
    )
    presets = write_preset(folder / "presets", downloads=["best"])
    film = publish(source, "tiny", presets_dir=str(presets))
    (found,) = film.folder.glob("v-*/downloads/*.mp4")
    return found


class Slow:
    """Sends half of a file, and the rest when it is told to."""

    def __init__(self, file: Path) -> None:
        self.data, self.go_on, self.is_sent = file.read_bytes(), threading.Event(), False

    async def parts(self) -> AsyncIterator[bytes]:
        import asyncio

        half = len(self.data) // 2
        for at in range(0, half, 4096):
            yield self.data[at : min(at + 4096, half)]
        while not self.go_on.is_set():
            await asyncio.sleep(0.02)
        yield self.data[half:]
        self.is_sent = True


@pytest.fixture
def slow(file: Path) -> Iterator[tuple[Slow, str]]:
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, StreamingResponse
    from starlette.routing import Route

    sender = Slow(file)

    async def page(request: Any) -> Any:
        return HTMLResponse(PAGE)

    async def send(request: Any) -> Any:
        length = {"Content-Length": str(len(sender.data))}
        return StreamingResponse(sender.parts(), media_type="video/mp4", headers=length)

    server = Server(Starlette(routes=[Route("/", page), Route("/file", send)]))
    yield sender, server.url
    sender.go_on.set()
    server.stop()


def test_plays_while_it_loads(slow: tuple[Slow, str], browser: Any) -> None:
    sender, url = slow
    page = browser.new_page()
    page.goto(url)
    # Asked to, because autoplay waits until it seems that all will come in time.
    page.evaluate("() => void document.querySelector('video').play()")
    page.wait_for_function("document.querySelector('video').currentTime > 1", timeout=60_000)
    begun = page.evaluate(STATE)
    assert not sender.is_sent and begun["error"] is None
    assert begun["width"] == 128 and begun["sound"] > 0
    # Pictures and sound lie beside each other: of half a file, nearly half can be played.
    assert begun["ahead"] > 0.35 * SECONDS
    sender.go_on.set()
    page.wait_for_function("document.querySelector('video').ended", timeout=60_000)
    end = page.evaluate(STATE)
    assert end["error"] is None
    assert end["at"] == end["duration"] == pytest.approx(SECONDS, abs=0.001)
    assert end["frames"] == pytest.approx(25 * SECONDS, abs=2)
    page.close()
