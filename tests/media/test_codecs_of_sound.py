"""Sound in several codecs: what presets may ask for, what is planned, and how it is listed."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import m3u8
import pytest
from mpegdash.parser import MPEGDASHParser

from support.tracks import made_up_track
from vod_operators.errors import InvalidInputError, VerificationError
from vod_operators.media import dash, hls, loudness, measure
from vod_operators.media.loudness import Gain, Loudness
from vod_operators.media.models import AudioRendition, AudioStream, Source
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.presets.model import Preset
from vod_operators.media.renditions import plan_audio
from vod_operators.media.track import Track

RUNG: dict[str, Any] = {"name": "540p", "width": 960, "height": 540, "crf": 23, "max_bitrate_bps": 1000}


def a_stream(**facts: Any) -> AudioStream:
    known = {"index": 1, "codec": "aac", "channels": 2, "sample_rate": 48_000}
    return AudioStream(**(known | {"time_base": Fraction(1, 48_000)} | facts))


def a_source(*streams: AudioStream) -> Source:
    return Source(container="mp4", size_bytes=1, audio=streams)


def a_track(name: str, size: int, **facts: Any) -> Track:
    return made_up_track(name, [(size, Fraction(6))], **facts)


def a_sound(name: str, size: int, **facts: Any) -> Track:
    return a_track(name, size, **({"kind": "audio", "codecs": "mp4a.40.2", "title": name} | facts))


def preset(tmp_path: Path, fields: dict[str, Any], **audio: Any) -> Preset:
    ladder = {"encoder": "libx264", "encoder_preset": "fast", "rungs": [RUNG]}
    made = {"title": "t", "description": "d", "ladders": [ladder], "audio": {"bitrate_bps": 64_000, **audio}}
    (tmp_path / "mine.json").write_text(json.dumps(made | fields), "utf-8")
    return load_preset("mine", tmp_path)


DOLBY: dict[str, Any] = {"ac3_bitrate_bps": 448_000, "eac3_bitrate_bps": 384_000}


@pytest.mark.parametrize(
    ("fields", "audio", "words"),
    [
        ({}, {"ac3_bitrate_bps": 400_000}, "ac3_bitrate_bps: Input should be 384000, 448000 or 640000"),
        ({}, {"eac3_bitrate_bps": 100_000}, "eac3_bitrate_bps: Input should be greater than or equal to"),
        ({}, {"passthrough": True}, "passthrough: give ac3_bitrate_bps or eac3_bitrate_bps too"),
        ({}, {**DOLBY, "passthrough": True, "loudness": -23}, "untouched sound keeps its loudness"),
        ({}, {"profile": "he", "bitrate_bps": 96_000}, "bitrate_bps: HE-AAC has at most 64000 b/s"),
        ({"container": "ts"}, {"ac3_bitrate_bps": 448_000}, "ac3_bitrate_bps: container ts has AAC-LC only"),
        ({"container": "ts"}, {"opus_bitrate_bps": 96_000}, "opus_bitrate_bps: container ts has AAC-LC only"),
        ({"container": "ts"}, {"profile": "he"}, "profile: container ts has AAC-LC only"),
        ({"encryption": "aes-128"}, {"opus_bitrate_bps": 96_000}, "opus_bitrate_bps: Opus is for the DASH"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, fields: dict[str, Any], audio: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        preset(tmp_path, fields, **audio)
    assert words in str(refused.value)


def test_what_is_off_is_not_written(tmp_path: Path) -> None:
    """So the fingerprints of presets and plans of earlier releases stay what they were."""
    plain = preset(tmp_path, {})
    assert set(plain.model_dump(mode="json")["audio"]) == {
        "channels", "sample_rate", "bitrate_bps", "surround_bitrate_bps", "mono_tracks", "loudness",
    }  # fmt: skip
    (audio,), _ = plan_audio(a_source(a_stream()), plain)
    assert not {"codec", "passthrough"} & set(audio.model_dump(mode="json"))


def test_renditions(tmp_path: Path) -> None:
    asked = preset(
        tmp_path, {}, **DOLBY, surround_bitrate_bps=384_000, opus_bitrate_bps=96_000, passthrough=True,
        sample_rate=44_100,
    )  # fmt: skip
    streams = (a_stream(channels=6, codec="eac3"), a_stream(index=2), a_stream(index=3, channels=8))

    made, _ = plan_audio(a_source(*streams), asked)

    assert [(a.name, a.codec, a.channels, a.sample_rate, a.bitrate_bps, a.passthrough) for a in made] == [
        ("audio-0", "aac", 2, 44_100, 64_000, False),
        ("audio-1", "aac", 2, 44_100, 64_000, False),
        ("audio-2", "aac", 2, 44_100, 64_000, False),
        ("audio-0-surround", "aac", 6, 44_100, 384_000, False),
        ("audio-2-surround", "aac", 6, 44_100, 384_000, False),
        ("audio-0-ac3", "ac3", 6, 48_000, 448_000, False),
        ("audio-1-ac3", "ac3", 2, 48_000, 192_000, False),
        ("audio-2-ac3", "ac3", 6, 48_000, 448_000, False),
        ("audio-0-eac3", "eac3", 6, 48_000, 384_000, True),
        ("audio-1-eac3", "eac3", 2, 48_000, 128_000, False),
        ("audio-2-eac3", "eac3", 6, 48_000, 384_000, False),
        ("audio-0-opus", "opus", 2, 48_000, 96_000, False),
        ("audio-1-opus", "opus", 2, 48_000, 96_000, False),
        ("audio-2-opus", "opus", 2, 48_000, 96_000, False),
    ]
    assert {audio.track for audio in made} == {"audio-0", "audio-1", "audio-2"}


def test_he_aac_is_that_of_stereo_alone(tmp_path: Path) -> None:
    asked = preset(tmp_path, {}, profile="he", surround_bitrate_bps=384_000)
    made, _ = plan_audio(a_source(a_stream(channels=6)), asked)
    assert [audio.codec for audio in made] == ["he-aac", "aac"]


VIDEOS = [a_track("360p", 100_000, height=360), a_track("1080p", 9_000_000, height=1080)]
SOUNDS = [
    a_sound("audio-0", 90_000, title="English", language="en", channels=2, default=True),
    a_sound("audio-1", 90_000, title="Commentary", language="en", channels=2, commentary=True),
]


def dolby(name: str, codecs: str, **facts: Any) -> Track:
    told = {"title": "English", "language": "en", "default": True, "channels": 6, "speakers": 0xF801}
    return a_sound(name, 300_000, codecs=codecs, **(told | facts))


def commentary(name: str, codecs: str) -> Track:
    told = {"title": "Commentary", "commentary": True, "default": False, "channels": 2, "speakers": 0xA000}
    return dolby(name, codecs, **told)


TRACKS = [
    *VIDEOS, *SOUNDS, dolby("audio-0-surround", "mp4a.40.2", speakers=0), dolby("audio-0-ac3", "ac-3"),
    commentary("audio-1-ac3", "ac-3"),
    dolby("audio-0-eac3", "ec-3", joc=16), commentary("audio-1-eac3", "ec-3"),
    a_sound("audio-0-opus", 80_000, codecs="Opus", title="English", language="en", channels=2),
]  # fmt: skip


def test_each_codec_of_surround_is_a_group_of_the_same_members() -> None:
    master = m3u8.loads(hls.master_playlist(TRACKS, 6, prefix=""))

    assert [(item.group_id, item.name, item.channels, item.uri.split("/")[0]) for item in master.media] == [
        ("audio", "English", "2", "audio-0"),
        ("audio", "Commentary", "2", "audio-1"),
        ("audio-surround", "English", "6", "audio-0-surround"),
        ("audio-surround", "Commentary", "2", "audio-1"),
        ("audio-ac3", "English", "6", "audio-0-ac3"),
        ("audio-ac3", "Commentary", "2", "audio-1-ac3"),
        ("audio-eac3", "English", "16/JOC", "audio-0-eac3"),
        ("audio-eac3", "Commentary", "2", "audio-1-eac3"),
    ]
    variants = [p.stream_info for p in master.playlists]
    assert [(v.audio, v.codecs.split(",")[1:]) for v in variants] == [
        ("audio", ["mp4a.40.2"]),
        ("audio", ["mp4a.40.2"]),
        ("audio-surround", ["mp4a.40.2"]),
        ("audio-ac3", ["ac-3"]),
        ("audio-eac3", ["ec-3"]),
    ]


def test_dash_tells_loudspeakers_and_objects() -> None:
    sets = MPEGDASHParser.parse(dash.manifest(TRACKS, 6, prefix="")).periods[0].adaptation_sets
    sounds = [one for one in sets if one.content_type == "audio"]

    told = [
        (
            one.representations[0].codecs,
            one.representations[0].audio_channel_configurations[0].scheme_id_uri.split(":")[1],
            one.representations[0].audio_channel_configurations[0].value,
        )
        for one in sounds
    ]
    assert told == [
        ("mp4a.40.2", "mpeg", "2"),
        ("mp4a.40.2", "mpeg", "2"),
        ("mp4a.40.2", "mpeg", "6"),
        ("ac-3", "dolby.com,2014", "F801"),
        ("ac-3", "dolby.com,2014", "A000"),
        ("ec-3", "dolby.com,2014", "F801"),
        ("ec-3", "dolby.com,2014", "A000"),
        ("Opus", "mpeg", "2"),
    ]
    properties = [one.representations[0].supplemental_properties for one in sounds]
    assert [[(p.scheme_id_uri, p.value) for p in found or ()] for found in properties][5] == [
        ("tag:dolby.com,2018:dash:EC3_ExtensionType:2018", "JOC"),
        ("tag:dolby.com,2018:dash:EC3_ExtensionComplexityIndex:2018", "16"),
    ]
    text = dash.manifest(TRACKS, 6, prefix="")
    labels = ["English", "Commentary", "English 5.1", "English 5.1 Dolby Digital", "English Dolby Atmos",
              "Commentary Dolby Digital", "English Opus"]  # fmt: skip
    assert [text.count(f"<Label>{label}</Label>") for label in labels] == [1] * 7


def rendition(**facts: Any) -> AudioRendition:
    told = {"name": "audio-0-ac3", "track": "audio-0", "codec": "ac3", "channels": 6, "bitrate_bps": 448_000}
    rest = {"sample_rate": 48_000, "language": None, "title": "t", "default": True}
    return AudioRendition(**(told | rest | {"stream": a_stream(channels=6)} | facts))


def test_every_sample_is_counted() -> None:
    sound = a_sound("audio-0-ac3", 1, timescale=48_000, codecs="ac-3", channels=6)
    measure.check_audio_track(sound, rendition(), 288_000)
    with pytest.raises(VerificationError, match="288000 samples are heard, planned 287999"):
        measure.check_audio_track(sound, rendition(), 287_999)
    with pytest.raises(VerificationError, match="is ac-3, planned ec-3"):
        measure.check_audio_track(sound, rendition(codec="eac3"), 288_000)
    with pytest.raises(VerificationError, match="at most 1792 of padding"):
        measure.check_audio_track(sound, rendition(), 288_000 - 1793)
    with pytest.raises(VerificationError, match="6 channels at 48000 Hz, planned 2"):
        measure.check_audio_track(sound, rendition(channels=2), 288_000)
    # A source's own may have more.
    seven = a_sound("audio-0-ac3", 1, timescale=48_000, codecs="ac-3", channels=8)
    measure.check_audio_track(seven, rendition(passthrough=True), 288_000)


@pytest.mark.parametrize(("lufs", "gain", "told"), [(-27.4, 4.4, -23), (-70, 0, -31), (-3, 2.6, -1)])
def test_dolbys_decoders_are_told_the_loudness(lufs: float, gain: float, told: int) -> None:
    measured = Loudness(integrated_lufs=lufs, true_peak_db=-6)
    assert loudness.dialogue(measured, Gain(db=gain, peak_limited=False)) == told
