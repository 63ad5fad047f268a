"""Real pictures: the clip of this repository, and the one in the folder that ``EXACT_CLIPS`` names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from players.playing import every_player, play_through
from players.published import Film
from support.session import Session
from support.tools import CLIP

CLIPS = [CLIP, Path(os.environ.get("EXACT_CLIPS", "")) / "bikes-640x272-10s.mp4"]


@pytest.fixture(scope="module", params=CLIPS, ids=lambda path: path.stem)
def clip(request: pytest.FixtureRequest, publish: Callable[..., Film]) -> Film:
    if not request.param.is_file():
        pytest.skip(f"EXACT_CLIPS names no folder with {request.param.name}")
    return publish(request.param, "h264")


@every_player
def test_a_real_clip_plays(steady: Any, clip: Film, player: str, manifest: str) -> None:
    video = json.loads((clip.folder / "video.json").read_text("utf-8"))
    seconds = float(video["frames"] / Fraction(video["frame_rate"]))
    sound = any(rendition["kind"] == "audio" for rendition in video["renditions"])

    session: Session = steady(play_through, player, clip.manifest(manifest))

    session.check_smooth()
    session.check_buffer(seconds)
    session.check_decoded(video["frames"])
    end = session.state()
    assert end["at"] == pytest.approx(seconds, abs=0.1)
    assert (end["quality"]["sound"] > 10_000) is sound
