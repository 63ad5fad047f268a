"""What every player is asked to do."""

from __future__ import annotations

import pytest

from support.session import Session

HLS_JS = pytest.param("hls.js", "index.m3u8", id="hls.js")
SHAKA = pytest.param("shaka", "index.m3u8", id="shaka-hls")
NATIVE = pytest.param("native", "index.m3u8", id="native")
DASH = pytest.param("shaka", "manifest.mpd", id="shaka-dash")
every_player = pytest.mark.parametrize(("player", "manifest"), [HLS_JS, SHAKA, DASH, NATIVE])


def play_through(session: Session) -> None:
    session.play()
    session.play_to(2)
    session.screenshot()
    session.play_to_the_end()
