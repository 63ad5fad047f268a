"""The storyboard shows the pictures of its times, whatever chunk they are in; the poster shows something."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exact.publisher import Publisher
from support.clips import clip, media, numbers_in, run_ffmpeg, x264
from support.published import Published


def image(path: Path) -> NDArray[np.uint8]:
    """RGB, as a browser shows it."""
    from support.tools import ffprobe

    stream = ffprobe(path, "-show_streams")["streams"][0]
    raw = run_ffmpeg("-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(stream["height"], stream["width"], 3)


def thumbnails(video: Published) -> list[tuple[str, str, NDArray[np.uint8]]]:
    """Begin, end and picture of each time of the storyboard."""
    index = video.folder / video.video["storyboard"]["uri"]
    found = []
    for block in index.read_text("utf-8").strip().split("\n\n")[1:]:
        times, place = block.strip().split("\n")
        match = re.fullmatch(r"(\S+\.jpg)#xywh=(\d+),(\d+),(\d+),(\d+)", place)
        assert match
        x, y, width, height = map(int, match.groups()[1:])
        sheet = image(index.with_name(match[1]))
        begin, end = times.split(" --> ")
        found.append((begin, end, sheet[y : y + height, x : x + width]))
    return found


def test_every_picture_is_that_of_its_time(publish: Publisher) -> None:
    """Chunks of 1 s with lead-ins of 2 s; a picture a second."""
    video = publish(clip("clip.mp4", frames=290))

    shown = thumbnails(video)
    luma = np.stack([picture.mean(axis=2).astype(np.uint8) for _, _, picture in shown])
    assert numbers_in(luma) == [25 * n for n in range(12)]
    assert [begin for begin, _, _ in shown] == [f"00:00:{n:02d}.000" for n in range(12)]
    assert shown[-1][1] == "00:00:11.600"
    board = video.video["storyboard"]
    assert (board["pictures"], board["columns"], board["rows"], board["sheets"]) == (12, 10, 2, 1)
    assert (board["width"], board["height"], board["interval_s"]) == (64, 36, 1.0)
    video.check_clip(frames=290)
    poster = image(video.folder / video.video["poster"])
    assert poster.shape == (72, 128, 3)
    (number,) = numbers_in(poster.mean(axis=2).astype(np.uint8)[None])
    assert 15 <= number < 276 and number % 25 == 0


def test_the_poster_is_not_black(publish: Publisher) -> None:
    def build(path: Path) -> None:
        run_ffmpeg(
            "-f", "lavfi", "-i", "color=black:s=320x180:r=25:d=4", "-f", "lavfi", "-i",
            "testsrc2=s=320x180:r=25:d=2", "-filter_complex", "[0][1][0]concat=n=3", *x264(gop=25), str(path),
        )  # fmt: skip

    video = publish(media("mostly-black.mp4", build))

    assert image(video.folder / video.video["poster"]).mean() > 60


@pytest.mark.parametrize("chroma", [(90, 200), (200, 90)], ids=["red", "blue"])
def test_colours_are_those_of_the_video(publish: Publisher, chroma: tuple[int, int]) -> None:
    options = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    video = publish(clip("clip.mp4", *options, frames=30, chroma=chroma))  # its poster is picture 25

    raw = run_ffmpeg(
        "-i", str(video.playlist("full")), "-frames:v", "1",
        "-vf", "select=eq(n\\,25),scale=in_color_matrix=bt709",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-",
    )  # fmt: skip
    frame = np.frombuffer(raw, np.uint8).reshape(72, 128, 3).astype(int)
    poster = image(video.folder / video.video["poster"]).astype(int)
    assert abs(frame.mean(axis=(0, 1)) - poster.mean(axis=(0, 1))).max() < 4


def test_none_where_the_preset_wants_none(publish: Publisher) -> None:
    wanted: dict[str, Any] = {"pictures": None}
    video = publish(clip("clip.mp4", frames=30), preset=wanted)

    assert (video.video["poster"], video.video["storyboard"]) == (None, None)
    assert not (video.folder / video.video["version"] / "pictures").exists()
