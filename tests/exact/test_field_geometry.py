"""Pictures that are mirrored, turned or cropped by what the container or the stream says of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from exact.codecs import MPEG2
from exact.field import check_undamaged, words
from exact.publisher import Publisher
from support import ebml
from support.clips import clip, decoded, numbers_in, one_pass, patched, remuxed, x264
from support.isobmff import with_clean_aperture
from support.published import Published

# Each of the eight ways in which a picture may lie: how it is stored, and what puts it right.
ORIENTATIONS = [
    # stored filter, options of the container, words that tell of it (any of the lists)
    pytest.param("hflip", ("-display_hflip",), [{"mirrored"}], id="mirrored"),
    pytest.param("vflip", ("-display_vflip",), [{"flipped vertically"}], id="flipped"),
    pytest.param(
        "hflip,vflip", ("-display_hflip", "-display_vflip"), [{"rotated 180"}], id="flipped-both-ways"
    ),
    pytest.param(
        "vflip", ("-display_rotation", "180", "-display_hflip"), [{"flipped vertically"}], id="mirrored-180"
    ),
    pytest.param("transpose=cclock", ("-display_rotation", "-90"), [{"rotated 90"}], id="90"),
    pytest.param("hflip,vflip", ("-display_rotation", "180"), [{"rotated 180"}], id="180"),
    pytest.param("transpose=clock", ("-display_rotation", "90"), [{"rotated 270"}], id="270"),
    pytest.param(
        "transpose=clock_flip",
        ("-display_rotation", "90", "-display_hflip"),
        [{"mirrored", "rotated 90"}, {"mirrored", "rotated 270"}],
        id="mirrored-90",
    ),
    pytest.param(
        "transpose=cclock_flip",
        ("-display_rotation", "-90", "-display_hflip"),
        [{"mirrored", "rotated 90"}, {"mirrored", "rotated 270"}],
        id="mirrored-270",
    ),
    pytest.param(
        "transpose=cclock_flip",
        ("-display_rotation", "90", "-display_vflip"),
        [{"mirrored", "rotated 90"}, {"mirrored", "rotated 270"}],
        id="flipped-90",
    ),
]
EVERY = ("mirrored", "flipped vertically", "rotated 90", "rotated 180", "rotated 270")


def check_told(video: Published, wanted: list[set[str]]) -> None:
    assert {word for word in EVERY if word in words(video)} in wanted


def check_size(video: Published, size: tuple[int, int]) -> None:
    assert [(r["width"], r["height"]) for r in video.tracks("video")] == [(size[0] // 2, size[1] // 2), size]
    assert (video.video["source"]["width"], video.video["source"]["height"]) == size
    stream = video.stream("full")
    assert "side_data_list" not in stream, "the output must not be turned or cropped again"
    assert stream["sample_aspect_ratio"] == "1:1"


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mov", "clip.mkv"])
@pytest.mark.parametrize(("stored", "options", "told"), ORIENTATIONS)
def test_orientation(
    publish: Publisher, file: str, stored: str, options: tuple[str, ...], told: list[set[str]]
) -> None:
    """A front camera mirrors; phones turn."""
    source = remuxed(file, clip("stored.mp4", filters=stored), before=options)
    assert one_pass(source, Fraction(25)) == list(range(110))

    video = publish(source)

    video.check_clip()
    check_size(video, (128, 72))
    check_told(video, told)
    check_undamaged(video)


def test_portrait_of_a_front_camera(publish: Publisher) -> None:
    stored = clip("stored.mp4", size=(72, 128), filters="transpose=clock_flip")
    source = remuxed("clip.mp4", stored, before=("-display_rotation", "90", "-display_hflip"))

    video = publish(source)

    video.check_clip()
    check_size(video, (72, 128))


def test_mirrored_anamorphic_and_interlaced(publish: Publisher) -> None:
    """Deinterlaced as it was shot, then flipped: the other way round, the fields come in the wrong order."""
    stored = clip("stored.mkv", frames=60, size=(128, 144), fields="bff", sound=None, video=("-c:v", "ffv1"))
    coded = remuxed(
        "coded.mp4", stored, "-vf", "vflip,setfield=tff,setsar=2",
        "-c:v", "mpeg2video", "-q:v", "2", "-g", "12", "-flags", "+ilme+ildct",
    )  # fmt: skip
    source = remuxed("clip.mp4", coded, before=("-display_vflip",))

    video = publish(source)

    video.check_clip(frames=120, rate="50", sound=None)
    check_told(video, [{"flipped vertically"}])


@pytest.mark.parametrize(
    ("stored", "options"),
    [
        pytest.param("hflip", ("flip=horizontal",), id="mirrored"),
        pytest.param("vflip", ("flip=vertical",), id="flipped"),
        pytest.param("transpose=clock", ("rotate=90",), id="turned"),
    ],
)
def test_orientation_that_the_pictures_tell(
    publish: Publisher, stored: str, options: tuple[str, ...]
) -> None:
    """As an SEI message of H.264, in a container that tells of none."""
    marked = "h264_metadata=display_orientation=insert:" + ":".join(options)
    source = remuxed("clip.ts", clip("stored.ts", filters=stored), "-bsf:v", marked)
    # Without a grid, which begins anew with every message.
    assert numbers_in(decoded(source, 128, 72, "scale=128:72")) == list(range(110))

    video = publish(source)

    video.check_clip()
    check_size(video, (128, 72))


# --- crops ----------------------------------------------------------------------------------

BORDERS = "pad=192:120:{left}:{top}:gray"
"""Around a picture of 128x72; wide enough that its numbers cannot be read with them."""


def bordered(file: str, left: int, top: int, *, video: tuple[str, ...] = x264(), more: str = "") -> Path:
    return clip(file, filters=BORDERS.format(left=left, top=top) + more, video=video)


def check_cropped(video: Published, source: Path, size: str = "128x72") -> None:
    assert one_pass(source, Fraction(25)) == list(range(110)), "one pass does not crop it so"
    video.check_clip()
    check_size(video, (128, 72))
    assert [word for word in video.normalised if word.startswith("cropped to ")] == [f"cropped to {size}"]
    check_undamaged(video)


CROPS = pytest.mark.parametrize(
    ("left", "top"), [(0, 0), (64, 48), (32, 24), (0, 48), (31, 13)], ids=lambda value: str(value)
)


@CROPS
def test_crop_of_matroska(publish: Publisher, left: int, top: int) -> None:
    """PixelCrop, as MKVToolNix and MakeMKV set it; the display size is that of what is shown."""

    def cropped(path: Path) -> bytes:
        return ebml.with_fields(
            path.read_bytes(),
            video={
                ebml.CROP_LEFT: left, ebml.CROP_RIGHT: 64 - left, ebml.CROP_TOP: top,
                ebml.CROP_BOTTOM: 48 - top, ebml.DISPLAY_WIDTH: 128, ebml.DISPLAY_HEIGHT: 72,
            },
        )  # fmt: skip

    source = patched(f"clip-{left}-{top}.mkv", bordered("whole.mkv", left, top), cropped)

    check_cropped(publish(source), source)


@CROPS
@pytest.mark.parametrize("file", ["clip.mov", "clip.mp4"])
def test_clean_aperture(publish: Publisher, file: str, left: int, top: int) -> None:
    """As editors and cameras write it, around the middle of the picture."""
    whole = bordered(f"whole{Path(file).suffix}", left, top)

    def cropped(path: Path) -> bytes:
        return with_clean_aperture(path.read_bytes(), (128, 72), left - 32, top - 24)

    source = patched(f"{left}-{top}-{file}", whole, cropped)

    check_cropped(publish(source), source)


def test_crop_of_a_turned_picture(publish: Publisher) -> None:
    """Cropped as it is stored, then turned: told is what is seen."""
    stored = clip("stored.mov", filters="transpose=cclock,pad=120:192:0:64:gray")
    turned = remuxed("turned.mov", stored, before=("-display_rotation", "-90"))
    source = patched(
        "clip.mov", turned, lambda path: with_clean_aperture(path.read_bytes(), (72, 128), -24, 32)
    )

    video = publish(source)

    check_cropped(video, source, "128x72")
    check_told(video, [{"rotated 90"}])


def test_crop_with_wide_pixels(publish: Publisher) -> None:
    """A DVD's black edge: 96 of 144 columns, each 4/3 as wide."""
    whole = clip("whole.mkv", size=(96, 72), filters="pad=144:72:16:0:gray,setsar=4/3")
    fields = {ebml.CROP_LEFT: 16, ebml.CROP_RIGHT: 32, ebml.DISPLAY_WIDTH: 128, ebml.DISPLAY_HEIGHT: 72}
    source = patched("clip.mkv", whole, lambda path: ebml.with_fields(path.read_bytes(), video=fields))

    video = publish(source)

    video.check_clip()
    assert [(r["width"], r["height"]) for r in video.tracks("video")] == [(64, 36), (128, 72)]
    assert "cropped to 96x72" in words(video)


def test_crop_of_an_interlaced_picture(publish: Publisher) -> None:
    woven = clip("woven.mkv", frames=60, fields="tff", sound=None, video=("-c:v", "ffv1"))
    whole = remuxed(
        "whole.mkv", woven, "-vf", "pad=128:144:0:64:gray,setfield=tff", *MPEG2, "-flags", "+ilme+ildct"
    )
    fields = {ebml.CROP_TOP: 64, ebml.CROP_BOTTOM: 8, ebml.DISPLAY_WIDTH: 128, ebml.DISPLAY_HEIGHT: 72}
    source = patched("clip.mkv", whole, lambda path: ebml.with_fields(path.read_bytes(), video=fields))

    video = publish(source)

    video.check_clip(frames=120, rate="50", sound=None)
    assert "cropped to 128x72" in words(video) and "interlaced" in words(video)


def test_crop_of_nothing(publish: Publisher) -> None:
    """What says that all of the picture is shown."""
    source = patched(
        "clip.mov", clip("whole.mov"), lambda path: with_clean_aperture(path.read_bytes(), (128, 72), 0, 0)
    )

    video = publish(source)

    video.check_clip()
    assert video.normalised == []
