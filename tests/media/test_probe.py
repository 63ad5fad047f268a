"""What ffprobe says of real files."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from vod_operators.errors import InvalidInputError
from vod_operators.media.models import Source
from vod_operators.media.probe import parse_probe, probe
from vod_operators.runners.tools import Tools

TOOLS = Tools()
CLIP = Path(__file__).parent / "bbb-720p-5s.mp4"
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=1"]


def run_ffmpeg(*options: str) -> None:
    subprocess.run([TOOLS.ffmpeg, "-loglevel", "error", "-y", *options], check=True)


def describe(path: Path) -> Source:
    done = subprocess.run(
        probe(TOOLS.ffprobe, path.name), cwd=path.parent, check=True, stdout=subprocess.PIPE, text=True
    )
    return parse_probe(json.loads(done.stdout), size_bytes=path.stat().st_size)


def test_the_clip() -> None:
    source = describe(CLIP)
    assert source.container == "mov,mp4,m4a,3gp,3g2,mj2"
    assert source.size_bytes == CLIP.stat().st_size
    assert source.duration_ms is not None and 5200 <= source.duration_ms <= 5400
    video = source.video
    assert (video.codec, video.width, video.height) == ("h264", 1280, 720)
    assert video.frame_rate == 25
    assert (video.display_matrix, video.interlaced, video.sample_aspect) == (None, False, 1)
    assert [(sound.codec, sound.channels) for sound in source.audio] == [("aac", 6)]


@pytest.mark.parametrize(("angle", "clockwise"), [(90, 270), (-90, 90), (180, 180), (0, 0)])
def test_rotation(tmp_path: Path, angle: int, clockwise: int) -> None:
    """ffmpeg's option turns counter-clockwise; a player turns the picture back."""
    run_ffmpeg(*PICTURE, *X264, str(tmp_path / "straight.mp4"))
    straight = ["-display_rotation", str(angle), "-i", str(tmp_path / "straight.mp4")]
    run_ffmpeg(*straight, "-c", "copy", str(tmp_path / "turned.mp4"))
    video = describe(tmp_path / "turned.mp4").video
    assert (video.display_matrix.degrees if video.display_matrix else 0) == clockwise
    assert video.display_size == ((128, 96) if angle in (0, 180) else (96, 128))


def test_interlaced(tmp_path: Path) -> None:
    fields = ["-vf", "setfield=tff", "-x264-params", "tff=1", "-flags", "+ilme+ildct"]
    run_ffmpeg(*PICTURE, *X264, *fields, str(tmp_path / "clip.mp4"))
    source = describe(tmp_path / "clip.mp4")
    assert source.video.interlaced
    assert (source.video.frame_rate, source.video.natural_rate) == (25, 50)


def test_anamorphic(tmp_path: Path) -> None:
    run_ffmpeg(*PICTURE, "-vf", "scale=720:576,setsar=64/45", *X264, str(tmp_path / "clip.mp4"))
    source = describe(tmp_path / "clip.mp4")
    assert source.video.sample_aspect == Fraction(64, 45)
    assert source.video.display_size == (1024, 576)


def test_narrow_pixels_grow_the_height(tmp_path: Path) -> None:
    run_ffmpeg(*PICTURE, "-vf", "scale=128:96,setsar=1/2", *X264, str(tmp_path / "clip.mp4"))
    assert describe(tmp_path / "clip.mp4").video.display_size == (128, 192)


def test_variable_rate(tmp_path: Path) -> None:
    # 25 frames a second, and of every five frames two are left out: 15 a second.
    chosen = ["-vf", r"select=not(eq(mod(n\,5)\,1)+eq(mod(n\,5)\,3))", "-fps_mode", "passthrough"]
    clip = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=4"]
    run_ffmpeg(*clip, *chosen, *X264, str(tmp_path / "clip.mp4"))
    source = describe(tmp_path / "clip.mp4")
    assert source.video.frame_rate == 25


@pytest.mark.parametrize("rate", ["24000/1001", "24", "25", "30000/1001", "50", "60000/1001", "60", "12"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_constant_rates_are_kept(tmp_path: Path, container: str, rate: str) -> None:
    clip = ["-f", "lavfi", "-i", f"testsrc2=s=64x48:r={rate}:d=2"]
    run_ffmpeg(*clip, *X264, str(tmp_path / f"clip.{container}"))
    video = describe(tmp_path / f"clip.{container}").video
    assert video.frame_rate == Fraction(rate)


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    cover, song = tmp_path / "cover.png", tmp_path / "song.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "color=s=32x32:d=1", "-frames:v", "1", str(cover))
    sine = ["-f", "lavfi", "-i", "sine=d=1", "-i", str(cover), "-map", "0", "-map", "1"]
    run_ffmpeg(*sine, "-c:v", "copy", "-disposition:v", "attached_pic", str(song))
    source = describe(song)
    assert source.video is None and [sound.codec for sound in source.audio] == ["aac"]


def test_cover_art_beside_a_video(tmp_path: Path) -> None:
    cover, clip = tmp_path / "cover.png", tmp_path / "clip.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "color=s=32x32:d=1", "-frames:v", "1", str(cover))
    both = ["-i", str(cover), *PICTURE, "-map", "0", "-map", "1", "-c:v:0", "copy"]
    run_ffmpeg(*both, "-c:v:1", "libx264", "-disposition:v:0", "attached_pic", str(clip))
    video = describe(clip).video
    assert (video.codec, video.width) == ("h264", 128)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        pytest.param([], ("smpte170m", "smpte170m", "smpte170m", False), id="untagged-sd"),
        pytest.param(["-s", "1280x720"], ("bt709", "bt709", "bt709", False), id="untagged-hd"),
        pytest.param(["-s", "720x576"], ("bt470bg", "smpte170m", "bt470bg", False), id="untagged-pal"),
        pytest.param(["-colorspace", "bt709"], ("bt709", "bt709", "bt709", False), id="bt709"),
        pytest.param(["-color_range", "pc"], ("smpte170m", "smpte170m", "smpte170m", True), id="full-range"),
        pytest.param(
            ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"],
            ("bt2020", "smpte2084", "bt2020nc", False),
            id="pq",
        ),
    ],
)
def test_colours(tmp_path: Path, tags: list[str], expected: tuple[str, str, str, bool]) -> None:
    named = {"-colorspace": "colorspace", "-color_primaries": "color_primaries", "-color_trc": "color_trc"}
    named["-color_range"] = "range"
    pairs = [f"{named[k]}={v}" for k, v in zip(tags[::2], tags[1::2], strict=True) if k in named]
    size = [word for pair in zip(tags[::2], tags[1::2], strict=True) if pair[0] == "-s" for word in pair]
    filters = ["-vf", f"setparams={':'.join(pairs)}"] if pairs else []
    run_ffmpeg(*PICTURE, *filters, *X264, *size, str(tmp_path / "clip.mp4"))
    video = describe(tmp_path / "clip.mp4").video
    assert video is not None
    colour = video.colour
    assert (colour.primaries, colour.transfer, colour.matrix, colour.full_range) == expected


def test_rgb(tmp_path: Path) -> None:
    run_ffmpeg(*PICTURE, "-c:v", "ffv1", "-pix_fmt", "gbrp", str(tmp_path / "clip.mkv"))
    video = describe(tmp_path / "clip.mkv").video
    assert video is not None and (video.colour.matrix, video.colour.full_range) == ("gbr", True)


def test_languages_and_titles(tmp_path: Path) -> None:
    sines = ["-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "sine=d=1"]
    maps = ["-map", "0", "-map", "1", "-map", "2", *X264]
    facts = [
        "-metadata:s:a:0",
        "language=fin",
        "-metadata:s:a:1",
        "title=Commentary",
        "-disposition:a:1",
        "default",
    ]
    facts += ["-metadata:s:v:0", "language=swe"]
    impaired = ["-disposition:a:0", "comment+hearing_impaired"]
    run_ffmpeg(*PICTURE, *sines, *maps, *facts, *impaired, str(tmp_path / "clip.mkv"))
    source = describe(tmp_path / "clip.mkv")
    audio = source.audio
    assert source.video is not None and source.video.language == "swe"
    assert [(a.commentary, a.hearing_impaired) for a in audio] == [(True, True), (False, False)]
    assert [(a.language, a.title, a.default) for a in audio] == [
        ("fin", None, False),
        (None, "Commentary", True),
    ]


def test_a_playlist_is_not_opened(tmp_path: Path) -> None:
    playlist = tmp_path / "source"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nsecret.ts\n#EXT-X-ENDLIST\n")
    run_ffmpeg(*PICTURE, *X264, str(tmp_path / "secret.ts"))
    done = subprocess.run(
        probe(TOOLS.ffprobe, "source"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "h264" not in done.stdout


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (
            '{"index": 0, "codec_type": "video", "codec_tag_string": "xyz1"}',
            r"video stream 0: its codec \(xyz1\)",
        ),
        (
            '{"index": 0, "codec_type": "video", "codec_name": "h264"}',
            r"stream 0 \(h264\): it has no picture size",
        ),
        (
            '{"index": 3, "codec_type": "video", "codec_name": "h264", "width": 2, "height": 2,'
            ' "r_frame_rate": "0/0", "avg_frame_rate": "0/0"}',
            r"stream 3 \(h264\): its frame rate is unknown",
        ),
    ],
)
def test_streams_that_cannot_be_used(stream: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_probe({"streams": [json.loads(stream)], "format": {}}, size_bytes=1)


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"color_space": "ictcp"}, "ictcp"),
        (
            {"side_data_list": [{"dv_profile": 5, "dv_bl_signal_compatibility_id": 0}]},
            "Dolby Vision profile 5 without another layer",
        ),
    ],
)
def test_colours_that_would_be_shown_wrong(facts: dict[str, object], what: str) -> None:
    stream = {"index": 0, "codec_type": "video", "codec_name": "hevc", "width": 64, "height": 64,
              "time_base": "1/25", "r_frame_rate": "25/1", "avg_frame_rate": "25/1"}  # fmt: skip
    with pytest.raises(InvalidInputError, match=rf"its colours \({what}\) cannot be converted; export it"):
        parse_probe({"streams": [stream | facts]}, size_bytes=1)


def test_nothing_in_it() -> None:
    with pytest.raises(InvalidInputError, match="neither picture nor sound; its streams: none"):
        parse_probe({}, size_bytes=1)
