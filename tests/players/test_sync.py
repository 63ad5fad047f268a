"""Sound and subtitles are in step with the pictures, by players that know nothing of the gate's measure.

What is seen and heard is read back: numbers in pictures, clicks in the sound, and which subtitle is shown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import m3u8
import numpy as np
import pytest

from players import programs
from players.film import CLICKS, CUES, FRAMES, film
from players.playing import DASH_JS, HLS_JS, every_player, every_program
from players.programs import Played
from players.published import Film
from support.clips import SAMPLE_RATE, clicks_in
from support.published import CLICK_TOLERANCE_S
from support.session import FRAME_S, RATE, Session
from support.tools import ffprobe

PRIMING_S = 1024 / SAMPLE_RATE
"""Of our AAC encoder: silence that is decoded before the first sample, and not to be heard."""

BROWSER_S = -0.03
"""When a click is in Chromium's Web Audio, less when its picture is due on the screen: -0.07 to 0.01 on an
idle machine, and the same with the film's source, which no one has cut or packed."""

TOLERANCE_S = 0.1
"""Of a browser's screen. A few pictures; what decodes to files is held to ``CLICK_TOLERANCE_S``."""

TRIES = 3
"""On a busy machine Chromium's sound is ahead by up to a third of a second, by another amount each time."""


# --- in a browser ---------------------------------------------------------------------------


def lag_in_a_browser(session: Session) -> tuple[float, int]:
    """By how much sound is later than the pictures, in seconds; how many clicks were heard."""
    began, samples = session.recorded()
    clicks = [began + place for place in clicks_in(samples)]
    timed = [frame for frame in session.frames() if frame["clock"] is not None]
    places = np.array([frame["number"] / RATE for frame in timed])
    starts = np.array([frame["clock"] for frame in timed]) - places
    lags = [
        # Against the pictures of that second: what stalls moves both.
        click - place - np.median(starts[np.argsort(np.abs(places - place))[:RATE]])
        for click, place in zip(clicks, CLICKS, strict=False)
    ]
    return float(np.median(lags)) if lags else float("nan"), len(clicks)


def texts_on_the_screen(session: Session) -> dict[str, tuple[int, int]]:
    """The first and the last picture with each subtitle."""
    found: dict[str, list[int]] = {}
    for frame in session.frames():
        for line in frame["text"]:
            found.setdefault(line, []).append(frame["number"])
    return {line: (min(numbers), max(numbers)) for line, numbers in found.items()}


def out_of_step(session: Session, expected_s: float, cues: list[tuple[float, float, str]]) -> list[str]:
    """What a viewer would complain of."""
    found = []
    lag, clicks = lag_in_a_browser(session)
    if clicks != len(CLICKS):
        found.append(f"{clicks} clicks, not {len(CLICKS)}")
    if not abs(lag - expected_s) <= TOLERANCE_S:
        found.append(f"sound is {lag:.3f} s later than the pictures, not {expected_s:.3f}")
    shown = texts_on_the_screen(session)
    late = round(TOLERANCE_S * RATE) + 2  # a browser looks every quarter of a second, if nothing wakes it
    for begin, end, line in cues:
        first, last = shown.pop(line, (-1, -1))
        if not (0 <= first - begin * RATE <= late and -late <= last - end * RATE <= 1):
            found.append(f"{line!r} on pictures {first} to {last}, not {begin * RATE} to {end * RATE}")
    return [*found, *(f"{line!r}, which is nobody's" for line in shown)]


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Adds a measure to the file that ``PLAYERS_REPORT`` names."""

    def report(measure: Any) -> None:
        if name := os.environ.get("PLAYERS_REPORT"):
            with open(name, "a", encoding="utf-8") as file:
                print(json.dumps({"test": request.node.name, "lag_s": measure}), file=file)

    return report


def complaints(watch: Any, report: Any, player: str, url: str, expected_s: float) -> list[str]:
    """What is out of step each time that a film is played, at its best."""
    tries, lags = [], []
    for _ in range(TRIES):
        session: Session = watch(player, url, text="en")
        cues = []
        if player != "native":  # which offers no subtitles
            texts = session.ask("() => player.texts()")
            session.ask("id => player.setText(id)", next(t["id"] for t in texts if t["language"] == "en"))
            cues = CUES["eng"]
        session.listen()
        session.play()
        session.play_to_the_end()
        session.pause()
        lags.append(round(lag_in_a_browser(session)[0], 4))
        tries.append(out_of_step(session, expected_s, cues))
        if not tries[-1]:
            break
    report(lags)
    return min(tries, key=len)


@every_player
def test_in_step_in_a_browser(watch: Any, report: Any, playable: Film, player: str, manifest: str) -> None:
    expected = BROWSER_S
    if player == "shaka" and playable.transport_stream:
        # It places packed audio and MPEG-TS one after the other by the playlist, whatever times they have.
        expected += lag_without_times(playable)
    assert complaints(watch, report, player, playable.manifest(manifest), expected) == []


# Two suffice: what is tried is the measure.
@pytest.mark.parametrize(("player", "manifest"), [HLS_JS, DASH_JS])
def test_a_late_sound_is_noticed_in_a_browser(
    watch: Any, report: Any, late: Film, player: str, manifest: str
) -> None:
    found = complaints(watch, report, player, late.manifest(manifest), BROWSER_S)
    assert [problem for problem in found if "later than the pictures" in problem], found


# --- by programs ----------------------------------------------------------------------------


def lag_without_times(film: Film) -> float:
    """By how much sound is later than the pictures where each begins with the first that is decoded.

    Pictures then wait for the first that is out of order, and the sound for its priming.
    """
    playlist = film.folder / m3u8.load(str(film.folder / "index.m3u8")).playlists[0].uri
    packets = ffprobe(playlist, "-allowed_extensions", "ALL", "-show_entries", "packet=pts_time,dts_time")
    first = packets["packets"][0]
    return PRIMING_S - (float(first["pts_time"]) - float(first["dts_time"]))


def check_in_step(found: Played, expected_s: float, *, tail: int) -> float:
    """Every picture is shown once and in time, and every click heard with its picture.

    :param tail: how many pictures and clicks may be missing at the end.
    """
    numbers = [number for _, number in found.pictures]
    assert numbers == list(range(len(numbers))) and FRAMES - tail <= len(numbers) <= FRAMES
    starts = [time - number * FRAME_S for time, number in found.pictures]
    assert starts == pytest.approx([starts[0]] * len(starts), abs=0.002)  # Matroska has milliseconds
    assert len(CLICKS) - tail <= len(found.clicks) <= len(CLICKS)
    lags = [click - place - starts[0] for click, place in zip(found.clicks, CLICKS, strict=False)]
    assert lags == pytest.approx([expected_s] * len(lags), abs=CLICK_TOLERANCE_S)
    return float(np.median(lags))


every_manifest = pytest.mark.parametrize("manifest", ["index.m3u8", "manifest.mpd"], ids=["hls", "dash"])


def expected_of(program: Any, film: Film) -> float:
    """By how much a program has sound later than the pictures, whoever made the film."""
    # VLC and GStreamer read no edit lists in fragments; GStreamer starts each stream of MPEG-TS by itself.
    if program is programs.gstreamer or (program is programs.vlc and not film.transport_stream):
        return lag_without_times(film)
    return 0


@every_program
@every_manifest
def test_in_step_in_a_program(
    report: Any, published: Film, program: Any, manifest: str, tmp_path: Path
) -> None:
    expected = expected_of(program, published)
    assert abs(expected) < 2 * FRAME_S
    if program is programs.gstreamer and manifest == "index.m3u8" and len(codecs(published)) > 1:
        pytest.skip("GStreamer 1.22 goes from H.264 to HEVC with the decoder of the former")
    found = program(published.manifest(manifest), tmp_path)
    # When a film ends, VLC leaves what is on its way to the file.
    report(check_in_step(found, expected, tail=1 if program is programs.vlc else 0))


def codecs(film: Film) -> set[str]:
    """Sample entries of the pictures."""
    playlists = m3u8.load(str(film.folder / "index.m3u8")).playlists
    return {playlist.stream_info.codecs.partition(".")[0] for playlist in playlists}


@every_program
def test_a_late_sound_is_noticed_by_a_program(late: Film, program: Any, tmp_path: Path) -> None:
    found = program(late.manifest("index.m3u8"), tmp_path)
    with pytest.raises(AssertionError):
        check_in_step(found, expected_of(program, late), tail=1)
    moved = Played(found.pictures, [click - LATE_MS / 1000 for click in found.clicks])
    check_in_step(moved, expected_of(program, late), tail=1)


# mpv has ffmpeg's HLS, which reads no subtitles ("Can't support the subtitle"). VLC's recorder
# loses the first or the last, and crashes on those of DASH.
@pytest.mark.parametrize(
    ("texts_of", "manifest"),
    [
        pytest.param(programs.texts_of_mpv, "manifest.mpd", id="mpv-dash"),
        pytest.param(programs.texts_of_gstreamer, "index.m3u8", id="gstreamer-hls"),
        pytest.param(programs.texts_of_gstreamer, "manifest.mpd", id="gstreamer-dash"),
    ],
)
def test_subtitles_in_a_program(h264: Film, texts_of: Any, manifest: str, tmp_path: Path) -> None:
    # GStreamer shows a cue that two segments have twice at once.
    found = {
        (round(t.begin, 2), round(t.end, 2), t.lines) for t in texts_of(h264.manifest(manifest), tmp_path)
    }
    assert found == set(CUES["eng"])


LATE_MS = 500


@pytest.fixture(scope="module")
def late(publish: Callable[..., Film]) -> Film:
    """The film with sound that is late at its source."""
    return publish(film("late.mp4", LATE_MS), "h264_small")


@pytest.fixture
def h264(publish: Callable[..., Film]) -> Film:
    return publish(film(), "h264")
