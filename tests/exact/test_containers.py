"""Containers, and the ways in which each tells the time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from exact.codecs import H264, MPEG2, MPEG4, VP9
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
    x264,
)
from support.isobmff import with_edits

MP3 = Sound(options=("-c:a", "libmp3lame", "-b:a", "128k"))
OPUS = Sound(options=("-c:a", "libopus", "-b:a", "128k"))
MP2 = Sound(options=("-c:a", "mp2", "-b:a", "192k"))
WRAP_S = 2**33 / 90_000
"""MPEG-TS counts 90,000ths of a second in 33 bits."""


def mp4(name: str, flags: str, **how: object) -> object:
    return pytest.param("clip.mp4", ("-movflags", flags), x264(**how), SOUND, id=name)  # type: ignore[arg-type]


def mpeg_ts(name: str, start: float) -> object:
    return pytest.param("clip.ts", ("-output_ts_offset", f"{start:.3f}"), x264(), SOUND, id=name)


@pytest.mark.parametrize(
    ("file", "options", "encoder", "sound"),
    [
        pytest.param("clip.mp4", (), x264(), SOUND, id="mp4-moov-at-the-end"),
        mp4("mp4-moov-first", "+faststart"),
        mp4("mp4-fragmented", "frag_keyframe+empty_moov"),
        mp4("negative-dts", "negative_cts_offsets"),
        pytest.param("clip.mp4", ("-use_editlist", "0"), x264(), SOUND, id="mp4-without-edit-list"),
        pytest.param("clip.mov", ("-timecode", "01:00:00:00"), x264(), PCM, id="mov-timecode-track"),
        pytest.param("clip.mkv", (), x264(), SOUND, id="matroska"),
        pytest.param("clip.webm", (), VP9, OPUS, id="webm"),
        pytest.param("clip.ts", (), x264(), SOUND, id="mpeg-ts"),
        pytest.param("clip.m2ts", ("-mpegts_m2ts_mode", "1"), x264(), SOUND, id="m2ts"),
        mpeg_ts("mpeg-ts-large-start", 50_000),
        mpeg_ts("mpeg-ts-wrap", WRAP_S - 1.4 - 2),  # the muxer adds 1.4 s: 2 s before the wrap
        pytest.param("clip.mpg", ("-f", "vob"), MPEG2, MP2, id="mpeg-ps"),
        pytest.param("clip.flv", (), x264(), SOUND, id="flv"),
        pytest.param("clip.mxf", (), MPEG2, PCM, id="mxf"),
        pytest.param("clip.h264", (), x264(), None, id="raw-h264"),
    ],
)
def test_container(
    publish: Publisher, file: str, options: tuple[str, ...], encoder: tuple[str, ...], sound: Sound | None
) -> None:
    publish(clip(file, *options, video=encoder, sound=sound)).check_clip(sound=sound)


@pytest.mark.parametrize(
    ("file", "options", "encoder", "sound"),
    [
        pytest.param("clip.avi", (), MPEG4, PCM, id="avi-mpeg4-asp"),
        pytest.param("clip.avi", (), x264(gop=33), PCM, id="avi-h264"),
        pytest.param("clip.avi", (), (*H264, "-bf", "0"), PCM, id="avi-h264-no-b-frames"),
        # Its muxer guesses how long the first frame of each fragment lasts: pictures come late by one.
        mp4("fragment-a-frame", "frag_every_frame+empty_moov+default_base_moof", b_frames=0),
        mp4("fragments-with-negative-offsets", "frag_keyframe+delay_moov+negative_cts_offsets"),
    ],
)
def test_pictures_that_ffmpeg_shows_late(
    publish: Publisher, file: str, options: tuple[str, ...], encoder: tuple[str, ...], sound: Sound
) -> None:
    """AVI has no times, and some are read late by the reorder delay: ffmpeg's one pass is the measure."""
    source = clip(file, *options, video=encoder, sound=sound)

    video = publish(source)

    video.check_pictures(one_pass(source, Fraction(25)), "25")
    video.check_clicks([place for place in one_pass_clicks(source) if place >= 0])


def test_avi_with_packed_b_frames(publish: Publisher) -> None:
    """As DivX and Xvid wrote them: two pictures in one packet, and an empty one after it."""
    source = clip("clip.avi", video=("-c:v", "libxvid", "-bf", "2", "-q:v", "2", "-g", "30"), sound=MP3)

    video = publish(source)

    video.check_pictures(one_pass(source, Fraction(25)), "25")
    video.check_clicks([place for place in one_pass_clicks(source) if place >= 0])
    assert video.video["source"]["damage"] == []


def test_windows_media(publish: Publisher) -> None:
    sound = Sound(options=("-c:a", "wmav2", "-b:a", "128k"))

    publish(clip("clip.wmv", video=("-c:v", "wmv2", "-q:v", "2", "-g", "30"), sound=sound)).check_clip()


def test_matroska_without_duration(publish: Publisher) -> None:
    """As a recorder writes it that cannot go back in the file."""
    whole = clip("whole.mkv")

    def pipe(path: Path) -> None:
        path.write_bytes(run_ffmpeg("-i", str(whole), "-c", "copy", "-f", "matroska", "-"))

    video = publish(media("clip.mkv", pipe, str(whole)))

    video.check_clip()


# --- edit lists -----------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mov", "clip.mkv", "clip.ts"])
def test_video_that_starts_late(publish: Publisher, file: str) -> None:
    """Sound from before the first picture is not heard; after it all is in step."""
    video = publish(clip(file, video_start=0.48))

    video.check_pictures(range(110), "25")
    video.check_clicks([place - 0.48 for place in SOUND.schedule(110 / 25) if place >= 0.48])


@pytest.mark.parametrize("open_gop", [False, True], ids=["closed-gop", "open-gop"])
@pytest.mark.parametrize("start", [0.6, 1.88], ids=lambda start: f"from-{start}")
def test_trimmed_start(publish: Publisher, start: float, open_gop: bool) -> None:
    """An edit list hides the packets before the cut; they are decoded, never shown."""
    whole = clip("whole.mp4", video=x264(gop=30, open_gop=open_gop))

    video = publish(remuxed("clip.mp4", whole, before=("-ss", str(start))))

    video.check_clip(first=round(start * 25))


@pytest.mark.parametrize("b_frames", [0, 3])
def test_several_edits(publish: Publisher, b_frames: int) -> None:
    """Parts of the media, one after the other: [0, 1.2) and [1.88, 3.88)."""
    whole = clip("whole.mp4", video=x264(gop=25, b_frames=b_frames, open_gop=False))
    source = patched("clip.mp4", whole, lambda path: with_edits(path.read_bytes(), [(0, 1.2), (1.88, 2)]))
    wanted = one_pass(source, Fraction(25))
    assert sorted(set(wanted)) == [*range(30), *range(47, 97)]

    video = publish(source)

    video.check_pictures(wanted, "25")
    places = SOUND.schedule(110 / 25)
    heard = [p for p in places if p < 1.18] + [p - 0.68 for p in places if 1.88 <= p < 3.86]
    video.check_clicks(heard, tolerance_s=1024 / 48000)  # the edits do not cut where AAC frames begin


def test_edit_that_shows_nothing_in_the_middle(publish: Publisher) -> None:
    whole = clip("whole.mp4", video=x264(gop=25, b_frames=0), sound=None)
    source = patched(
        "clip.mp4", whole, lambda path: with_edits(path.read_bytes(), [(0, 1.2), (-1, 0.6), (2, 2)])
    )
    wanted = one_pass(source, Fraction(25))

    video = publish(source)

    assert sorted(set(wanted)) == [*range(30), *range(50, 100)]
    video.check_pictures(wanted, video.rate)


# --- breaks of time -------------------------------------------------------------------------


@pytest.mark.parametrize("starts", [(10, 2000), (2000, 10)], ids=["forward", "backward"])
def test_transport_stream_with_a_discontinuity(publish: Publisher, starts: tuple[int, int]) -> None:
    """Two recordings, one behind the other: the second plays where the first one ends."""
    parts = [
        clip("a.ts", "-output_ts_offset", str(starts[0]), frames=60),
        clip("b.ts", "-output_ts_offset", str(starts[1]), frames=60, first=60),
    ]

    def append(path: Path) -> None:
        path.write_bytes(b"".join(part.read_bytes() for part in parts))

    source = media("clip.ts", append, *map(str, parts))
    wanted = one_pass(source, Fraction(25))
    assert sorted(set(wanted)) == list(range(120))

    video = publish(source)

    video.check_pictures(wanted, "25")
    video.check_clicks(one_pass_clicks(source))
