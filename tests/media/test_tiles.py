"""A storyboard's sheets in image playlists and in DASH, in numbers worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

import m3u8
import pytest

from media.plans import a_plan
from vod_operators.media import pictures
from vod_operators.media.models import Plan, Timeline
from vod_operators.media.pictures import Still
from vod_operators.media.tiles import TILE, Tiles, add_thumbnails, image_playlist, image_stream, tiles_of

SHEETS = Tiles(
    columns=5, rows=2, width=192, height=108, step=125, frames=3000, frame_rate=Fraction(25),
    sheet_bytes=(100_000, 120_000, 20_000),
)  # fmt: skip
"""Two minutes, a picture each 5 s: ten in 50 s, ten in 50 s, four in 20 s."""


def test_the_image_playlist() -> None:
    parsed = m3u8.loads(image_playlist(SHEETS))

    assert parsed.is_images_only and parsed.is_endlist and parsed.target_duration == 50
    assert [(s.uri, s.duration) for s in parsed.segments] == [
        ("sheet-00001.jpg", 50.0), ("sheet-00002.jpg", 50.0), ("sheet-00003.jpg", 20.0),
    ]  # fmt: skip
    tiles = "#EXT-X-TILES:RESOLUTION=192x108,LAYOUT=5x2,DURATION=5.000000\nsheet-"
    assert image_playlist(SHEETS).count(tiles) == 3


def test_the_master_playlist_names_it() -> None:
    parsed = m3u8.loads("#EXTM3U\n" + image_stream(SHEETS, "v-1/pictures"))

    (found,) = parsed.image_playlists
    # 120,000 bytes in 50 s. The last sheet is not whole: its 20,000 bytes count as 50 s, too.
    assert (found.uri, found.image_stream_info.bandwidth) == ("v-1/pictures/index.m3u8", 19_200)
    assert found.image_stream_info.resolution == (192, 108)


def test_the_thumbnail_set() -> None:
    period = ElementTree.Element("Period")
    add_thumbnails(period, 9, SHEETS, "v-1/pictures")

    (adaptation,) = period
    template, representation = adaptation
    assert adaptation.attrib == {"id": "9", "contentType": "image", "mimeType": "image/jpeg"}
    assert template.attrib == {
        "timescale": "25", "duration": "1250", "startNumber": "1",
        "media": "v-1/pictures/sheet-$Number%05d$.jpg",
    }  # fmt: skip
    assert [representation.get(name) for name in ("bandwidth", "width", "height")] == ["19200", "960", "216"]
    assert representation[0].attrib == {"schemeIdUri": TILE, "value": "5x2"}


def test_times_of_ntsc_are_exact() -> None:
    period = ElementTree.Element("Period")
    rate = Fraction(30_000, 1001)
    add_thumbnails(period, 9, SHEETS.model_copy(update={"frame_rate": rate, "step": 150}), "p")

    template = period[0][0]
    assert Fraction(int(template.get("duration", "")), int(template.get("timescale", ""))) == 1500 / rate


def planned(*, tiles: bool) -> tuple[Plan, Timeline]:
    """100 s, with a picture a second."""
    plan = a_plan()
    wanted = plan.preset.pictures
    assert wanted is not None
    preset = plan.preset.model_copy(update={"pictures": wanted.model_copy(update={"tiles": tiles})})
    timeline = Timeline(origin_pts=0, time_base=Fraction(1, 90_000), frames=2500, chunks=(), sounds={})
    return plan.model_copy(update={"preset": preset}), timeline


@pytest.mark.parametrize(
    ("size", "layout"),
    [
        ((192, 108), (5, 10)),  # 960x1080
        ((108, 192), (10, 5)),  # 1080x960
        ((192, 144), (5, 7)),  # 960x1008
    ],
)
def test_listed_sheets_are_as_large_as_devices_show(size: tuple[int, int], layout: tuple[int, int]) -> None:
    plan, timeline = planned(tiles=True)
    still = Still(name="thumbnails", step=25, width=size[0], height=size[1])
    board = pictures.storyboard(still, plan, timeline, "v-1/pictures/storyboard.vtt")

    assert (board.columns, board.rows) == layout
    assert board.columns * board.width <= 1080 and board.rows * board.height <= 1080
    assert board.playlist == "v-1/pictures/index.m3u8"
    assert board.sheets == -(-100 // (layout[0] * layout[1]))
    sheets = tiles_of(board, still, plan, timeline, [1000] * board.sheets)
    assert sum(sheets.seconds) == 100


def test_unlisted_sheets_are_as_before() -> None:
    plan, timeline = planned(tiles=False)
    still = Still(name="thumbnails", step=25, width=192, height=108)
    board = pictures.storyboard(still, plan, timeline, "v-1/pictures/storyboard.vtt")

    assert (board.columns, board.rows, board.sheets) == (10, 10, 1)
    assert "playlist" not in board.model_dump()
