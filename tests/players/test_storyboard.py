"""The storyboard, as shaka-player reads it and as the edge's page shows it, and the poster."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from players.film import FRAMES, film
from players.published import Film
from support.clips import decoded, numbers_in
from support.session import RATE, Session, with_numbers


@pytest.fixture
def h264(publish: Callable[..., Film]) -> Film:
    return publish(film(), "h264")


def test_every_cell_shows_a_picture_of_its_time(watch: Callable[..., Session], h264: Film) -> None:
    video = json.loads((h264.folder / "video.json").read_text("utf-8"))
    session = watch("shaka", f"{h264.url}/index.m3u8")
    url = f"{h264.url}/{video['storyboard']['uri']}"
    cells = [
        session.ask("([url, at]) => player.thumbnail(url, at)", [url, frame / RATE])
        for frame in range(0, FRAMES, 5)
    ]
    assert len({cell["at"] for cell in cells}) == video["storyboard"]["pictures"] > 1
    for cell, frame in zip(with_numbers(cells), range(0, FRAMES, 5), strict=True):
        begin = round(cell["at"] * RATE)
        end = round((cell["at"] + cell["duration"]) * RATE)
        assert begin <= frame < end
        assert begin <= cell["number"] < end, f"for picture {frame}"


def test_the_poster_is_a_picture_of_the_film(h264: Film) -> None:
    video = json.loads((h264.folder / "video.json").read_text("utf-8"))
    (number,) = numbers_in(decoded(h264.folder / video["poster"], 64, 36, "scale=64:36"))
    assert 0 <= number < FRAMES
