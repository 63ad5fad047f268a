"""Depth, sampling, range and colour: what the output's tags say is what its samples mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exact.colour import LUMA_WEIGHTS, levels, mean_samples, rgb, tags
from exact.publisher import Publisher
from support.clips import HEIGHT, WIDTH, blocks_of, clip, luma, media, run_ffmpeg, x264, yuv420p

SD_601 = ("smpte170m", "bt470bg")


@pytest.mark.parametrize(
    ("encoder", "pixel_format", "words"),
    [
        pytest.param(x264(), "yuv420p10le", "yuv420p10le", id="10-bit"),
        pytest.param(x264(), "yuv422p", "yuv422p", id="4:2:2"),
        pytest.param(x264(), "yuv444p", "yuv444p", id="4:4:4"),
        pytest.param(x264(), "yuv422p10le", "yuv422p10le", id="10-bit-4:2:2"),
        pytest.param(("-c:v", "libx264rgb", "-qp", "0"), "rgb24", "gbrp", id="rgb"),
    ],
)
def test_depth_and_sampling(
    publish: Publisher, encoder: tuple[str, ...], pixel_format: str, words: str
) -> None:
    video = publish(clip("clip.mp4", video=encoder, pixel_format=pixel_format))

    video.check_clip()
    assert levels(video) == (pytest.approx(16, abs=3), pytest.approx(235, abs=3))
    assert [video.stream(name)["pix_fmt"] for name in video.renditions] == ["yuv420p"] * 2
    assert f"pixel format {words}" in video.normalised


@pytest.mark.parametrize(
    ("encoder", "pixel_format"),
    [
        pytest.param((*x264(), "-color_range", "pc"), "yuv420p", id="h264"),
        pytest.param(("-c:v", "mjpeg", "-q:v", "2", "-color_range", "pc"), "yuvj420p", id="mjpeg"),
        pytest.param((*x264(), "-color_range", "pc"), "yuv444p10le", id="10-bit-4:4:4"),
    ],
)
def test_full_range_becomes_limited(publish: Publisher, encoder: tuple[str, ...], pixel_format: str) -> None:
    source = clip("clip.mov", video=encoder, pixel_format=pixel_format, levels=(0, 255))

    video = publish(source)

    video.check_clip()
    assert levels(video) == (pytest.approx(16, abs=3), pytest.approx(235, abs=3))
    assert {tags(video, name)["color_range"] for name in video.renditions} <= {"tv", None}
    assert any("range" in words for words in video.normalised), video.normalised


# --- colour ---------------------------------------------------------------------------------


def tagged(space: str, primaries: str | None = None, transfer: str | None = None) -> str:
    """A filter that says what samples mean, and leaves them as they are (the encoders' options convert)."""
    words = f"colorspace={space}:color_primaries={primaries or space}:color_trc={transfer or space}"
    return f"setparams={words}:range=tv"


@pytest.mark.parametrize(
    ("tags_of", "size", "meant"),
    [
        pytest.param(tagged("smpte170m"), (128, 72), "smpte170m", id="bt601-525-lines"),
        pytest.param(tagged("bt470bg"), (128, 72), "bt470bg", id="bt601-625-lines"),
        pytest.param(tagged("bt709"), (128, 72), "bt709", id="bt709"),
        pytest.param("", (128, 72), "smpte170m", id="untagged-sd"),
        pytest.param("", (1280, 720), "bt709", id="untagged-hd"),
        pytest.param(tagged("smpte170m"), (1280, 720), "smpte170m", id="bt601-hd"),
    ],
)
def test_tags_tell_the_colour(publish: Publisher, tags_of: str, size: tuple[int, int], meant: str) -> None:
    """A reddish picture looks the same, read as the output's tags say."""
    colour, white = (110, 160), 150
    source = clip(
        "clip.mp4",
        size=size,
        frames=30,
        levels=(60, white),
        chroma=colour,
        filters=tags_of,
        sound=None,
    )

    video = publish(source)

    for name in video.renditions:
        found = tags(video, name)
        space = found["color_space"]
        assert space in LUMA_WEIGHTS, found
        if meant in SD_601 and size[1] < 720:
            assert space in SD_601 and found["color_primaries"] in SD_601, found
        assert found["color_primaries"] and found["color_transfer"], found
        assert rgb(*mean_samples(video, name), space) == pytest.approx(
            rgb(white, *colour, meant), abs=0.02
        ), name


# --- HDR ------------------------------------------------------------------------------------

X265 = (
    "log-level=error:keyint=40:min-keyint=40:scenecut=0:colorprim=bt2020:colormatrix=bt2020nc:range=limited"
)
HDR10 = (
    f"{X265}:transfer=smpte2084:hdr10=1:max-cll=1000,200:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
)
HLG = f"{X265}:transfer=arib-std-b67"


def hdr(params: str) -> tuple[str, ...]:
    encoder = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "12", "-x265-params", params)
    return (*encoder, "-tag:v", "hvc1")


def hdr_tags(params: str) -> str:
    return tagged("bt2020nc", "bt2020", "smpte2084" if params is HDR10 else "arib-std-b67")


# 8-bit codes of limited range: black, and white paper (203 nits in PQ, 75% in HLG; BT.2408).
PAPER = {HDR10: 16 + round(0.58 * 219), HLG: 16 + round(0.75 * 219)}
KINDS = [pytest.param(HDR10, id="hdr10"), pytest.param(HLG, id="hlg")]


@pytest.mark.parametrize("params", KINDS)
def test_hdr_is_tone_mapped(publish: Publisher, params: str) -> None:
    source = clip(
        "clip.mp4",
        video=hdr(params),
        pixel_format="yuv420p10le",
        levels=(16, PAPER[params]),
        size=(256, 144),
        filters=hdr_tags(params),
    )

    video = publish(source)

    video.check_clip()
    for name in video.renditions:
        stream = video.stream(name)
        assert tags(video, name) == {
            "color_space": "bt709",
            "color_primaries": "bt709",
            "color_transfer": "bt709",
            "color_range": "tv",
        }
        assert stream["pix_fmt"] == "yuv420p"
        assert not stream.get("side_data_list"), "mastering data of the HDR source must not remain"
    black, paper = levels(video)
    assert black <= 24
    assert 150 <= paper <= 230, "white paper is neither gray nor clipped"
    assert any("HDR" in words or "HLG" in words for words in video.normalised), video.normalised


@pytest.mark.parametrize("params", KINDS)
def test_hdr_ramp_is_neither_clipped_nor_folded(publish: Publisher, params: str) -> None:
    """Sixteen steps from black to 1000 nits (75% in PQ, all of HLG) keep their order and stay apart."""
    top = 0.75 if params is HDR10 else 1.0
    codes = [16 + round(219 * top * step / 15) for step in range(16)]

    def build(path: Path) -> None:
        picture = luma([0], WIDTH, HEIGHT)
        for step, code in enumerate(codes):
            row, column = divmod(step, 8)
            across = slice(column * WIDTH // 8, (column + 1) * WIDTH // 8)
            picture[0, row * HEIGHT // 2 : (row + 1) * HEIGHT // 2, across] = code
        raw = [
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-s",
            f"{WIDTH}x{HEIGHT}",
            "-framerate",
            "25",
            "-i",
            "-",
        ]
        args = [*raw, "-vf", hdr_tags(params), "-pix_fmt", "yuv420p10le", *hdr(params), str(path)]
        run_ffmpeg(*args, stdin=yuv420p(picture.repeat(30, 0)))

    video = publish(media("clip.mp4", build, params))

    steps = blocks_of(video.pictures("full")).mean(axis=0)
    assert steps[0] <= 24 and steps[-1] <= 240, steps.round()
    assert steps[-1] >= 200, f"the brightest step is dull: {steps.round()}"
    # The lowest steps of PQ are below what 8 bits can tell apart.
    assert (np.diff(steps) > -1).all() and (np.diff(steps)[4:] >= 2).all(), steps.round()
