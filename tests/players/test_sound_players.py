"""Sound in several codecs: players take what they decode, and it is in step."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from players.film import CLICKS, PITCHES, film
from players.playing import DASH, DASH_JS, HLS_JS, SHAKA, VIDEO_JS, every_program
from players.programs import Played
from players.published import Film
from support.presets import PRESET, write_preset
from support.session import RATE, Session

DOLBY = ("ac-3", "ec-3")

LATE_S = 0.1
"""More than what players are off that read no edit lists, of pictures or of sound: 80 ms and 5 ms."""


@pytest.fixture(scope="module")
def spoken(publish: Callable[..., Film], tmp_path_factory: pytest.TempPathFactory) -> Film:
    """The film, English in 5.1, with all codecs of sound."""
    codecs = {"ac3_bitrate_bps": 448_000, "eac3_bitrate_bps": 384_000, "opus_bitrate_bps": 64_000}
    presets = tmp_path_factory.mktemp("presets")
    timing = {"gop_seconds": 2, "segment_gops": 3}
    write_preset(presets, "sounds", audio=PRESET["audio"] | codecs, **timing)
    return publish(film(), "sounds", presets_dir=str(presets))


def decodes(browser: Any, codec: str) -> bool:
    page = browser.new_page()
    known = page.evaluate("type => MediaSource.isTypeSupported(type)", f'audio/mp4; codecs="{codec}"')
    page.close()
    return bool(known)


@pytest.mark.parametrize(("player", "manifest"), [HLS_JS, SHAKA, VIDEO_JS, DASH, DASH_JS])
def test_a_player_takes_what_it_decodes(
    steady: Any, browser: Any, spoken: Film, player: str, manifest: str
) -> None:
    """Debian's Chromium has no Dolby decoders, as most browsers."""
    known = [codec for codec in DOLBY if decodes(browser, codec)]

    def act(session: Session) -> None:
        session.play()
        session.play_to(3)
        session.wait_for_pitch(PITCHES["eng"])

    session: Session = steady(act, player, spoken.manifest(manifest))

    session.check_no_errors()
    listed = " ".join(str(level["codecs"]) for level in session.ask("() => player.levels()"))
    assert not [codec for codec in DOLBY if codec in listed and codec not in known]


OPUS = "() => player.player.getVariantTracks().find(track => track.audioCodec.toLowerCase() === 'opus')"


def test_shaka_plays_opus_in_dash(watch: Any, spoken: Film) -> None:
    """Only the manifest has it; shaka-player takes AAC where nothing else is asked."""
    session: Session = watch("shaka", spoken.manifest("manifest.mpd"))
    session.ask(f"() => player.player.selectVariantTrack(({OPUS})(), true)")
    session.play()
    session.play_to(2)
    session.wait_for_pitch(PITCHES["eng"])
    session.check_no_errors()
    assert session.ask(f"() => ({OPUS})().active")


def test_dash_js_takes_opus(watch: Any, spoken: Film) -> None:
    """It has the fewest bits."""
    session: Session = watch("dash.js", spoken.manifest("manifest.mpd"))
    session.play()
    session.play_to(2)
    session.wait_for_pitch(PITCHES["eng"])
    session.check_no_errors()
    assert "opus" in session.ask("() => player.dash.getCurrentTrackFor('audio').codec").lower()


def only(spoken: Film, group: str) -> str:
    """URL of a playlist with the variants of one sound group, as of who decodes nothing else."""
    text = (spoken.folder / "index.m3u8").read_text("utf-8")
    text = re.sub(rf'#EXT-X-MEDIA:TYPE=AUDIO(?!.*GROUP-ID="{group}").*\n', "", text)
    text = re.sub(rf'#EXT-X-STREAM-INF(?!.*AUDIO="{group}").*\n.*\n', "", text)
    (spoken.folder / f"{group}.m3u8").write_text(text, "utf-8")
    return f"{spoken.url}/{group}.m3u8"


@pytest.mark.parametrize("group", ["audio-ac3", "audio-eac3"])
@every_program
def test_programs_play_dolby_in_step(
    spoken: Film, tmp_path: Path, program: Callable[[str, Path], Played], group: str
) -> None:
    tmp_path.chmod(0o777)
    played = program(only(spoken, group), tmp_path)

    shown = np.median([at - number / RATE for at, number in played.pictures if number >= 0])
    heard = [click - shown for click in played.clicks]
    assert len(heard) == len(CLICKS)
    assert heard == [pytest.approx(place, abs=LATE_S) for place in CLICKS]
