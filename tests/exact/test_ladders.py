"""What is made of a source: every codec, frame by frame, across joins."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import m3u8
import pytest

from exact.ladders import AV1, HEVC
from exact.publisher import Publisher
from support.clips import clip
from support.presets import LADDER
from support.published import Published
from support.tools import FFMPEG, decode
from vod_operators.errors import InvalidInputError

NVENC: dict[str, Any] = LADDER | {"encoder": "h264_nvenc", "encoder_preset": "p1"}


def named(ladder: dict[str, Any], prefix: str) -> dict[str, Any]:
    """That ladder, its rungs with other names."""
    return ladder | {"rungs": [rung | {"name": prefix + rung["name"]} for rung in ladder["rungs"]]}


def check_codec(video: Published, name: str, codecs: str, tag: str, pixels: str) -> None:
    """A track is of that codec, by ffprobe, and decodes from each of its segments on without a word."""
    track = next(track for track in video.tracks("video") if track["name"] == name)
    assert track["codecs"].startswith(codecs), track["codecs"]
    stream = video.stream(name)
    assert (stream["codec_tag_string"], stream["pix_fmt"]) == (tag, pixels)
    playlist = video.playlist(name)
    segments = m3u8.load(str(playlist)).segments
    assert len(segments) == 5  # 110 frames of 25 a second, segments of a second; no chunk of ten frames
    for segment in segments:
        alone = playlist.parent / "alone.mp4"
        alone.write_bytes(
            (playlist.parent / "init.mp4").read_bytes() + (playlist.parent / segment.uri).read_bytes()
        )
        assert decode(alone) == (round(segment.duration * 25), "")


@pytest.mark.parametrize(
    ("ladder", "codecs", "tag", "pixels"),
    [
        # ISO 14496-15 E.3: profile, compatibility (bits reversed), tier and level (2.0 is 60), constraints.
        pytest.param(HEVC, "hvc1.1.6.L60.", "hvc1", "yuv420p", id="hevc"),
        pytest.param(HEVC | {"bit_depth": 10}, "hvc1.2.4.L60.", "hvc1", "yuv420p10le", id="hevc-10-bit"),
        # AV1 in ISOBMFF 5: profile, level (2.0 is 00) and tier, bit depth.
        pytest.param(AV1, "av01.0.00M.08", "av01", "yuv420p", id="av1"),
        pytest.param(AV1 | {"bit_depth": 10}, "av01.0.00M.10", "av01", "yuv420p10le", id="av1-10-bit"),
    ],
)
def test_ladder(publish: Publisher, ladder: dict[str, Any], codecs: str, tag: str, pixels: str) -> None:
    video = publish(clip("clip.mp4"), preset={"ladders": [ladder]})

    video.check_clip()
    assert video.video["chunks"] == 4
    check_codec(video, "full", codecs, tag, pixels)


def test_two_codecs_in_one_playlist(publish: Publisher) -> None:
    video = publish(clip("clip.mp4"), preset={"ladders": [LADDER, named(HEVC, "hevc-")]})

    video.check_clip()
    assert video.renditions == ["half", "hevc-half", "full", "hevc-full"]
    check_codec(video, "full", "avc1.64000", "avc1", "yuv420p")
    check_codec(video, "hevc-full", "hvc1.1.6.L60.", "hvc1", "yuv420p")
    variants = [(v.stream_info.codecs, v.stream_info.audio) for v in video.master.playlists]
    assert [codecs.partition(".")[0] for codecs, _ in variants] == ["avc1", "avc1", "hvc1", "hvc1"]
    assert {audio for _, audio in variants} == {"audio"}
    pictures = [item.iframe_stream_info.codecs for item in video.master.iframe_playlists]
    assert sorted(codecs.partition(".")[0] for codecs in pictures) == ["avc1", "avc1", "hvc1", "hvc1"]


@pytest.mark.parametrize("ladder", [HEVC, AV1], ids=["hevc", "av1"])
@pytest.mark.parametrize("frames", [1, 25, 26, 49, 50])
def test_length(publish: Publisher, ladder: dict[str, Any], frames: int) -> None:
    publish(clip("clip.mp4", frames=frames), preset={"ladders": [ladder]}).check_clip(frames=frames)


@pytest.mark.parametrize("ladder", [HEVC, AV1], ids=["hevc", "av1"])
@pytest.mark.parametrize("rate", ["24000/1001", "60", "10"])
def test_rate(publish: Publisher, ladder: dict[str, Any], rate: str) -> None:
    publish(clip("clip.mp4", rate=rate), preset={"ladders": [ladder]}).check_clip(rate=rate)


def test_a_picture_that_an_encoder_cannot_take_is_refused(publish: Publisher) -> None:
    source = clip("clip.mp4", size=(32, 8))
    with pytest.raises(
        InvalidInputError, match=r"32x8 is too small for libx265, which needs 16 on each side"
    ):
        publish(source, preset={"ladders": [HEVC]})


def test_an_encoder_that_this_host_lacks_is_refused_before_anything_is_done(
    publish: Publisher, stores: Path
) -> None:
    can = subprocess.run(
        [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "color=s=256x256", "-frames:v", "1",
         "-c:v", "h264_nvenc", "-f", "null", "-"], capture_output=True,
    )  # fmt: skip
    if can.returncode == 0:
        pytest.skip("this host has an NVIDIA GPU")
    source = clip("clip.mp4", frames=30, filters="scale=640:360:flags=neighbor")
    with pytest.raises(InvalidInputError) as error:
        publish(source, preset={"ladders": [NVENC]})
    assert str(error.value).startswith("preset: h264_nvenc cannot encode on this host: ")
    assert "VOD_TRANSCODE_QUEUE" in str(error.value)
    assert not list((stores / "tmp").glob("*/work-*"))


@pytest.mark.parametrize("ladder", [NVENC, NVENC | {"by_title": True}], ids=["fixed", "by-title"])
def test_a_host_without_a_gpu_may_prepare_what_others_encode(
    publish: Publisher, stores: Path, ladder: dict[str, Any]
) -> None:
    source = clip("clip.mp4", frames=30, filters="scale=640:360:flags=neighbor")
    with pytest.raises(InvalidInputError, match="h264_nvenc cannot encode on this host"):
        publish(source, preset={"ladders": [ladder]}, transcode_queue="gpu")
    assert list((stores / "tmp").glob("*/work-*"))
