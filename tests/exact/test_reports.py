"""Files that people could not transcode, out of public issue trackers; README.md lists them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import pytest

from exact import broadcast, matroska, reports
from exact.codecs import MPEG2
from exact.publisher import Publisher
from support.clips import (
    PCM,
    SOUND,
    Sound,
    clip,
    media,
    one_pass,
    one_pass_clicks,
    patched,
    remuxed,
    run_ffmpeg,
    write_wav,
    x264,
)
from support.published import Published
from vod_operators.errors import InvalidInputError

SEPARATE = x264(gop=20, b_frames=0, open_gop=False)
"""Every 20th picture can be cut at, and none is shown before another."""

MP2 = Sound(options=("-c:a", "mp2", "-b:a", "192k"))
AC3 = Sound(options=("-c:a", "ac3", "-b:a", "384k"))
OPUS = Sound(options=("-c:a", "libopus", "-b:a", "128k"))
MP3 = Sound(options=("-c:a", "libmp3lame", "-b:a", "128k"))


def check_one_pass(video: Published, source: Path) -> None:
    """Shows and clicks what one ffmpeg does."""
    wanted = one_pass(source, video.rate)
    assert wanted[0] < 4 and len(set(wanted)) > 30, "one ffmpeg is no measure here"
    video.check_pictures(wanted, video.rate)
    length = len(wanted) / video.rate
    video.check_clicks([place for place in one_pass_clicks(source) if 0 <= place < length - Fraction(1, 20)])


# --- broadcast ------------------------------------------------------------------------------


def test_aac_in_latm(publish: Publisher) -> None:
    """The sound of DVB-T2: no codec that MP4 has a name for."""
    publish(clip("clip.ts", "-mpegts_flags", "latm")).check_clip()


def fields(file: str) -> Path:
    """Pictures that are one field each, as they come from a receiver, and copied into other containers."""

    def build(path: Path) -> None:
        stream, wav = path.with_name("fields.h264"), path.with_name("sound.wav")
        stream.write_bytes(broadcast.separate_fields(88, 128, 96))
        write_wav(wav, SOUND.pcm(3.52), SOUND.sample_rate)
        recording = path.with_name("recording.ts")
        run_ffmpeg("-i", str(stream), "-i", str(wav), "-c:v", "copy", "-c:a", "mp2", str(recording))
        run_ffmpeg("-i", str(recording), "-c", "copy", f"{path}")

    return media(file, build)


@pytest.mark.parametrize("file", ["clip.ts", "clip.mkv", "clip.mp4"])
def test_pictures_of_one_field(publish: Publisher, file: str) -> None:
    """PAFF: a packet is half a frame."""
    video = publish(fields(file))

    video.check_pictures(range(176), "50")
    video.check_clicks(SOUND.schedule(3.52))


@pytest.mark.parametrize("file", ["clip.ts", "clip.mkv"])
def test_fields_of_a_steady_rate_are_not_called_variable(publish: Publisher, file: str) -> None:
    assert publish(fields(file)).normalised == ["interlaced"]


def test_film_with_pulldown(publish: Publisher) -> None:
    """24 pictures a second, flagged to be shown as 60 fields: every one of them, and nothing combed."""
    film = clip("film.ts", rate="24000/1001", frames=106, video=MPEG2, sound=MP2)
    timed = remuxed("timed.ts", film, "-bsf:v", broadcast.PULLDOWN)
    source = patched("clip.ts", timed, broadcast.with_pulldown)

    video = publish(source)

    check_one_pass(video, source)
    assert list(dict.fromkeys(video.numbers("full"))) == list(range(106))
    assert "interlaced" not in video.normalised


def test_hevc_pictures_of_one_field(publish: Publisher) -> None:
    """As ATSC 3.0 and DVB send 1080i: each picture is half as high, and must not be shown so."""
    params = "interlace=tff:keyint=40:min-keyint=40:scenecut=0:bframes=0:log-level=error"
    encoder = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", params)

    video = publish(clip("clip.ts", size=(256, 72), rate="50", frames=176, video=encoder))

    video.check_pictures(range(176), "50")
    assert [(track["width"], track["height"]) for track in video.tracks("video")][:2] == [(64, 36), (128, 72)]


@pytest.mark.parametrize("b_frames", [0, 3])
def test_only_key_frames_have_times(publish: Publisher, b_frames: int) -> None:
    whole = clip("whole.ts", video=x264(gop=20, b_frames=b_frames, open_gop=False))

    publish(patched("clip.ts", whole, broadcast.without_pts)).check_clip()


def test_packets_with_error_correction(publish: Publisher) -> None:
    publish(patched("clip.ts", clip("whole.ts"), broadcast.with_parity)).check_clip()


def test_scrambled_in_the_middle(publish: Publisher) -> None:
    """The length is right, and what could not be seen is told."""
    whole = clip("whole.ts", video=SEPARATE)

    video = publish(patched("clip.ts", whole, broadcast.scrambled_in_the_middle))

    assert video.video["source"]["damage"]
    for name in video.renditions:
        shown = video.numbers(name)
        assert len(shown) == 110
        assert (shown[:20], shown[-40:]) == ([*range(20)], [*range(70, 110)])


@pytest.mark.parametrize("file", ["clip.asf", "clip.wtv"])
def test_windows_media_center(publish: Publisher, file: str) -> None:
    source = clip(file, video=MPEG2, sound=MP2)

    check_one_pass(publish(source), source)


# --- DVD ------------------------------------------------------------------------------------


def test_vob_files_laid_end_to_end(publish: Publisher) -> None:
    """The clock begins anew with the second; one ffmpeg inserts a pause there when it also has the sound."""
    parts = [
        clip("a.vob", "-f", "vob", frames=60, video=MPEG2, sound=AC3),
        clip("b.vob", "-f", "vob", frames=60, first=60, video=MPEG2, sound=AC3),
    ]

    def append(path: Path) -> None:
        path.write_bytes(b"".join(part.read_bytes() for part in parts))

    video = publish(media("clip.vob", append, *map(str, parts)))

    shown = video.numbers("full")
    assert list(dict.fromkeys(shown)) == list(range(120)), "a picture is lost"
    assert any("its clock is reset" in words for words in video.normalised)


# --- browsers -------------------------------------------------------------------------------

VP8 = ("-c:v", "libvpx", "-b:v", "1M", "-deadline", "realtime", "-cpu-used", "8", "-g", "30")


def test_shared_tab_changes_its_size(publish: Publisher) -> None:
    """As MediaRecorder writes it: one track, whose pictures change."""
    parts = [
        clip("a.webm", frames=60, video=VP8, sound=OPUS),
        clip("b.webm", frames=60, first=60, size=(256, 144), video=VP8, sound=OPUS),
    ]

    def append(path: Path) -> None:
        listed = path.with_name("parts.txt")
        listed.write_text("".join(f"file '{part}'\n" for part in parts))
        run_ffmpeg("-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(path))

    video = publish(media("clip.webm", append, *map(str, parts)))

    video.check_pictures(range(120), "25")
    places = SOUND.schedule(2.4)
    video.check_clicks([*places, *(2.4 + place for place in places)], tolerance_s=0.02)


def test_webm_with_a_picture_for_its_preview(publish: Publisher) -> None:
    """A second video track, larger than the first, of one picture."""
    main = clip("main.webm", video=VP8, sound=OPUS)
    preview = clip("preview.webm", frames=1, first=5000, size=(256, 144), video=VP8, sound=None)

    def build(path: Path) -> None:
        run_ffmpeg("-i", str(main), "-i", str(preview), "-map", "0", "-map", "1", "-c", "copy", str(path))

    publish(media("clip.webm", build, str(main), str(preview))).check_clip()


# --- several pictures -----------------------------------------------------------------------


def beside(file: str, *parts: Path) -> Path:
    """All streams of these files, none marked as the default."""

    def build(path: Path) -> None:
        inputs = [option for part in parts for option in ("-i", str(part))]
        maps = [option for number in range(len(parts)) for option in ("-map", str(number))]
        run_ffmpeg(*inputs, *maps, "-c", "copy", "-disposition:v", "0", str(path))

    return media(file, build, *map(str, parts))


@pytest.mark.parametrize(("file", "first"), [("clip.mp4", 5000), ("clip.mkv", 0)])
def test_several_bitrates_in_one_file(publish: Publisher, file: str, first: int) -> None:
    """The smallest first, the sound behind it: ffmpeg takes the largest, unless another is the default."""
    small = clip("small.mp4", size=(64, 36), first=5000, sound=None)
    source = beside(file, small, clip("large.mp4", size=(256, 144)))

    video = publish(source)

    video.check_pictures(range(first, first + 110), "25")
    assert any("another picture" in words for words in video.video["source"]["skipped"])


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mkv"])
def test_thumbnail_that_is_not_marked_as_one(publish: Publisher, file: str) -> None:
    """A picture comes first, as a track of its own, and larger than the video."""
    size = {"size": (256, 144), "pixel_format": "yuvj420p", "sound": None}
    thumbnail = clip("thumbnail.mov", frames=1, first=5000, video=("-c:v", "mjpeg", "-q:v", "2"), **size)

    publish(beside(file, thumbnail, clip("main.mp4"))).check_clip()


# --- cameras and phones ---------------------------------------------------------------------

MJPEG = ("-c:v", "mjpeg", "-q:v", "2", "-huffman", "default")


def test_webcam_leaves_the_huffman_tables_out(publish: Publisher) -> None:
    whole = clip("whole.avi", video=MJPEG, pixel_format="yuvj422p", sound=PCM)

    video = publish(patched("clip.avi", whole, reports.without_huffman_tables))

    video.check_clip()
    assert video.video["source"]["damage"] == []


def test_pocket_camera(publish: Publisher) -> None:
    """Motion JPEG and 8-bit sound of 11 kHz in one channel."""
    sound = Sound(channels=1, sample_rate=11_025, options=("-c:a", "pcm_u8"))

    publish(clip("clip.avi", rate="30", video=MJPEG, pixel_format="yuvj422p", sound=sound)).check_clip(
        rate="30", sound=sound
    )


@pytest.mark.parametrize(("file", "codec"), [("clip.mkv", "pcm_alaw"), ("clip.mov", "pcm_mulaw")])
def test_door_camera(publish: Publisher, file: str, codec: str) -> None:
    """G.711 of 8 kHz."""
    source = clip(file, rate="15", sound=Sound(channels=1, sample_rate=8000, options=("-c:a", codec)))

    publish(source).check_clip(rate="15")


def test_matroska_turned_by_its_projection(publish: Publisher) -> None:
    """A phone's clip: ``ProjectionPoseRoll``."""
    source = patched("clip.mkv", clip("stored.mkv", turned=90), matroska.rolled)

    video = publish(source)

    video.check_clip()
    assert len(video.normalised) == 1 and video.normalised[0].startswith("rotated")


def test_pictures_that_tell_how_they_are_turned(publish: Publisher) -> None:
    """No word of it in the container: H.264's own message in each of them."""
    stored = clip("stored.h264", turned=90, video=SEPARATE, sound=None)

    def build(path: Path) -> None:
        stream = path.with_name("turned.h264")
        stream.write_bytes(broadcast.turned_by_message(stored.read_bytes(), 270))
        run_ffmpeg("-i", str(stream), "-c", "copy", "-bsf:v", "setts=pts=N*48000:dts=N*48000", str(path))

    source = media("clip.ts", build, str(stored))
    assert one_pass(source, Fraction(25)) == list(range(110))

    publish(source).check_clip(sound=None)


def test_jpegs_that_tell_how_they_are_turned(publish: Publisher) -> None:
    """Exif, in each picture of Motion JPEG."""
    stored = clip("stored.mjpeg", "-f", "mjpeg", turned=90, video=MJPEG, pixel_format="yuvj420p", sound=None)

    def build(path: Path) -> None:
        pictures = path.with_name("turned.mjpeg")
        pictures.write_bytes(reports.with_orientation(stored.read_bytes(), 6))
        run_ffmpeg("-f", "mjpeg", "-i", str(pictures), "-c", "copy", str(path))

    source = media("clip.mov", build, str(stored))
    assert one_pass(source, Fraction(25)) == list(range(110))

    publish(source).check_clip(sound=None)


def test_data_behind_the_last_box(publish: Publisher) -> None:
    publish(patched("clip.mp4", clip("whole.mp4"), reports.with_trailer)).check_clip()


# --- editors and muxers ---------------------------------------------------------------------


def test_matroska_with_stripped_headers(publish: Publisher) -> None:
    publish(patched("clip.mkv", clip("whole.mkv"), matroska.stripped)).check_clip()


@pytest.mark.parametrize("what", [b"S_TEXT", b"A_AAC", b"V_MPEG4"], ids=["text", "sound", "pictures"])
def test_matroska_with_deflated_tracks(publish: Publisher, what: bytes) -> None:
    whole = clip("plain.mkv")

    def build(path: Path) -> None:
        words = path.with_name("words.srt")
        words.write_text(
            "1\n00:00:01,000 --> 00:00:02,000\nthe first\n\n2\n00:00:03,000 --> 00:00:04,000\nlast\n"
        )
        run_ffmpeg("-i", str(whole), "-i", str(words), "-c", "copy", "-c:s", "srt", str(path))

    source = media("whole.mkv", build, str(whole))

    def deflate(path: Path) -> None:
        path.write_bytes(matroska.deflated(source.read_bytes(), what))

    deflated = media("clip.mkv", deflate, str(source), what)
    if what == b"V_MPEG4":  # ffprobe cannot read them: refused, not published without
        with pytest.raises(InvalidInputError, match="has no key frame to start decoding from"):
            publish(deflated)
        return
    video = publish(deflated)

    video.check_clip()
    assert [text for _, _, text in video.said("text-0")] == ["the first", "last"]


def test_quicktime_with_a_compressed_index(publish: Publisher) -> None:
    source = patched("clip.mov", clip("whole.mov", sound=PCM), reports.with_compressed_index)

    with pytest.raises(InvalidInputError, match="compressed"):
        publish(source)


@pytest.mark.parametrize("change", [reports.first_is_no_key, reports.without_key_frames])
def test_first_picture_is_not_listed_as_a_key_frame(
    publish: Publisher, change: Callable[[Path], bytes]
) -> None:
    publish(patched("clip.mp4", clip("whole.mp4", video=SEPARATE), change)).check_clip()


def test_pictures_shown_before_the_first_key_frame(publish: Publisher) -> None:
    """VVC: its first key frame is shown 24th, and the pictures before it need nothing else."""
    vvc = ("-c:v", "libvvenc", "-preset", "faster")

    publish(clip("clip.mp4", frames=60, video=vvc, pixel_format="yuv420p10le")).check_clip(frames=60)


def test_matroska_with_many_fonts(publish: Publisher) -> None:
    """Attachments are no streams that one would work on."""
    whole = clip("whole.mkv")

    def build(path: Path) -> None:
        font = path.with_name("font.ttf")
        font.write_bytes(b"\0\1\0\0" + bytes(100))
        kind = ("-metadata:s:t", "mimetype=application/x-truetype-font")
        run_ffmpeg("-i", str(whole), "-c", "copy", *(("-attach", str(font)) * 80), *kind, str(path))

    publish(media("clip.mkv", build, str(whole))).check_clip()


# --- live streams, recorded -----------------------------------------------------------------

FRAGMENTED = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")


def fragmented(order: Callable[[bytes, list[bytes]], bytes], *recipe: object) -> Path:
    whole = clip("whole.mp4", *FRAGMENTED, video=SEPARATE)

    def build(path: Path) -> None:
        path.write_bytes(order(*reports.fragments(whole.read_bytes())))

    return media("clip.mp4", build, str(whole), *recipe)


@pytest.mark.parametrize("seconds", [5_000, 100_000, 1_700_000_000])
def test_fragments_of_a_stream_that_has_run_for_long(publish: Publisher, seconds: int) -> None:
    """What was recorded begins late, or at the seconds since 1970; it lasts 4 s."""

    def order(head: bytes, parts: list[bytes]) -> bytes:
        scales = reports.scales_of(head)
        return head + b"".join(reports.later(part, seconds, scales) for part in parts)

    source = fragmented(order, "late", seconds)

    check_one_pass(publish(source), source)


def test_fragments_with_one_missing(publish: Publisher) -> None:
    """The picture before stands until the next one."""
    source = fragmented(lambda head, parts: head + b"".join(parts[:2] + parts[3:]), "missing")

    check_one_pass(publish(source), source)


def test_fragments_each_with_its_header(publish: Publisher) -> None:
    source = fragmented(lambda head, parts: b"".join(head + part for part in parts), "headers")

    check_one_pass(publish(source), source)


def test_recording_that_was_continued(publish: Publisher) -> None:
    """FLV appended to itself: the clock begins anew. All of it in order, or refused with this reason."""
    parts = [
        clip("a.flv", frames=60, video=SEPARATE),
        clip("b.flv", frames=60, first=60, video=SEPARATE),
    ]

    def append(path: Path) -> None:
        path.write_bytes(parts[0].read_bytes() + parts[1].read_bytes()[13:])

    with pytest.raises(InvalidInputError, match="its clock jumps back 2 times in mid-file"):
        publish(media("clip.flv", append, *map(str, parts)))


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mkv", "clip.flv"])
def test_recorder_that_crashed(publish: Publisher, file: str) -> None:
    """The file ends in the middle of a picture: what is before it is published, and the end is told."""
    options = FRAGMENTED if file == "clip.mp4" else ()
    whole = clip(f"whole{file[4:]}", *options, video=SEPARATE)
    source = patched(file, whole, first_part)

    video = publish(source)

    wanted = one_pass(source, Fraction(25))
    shown = video.numbers("full")
    assert len(wanted) > 60 and abs(len(shown) - len(wanted)) <= 1
    assert shown[:60] == wanted[:60] and max(shown) >= len(shown) - 2
    assert video.video["source"]["damage"]


def first_part(source: Path) -> bytes:
    data = source.read_bytes()
    return data[: len(data) * 7 // 10]


def test_mp4_whose_pictures_change_their_size(publish: Publisher) -> None:
    """A WebRTC server recorded it: the parameters of each size are with its pictures."""
    parts = [
        clip("a.ts", frames=60, video=SEPARATE, sound=None),
        clip(
            "b.ts",
            "-output_ts_offset",
            "2.4",
            frames=60,
            first=60,
            size=(256, 144),
            video=SEPARATE,
            sound=None,
        ),
    ]

    def append(path: Path) -> None:
        recording = path.with_name("both.ts")
        recording.write_bytes(b"".join(part.read_bytes() for part in parts))
        run_ffmpeg("-i", str(recording), "-c", "copy", str(path))  # which mends the clock that begins anew

    video = publish(media("clip.mp4", append, *map(str, parts)))

    video.check_pictures(range(120), "25")


# --- rates ----------------------------------------------------------------------------------

# Milliseconds from each picture to the next.
SIXTIETHS = [17, 17, 16]
PHONE_600 = [17, 16, 17, 17, 18, 16, 17, 17, 16, 18] * 20  # its clock has 600 ticks a second
SHADOWPLAY = [*SIXTIETHS * 30, 735, *SIXTIETHS * 20, 33, 50, *SIXTIETHS * 20]
SHARED_SCREEN = [100, 33, 17, 33, 17, 50, 67, 33, 100, 17, 16] * 9
SLOWED = [*[33, 33, 34] * 8, *[4, 4, 5, 4] * 50, *[33, 33, 34] * 8]
UNEVEN_240 = [5, 3, 5, 4, 5, 3] * 60


@pytest.mark.parametrize(
    ("file", "steps", "keeps_all"),
    [
        pytest.param("clip.mov", PHONE_600, False, id="phone-of-59.3"),
        pytest.param("clip.mp4", SHADOWPLAY, True, id="game-recorder"),
        pytest.param("clip.mp4", SHARED_SCREEN, True, id="screen-of-a-phone"),
        pytest.param("clip.mov", SLOWED, False, id="slow-motion"),
        pytest.param("clip.mov", UNEVEN_240, False, id="uneven-240"),
    ],
)
def test_rate_that_varies(publish: Publisher, file: str, steps: list[int], keeps_all: bool) -> None:
    """On one grid for all chunks; if each picture lasts for as long as the grid's, none is lost."""
    pts = list(accumulate(steps, initial=0))
    source = clip(file, frames=len(pts), rate="60", video=x264(gop=25), pts=pts)

    video = publish(source)

    check_one_pass(video, source)
    if keeps_all:
        assert set(video.numbers("full")) == set(range(len(pts)))


def test_one_picture_in_ten_seconds(publish: Publisher) -> None:
    """Slides, recorded."""
    source = clip("clip.mp4", frames=3, pts=[0, 10_000, 20_000], video=x264(gop=25))

    video = publish(source)

    shown = video.numbers("full")
    assert shown == one_pass(source, video.rate)
    assert [video.rate * place for place in (10, 20)] == [shown.index(1), shown.index(2)]


@pytest.mark.parametrize(
    "nothing", ["eq(mod(n\\,7)\\,3)", "between(n\\,1\\,108)"], ids=["some", "nearly-all"]
)
@pytest.mark.parametrize("codec", ["huffyuv", "utvideo"])
def test_frames_that_a_capture_dropped(publish: Publisher, nothing: str, codec: str) -> None:
    """AVI has a packet without bytes for them: the picture before stands."""
    whole = clip("whole.avi", video=("-c:v", codec), pixel_format="yuv422p", sound=PCM)

    video = publish(remuxed("clip.avi", whole, "-bsf:v", f"noise=amount=0:drop={nothing}"))

    some = [n - (n % 7 == 3) for n in range(110)]
    video.check_pictures(some if "mod" in nothing else [0] * 109 + [109], "25")
    video.check_clicks(SOUND.schedule(4.4))


# --- rare codecs ----------------------------------------------------------------------------


def test_sound_of_a_studio_feed(publish: Publisher) -> None:
    """SMPTE 302M: PCM in MPEG-TS."""
    sound = Sound(options=("-c:a", "s302m", "-strict", "-2"))

    publish(clip("clip.ts", sound=sound)).check_clip()


def test_realmedia(publish: Publisher) -> None:
    source = clip("clip.rm", size=(176, 144), video=("-c:v", "rv20", "-q:v", "2"), sound=AC3)

    check_one_pass(publish(source), source)


def test_flash_screen_video(publish: Publisher) -> None:
    video = ("-c:v", "flashsv", "-g", "30")
    sound = Sound(sample_rate=44_100, options=MP3.options)
    source = clip("clip.flv", size=(256, 144), video=video, pixel_format="bgr24", sound=sound)

    with pytest.raises(InvalidInputError, match="stream 1 \\(flashsv\\): it has no picture size"):
        publish(source)


def test_action_camera_with_its_sensors(publish: Publisher) -> None:
    """A track of data is the first one."""
    whole = clip("whole.mp4")

    def build(path: Path) -> None:
        words, mixed = path.with_name("words.srt"), path.with_name("mixed.mp4")
        words.write_text("1\n00:00:01,000 --> 00:00:02,000\nDVID\n")
        run_ffmpeg(
            "-i", str(words), "-i", str(whole), "-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text",
            "-timecode", "10:44:53:09", str(mixed),
        )  # fmt: skip
        data = mixed.read_bytes()
        assert data.count(b"tx3g") == data.count(b"sbtl") == 1
        path.write_bytes(data.replace(b"tx3g", b"gpmd").replace(b"sbtl", b"meta"))

    video = publish(media("clip.mp4", build, str(whole)))

    video.check_clip()
    assert video.video["source"]["skipped"] == []
