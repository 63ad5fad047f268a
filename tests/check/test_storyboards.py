"""Image playlists that are right, and readers of their images."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from support.breaks import judged, text
from support.tools import generate
from vod_operators.errors import VerificationError
from vod_operators.formats.images import Image, read_image
from vod_operators.media.tiles import Tiles, image_playlist, image_stream

RULES = ("13.images", "13.tiles", "13.images-span")


def test_what_is_made_here_is_right(bases: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(bases("good").parent, tmp_path / "copy")
    (folder / "pictures").mkdir()
    sheets = [folder / f"pictures/sheet-0000{number}.jpg" for number in (1, 2)]
    for sheet in sheets:
        generate(sheet, "-f", "lavfi", "-i", "testsrc2=s=320x72:r=1:d=1", "-frames:v", "1")
    sizes = tuple(sheet.stat().st_size for sheet in sheets)
    tiles = Tiles(
        columns=5, rows=2, width=64, height=36, step=25, frames=325, frame_rate=25, sheet_bytes=sizes
    )
    (folder / "pictures/index.m3u8").write_text(image_playlist(tiles), "utf-8")
    master = folder / "master.m3u8"
    master.write_text(master.read_text("utf-8") + image_stream(tiles, "pictures"), "utf-8")

    found = judged(master)
    assert {found[rule].status for rule in RULES} == {"pass"}

    # A device that shows only whole images takes a playlist without tiles, of images of that size.
    text("pictures/index.m3u8", "#EXT-X-TILES.*\n", "", count=0)(folder)
    text("master.m3u8", "(IMAGE-STREAM-INF.*RESOLUTION)=64x36", r"\1=320x72")(folder)
    found = judged(master)
    assert {found[rule].status for rule in RULES} == {"pass"}


def test_sizes_of_images(tmp_path: Path) -> None:
    for name, kind in (("a.jpg", "jpeg"), ("a.png", "png")):
        data = generate(tmp_path / name, "-f", "lavfi", "-i", "testsrc2=s=96x40:r=1:d=1", "-frames:v", "1")
        assert read_image(data.read_bytes()) == Image(kind, 96, 40)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\1", b"\xff\xd8\0\0\0\4", b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8" + b"\xff\xe0\xff\xff" * 3, b"\xff\xd8\xff\xc0\0\x0b\x08" + struct.pack(">H", 72),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        read_image(data)
