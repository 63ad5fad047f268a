"""Codecs, and the ways in which pictures may refer to each other."""

from __future__ import annotations

import pytest

from exact.codecs import AOM_AV1, H264, HEVC, MPEG2, MPEG4, SVT_AV1, VP9, X265
from exact.publisher import Publisher
from support.clips import clip, x264


@pytest.mark.parametrize(
    "video",
    [
        pytest.param(x264(gop=33, open_gop=False), id="closed-gop"),
        pytest.param(x264(gop=33), id="open-gop"),
        pytest.param(x264(gop=10_000), id="one-key-frame"),
        pytest.param(x264(gop=40, more=":intra-refresh=1"), id="intra-refresh"),
        pytest.param(x264(gop=1, b_frames=0), id="key-frame-every-frame"),
        pytest.param(x264(gop=60, b_frames=7), id="b-pyramid"),
        pytest.param(x264(gop=47, b_frames=0), id="no-b-frames"),
    ],
)
def test_gop(publish: Publisher, video: tuple[str, ...]) -> None:
    publish(clip("clip.mp4", video=video)).check_clip()


@pytest.mark.parametrize(
    ("file", "video", "pixel_format"),
    [
        pytest.param("clip.mp4", H264, "yuv420p", id="h264"),
        pytest.param("clip.mp4", (*HEVC, X265 + "0"), "yuv420p", id="hevc-closed-gop"),
        pytest.param("clip.mp4", (*HEVC, X265 + "1"), "yuv420p", id="hevc-open-gop"),
        pytest.param("clip.mp4", VP9, "yuv420p", id="vp9"),
        pytest.param("clip.mp4", SVT_AV1, "yuv420p", id="av1-svt"),
        pytest.param("clip.mkv", AOM_AV1, "yuv420p", id="av1-aom"),
        pytest.param("clip.ts", MPEG2, "yuv420p", id="mpeg2"),
        pytest.param("clip.mp4", MPEG4, "yuv420p", id="mpeg4-asp"),
        pytest.param("clip.mov", ("-c:v", "mjpeg", "-q:v", "2"), "yuvj420p", id="mjpeg"),
        pytest.param("clip.mov", ("-c:v", "prores_ks", "-profile:v", "2"), "yuv422p10le", id="prores"),
        pytest.param("clip.mov", ("-c:v", "prores_ks", "-profile:v", "4"), "yuva444p10le", id="prores-4444"),
        pytest.param("clip.mov", ("-c:v", "dnxhd", "-profile:v", "dnxhr_sq"), "yuv422p", id="dnxhr"),
        pytest.param("clip.mkv", ("-c:v", "ffv1"), "yuv420p", id="ffv1"),
    ],
)
def test_codec(publish: Publisher, file: str, video: tuple[str, ...], pixel_format: str) -> None:
    size = (256, 144) if "dnxhd" in video else (128, 72)  # it allows no smaller one

    publish(clip(file, video=video, pixel_format=pixel_format, size=size)).check_clip()
