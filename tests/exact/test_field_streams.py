"""Which streams of a file belong to the video, and what becomes of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from exact.codecs import VP9
from exact.field import audio, check_undamaged, recoded, skipped, words
from exact.publisher import Publisher
from support.clips import SOUND, Sound, clip, patched, remuxed, x264
from support.isobmff import with_empty_track
from support.published import Published
from vod_operators.errors import InvalidInputError

FRAMES, LENGTH_S = 60, 2.4
LATER = Sound(offset=0.3)
"""A second track, which can be told from the first."""


def check_tracks(video: Published, *sounds: Sound) -> None:
    """Just these, in step with the pictures."""
    assert [track["channels"] for track in audio(video)] == [2] * len(sounds)
    for number, sound in enumerate(sounds):
        video.check_clicks(sound.schedule(LENGTH_S), audio(video)[number]["name"])


def check_skipped(video: Published, why: str, *streams: int) -> None:
    """These streams are told of, with the reason; and no other."""
    told = skipped(video)
    assert len(told) == len(streams) and all(why in line for line in told), told
    for number, line in zip(streams, told, strict=True):
        assert f"stream {number}" in line, told


# --- programmes -----------------------------------------------------------------------------


def radio_and_tv(order: str) -> Path:
    """A multiplex: ``radio`` has the clicks of ``SOUND``, ``tv`` those of ``LATER``.

    :param order: which of the streams come first in the file, and which programme in its table.
    """
    radio = clip("radio.mp4", frames=FRAMES)
    tv = clip("tv.mp4", frames=FRAMES, first=1000, sound=LATER)
    if order == "radio-first":
        maps = ["-map", "0:a", "-map", "1:v", "-map", "1:a"]
        programmes = ["title=Radio:program_num=1:st=0", "title=TV:program_num=2:st=1:st=2"]
    elif order == "tv-first":
        maps = ["-map", "1:v", "-map", "1:a", "-map", "0:a"]
        programmes = ["title=TV:program_num=1:st=0:st=1", "title=Radio:program_num=2:st=2"]
    else:
        maps = ["-map", "0:a", "-map", "1:a", "-map", "1:v"]
        programmes = ["title=TV:program_num=1:st=2:st=1", "title=Radio:program_num=2:st=0"]
    options = [part for programme in programmes for part in ("-program", programme)]
    return recoded("clip.ts", [radio, tv], *maps, "-c", "copy", *options)


@pytest.mark.parametrize(
    ("order", "left_out"), [("radio-first", 0), ("tv-first", 2), ("sound-before-picture", 2)]
)
def test_the_programme_is_that_of_the_picture(publish: Publisher, order: str, left_out: int) -> None:
    video = publish(radio_and_tv(order))

    video.check_pictures(range(1000, 1000 + FRAMES), "25")
    check_tracks(video, LATER)
    check_skipped(video, "another programme", left_out)
    check_undamaged(video)


def two_channels(first: int) -> Path:
    """Two TV programmes of one multiplex; that one's streams come first."""
    one, two = clip("one.mp4", frames=FRAMES), clip("two.mp4", frames=FRAMES, first=1000, sound=LATER)
    maps = [part for number in (first, 1 - first) for part in ("-map", f"{number}:v", "-map", f"{number}:a")]
    programmes = [
        "-program",
        "title=One:program_num=1:st=0:st=1",
        "-program",
        "title=Two:program_num=2:st=2:st=3",
    ]
    return recoded("clip.ts", [one, two], *maps, "-c", "copy", *programmes)


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_of_two_channels(publish: Publisher, first: int) -> None:
    """Never the picture of one and the sound of the other."""
    video = publish(two_channels(first))

    video.check_pictures(range(1000 * first, 1000 * first + FRAMES), "25")
    check_tracks(video, LATER if first else SOUND)
    assert {line.partition("another programme")[1] for line in skipped(video)} == {"another programme"}


def test_radio_of_a_multiplex(publish: Publisher) -> None:
    """Without any picture it is the first programme."""
    one, two = clip("one.mp4", frames=FRAMES), clip("two.mp4", frames=FRAMES, sound=LATER)
    source = recoded(
        "clip.ts", [one, two], "-map", "0:a", "-map", "1:a", "-c", "copy",
        "-program", "title=One:program_num=1:st=0", "-program", "title=Two:program_num=2:st=1",
    )  # fmt: skip

    video = publish(source)

    assert video.renditions == [] and len(audio(video)) == 1
    priming = 1024 / 48000
    video.check_clicks([place + priming for place in SOUND.schedule(LENGTH_S)])
    check_skipped(video, "another programme", 1)


# --- tracks without anything ----------------------------------------------------------------

DROPPED = "noise=amount=0:drop=1"
"""A bitstream filter that lets no packet through: the track is announced, and is empty."""


@pytest.mark.parametrize("number", [1, 2], ids=["first", "second"])
@pytest.mark.parametrize("file", ["clip.mp4", "clip.mov"])
def test_mp4_with_an_empty_track(publish: Publisher, file: str, number: int) -> None:
    """The microphone was forbidden, or a GoPro made a time lapse."""
    whole = clip(f"whole{Path(file).suffix}", frames=FRAMES, sound=[SOUND, LATER])
    source = patched(f"{number}-{file}", whole, lambda path: with_empty_track(path.read_bytes(), number))

    video = publish(source)

    video.check_pictures(range(FRAMES), "25")
    check_tracks(video, LATER if number == 1 else SOUND)
    check_skipped(video, "holds no packets", number)
    check_undamaged(video)


def test_mp4_with_only_an_empty_track_of_sound(publish: Publisher) -> None:
    whole = clip("whole.mp4", frames=FRAMES)

    video = publish(patched("clip.mp4", whole, lambda path: with_empty_track(path.read_bytes(), 1)))

    video.check_clip(frames=FRAMES, sound=None)
    check_skipped(video, "holds no packets", 1)
    assert video.master.media == []


@pytest.mark.parametrize("file", ["clip.mkv", "clip.ts"])
def test_announced_track_of_sound_without_packets(publish: Publisher, file: str) -> None:
    video = publish(remuxed(file, clip("whole.mkv", frames=FRAMES), "-bsf:a", DROPPED))

    video.check_clip(frames=FRAMES, sound=None)
    check_skipped(video, "holds no packets", 1)
    check_undamaged(video)


@pytest.mark.parametrize("file", ["clip.mkv", "clip.ts"])
def test_one_of_two_announced_tracks_has_packets(publish: Publisher, file: str) -> None:
    whole = clip("whole.mkv", frames=FRAMES, sound=[LATER, SOUND])

    video = publish(remuxed(file, whole, "-bsf:a:0", DROPPED))

    video.check_pictures(range(FRAMES), "25")
    check_tracks(video, SOUND)
    check_skipped(video, "holds no packets", 1)


def test_announced_picture_without_packets(publish: Publisher) -> None:
    """What is left is sound; or it is refused, because the picture is what was asked for."""
    source = remuxed("clip.mkv", clip("whole.mkv", frames=FRAMES), "-bsf:v", DROPPED)

    try:
        video = publish(source)
    except InvalidInputError as refusal:
        assert "stream 0" in str(refusal)
    else:
        assert video.renditions == []
        check_tracks(video, SOUND)


# --- audio description ----------------------------------------------------------------------

DESCRIBES = "public.accessibility.describes-video"


def described(file: str, first: str, *options: str) -> Path:
    """Two tracks: the audio description, with the clicks of ``LATER``, and the other.

    :param first: which of them.
    """
    whole = clip("whole.mkv", frames=FRAMES, sound=[LATER, SOUND])
    number = 0 if first == "description" else 1
    maps = ["-map", "-0:a", "-map", f"0:a:{number}", "-map", f"0:a:{1 - number}"]
    languages = [part for n in (0, 1) for part in (f"-metadata:s:a:{n}", "language=eng")]
    flag = "visual_impaired+descriptions" if file == "clip.mkv" else "visual_impaired"
    told = [f"-disposition:a:{number}", flag, f"-disposition:a:{1 - number}", "0"]
    return remuxed(file, whole, *maps, *languages, *told, *options)


@pytest.mark.parametrize("first", ["description", "other"])
@pytest.mark.parametrize("file", ["clip.mkv", "clip.ts"])
def test_audio_description_is_never_the_default(publish: Publisher, file: str, first: str) -> None:
    """Matroska has a flag for it, MPEG-TS a type of audio."""
    video = publish(described(file, first))

    by_clicks = {video.clicks(track["name"])[1] > 1.1: track for track in audio(video)}
    description, other = by_clicks[True], by_clicks[False]
    video.check_clicks(LATER.schedule(LENGTH_S), description["name"])
    video.check_clicks(SOUND.schedule(LENGTH_S), other["name"])
    assert description["characteristics"] == [DESCRIBES]
    assert DESCRIBES not in other.get("characteristics", [])
    listed = {item.uri.split("/")[1]: item for item in video.master.media}
    assert (listed[description["name"]].characteristics, listed[description["name"]].default) == (
        DESCRIBES,
        "NO",
    )
    assert (listed[other["name"]].characteristics, listed[other["name"]].default) == (None, "YES")
    check_undamaged(video)


def test_audio_description_marked_as_the_default(publish: Publisher) -> None:
    """As editors mark whatever comes first."""
    source = described("clip.mkv", "description", "-disposition:a:0", "default+visual_impaired+descriptions")

    video = publish(source)

    defaults = [item for item in video.master.media if item.default == "YES"]
    assert [item.characteristics for item in defaults] == [None]
    video.check_clicks(SOUND.schedule(LENGTH_S), defaults[0].uri.split("/")[1])


def test_audio_description_that_only_its_name_tells(publish: Publisher) -> None:
    """MP4 has no flag for it."""
    whole = clip("whole.mkv", frames=FRAMES, sound=[LATER, SOUND])
    names = ["English Audio Description", "English"]
    options = [
        part for n, name in enumerate(names) for part in (f"-metadata:s:a:{n}", f"handler_name={name}")
    ]

    video = publish(remuxed("clip.mp4", whole, *options))

    (default,) = [item for item in video.master.media if item.default == "YES"]
    video.check_clicks(SOUND.schedule(LENGTH_S), default.uri.split("/")[1])
    assert [DESCRIBES in track.get("characteristics", []) for track in audio(video)].count(True) == 1


# --- mono tracks ----------------------------------------------------------------------------

MONO = [Sound(channels=1, offset=0.11 * number, options=("-c:a", "pcm_s24le")) for number in range(8)]


def master(file: str, tracks: int, *options: str) -> Path:
    """A camera's or a broadcaster's master: a channel a track."""
    video = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "12") if file == "clip.mxf" else x264()
    return clip(file, *options, frames=FRAMES, video=video, sound=MONO[:tracks])


@pytest.mark.parametrize("tracks", [2, 4, 8])
@pytest.mark.parametrize("file", ["clip.mxf", "clip.mov"])
def test_mono_tracks_of_a_master_are_stereo(publish: Publisher, file: str, tracks: int) -> None:
    """The first is left, the second right; the others are told."""
    video = publish(master(file, tracks))

    video.check_pictures(range(FRAMES), "25")
    (only,) = audio(video)
    assert only["channels"] == 2
    for channel in (0, 1):
        video.check_clicks(MONO[channel].schedule(LENGTH_S), only["name"], channel=channel)
    check_skipped(video, "mono", *range(3, tracks + 1))
    check_undamaged(video)


def test_one_mono_track_is_heard_on_both_sides(publish: Publisher) -> None:
    video = publish(master("clip.mxf", 1))

    for channel in (0, 1):
        video.check_clicks(MONO[0].schedule(LENGTH_S), channel=channel)


def test_mono_tracks_of_two_languages_stay_two(publish: Publisher) -> None:
    languages = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=spa")

    video = publish(master("clip.mov", 2, *languages))

    assert len(audio(video)) == 2
    for number, track in enumerate(audio(video)):
        for channel in (0, 1):
            video.check_clicks(MONO[number].schedule(LENGTH_S), track["name"], channel=channel)


# --- ambisonics -----------------------------------------------------------------------------

WHERE = {"left": ("c0=c0|c1=c0", (0,)), "right": ("c0=c0|c1=-1*c0", (1,)), "front": ("c0=c0|c3=c0", (0, 1))}
"""Of order 1, in the order of ACN: all around, left minus right, up minus down, front minus behind."""


@pytest.mark.parametrize("side", WHERE)
@pytest.mark.parametrize("file", ["clip.mkv", "clip.webm", "clip.mp4"])
def test_ambisonics_become_stereo(publish: Publisher, file: str, side: str) -> None:
    """A camera of 360 degrees: what is left is heard left."""
    gains, heard = WHERE[side]
    silent = "|".join(f"c{n}=0*c0" for n in range(4) if f"c{n}=" not in gains)
    video_options = VP9 if file == "clip.webm" else ("-c:v", "copy")
    source = recoded(
        file, [clip("whole.mp4", frames=FRAMES, sound=Sound(channels=1, options=("-c:a", "flac")))],
        "-filter_complex",
        f"[0:a]pan=4.0|{gains}|{silent},channelmap=map=0|1|2|3:channel_layout=ambisonic 1[a]",
        "-map", "0:v", "-map", "[a]", *video_options,
        "-c:a", "libopus", "-mapping_family", "2", "-b:a", "512k",
    )  # fmt: skip

    video = publish(source)

    video.check_pictures(range(FRAMES), "25")
    assert [track["channels"] for track in audio(video)] == [2]
    for channel in (0, 1):
        video.check_clicks(SOUND.schedule(LENGTH_S) if channel in heard else [], channel=channel)
    check_undamaged(video)


# --- a still picture ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "video"),
    [
        pytest.param("clip.mp4", x264(), id="mp4"),
        pytest.param("clip.mkv", x264(), id="matroska"),
        pytest.param("clip.ts", x264(), id="mpeg-ts"),
        pytest.param("clip.mov", ("-c:v", "mjpeg", "-q:v", "2"), id="mjpeg-mov"),
        pytest.param("clip.mkv", ("-c:v", "png"), id="png-matroska"),
    ],
)
def test_still_picture_is_held_for_the_length_of_the_sound(
    publish: Publisher, file: str, video: tuple[str, ...]
) -> None:
    """A podcast."""
    source = clip(file, frames=1, video=video, sound=Sound(seconds=4.4))

    published = publish(source)

    for name in published.renditions:
        shown = published.numbers(name)
        assert set(shown) == {0}
        assert abs(len(shown) / published.rate - 4.4) <= max(1 / published.rate, 0.05)
        assert published.times(name) == [n / published.rate for n in range(len(shown))]
    published.check_clicks(SOUND.schedule(4.4))
    assert "held for the length of the sound" in words(published)
    check_undamaged(published)


def test_pictures_that_end_before_the_sound_are_no_still(publish: Publisher) -> None:
    """As long as the pictures, as ever: only what is one picture is held."""
    video = publish(clip("clip.mp4", frames=60, sound=Sound(seconds=4.4)))

    video.check_pictures(range(60), "25")
    assert "held" not in words(video)


# --- images ---------------------------------------------------------------------------------


def test_gif_is_an_image(publish: Publisher) -> None:
    source = clip("clip.gif", frames=FRAMES, sound=None, video=("-c:v", "gif"), pixel_format="pal8")

    with pytest.raises(InvalidInputError, match="image"):
        publish(source)
