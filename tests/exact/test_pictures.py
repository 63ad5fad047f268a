"""Shapes, turns, streams beside the video, and fields."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from exact.codecs import MPEG2
from exact.publisher import Publisher
from support.clips import SOUND, clip, media, one_pass, remuxed, run_ffmpeg, x264
from support.presets import LADDER


@pytest.mark.parametrize("size", [(128, 72), (72, 128)], ids=["landscape", "portrait"])
@pytest.mark.parametrize("turned", [90, 180, 270])
def test_rotation(publish: Publisher, turned: int, size: tuple[int, int]) -> None:
    stored = clip("stored.mp4", size=size, turned=turned)

    # ffmpeg counts counter-clockwise.
    video = publish(remuxed("clip.mp4", stored, before=("-display_rotation", str(-turned))))

    video.check_clip()
    assert [(r["width"], r["height"]) for r in video.tracks("video")] == [
        (size[0] // 2, size[1] // 2),
        size,
    ]
    assert video.normalised == [f"rotated {turned}"]
    assert (video.video["source"]["width"], video.video["source"]["height"]) == size
    assert "side_data_list" not in video.stream("full"), "the output must not be turned again"


@pytest.mark.parametrize(
    ("size", "aspect", "sizes"),
    [
        pytest.param((72, 128), None, [(36, 64), (72, 128)], id="portrait"),
        pytest.param((96, 72), "4/3", [(64, 36), (128, 72)], id="anamorphic-wide"),
        pytest.param((128, 48), "2/3", [(64, 36), (128, 72)], id="anamorphic-tall"),
        pytest.param((853, 479), None, [(64, 36), (128, 72), (852, 478)], id="odd"),
        pytest.param((64, 36), None, [(64, 36), (64, 36)], id="tiny"),  # at two bitrates
        pytest.param((512, 128), None, [(64, 16), (128, 32), (512, 128)], id="ultrawide"),
    ],
)
def test_shape(
    publish: Publisher, size: tuple[int, int], aspect: str | None, sizes: list[tuple[int, int]]
) -> None:
    video_options = x264() if size[0] % 2 == 0 else ("-c:v", "ffv1")  # H.264 4:2:0 has even sizes only
    file = "clip.mp4" if size[0] % 2 == 0 else "clip.mkv"
    filters = f"setsar={aspect}" if aspect else ""

    video = publish(clip(file, size=size, filters=filters, video=video_options))

    video.check_clip()
    assert [(r["width"], r["height"]) for r in video.tracks("video")] == sizes
    assert {video.stream(name)["sample_aspect_ratio"] for name in video.renditions} == {"1:1"}
    words = {"4/3": ["anamorphic pixels (4:3)"], "2/3": ["anamorphic pixels (2:3)"]}.get(aspect or "", [])
    words += ["odd dimensions (853x479)"] if size == (853, 479) else []
    assert video.normalised == words


def test_4k(publish: Publisher) -> None:
    source = clip("clip.mp4", frames=12, rate="5", filters="scale=3840:2160:flags=neighbor")
    rungs = [LADDER["rungs"][1] | {"width": 256, "height": 144}, LADDER["rungs"][2]]
    ladder = LADDER | {"encoder_preset": "ultrafast", "rungs": rungs}

    video = publish(source, preset={"ladders": [ladder]})

    video.check_clip(frames=12, rate="5")
    assert video.video["chunks"] == 2
    assert [(r["width"], r["height"]) for r in video.tracks("video")] == [(256, 144), (3840, 2160)]


# --- other streams beside it ----------------------------------------------------------------


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mkv", "clip.mov"])
@pytest.mark.parametrize("first", [False, True], ids=["cover-last", "cover-first"])
def test_cover_art_is_ignored(publish: Publisher, file: str, first: bool) -> None:
    whole = clip("whole.mp4")
    order = ["-map", "1", "-map", "0"] if first else ["-map", "0", "-map", "1"]
    number = 0 if first else 1

    def with_cover(path: Path) -> None:
        cover = path.with_name("cover.png")
        run_ffmpeg("-f", "lavfi", "-i", "color=red:s=300x200", "-frames:v", "1", str(cover))
        run_ffmpeg(
            "-i", str(whole), "-i", str(cover), *order, "-c", "copy",
            f"-disposition:v:{number}", "attached_pic", str(path),
        )  # fmt: skip

    publish(media(file, with_cover, str(whole), order)).check_clip()


def test_second_video_stream_is_the_default(publish: Publisher) -> None:
    wrong, right = clip("wrong.mp4", first=5000, sound=None), clip("right.mp4")

    def both(path: Path) -> None:
        run_ffmpeg(
            "-i", str(wrong), "-i", str(right), "-map", "0:v", "-map", "1:v", "-map", "1:a", "-c", "copy",
            "-disposition:v:0", "0", "-disposition:v:1", "default", str(path),
        )  # fmt: skip

    publish(media("clip.mkv", both, str(wrong), str(right))).check_clip()


def test_first_of_two_video_streams_without_a_default(publish: Publisher) -> None:
    right, wrong = clip("right.mp4"), clip("wrong.mp4", first=5000, sound=None)

    def both(path: Path) -> None:
        run_ffmpeg("-i", str(right), "-i", str(wrong), "-map", "0", "-map", "1", "-c", "copy", str(path))

    publish(media("clip.ts", both, str(right), str(wrong))).check_clip()


# --- fields ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["25", "30000/1001"])
@pytest.mark.parametrize("fields", ["tff", "bff"])
@pytest.mark.parametrize("codec", ["mpeg2", "h264"])
def test_interlaced_becomes_a_picture_a_field(publish: Publisher, codec: str, fields: str, rate: str) -> None:
    encoder = {"mpeg2": (*MPEG2, "-flags", "+ilme+ildct"), "h264": x264(more=f":{fields}=1")}[codec]
    source = clip("clip.ts", frames=88, rate=rate, fields=fields, video=encoder)

    video = publish(source)

    assert video.normalised == ["interlaced"]
    video.check_pictures(range(176), 2 * Fraction(rate))
    video.check_clicks(SOUND.schedule(float(88 / Fraction(rate))))


def test_interlaced_in_one_pass(publish: Publisher) -> None:
    """The test's own pictures: a plain ffmpeg with a deinterlacer reads one number a field."""
    source = clip("clip.ts", frames=88, fields="tff", video=(*MPEG2, "-flags", "+ilme+ildct"))

    assert one_pass(source, Fraction(50), "bwdif=send_field") == list(range(176))
