"""Sound tracks of every kind stay in step with the picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from exact.publisher import Publisher
from support.clips import SOUND, Sound, clip, media, remuxed, run_ffmpeg, write_wav
from support.presets import PRESET

AC3 = ("-c:a", "ac3", "-b:a", "448k")


def test_none(publish: Publisher) -> None:
    video = publish(clip("clip.mp4", sound=None))

    video.check_clip(sound=None)
    assert video.video["source"]["audio_tracks"] == 0
    assert video.master.media == []


@pytest.mark.parametrize(
    ("file", "sound"),
    [
        pytest.param("clip.mp4", Sound(channels=1), id="mono"),
        pytest.param("clip.mp4", Sound(sample_rate=44_100), id="44.1-khz"),
        pytest.param("clip.mp4", Sound(sample_rate=22_050, channels=1), id="22-khz-mono"),
        pytest.param("clip.mkv", Sound(sample_rate=96_000, options=("-c:a", "pcm_s16le")), id="96-khz"),
        pytest.param("clip.mp4", Sound(start=0.7), id="starts-late"),
        pytest.param("clip.mkv", Sound(start=0.7), id="starts-late-matroska"),
        pytest.param("clip.ts", Sound(start=0.7), id="starts-late-mpeg-ts"),
        pytest.param("clip.mp4", Sound(seconds=6.3), id="longer-than-the-video"),
        pytest.param("clip.mp4", Sound(seconds=2.2), id="shorter-than-the-video"),
        pytest.param("clip.ts", Sound(seconds=2.2), id="shorter-mpeg-ts"),
        pytest.param("clip.ts", Sound(options=AC3), id="ac3"),
        pytest.param("clip.mkv", Sound(options=("-c:a", "libopus")), id="opus"),
        pytest.param("clip.mkv", Sound(options=("-c:a", "libvorbis")), id="vorbis"),
        pytest.param("clip.mkv", Sound(options=("-c:a", "flac")), id="flac"),
        pytest.param("clip.mp4", Sound(options=("-c:a", "libmp3lame")), id="mp3"),
    ],
)
def test_track(publish: Publisher, file: str, sound: Sound) -> None:
    video = publish(clip(file, sound=sound))

    video.check_pictures(range(110), "25")
    # The sound ends with the picture (Apple 8.3).
    places = [place + sound.start for place in sound.schedule(110 / 25) if place + sound.start < 110 / 25]
    lasts = {round(track["duration_s"] - 4.4, 2) for track in video.tracks("audio")}
    assert all(0 <= more <= 0.05 for more in lasts)
    for channel in (0, 1):
        video.check_clicks(places, channel=channel)


@pytest.mark.parametrize("options", [("-c:a", "aac", "-b:a", "384k"), AC3], ids=["aac", "ac3"])
@pytest.mark.parametrize(
    ("channel", "heard"),
    [
        pytest.param(0, {0}, id="left"),
        pytest.param(1, {1}, id="right"),
        pytest.param(2, {0, 1}, id="centre"),
        pytest.param(4, {0}, id="left-behind"),
        pytest.param(5, {1}, id="right-behind"),
    ],
)
def test_surround_is_mixed_down(
    publish: Publisher, options: tuple[str, ...], channel: int, heard: set[int]
) -> None:
    """5.1 is left, right, centre, low, left behind, right behind."""
    sound = Sound(channels=6, only=channel, options=options)
    video = publish(clip("clip.mp4", sound=sound, frames=60))

    for side in (0, 1):
        video.check_clicks(sound.schedule(60 / 25) if side in heard else [], channel=side)
    assert video.tracks("audio")[0]["channels"] == 2
    assert abs(video.sound("audio-0").samples).max() < 0.99, "the mix is clipped"


@pytest.mark.parametrize("channel", [0, 1, 2, 4, 5])
def test_surround_is_kept_where_the_preset_asks(publish: Publisher, channel: int) -> None:
    """Beside the stereo mix, with every channel in its place."""
    sound = Sound(channels=6, only=channel, options=AC3)

    video = publish(
        clip("clip.mp4", sound=sound, frames=60),
        preset={"audio": PRESET["audio"] | {"surround_bitrate_bps": 384_000}},
    )

    stereo, surround = video.tracks("audio")
    assert (stereo["channels"], surround["channels"]) == (2, 6)
    assert video.stream(surround["name"])["channel_layout"].startswith("5.1")
    for other in (0, 1, 2, 4, 5):
        places = sound.schedule(60 / 25) if other == channel else []
        video.check_clicks(places, surround["name"], channel=other)
    by_channels = {item.channels: item.group_id for item in video.master.media}
    assert set(by_channels) == {"2", "6"} and len(set(by_channels.values())) == 2
    listed = {
        channels: sum(item.stream_info.audio == group for item in video.master.playlists)
        for channels, group in by_channels.items()
    }
    # With such small pictures, 5.1 stands with the largest alone (docs/decisions/028).
    assert listed == {"2": len(video.renditions), "6": 1}


def test_surround_is_not_made_of_stereo(publish: Publisher) -> None:
    audio = PRESET["audio"] | {"surround_bitrate_bps": 384_000}

    video = publish(clip("clip.mp4", frames=30), preset={"audio": audio})

    assert [track["channels"] for track in video.tracks("audio")] == [2]


def test_surround_is_a_second_group(publish: Publisher) -> None:
    """A track that has none stands in it as it is."""
    sounds = [Sound(channels=6, only=4), Sound(offset=0.2)]
    source = clip("clip.mkv", "-metadata:s:a:0", "language=eng", sound=sounds, frames=60)

    audio = {"channels": 2, "sample_rate": 48000, "bitrate_bps": 128_000, "surround_bitrate_bps": 384_000}
    video = publish(source, preset={"audio": audio})

    assert [(track["name"], track["channels"]) for track in video.tracks("audio")] == [
        ("audio-0", 2),
        ("audio-1", 2),
        ("audio-0-surround", 6),
    ]
    groups = {(item.group_id, item.uri.split("/")[1], item.channels) for item in video.master.media}
    assert groups == {
        ("audio", "audio-0", "2"),
        ("audio", "audio-1", "2"),
        ("audio-surround", "audio-0-surround", "6"),
        ("audio-surround", "audio-1", "2"),
    }
    # Both pictures have too few bits for surround, so it is with the larger one only.
    listed = [item.stream_info.audio for item in video.master.playlists]
    assert listed == ["audio", "audio", "audio-surround"]


def test_three_languages(publish: Publisher) -> None:
    sounds = [Sound(), Sound(offset=0.2), Sound(offset=0.45)]
    source = clip(
        "clip.mkv",
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=English"),
        *("-metadata:s:a:1", "language=deu", "-metadata:s:a:1", "title=Deutsch"),
        *("-metadata:s:a:2", "language=fra", "-metadata:s:a:2", "title=Commentaire"),
        *("-disposition:a:0", "0", "-disposition:a:1", "default", "-disposition:a:2", "0"),
        sound=sounds,
    )

    video = publish(source)

    video.check_pictures(range(110), "25")
    for number, sound in enumerate(sounds):
        video.check_clicks(sound.schedule(110 / 25), f"audio-{number}")
    listed = [(item.language, item.name, item.default) for item in video.master.media]
    assert [(language[:2], name, default) for language, name, default in listed] == [
        ("en", "English", "NO"),
        ("de", "Deutsch", "YES"),
        ("fr", "Commentaire", "NO"),
    ]
    headers = [video.stream(f"audio-{number}")["tags"]["language"] for number in range(3)]
    assert headers == ["eng", "deu", "fra"]
    assert [item.group_id for item in video.master.media] == ["audio"] * 3
    assert all(item.stream_info.audio == "audio" for item in video.master.playlists)


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_gap_in_the_timestamps(publish: Publisher, file: str) -> None:
    """Silence where the source has none; what follows is where it was."""
    whole = clip("whole.mkv")
    drop = "noise=amount=0:drop=between(pts*tb\\,1.5\\,2.4)"

    video = publish(remuxed(file, whole, "-bsf:a", drop))

    video.check_pictures(range(110), "25")
    video.check_clicks([place for place in SOUND.schedule(110 / 25) if not 1.5 <= place <= 2.4])


# --- without pictures -----------------------------------------------------------------------


AAC = ("-c:a", "aac", "-b:a", "128k")
MP3 = ("-c:a", "libmp3lame", "-b:a", "128k")


@pytest.mark.parametrize(
    ("file", "options", "cover"),
    [
        pytest.param("clip.m4a", AAC, False, id="m4a"),
        pytest.param("clip.m4a", AAC, True, id="m4a-with-cover"),
        pytest.param("clip.mp3", MP3, False, id="mp3"),
        pytest.param("clip.mp3", MP3, True, id="mp3-with-cover"),
        pytest.param("clip.wav", (), False, id="wav"),
        pytest.param("clip.flac", (), True, id="flac-with-cover"),
        pytest.param("clip.ogg", ("-c:a", "libopus"), False, id="ogg-opus"),
        pytest.param("clip.mka", AAC, False, id="matroska"),
        pytest.param("clip.ts", AAC, False, id="mpeg-ts"),
    ],
)
def test_audio_only(publish: Publisher, file: str, options: tuple[str, ...], cover: bool) -> None:
    def build(path: Path) -> None:
        wav = path.with_name("sound-1.wav")
        write_wav(wav, SOUND.pcm(4.4), SOUND.sample_rate)
        picture: tuple[str, ...] = ()
        if cover:
            art = path.with_name("cover.jpg")
            run_ffmpeg("-f", "lavfi", "-i", "color=red:s=300x200", "-frames:v", "1", str(art))
            picture = (
                "-i",
                str(art),
                "-map",
                "0",
                "-map",
                "1",
                "-c:v",
                "copy",
                "-disposition:v",
                "attached_pic",
            )
        run_ffmpeg("-i", str(wav), *picture, *options, str(path))

    source = media(file, build, options, cover)

    video = publish(source)

    assert video.renditions == []
    # MPEG-TS does not say how much of the beginning is the encoder's priming.
    priming = 1024 / 48000 if file == "clip.ts" else 0
    video.check_clicks([place + priming for place in SOUND.schedule(4.4)])
    (variant,) = video.master.playlists
    assert variant.stream_info.codecs == "mp4a.40.2"
    assert variant.stream_info.resolution is None
    assert (video.folder / variant.uri).is_file()
