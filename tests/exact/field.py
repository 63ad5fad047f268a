"""What the tests of sources from the field share: builders, and one ffmpeg pass as the measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from support.clips import media, one_pass, one_pass_clicks, run_ffmpeg
from support.published import Published

Change = Callable[[bytes], bytes]


def recoded(file: str, sources: Sequence[Path], *options: str) -> Path:
    """What ffmpeg makes of these inputs."""

    def build(path: Path) -> None:
        inputs = [part for source in sources for part in ("-i", str(source))]
        run_ffmpeg(*inputs, *options, str(path))

    return media(file, build, [str(source) for source in sources], options)


def appended(file: str, *parts: Path) -> Path:
    """The files one behind the other, byte for byte."""

    def build(path: Path) -> None:
        path.write_bytes(b"".join(part.read_bytes() for part in parts))

    return media(file, build, *map(str, parts))


def check_undamaged(video: Published) -> None:
    """Nothing of a sound source is called damaged."""
    damage = video.video["source"]["damage"]
    assert damage == [], damage


def check_like_one_pass(video: Published, source: Path, rate: str | Fraction, *filters: str) -> None:
    """Shows the pictures that one ffmpeg pass shows on the grid of ``rate``, and clicks where that clicks.

    :param filters: put before the grid: the right deinterlacer or crop.
    """
    video.check_pictures(one_pass(source, Fraction(rate), *filters), rate)
    video.check_clicks([place for place in one_pass_clicks(source) if place >= 0])
    check_undamaged(video)


def words(video: Published) -> str:
    """All that was normalised, as one text."""
    return "; ".join(video.normalised)


def skipped(video: Published) -> list[str]:
    """What is told of each stream that was left out."""
    found: list[str] = video.video["source"]["skipped"]
    return found


def audio(video: Published) -> list[dict[str, Any]]:
    """The sound renditions of ``video.json``."""
    return video.tracks("audio")
