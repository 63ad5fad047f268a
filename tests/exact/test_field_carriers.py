"""Codecs that the file in which chunks and tracks are cut may not hold, or not with what a decoder needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exact.field import check_like_one_pass, check_undamaged, words
from exact.publisher import Publisher
from support.clips import SOUND, Sound, clip, media, one_pass_clicks, run_ffmpeg, write_wav, x264
from support.presets import LADDER
from vod_operators.errors import InvalidInputError

PCM = Sound(options=("-c:a", "pcm_s16le"))


def picture(
    name: str,
    file: str,
    *codec: str,
    pixels: str,
    size: tuple[int, int] = (128, 72),
    sound: Sound | None = PCM,
) -> object:
    return pytest.param(file, ("-c:v", *codec), pixels, size, sound, id=name)


def raw(container: str, pixels: str) -> object:
    return picture(f"raw-{pixels}-{container}", f"clip.{container}", "rawvideo", pixels=pixels)


@pytest.mark.parametrize(
    ("file", "video", "pixels", "size", "sound"),
    [
        raw("avi", "bgr24"),
        raw("avi", "bgra"),
        raw("avi", "bgr555le"),
        raw("avi", "yuyv422"),
        raw("avi", "uyvy422"),
        raw("avi", "yuv420p"),
        raw("avi", "pal8"),
        raw("avi", "gray"),
        raw("mov", "rgb24"),
        raw("mov", "bgr24"),
        raw("mov", "argb"),
        raw("mov", "bgra"),
        raw("mov", "rgb555be"),
        raw("mov", "uyvy422"),
        raw("mov", "yuyv422"),
        raw("mov", "pal8"),
        picture("qtrle-rgb", "clip.mov", "qtrle", pixels="rgb24"),
        picture("qtrle-argb", "clip.mov", "qtrle", pixels="argb"),
        picture("qtrle-rgb555", "clip.mov", "qtrle", pixels="rgb555be"),
        picture("qtrle-gray", "clip.mov", "qtrle", pixels="gray"),
        picture("msrle-avi", "clip.avi", "msrle", pixels="pal8"),
        picture("msvideo1-avi", "clip.avi", "msvideo1", pixels="rgb555le"),
        picture("cinepak-avi", "clip.avi", "cinepak", pixels="rgb24"),
        picture("cinepak-mov", "clip.mov", "cinepak", pixels="rgb24"),
        picture("svq1-mov", "clip.mov", "svq1", "-q:v", "1", pixels="yuv410p"),
        picture("rpza-mov", "clip.mov", "rpza", pixels="rgb555le"),
        picture("smc-mov", "clip.mov", "smc", pixels="pal8"),
        picture("png-mov", "clip.mov", "png", pixels="rgb24"),
        picture("png-avi", "clip.avi", "png", pixels="rgba"),
        picture("v210-mov", "clip.mov", "v210", pixels="yuv422p10le", size=(192, 72)),
        picture("v210-avi", "clip.avi", "v210", pixels="yuv422p10le", size=(192, 72)),
        picture("r210-mov", "clip.mov", "r210", pixels="gbrp10le"),
        picture("huffyuv-avi", "clip.avi", "huffyuv", pixels="yuv422p"),
        picture("huffyuv-rgb-avi", "clip.avi", "huffyuv", pixels="rgb24"),
        picture("ffvhuff-avi", "clip.avi", "ffvhuff", pixels="yuv420p"),
        picture("utvideo-avi", "clip.avi", "utvideo", pixels="gbrp"),
        picture("magicyuv-avi", "clip.avi", "magicyuv", pixels="gbrp"),
        picture("zmbv-avi", "clip.avi", "zmbv", pixels="bgr0"),
        picture("ffv1-avi", "clip.avi", "ffv1", pixels="yuv420p"),
        picture("jpeg2000-mov", "clip.mov", "jpeg2000", pixels="yuv420p"),
        picture("jpeg2000-mxf", "clip.mxf", "jpeg2000", pixels="yuv422p"),
        picture("cineform-mov", "clip.mov", "cfhd", pixels="yuv422p10le", size=(256, 144)),
        picture("dnxhr-mxf", "clip.mxf", "dnxhd", "-profile:v", "dnxhr_sq", pixels="yuv422p",
                size=(256, 144)),
        picture("dnxhr-444-mov", "clip.mov", "dnxhd", "-profile:v", "dnxhr_444", pixels="yuv444p10le",
                size=(256, 144)),
        picture("prores-mxf", "clip.mxf", "prores_ks", "-profile:v", "2", pixels="yuv422p10le"),
        picture("h264-mxf", "clip.mxf", *x264(b_frames=0)[1:], pixels="yuv420p"),
        picture("flv1-flv", "clip.flv", "flv1", "-q:v", "3", pixels="yuv420p", sound=SOUND),
        picture("h263-3gp", "clip.3gp", "h263", "-q:v", "3", pixels="yuv420p", size=(176, 144), sound=SOUND),
        picture("theora-ogg", "clip.ogv", "libtheora", "-q:v", "8", pixels="yuv420p",
                sound=Sound(options=("-c:a", "libvorbis"))),
        picture("vp8-webm", "clip.webm", "libvpx", "-b:v", "1M", pixels="yuv420p",
                sound=Sound(options=("-c:a", "libvorbis"))),
        picture("msmpeg4v3-avi", "clip.avi", "msmpeg4", "-q:v", "2", pixels="yuv420p"),
        picture("mjpeg-avi", "clip.avi", "mjpeg", "-q:v", "2", pixels="yuvj422p"),
        picture("vc2-mkv", "clip.mkv", "vc2", pixels="yuv422p", size=(256, 144)),
        picture("vvc-mp4", "clip.mp4", "libvvenc", "-preset", "faster", "-qp", "20", pixels="yuv420p10le",
                sound=SOUND),
    ],
)  # fmt: skip
def test_pictures(
    publish: Publisher,
    file: str,
    video: tuple[str, ...],
    pixels: str,
    size: tuple[int, int],
    sound: Sound | None,
) -> None:
    source = clip(file, video=video, pixel_format=pixels, size=size, sound=sound, frames=60)

    check_like_one_pass(publish(source), source, "25")


@pytest.mark.parametrize("codec", ["flashsv", "flashsv2"])
def test_pictures_whose_size_may_not_be_known(publish: Publisher, codec: str) -> None:
    """Screen video of Flash: its size is told in the pictures alone."""
    source = clip("clip.flv", video=("-c:v", codec), pixel_format="bgr24", frames=60)

    try:
        video = publish(source)
    except InvalidInputError as refusal:
        assert codec in str(refusal)
    else:
        check_like_one_pass(video, source, "25")


def test_dnxhd(publish: Publisher) -> None:
    """Avid's own: of few sizes only."""
    source = clip(
        "clip.mxf", frames=30, size=(1280, 720), pixel_format="yuv422p", rate="50", sound=PCM,
        video=("-c:v", "dnxhd", "-b:v", "120M"),
    )  # fmt: skip
    rungs = [LADDER["rungs"][1]]

    video = publish(source, preset={"ladders": [LADDER | {"rungs": rungs}]})

    check_like_one_pass(video, source, "50")


@pytest.mark.parametrize(
    ("file", "video", "pixels", "sound"),
    [
        pytest.param("clip.mov", ("-c:v", "qtrle"), "rgb24", PCM, id="qtrle"),
        pytest.param(
            "clip.mkv", x264(), "yuv420p", Sound(options=("-c:a", "mlp", "-strict", "-2")), id="mlp"
        ),
    ],
)
def test_what_cannot_be_cut_is_told(
    publish: Publisher, file: str, video: tuple[str, ...], pixels: str, sound: Sound
) -> None:
    told = words(publish(clip(file, video=video, pixel_format=pixels, sound=sound, frames=30)))

    assert "cannot be cut" in told
    assert {"qtrle", "mlp"} & set(re.findall(r"\w+", told))


def test_what_can_be_cut_is_not_told_of(publish: Publisher) -> None:
    assert publish(clip("clip.mov", sound=PCM, frames=30)).normalised == []


# --- sound ----------------------------------------------------------------------------------

H264 = x264()
MJPEG = ("-c:v", "mjpeg", "-q:v", "2")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "12")


def sound(
    name: str, file: str, *codec: str, rate: int = 48_000, channels: int = 2, more: tuple[str, ...] = (),
    video: tuple[str, ...] = H264,
) -> object:  # fmt: skip
    wanted = Sound(sample_rate=rate, channels=channels, options=("-c:a", *codec))
    return pytest.param(file, video, wanted, more, id=name)


@pytest.mark.parametrize(
    ("file", "video", "wanted", "more"),
    [
        # Blu-ray and DVD.
        sound("truehd-mkv", "clip.mkv", "truehd", "-strict", "-2"),
        sound("truehd-5.1-mkv", "clip.mkv", "truehd", "-strict", "-2", channels=6),
        sound("truehd-m2ts", "clip.m2ts", "truehd", "-strict", "-2", more=("-mpegts_m2ts_mode", "1")),
        sound("truehd-mp4", "clip.mp4", "truehd", "-strict", "-2", more=("-strict", "-2")),
        sound("mlp-mkv", "clip.mkv", "mlp", "-strict", "-2"),
        sound("lpcm-m2ts", "clip.m2ts", "pcm_bluray", more=("-mpegts_m2ts_mode", "1")),
        sound("lpcm-24-m2ts", "clip.m2ts", "pcm_bluray", "-sample_fmt", "s32"),
        sound("lpcm-5.1-m2ts", "clip.m2ts", "pcm_bluray", channels=6),
        sound("lpcm-vob", "clip.vob", "pcm_dvd", video=MPEG2),
        sound("lpcm-24-vob", "clip.vob", "pcm_dvd", "-sample_fmt", "s32", video=MPEG2),
        sound("lpcm-mpg", "clip.mpg", "pcm_dvd", more=("-f", "vob"), video=MPEG2),
        sound("dts-mkv", "clip.mkv", "dca", "-strict", "-2"),
        sound("dts-m2ts", "clip.m2ts", "dca", "-strict", "-2"),
        sound("eac3-mp4", "clip.mp4", "eac3", "-b:a", "192k"),
        sound("s302m-ts", "clip.ts", "s302m", "-strict", "-2"),
        # Apple and QuickTime.
        sound("alac-mp4", "clip.mp4", "alac"),
        sound("alac-mov", "clip.mov", "alac"),
        sound("alac-24-mov", "clip.mov", "alac", "-sample_fmt", "s32p"),
        sound("alac-mkv", "clip.mkv", "alac"),
        sound("ima-mov", "clip.mov", "adpcm_ima_qt", video=MJPEG),
        sound("ima-mono-mov", "clip.mov", "adpcm_ima_qt", video=MJPEG, rate=22_050, channels=1),
        sound("twos-mov", "clip.mov", "pcm_s16be"),
        sound("in24-mov", "clip.mov", "pcm_s24be"),
        sound("pcm-24-mov", "clip.mov", "pcm_s24le"),
        sound("pcm-f32-mov", "clip.mov", "pcm_f32le"),
        sound("pcm-f64-mov", "clip.mov", "pcm_f64be"),
        sound("pcm-u8-mov", "clip.mov", "pcm_u8"),
        sound("pcm-s8-mov", "clip.mov", "pcm_s8"),
        sound("ulaw-mov", "clip.mov", "pcm_mulaw", rate=22_050),
        sound("pcm-mp4", "clip.mp4", "pcm_s16le"),
        sound("flac-mp4", "clip.mp4", "flac"),
        sound("opus-mp4", "clip.mp4", "libopus"),
        # AVI and Flash.
        sound("adpcm-ms-avi", "clip.avi", "adpcm_ms", video=MJPEG),
        sound("adpcm-ima-avi", "clip.avi", "adpcm_ima_wav", video=MJPEG),
        sound("adpcm-ima-mono-avi", "clip.avi", "adpcm_ima_wav", video=MJPEG, channels=1, rate=22_050),
        sound("adpcm-yamaha-avi", "clip.avi", "adpcm_yamaha", video=MJPEG),
        sound("ulaw-avi", "clip.avi", "pcm_mulaw", video=MJPEG, rate=22_050),
        sound("alaw-avi", "clip.avi", "pcm_alaw", video=MJPEG),
        sound("pcm-24-avi", "clip.avi", "pcm_s24le", video=MJPEG),
        sound("pcm-u8-avi", "clip.avi", "pcm_u8", video=MJPEG),
        sound("ac3-avi", "clip.avi", "ac3", video=MJPEG),
        sound("adpcm-ms-mkv", "clip.mkv", "adpcm_ms", video=MJPEG),
        sound("adpcm-swf-flv", "clip.flv", "adpcm_swf", rate=44_100),
        sound("adpcm-swf-mono-flv", "clip.flv", "adpcm_swf", rate=22_050, channels=1),
        sound("nellymoser-flv", "clip.flv", "nellymoser", rate=22_050, channels=1),
        sound("nellymoser-44-flv", "clip.flv", "nellymoser", rate=44_100, channels=1),
        sound("pcm-flv", "clip.flv", "pcm_s16le", rate=44_100),
        sound("ulaw-flv", "clip.flv", "pcm_mulaw", rate=8_000, channels=1),
        sound("mp3-flv", "clip.flv", "libmp3lame", rate=44_100),
        # Broadcast and the rest.
        sound("pcm-24-mxf", "clip.mxf", "pcm_s24le", video=MPEG2),
        sound("wavpack-mkv", "clip.mkv", "wavpack"),
        sound("tta-mkv", "clip.mkv", "tta"),
        sound("pcm-24-mkv", "clip.mkv", "pcm_s24le"),
        sound("pcm-f32-mkv", "clip.mkv", "pcm_f32le"),
        sound("opus-ts", "clip.ts", "libopus"),
        sound("latm-ts", "clip.ts", "aac", more=("-mpegts_flags", "latm")),
        sound("flac-ogg", "clip.ogv", "flac", video=("-c:v", "libtheora", "-q:v", "8")),
        sound("adpcm-g726-mkv", "clip.mkv", "g726", rate=8_000, channels=1),
    ],
)
def test_sound(
    publish: Publisher, file: str, video: tuple[str, ...], wanted: Sound, more: tuple[str, ...]
) -> None:
    source = clip(file, *more, video=video, sound=wanted, frames=60)

    check_like_one_pass(publish(source), source, "25")


@pytest.mark.parametrize(
    ("file", "options"),
    [
        pytest.param("clip.m4a", ("-c:a", "alac"), id="alac-m4a"),
        pytest.param("clip.caf", ("-c:a", "alac"), id="alac-caf"),
        pytest.param("clip.caf", ("-c:a", "adpcm_ima_qt"), id="ima-caf"),
        pytest.param("clip.caf", ("-c:a", "pcm_s24be"), id="pcm-24-caf"),
        pytest.param("clip.wav", ("-c:a", "adpcm_ms"), id="adpcm-ms-wav"),
        pytest.param("clip.wav", ("-c:a", "adpcm_ima_wav"), id="adpcm-ima-wav"),
        pytest.param("clip.wav", ("-c:a", "adpcm_yamaha"), id="adpcm-yamaha-wav"),
        pytest.param("clip.wav", ("-c:a", "g726", "-ar", "8000", "-ac", "1"), id="g726-wav"),
        pytest.param("clip.wav", ("-c:a", "pcm_s24le"), id="pcm-24-wav"),
        pytest.param("clip.wav", ("-c:a", "pcm_mulaw"), id="ulaw-wav"),
        pytest.param("clip.w64", ("-c:a", "pcm_f32le"), id="w64"),
        pytest.param("clip.aiff", ("-c:a", "pcm_s16be"), id="aiff"),
        pytest.param("clip.aiff", ("-c:a", "adpcm_ima_qt"), id="ima-aiff"),
        pytest.param("clip.mka", ("-c:a", "truehd", "-strict", "-2"), id="truehd-mka"),
        pytest.param("clip.mka", ("-c:a", "alac"), id="alac-mka"),
        pytest.param("clip.flv", ("-c:a", "nellymoser", "-ar", "22050", "-ac", "1"), id="nellymoser-flv"),
        pytest.param("clip.m2ts", ("-c:a", "pcm_bluray"), id="lpcm-m2ts"),
        pytest.param("clip.vob", ("-c:a", "pcm_dvd"), id="lpcm-vob"),
        pytest.param("clip.ac3", ("-c:a", "ac3"), id="ac3"),
        pytest.param("clip.aac", ("-c:a", "aac"), id="aac"),
    ],
)
def test_sound_alone(publish: Publisher, file: str, options: tuple[str, ...]) -> None:
    def build(path: Path) -> None:
        wav = path.with_name("sound.wav")
        write_wav(wav, SOUND.pcm(4.4), SOUND.sample_rate)
        run_ffmpeg("-i", str(wav), *options, str(path))

    source = media(file, build, options)

    video = publish(source)

    assert video.renditions == []
    video.check_clicks(one_pass_clicks(source))
    check_undamaged(video)
