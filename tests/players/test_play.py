"""Five players, of which one is Chromium's own, play what was published, and show the right pictures."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from players.film import CUES, FRAMES, JOINS, PITCHES
from players.playing import DASH, DASH_JS, HLS_JS, SHAKA, every_player, every_script, play_through
from players.published import Film
from support.session import RATE, Session

SECONDS = FRAMES / RATE


@every_player
def test_plays_from_start_to_end(steady: Any, playable: Film, player: str, manifest: str) -> None:
    session: Session = steady(play_through, player, playable.manifest(manifest))

    session.check_smooth()
    end = session.state()
    assert session.start_s == pytest.approx(0, abs=0.15 if playable.transport_stream else 1e-3)
    # A frame of sound more or less.
    assert end["at"] == end["duration"] == pytest.approx(session.time_of(FRAMES), abs=0.05)
    # Chromium counts the last pictures of a transport stream when they are shown, and shaka-player,
    # which rewrites it as MP4, decodes some twice.
    session.check_buffer(SECONDS, 0.25 if playable.transport_stream else 1 / RATE)
    session.check_decoded(FRAMES, 10 if playable.transport_stream and player == "shaka" else 0)
    assert end["quality"]["sound"] > 10_000
    shown = session.check_numbers()
    # Those that a busy machine shows too late are dropped; each of the others was checked.
    assert len(shown) > FRAMES / 2


@every_player
def test_seeks_to_the_exact_picture(watch: Any, playable: Film, player: str, manifest: str) -> None:
    session: Session = watch(player, playable.manifest(manifest))
    places = [0, 10 * RATE]
    for join in JOINS:
        # From before it, over it, and back. (From behind a join to less than 1/15 s before it, shaka-player
        # takes the way for a gap if the segment before is not loaded, and jumps to the join.)
        places += [join - RATE, join - 1, join, join + 1, join + RATE, join - 5]
    # Last, and from nearby: in a transport stream Chromium's own player knows no pictures so near to the end
    # before it has been there, and a seek to them from far away waits for ever.
    for frame in [*places, FRAMES - 10, FRAMES - 1]:
        shown = session.seek(frame)
        found = (shown["number"], shown["at"])
        assert found == (frame, pytest.approx(session.time_of(frame), abs=1e-3)), f"seek to {frame}"
    session.check_no_errors()


@every_script
def test_switches_levels_smoothly(steady: Any, playable: Film, player: str, manifest: str) -> None:
    levels = []

    def up_and_down(session: Session) -> None:
        levels[:] = low, high = session.lowest_and_highest()
        session.start_at(low)
        session.play()
        session.play_to(1)
        session.ask("id => player.setLevel(id, false)", high["id"])
        session.play_to(7)
        session.ask("id => player.setLevel(id, false)", low["id"])
        session.play_to_the_end()

    session: Session = steady(up_and_down, player, playable.manifest(manifest), bufferSeconds=3)
    low, high = levels

    session.check_smooth()
    shown = session.check_numbers()
    heights = [height for height, _ in groupby(frame["height"] for frame in shown)]
    assert heights == [low["height"], high["height"], low["height"]]
    session.check_buffer(SECONDS, 0.25 if playable.transport_stream else 1 / RATE)
    assert session.state()["quality"]["corrupted"] == 0


# video.js finishes the segment that it plays, often; plain ffmpeg's too.
@pytest.mark.parametrize(("player", "manifest"), [HLS_JS, SHAKA, DASH, DASH_JS])
def test_switches_levels_at_once(watch: Any, playable: Film, player: str, manifest: str) -> None:
    session: Session = watch(player, playable.manifest(manifest))
    low, high = session.lowest_and_highest()
    session.start_at(low)
    session.play()
    for level in (high, low, high, low, high):
        at = session.state()["at"]
        session.ask("id => player.setLevel(id, true)", level["id"])
        session.until(lambda state, level=level: state["height"] == level["height"], f"switch to {level}")
        session.play_to(at + 1.5)
    session.play_to_the_end()

    session.check_no_errors()
    shown = session.check_numbers()
    assert {frame["height"] for frame in shown} >= {low["height"], high["height"]}
    assert session.state()["quality"]["corrupted"] == 0


@every_script
def test_switches_the_language_of_the_sound(watch: Any, playable: Film, player: str, manifest: str) -> None:
    session: Session = watch(player, playable.manifest(manifest))
    audios = session.ask("() => player.audios()")
    assert {audio["language"] for audio in audios} == {"en", "fr"}
    pitches = {"en": PITCHES["eng"], "fr": PITCHES["fra"]}
    session.play()
    for audio in [*audios, audios[0]]:
        session.ask("id => player.setAudio(id)", audio["id"])
        session.wait_for_pitch(pitches[audio["language"]])
    session.check_no_errors()
    session.check_numbers()


@every_script
def test_shows_the_subtitles(watch: Any, playable: Film, player: str, manifest: str) -> None:
    session: Session = watch(player, playable.manifest(manifest), text="en")
    texts = session.ask("() => player.texts()")
    assert [text["language"] for text in texts] == ["en", "fr"]
    for text, cues in zip(texts, CUES.values(), strict=True):
        session.ask("id => player.setText(id)", text["id"])
        found = set()  # of each place, because video.js forgets the cues of others
        for start, end, line in cues:
            # Across a join there is one cue in either segment, and one to be seen.
            for at in (start + 0.1, (start + end) / 2, end - 0.1):
                session.seek(round(at * RATE))
                session.wait_for_text([line])
            found |= {
                (
                    round(cue["start"] - session.start_s, 2),
                    round(cue["end"] - session.start_s, 2),
                    cue["text"],
                )
                for cue in session.cues()
            }
            session.seek(round((end + 0.2) * RATE))
            session.wait_for_text([])
        assert found == set(cues)  # by the pictures' clock
        session.seek(round(1.2 * RATE))
        session.wait_for_text([cues[0][2]])
        session.screenshot(f"-{text['language']}")
    session.check_no_errors()
