"""What a first look at a file does not show: sound that begins late, and headers that change on the way."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from exact.codecs import HEVC, MPEG2, X265
from exact.field import appended, check_undamaged
from exact.publisher import Publisher
from support.clips import (
    SOUND,
    Sound,
    clip,
    decoded,
    media,
    numbers_in,
    one_pass,
    one_pass_clicks,
    patched,
    remuxed,
    x264,
)
from support.isobmff import joined, without_sync_table
from support.published import Published
from vod_operators.errors import InvalidInputError

MP2 = Sound(options=("-c:a", "mp2", "-b:a", "192k"))
PROBED_BYTES = 8_000_000
"""How much of a file is read to know its streams."""


def published_or_refused(publish: Publisher, source: Path, *reasons: str) -> Published | None:
    """What was published; None if the source was refused with one of these words."""
    try:
        return publish(source)
    except InvalidInputError as refusal:
        assert any(reason in str(refusal) for reason in reasons), refusal
        return None


# --- late sound -----------------------------------------------------------------------------

NOISY = ("-c:v", "mpeg2video", "-b:v", "60M", "-qmin", "1", "-qmax", "2", "-g", "12")


def noisy(file: str, start: float, *options: str) -> Path:
    """Over 8 MB of pictures come before the first sound."""
    return clip(
        file, *options, frames=125, size=(640, 360), video=NOISY, filters="noise=alls=60:allf=t",
        sound=Sound(start=start, seconds=5 - start, options=MP2.options),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("file", "options"),
    [
        pytest.param("clip.ts", (), id="mpeg-ts"),
        pytest.param("clip.m2ts", ("-mpegts_m2ts_mode", "1"), id="m2ts"),
        pytest.param("clip.mpg", ("-f", "vob"), id="mpeg-ps"),
        pytest.param("clip.vob", (), id="vob"),
    ],
)
def test_sound_that_begins_late(publish: Publisher, file: str, options: tuple[str, ...]) -> None:
    """The stage was silent, or the recorder's sound was switched on later."""
    start = 3.4
    source = noisy(file, start, *options)
    assert source.stat().st_size * start / 5 > PROBED_BYTES

    video = publish(source)

    video.check_pictures(range(125), "25")
    assert len(video.tracks("audio")) == 1
    video.check_clicks([place + start for place in Sound(seconds=5 - start).schedule(5 - start)])
    check_undamaged(video)


def test_sound_after_much_filling(publish: Publisher) -> None:
    """A constant rate of bits, as broadcasters send it, most of it empty packets."""
    sound = Sound(start=3, seconds=1.4)
    source = clip("clip.ts", "-muxrate", "30M", sound=sound)
    assert source.stat().st_size * 3 / 4.4 > PROBED_BYTES

    video = publish(source)

    video.check_pictures(range(110), "25")
    video.check_clicks([place + 3 for place in sound.schedule(1.4)])


def test_second_sound_that_begins_late(publish: Publisher) -> None:
    """The first is there from the start."""
    sounds = [SOUND, Sound(start=3, seconds=1.4)]
    source = clip("clip.ts", "-muxrate", "30M", sound=sounds)

    video = publish(source)

    first, second = video.tracks("audio")
    video.check_clicks(SOUND.schedule(4.4), first["name"])
    video.check_clicks([place + 3 for place in sounds[1].schedule(1.4)], second["name"])


@pytest.mark.parametrize("file", ["clip.ts", "clip.mpg"])
def test_sound_that_no_table_announces_at_first(publish: Publisher, file: str) -> None:
    """Pictures alone; then a recording with sound is put behind."""
    options = ("-f", "vob") if file == "clip.mpg" else ()
    parts = [
        clip(f"{n}-{file}", *options, "-output_ts_offset", f"{1 + 2.4 * n}", frames=60, first=60 * n,
             video=(*MPEG2, "-bf", "0"), sound=MP2 if n else None)
        for n in (0, 1)
    ]  # fmt: skip

    video = publish(appended(file, *parts))

    video.check_pictures(range(120), "25")
    video.check_clicks([place + 2.4 for place in MP2.schedule(2.4)], tolerance_s=0.025)
    check_undamaged(video)


# --- other identifiers ----------------------------------------------------------------------


def two_recordings(file: str, *second: str, first_options: Sequence[str] = ()) -> Path:
    """One behind the other; each 60 pictures."""
    plain = x264(gop=20, b_frames=0)
    return appended(
        file,
        clip("a.ts", "-output_ts_offset", "1", *first_options, frames=60, video=plain),
        clip("b.ts", "-output_ts_offset", "3.4", *second, frames=60, first=60, video=plain),
    )


def check_both(publish: Publisher, source: Path) -> None:
    """All that was recorded; or the source is refused, with the reason. Never half of it."""
    video = published_or_refused(publish, source, "PID", "programme", "change", "stream")
    if video is not None:
        video.check_pictures(range(120), "25")
        places = SOUND.schedule(2.4)
        video.check_clicks([*places, *(place + 2.4 for place in places)], tolerance_s=0.025)
        check_undamaged(video)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(("-mpegts_start_pid", "0x300"), id="streams"),
        pytest.param(("-mpegts_start_pid", "0x300", "-mpegts_pmt_start_pid", "0x1200"), id="table-too"),
        pytest.param(("-mpegts_service_id", "7", "-mpegts_start_pid", "0x300"), id="programme-too"),
        pytest.param(("-streamid", "1:0x333"), id="sound-alone"),
        pytest.param(("-streamid", "0:0x333"), id="picture-alone"),
    ],
)
def test_other_pids_in_mid_file(publish: Publisher, second: tuple[str, ...]) -> None:
    """A new version of the programme's table, as when a programme ends and another begins."""
    check_both(publish, two_recordings("clip.ts", *second, "-tables_version", "3"))


def test_another_codec_in_mid_file(publish: Publisher) -> None:
    """On the same PID, which the table tells."""
    second = clip(
        "b.ts", "-output_ts_offset", "3.4", "-tables_version", "3",
        frames=60, first=60, video=(*HEVC, X265 + "0"),
    )  # fmt: skip
    first = clip("a.ts", "-output_ts_offset", "1", frames=60, video=x264(gop=20, b_frames=0))

    check_both(publish, appended("clip.ts", first, second))


# --- other headers --------------------------------------------------------------------------

HIGH = (
    "-c:v", "libx264", "-preset", "medium", "-profile:v", "high", "-crf", "18",
    "-x264-params", "keyint=25:min-keyint=25:scenecut=0:bframes=0:cabac=1:ref=4:8x8dct=1",
)  # fmt: skip
REORDERED = x264(gop=25, b_frames=2, open_gop=False)
PLAIN = x264(gop=25, b_frames=0, open_gop=False)


@pytest.mark.parametrize(
    ("first", "second", "sounds", "size"),
    [
        pytest.param(PLAIN, HIGH, (None, None), (128, 72), id="profile"),
        pytest.param(HIGH, PLAIN, (SOUND, SOUND), (128, 72), id="profile-with-sound"),
        pytest.param(PLAIN, PLAIN, (None, None), (256, 144), id="size"),
        pytest.param(PLAIN, PLAIN, (SOUND, Sound(channels=1)), (128, 72), id="channels-of-sound"),
        pytest.param((*HEVC, X265 + "0"), (*HEVC, X265 + "0:ctu=16"), (None, None), (128, 72), id="hevc"),
    ],
)
def test_two_sample_descriptions(
    publish: Publisher,
    first: tuple[str, ...],
    second: tuple[str, ...],
    sounds: tuple[Sound | None, Sound | None],
    size: tuple[int, int],
) -> None:
    """Two recordings put together by MP4Box."""
    one = clip("one.mp4", frames=75, video=first, sound=sounds[0])
    two = clip("two.mp4", frames=75, first=75, video=second, sound=sounds[1], size=size)

    def put_together(path: Path) -> None:
        path.write_bytes(joined(one.read_bytes(), two.read_bytes()))

    source = media("clip.mp4", put_together, str(one), str(two))
    assert numbers_in(decoded(source, 128, 72, "scale=128:72")) == list(range(150))

    video = published_or_refused(publish, source, "sample description")

    if video is not None:
        video.check_pictures(range(150), "25")
        if sounds[0]:
            video.check_clicks(one_pass_clicks(source))
        check_undamaged(video)


def flv_appended(file: str, first: Path, second: Path) -> Path:
    """As a server that goes on in the same file: the second's tags, its sequence headers too."""

    def build(path: Path) -> None:
        path.write_bytes(first.read_bytes() + second.read_bytes()[13:])

    return media(file, build, str(first), str(second))


@pytest.mark.parametrize(
    ("one", "two", "sound"),
    [
        pytest.param(PLAIN, HIGH, SOUND, id="profile"),
        pytest.param(PLAIN, HIGH, Sound(channels=1), id="and-channels"),
    ],
)
def test_flash_with_new_sequence_headers(
    publish: Publisher, one: tuple[str, ...], two: tuple[str, ...], sound: Sound
) -> None:
    source = flv_appended(
        "clip.flv",
        clip("one.flv", "-output_ts_offset", "1", frames=60, video=one),
        clip("two.flv", "-output_ts_offset", "3.4", frames=60, first=60, video=two, sound=sound),
    )
    assert one_pass(source, Fraction(25)) == list(range(120))

    video = published_or_refused(publish, source, "sequence header", "change")

    if video is not None:
        video.check_pictures(range(120), "25")
        video.check_clicks(one_pass_clicks(source))
        check_undamaged(video)


def test_matroska_of_two_profiles(publish: Publisher) -> None:
    """Joined without a change of its header: parameter sets are in the pictures."""
    parts = [
        clip(
            f"{n}.ts", "-output_ts_offset", f"{1 + 2.4 * n}", frames=60, first=60 * n, video=video, sound=MP2
        )
        for n, video in enumerate((PLAIN, HIGH))
    ]
    source = remuxed("clip.mkv", appended("joined.ts", *parts))
    assert one_pass(source, Fraction(25)) == list(range(120))

    video = publish(source)

    video.check_pictures(range(120), "25")
    video.check_clicks(one_pass_clicks(source))
    check_undamaged(video)


# --- false key frames -----------------------------------------------------------------------


@pytest.mark.parametrize("gop", [60, 350], ids=lambda gop: f"a-real-one-in-{gop}")
def test_every_picture_is_called_a_key_frame(publish: Publisher, gop: int) -> None:
    """MP4 without a table of them: 14 s without one that really is."""
    frames = 2 * gop + 20
    whole = clip("whole.mp4", frames=frames, video=x264(gop=gop, b_frames=0, open_gop=False))
    source = patched("clip.mp4", whole, lambda path: without_sync_table(path.read_bytes()))
    assert one_pass(source, Fraction(25)) == list(range(frames))

    video = publish(source)

    video.check_clip(frames=frames)
    check_undamaged(video)


def test_every_picture_of_reordered_ones_is_called_a_key_frame(publish: Publisher) -> None:
    whole = clip("whole.mp4", frames=150, video=x264(gop=70, b_frames=3, open_gop=False))
    source = patched("clip.mp4", whole, lambda path: without_sync_table(path.read_bytes()))

    video = publish(source)

    video.check_clip(frames=150)
    check_undamaged(video)
