"""Rates: constant ones are kept, fast ones divided, variable ones put on one grid for all chunks."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import pytest

from exact.publisher import Publisher
from support.clips import Sound, clip, one_pass, x264
from support.published import difference


@pytest.mark.parametrize(
    "rate",
    [
        "24000/1001",
        "24",
        "25",
        "30000/1001",
        "30",
        "50",
        "60000/1001",
        "60",
        # Slower than any standard one, with references across what a seek lands on.
        "5",
        "2",
    ],
)
def test_rate_is_kept(publish: Publisher, rate: str) -> None:
    frames = round(Fraction("4.4") * Fraction(rate))

    video = publish(clip("clip.mp4", frames=frames, rate=rate))

    video.check_clip(frames=frames, rate=rate)
    assert video.normalised == []
    assert video.video["chunks"] == 4


def test_slow_pictures_are_reordered_far(publish: Publisher) -> None:
    """Over four frames of 0.2 s: more than what ffmpeg seeks back by."""
    source = clip("clip.ts", frames=30, rate="5", video=x264(gop=7, b_frames=8))

    publish(source).check_clip(frames=30, rate="5")


def test_120_is_halved(publish: Publisher) -> None:
    source = clip("clip.mp4", frames=400, rate="120")

    video = publish(source)

    assert one_pass(source, Fraction(60)) == list(range(0, 400, 2))
    video.check_pictures(range(0, 400, 2), "60")
    video.check_clicks(Sound().schedule(400 / 120))


@pytest.mark.parametrize(
    "rate",
    [
        "24000/1001",
        "30000/1001",
        "60000/1001",
        "60",
    ],
)
def test_matroska_rounds_to_milliseconds(publish: Publisher, rate: str) -> None:
    frames = round(Fraction("4.4") * Fraction(rate))

    video = publish(clip("clip.mkv", frames=frames, rate=rate))

    video.check_clip(frames=frames, rate=rate)
    assert video.normalised == []


# Milliseconds from each picture to the next.
PHONE = [33, 34, 33, 33, 41, 26, 33, 34, 33, 50, 33, 33, 17, 34, 67, 33, 33, 33, 34, 100]
SCREEN = [33, 33, 33, 1500, 33, 16, 17, 33, 2300, 33, 66, 33, 33, 700, 33, 33]
PAUSE_AT_THE_END = [33] * 50 + [4000]
IRREGULAR = [16, 17, 33, 34, 40, 50, 100, 200, 33, 10, 66, 250]


@pytest.mark.parametrize(
    ("file", "steps"),
    [
        pytest.param("clip.mp4", PHONE * 6, id="phone"),
        pytest.param("clip.mkv", PHONE * 6, id="phone-matroska"),
        pytest.param("clip.mp4", SCREEN * 2, id="screen-recording"),
        pytest.param("clip.mkv", SCREEN * 2, id="screen-recording-matroska"),
        pytest.param("clip.mp4", IRREGULAR * 6, id="irregular"),
        pytest.param("clip.mkv", IRREGULAR * 6, id="irregular-matroska"),
        pytest.param("clip.mp4", [33] * 30 + [3500] + [33] * 30, id="one-pause"),
        pytest.param("clip.mp4", PAUSE_AT_THE_END, id="pause-at-the-end"),
    ],
)
def test_variable_rate_is_one_pass(publish: Publisher, file: str, steps: list[int]) -> None:
    pts = list(accumulate(steps, initial=0))
    source = clip(file, frames=len(pts), rate="30", video=x264(gop=25), pts=pts)

    video = publish(source)

    wanted = one_pass(source, video.rate)
    video.check_pictures(wanted, video.rate)
    video.check_clicks(Sound().schedule((pts[-1] + 40) / 1000))
    if steps != PAUSE_AT_THE_END:  # whose declared rates agree with each other
        lost = len(pts) - len(set(wanted))
        assert video.normalised[0] == "variable frame rate"
        counted = [int(words.split()[0]) for words in video.normalised[1:] if "pictures left out" in words]
        # The last picture may also be one that is shown for too short.
        assert counted == [pytest.approx(lost, abs=1)] if lost > len(wanted) / 100 else counted == []
    # In sync to the end, whatever one pass may do: each picture within half a frame of its own time.
    tolerance = 500 / video.rate + 1
    for place, number in enumerate(wanted):
        now = 1000 * place / video.rate
        following = pts[number + 1] if number + 1 < len(pts) else pts[-1] + 10_000
        assert pts[number] <= now + tolerance and now - tolerance <= following, difference(wanted, [])


def test_last_picture_shown_for_seconds(publish: Publisher) -> None:
    """A picture that stands for longer than a chunk at the end fills the chunks after its own."""
    source = clip(
        "clip.mp4", "-bsf:v", "setts=pts=PTS:dts=DTS:duration=if(eq(N\\,39)\\,3/TB\\,DURATION)",
        frames=40, video=x264(gop=10, b_frames=0), sound=None,
    )  # fmt: skip

    video = publish(source)

    shown = video.numbers("full")
    assert shown[-1] == 39
    assert video.video["chunks"] >= 4
    assert abs(len(shown) / video.rate - Fraction(39, 25) - 3) <= 1 / video.rate
    assert shown == one_pass(source, video.rate)
