"""What every player is asked to do."""

from __future__ import annotations

import pytest

from players import programs
from support.session import Session

HLS_JS = pytest.param("hls.js", "index.m3u8", id="hls.js")
SHAKA = pytest.param("shaka", "index.m3u8", id="shaka-hls")
NATIVE = pytest.param("native", "index.m3u8", id="native")
VIDEO_JS = pytest.param("video.js", "index.m3u8", id="video.js")
DASH = pytest.param("shaka", "manifest.mpd", id="shaka-dash")
DASH_JS = pytest.param("dash.js", "manifest.mpd", id="dash.js")
SCRIPTS = [HLS_JS, SHAKA, DASH, VIDEO_JS, DASH_JS]
every_script = pytest.mark.parametrize(("player", "manifest"), SCRIPTS)
every_player = pytest.mark.parametrize(("player", "manifest"), [*SCRIPTS, NATIVE])

MPV = pytest.param(programs.mpv, id="mpv")
VLC = pytest.param(programs.vlc, id="vlc")
GSTREAMER = pytest.param(programs.gstreamer, id="gstreamer")
every_program = pytest.mark.parametrize("program", [MPV, VLC, GSTREAMER])


def play_through(session: Session) -> None:
    session.play()
    session.play_to(2)
    session.screenshot()
    session.play_to_the_end()
