"""Which pictures are taken, how they lie on their sheets, and which becomes the poster."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vod_operators.errors import VerificationError
from vod_operators.media import pictures
from vod_operators.media.models import Chunk, Plan, Source, Timeline, VideoStream
from vod_operators.media.plan import make_plan
from vod_operators.media.presets.catalog import load_preset


def a_plan(rate: str = "25", width: int = 1920, height: int = 1080) -> Plan:
    video = VideoStream(
        index=0, codec="h264", width=width, height=height, frame_rate=Fraction(rate),
        time_base=Fraction(1, 90_000), pixel_format="yuv420p",
    )  # fmt: skip
    return make_plan(
        video_id="v", source=Source(container="mov", size_bytes=1, video=video), preset=load_preset("h264"),
        chunk_seconds=60, chunk_seconds_is_asked=False,
    )  # fmt: skip


def lasting(frames: int) -> Timeline:
    return Timeline(origin_pts=0, time_base=Fraction(1, 90_000), frames=frames, chunks=(), sounds={})


def chunk(first: int, last: int) -> Chunk:
    return Chunk(index=0, first=first, last=last, key_pts=0, end_pts=None)


@pytest.mark.parametrize(
    ("rate", "seconds", "step", "count", "sheets"),
    [
        ("25", 10, 25, 10, 1),  # a picture a second
        ("25", 100, 25, 100, 1),
        ("25", 101, 50, 51, 1),  # every 2 s, so that one sheet is enough
        ("25", 450, 125, 90, 1),
        ("25", 5000, 125, 1000, 10),  # every 5 s, as the preset says
        ("25", 5001, 150, 834, 9),  # at most 1000: every 6 s
        ("25", 36_000, 900, 1000, 10),
        ("30000/1001", 10, 30, 10, 1),
    ],
)
def test_the_interval_grows_with_the_video(
    rate: str, seconds: int, step: int, count: int, sheets: int
) -> None:
    plan, timeline = a_plan(rate), lasting(int(seconds * Fraction(rate)))

    small, large = pictures.stills(plan, timeline)
    board = pictures.storyboard(small, plan, timeline, "s.vtt")

    assert (small.step, board.pictures, board.sheets) == (step, count, sheets)
    assert large.step % step == 0 and -(-timeline.frames // large.step) <= pictures.CANDIDATES


@pytest.mark.parametrize(
    ("size", "small", "large"),
    [
        ((1920, 1080), (192, 108), (1280, 720)),
        ((1080, 1920), (108, 192), (720, 1280)),
        ((1440, 1080), (192, 144), (1280, 960)),
        ((640, 272), (192, 82), (640, 272)),
    ],
)
def test_sizes(size: tuple[int, int], small: tuple[int, int], large: tuple[int, int]) -> None:
    found = pictures.stills(a_plan("25", *size), lasting(250))

    assert [(still.width, still.height) for still in found] == [small, large]


def test_a_preset_may_want_none() -> None:
    plan = a_plan()
    preset = plan.preset.model_copy(update={"pictures": None})

    assert pictures.stills(plan.model_copy(update={"preset": preset}), lasting(250)) == ()


def test_chunks_share_the_frames_of_the_grid() -> None:
    small = pictures.stills(a_plan(), lasting(250))[0]

    found = [list(small.frames(chunk(*ends))) for ends in ((0, 60), (60, 75), (75, 76), (76, 100))]

    assert found == [[0, 25, 50], [], [75], []]


def test_the_map_of_the_sheets() -> None:
    plan, timeline = a_plan(), lasting(260)
    small = pictures.stills(plan, timeline)[0]
    board = pictures.storyboard(small, plan, timeline, "v/pictures/storyboard.vtt")

    lines = pictures.thumbnails(board, small, plan, timeline).split("\n\n")

    assert (board.columns, board.rows, board.interval_s) == (10, 2, 1.0)
    assert len(lines) == 13 and lines[0] == "WEBVTT" and lines[12] == ""
    assert lines[1] == "00:00:00.000 --> 00:00:01.000\nsheet-00001.jpg#xywh=0,0,192,108"
    assert lines[10] == "00:00:09.000 --> 00:00:10.000\nsheet-00001.jpg#xywh=1728,0,192,108"
    # The last one lasts to the end of the video.
    assert lines[11] == "00:00:10.000 --> 00:00:10.400\nsheet-00001.jpg#xywh=0,108,192,108"


def test_the_map_goes_on_to_the_next_sheet() -> None:
    plan, timeline = a_plan(), lasting(600 * 25)
    small = pictures.stills(plan, timeline)[0]
    board = pictures.storyboard(small, plan, timeline, "s.vtt")

    lines = pictures.thumbnails(board, small, plan, timeline).split("\n\n")

    assert lines[100].endswith("sheet-00001.jpg#xywh=1728,972,192,108")
    assert lines[101].startswith("00:08:20.000 --> 00:08:25.000\nsheet-00002.jpg#xywh=0,0,")


def jpeg(size: int) -> bytes:
    return pictures.JPEG_START + b"x" * size + b"\xff\xd9"


def test_pictures_are_counted() -> None:
    laid = jpeg(3) + jpeg(5)

    assert pictures.split_jpegs(laid) == [jpeg(3), jpeg(5)]
    assert pictures.split_jpegs(b"") == []
    pictures.check_count("c", [jpeg(3), jpeg(5)], range(0, 50, 25))
    with pytest.raises(VerificationError, match="c: 2 pictures, planned 3"):
        pictures.check_count("c", [jpeg(3), jpeg(5)], range(0, 75, 25))
    with pytest.raises(VerificationError, match="c: the picture of frame 25 is not whole"):
        pictures.check_count("c", [jpeg(3), jpeg(5)[:-1]], range(0, 50, 25))


def test_the_poster_has_most_in_it_and_is_not_from_the_edges() -> None:
    found = [(0, jpeg(90)), (100, jpeg(10)), (200, jpeg(50)), (300, jpeg(40)), (960, jpeg(80))]

    assert pictures.best(found, 1000) == jpeg(50)
    assert pictures.best(found[:1], 10) == jpeg(90)  # there is no other
