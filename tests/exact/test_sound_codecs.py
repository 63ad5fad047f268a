"""Sound in Dolby's codecs and in Opus: each sample where it was; and a source's own frames, untouched."""

from __future__ import annotations

import json
from base64 import b64encode
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from exact.publisher import Publisher
from support.clips import Sound, clip, media, remuxed, run_ffmpeg
from support.dolby import frames_of, with_objects
from support.presets import PRESET
from support.published import Published
from vod_operators.errors import InvalidInputError
from vod_operators.formats.isobmff import read_fragments
from vod_operators.formats.samples import decrypted_samples

AC3 = ("-c:a", "ac3", "-b:a", "448k")
EAC3 = ("-c:a", "eac3", "-b:a", "384k")
PCM = ("-c:a", "pcm_s16le")

SAMPLE_S = 1 / 48_000

MS_S = 0.0011
"""Matroska rounds times to milliseconds, of pictures and of sound."""


def asked(**fields: Any) -> dict[str, Any]:
    return {"audio": PRESET["audio"] | fields}


ALL = asked(ac3_bitrate_bps=448_000, eac3_bitrate_bps=384_000, opus_bitrate_bps=96_000)
COPIED = asked(ac3_bitrate_bps=448_000, eac3_bitrate_bps=384_000, passthrough=True)


def names(video: Published) -> list[str]:
    return [track["name"] for track in video.tracks("audio")]


def track_of(video: Published, end: str) -> dict[str, Any]:
    (found,) = (track for track in video.tracks("audio") if track["name"].endswith(end))
    return found


def payload(video: Published, name: str) -> list[bytes]:
    """The samples of a published track."""
    found = []
    for path in sorted(video.playlist(name).parent.glob("seg-*.m4s")):
        data = path.read_bytes()
        for fragment in read_fragments(data):
            found += [data[sample.position : sample.end] for sample in fragment.samples]
    return found


@pytest.mark.parametrize("only", [0, 4])
def test_every_sample_is_where_it_was(publish: Publisher, only: int) -> None:
    sound = Sound(channels=6, only=only, options=PCM)

    video = publish(clip("clip.mkv", sound=sound, frames=60), preset=ALL)

    assert names(video) == ["audio-0", "audio-0-ac3", "audio-0-eac3", "audio-0-opus"]
    for name, channels, codec in (("ac3", 6, "ac-3"), ("eac3", 6, "ec-3"), ("opus", 2, "Opus")):
        track = track_of(video, f"-{name}")
        assert (track["channels"], track["codecs"]) == (channels, codec)
        assert video.stream(track["name"])["codec_name"] == name
        heard = video.sound(track["name"])
        # The last frame has more samples than are heard: its duration ends with the picture.
        assert heard.frames[-1][0] < 60 * 1920 <= sum(heard.frames[-1])
        for channel in {0, only} if channels == 6 else {0}:
            places = sound.schedule(60 / 25) if channel == only or name == "opus" else []
            video.check_clicks(places, track["name"], channel, tolerance_s=2 * SAMPLE_S)
    groups = {item.group_id: (item.channels, item.uri.split("/")[1]) for item in video.master.media}
    assert groups == {
        "audio": ("2", "audio-0"),
        "audio-ac3": ("6", "audio-0-ac3"),
        "audio-eac3": ("6", "audio-0-eac3"),
    }
    for item in video.master.playlists:
        codecs = item.stream_info.codecs.split(",")
        told = {"audio": "mp4a.40.2", "audio-ac3": "ac-3", "audio-eac3": "ec-3"}[item.stream_info.audio]
        assert len(codecs) == 2 and codecs[1] == told
    manifest = (video.folder / "manifest.mpd").read_text("utf-8")
    root = ElementTree.fromstring(manifest)
    told = {r.get("id"): r.get("codecs") for r in root.iter("{urn:mpeg:dash:schema:mpd:2011}Representation")}
    assert [told.get(name) for name in names(video)] == ["mp4a.40.2", "ac-3", "ec-3", "Opus"]
    assert video.video["warnings"] == []


def test_a_group_has_one_codec(publish: Publisher) -> None:
    """A track without 5.1 too, beside one that has it; a source's own stereo is passed through."""
    sounds = [Sound(channels=6, options=AC3, seconds=3), Sound(offset=0.2, options=AC3, seconds=3)]

    video = publish(clip("clip.mkv", sound=sounds, frames=60), preset=COPIED)

    assert [(track["name"], track["channels"], track["copied"]) for track in video.tracks("audio")] == [
        ("audio-0", 2, False),
        ("audio-1", 2, False),
        ("audio-0-ac3", 6, True),
        ("audio-1-ac3", 2, True),
        ("audio-0-eac3", 6, False),
        ("audio-1-eac3", 2, False),
    ]
    for name, sound in (("audio-0-ac3", sounds[0]), ("audio-1-ac3", sounds[1]), ("audio-1-eac3", sounds[1])):
        places = [place for place in sound.schedule(60 / 25) if place < 2.35]
        video.check_clicks(places, name, tolerance_s=MS_S)
    for item in video.master.playlists:
        assert len(item.stream_info.codecs.split(",")) == 2


def test_stereo_has_no_dolby(publish: Publisher) -> None:
    video = publish(clip("clip.mp4", frames=30), preset=ALL)

    assert names(video) == ["audio-0", "audio-0-opus"]


@pytest.mark.parametrize(
    ("file", "codec", "options", "tolerance_s"),
    [
        pytest.param("clip.mp4", "ac3", AC3, 2 * SAMPLE_S, id="ac3-mp4"),
        pytest.param("clip.mp4", "eac3", EAC3, 2 * SAMPLE_S, id="eac3-mp4"),
        pytest.param("clip.mkv", "eac3", EAC3, MS_S, id="eac3-mkv"),
        pytest.param("clip.ts", "ac3", AC3, 2 * SAMPLE_S, id="ac3-ts"),
        pytest.param("clip.ts", "eac3", EAC3, 2 * SAMPLE_S, id="eac3-ts"),
    ],
)
def test_a_sources_frames_are_passed_through(
    publish: Publisher, file: str, codec: str, options: tuple[str, ...], tolerance_s: float
) -> None:
    """The pictures begin within the fourth frame of the sound."""
    sound = Sound(channels=6, options=options, seconds=3)
    source = clip(file, sound=sound, frames=60, video_start=0.12)

    video = publish(source, preset=COPIED)

    name = f"audio-0-{codec}"
    assert track_of(video, f"-{codec}")["copied"], video.video["warnings"]
    assert not track_of(video, "-ac3" if codec == "eac3" else "-eac3")["copied"]
    raw = run_ffmpeg("-i", str(source), "-map", "0:a:0", "-c", "copy", "-f", codec, "-")
    copied = payload(video, name)
    own = frames_of(raw)
    assert any(copied == own[first : first + len(copied)] for first in range(len(own)))
    assert video.sound(name).frames[0][0] < -1536, "no frame before the first that is heard"
    places = [place - 0.12 for place in sound.schedule(60 / 25) if 0.12 < place < 2.5]
    video.check_clicks(places, name, tolerance_s=tolerance_s)
    # As the one that is encoded has them.
    for ours, encoded in zip(video.clicks(name), video.clicks("audio-0"), strict=True):
        assert ours == pytest.approx(encoded, abs=tolerance_s)


def test_atmos_is_passed_through(publish: Publisher) -> None:
    """Of hand-made frames, as no encoder here makes them; decoders hear their bed."""
    sound = Sound(channels=6, only=1, options=EAC3)
    plain = clip("clip.mp4", sound=sound, frames=60)

    def build(path: Path) -> None:
        raw = run_ffmpeg("-i", str(plain), "-map", "0:a:0", "-c", "copy", "-f", "eac3", "-")
        path.with_name("joc.eac3").write_bytes(b"".join(map(with_objects, frames_of(raw))))
        run_ffmpeg("-i", str(plain), "-i", str(path.with_name("joc.eac3")), "-map", "0:v", "-map", "1:a",
                   "-c", "copy", str(path))  # fmt: skip

    video = publish(media("atmos.mp4", build, plain.name), preset=COPIED)

    track = track_of(video, "-eac3")
    assert (track["copied"], track["joc"], track["channels"]) == (True, 16, 6)
    told = {item.group_id: item.channels for item in video.master.media}
    assert told == {"audio": "2", "audio-ac3": "6", "audio-eac3": "16/JOC"}
    # A raw stream does not tell that its first 256 samples are priming.
    places = [place + 256 * SAMPLE_S for place in sound.schedule(60 / 25)]
    video.check_clicks(places, track["name"], channel=1, tolerance_s=2 * SAMPLE_S)
    manifest = (video.folder / "manifest.mpd").read_text("utf-8")
    assert 'dash:EC3_ExtensionType:2018" value="JOC"' in manifest
    assert 'ExtensionComplexityIndex:2018" value="16"' in manifest
    assert "Dolby Atmos" in manifest and 'audio_channel_configuration:2011" value="F801"' in manifest


DROP = "noise=amount=0:drop=between(pts*tb\\,1.2\\,1.4)"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        pytest.param({"sound": Sound(channels=6, options=AC3, start=0.2)}, "begins 0.19", id="late"),
        pytest.param({"sound": Sound(channels=6, options=AC3, seconds=1.5)}, "ends 0.", id="short"),
        pytest.param({"drop": True}, "a gap or an overlap of +0.", id="gap"),
    ],
)
def test_frames_that_cannot_be_taken_are_encoded(
    publish: Publisher, source: dict[str, Any], why: str
) -> None:
    sound = source.get("sound", Sound(channels=6, options=AC3))
    made = clip("clip.mp4", sound=sound, frames=60)
    if source.get("drop"):
        made = remuxed("gap.mp4", made, "-bsf:a", DROP)

    video = publish(made, preset=COPIED)

    assert not track_of(video, "-ac3")["copied"]
    (warning,) = video.video["warnings"]
    assert why in warning and "could not be passed through, and is encoded at 448000 b/s" in warning
    places = [place + sound.start for place in sound.schedule(60 / 25)]
    places = [place for place in places if place < 2.4 and not (source.get("drop") and 1.2 <= place < 1.43)]
    video.check_clicks(places, "audio-0-ac3", tolerance_s=2 * SAMPLE_S)


def test_damaged_frames_are_not_passed_through(publish: Publisher) -> None:
    made = clip("clip.mp4", sound=Sound(channels=6, options=AC3), frames=60)

    def build(path: Path) -> None:
        raw = run_ffmpeg("-i", str(made), "-map", "0:a:0", "-c", "copy", "-f", "ac3", "-")
        frames = frames_of(raw)
        data = bytearray(frames[40])
        data[400:420] = bytes(20)
        frames[40] = bytes(data)
        path.with_name("bad.ac3").write_bytes(b"".join(frames))
        run_ffmpeg("-i", str(made), "-i", str(path.with_name("bad.ac3")), "-map", "0:v", "-map", "1:a",
                   "-c", "copy", str(path))  # fmt: skip

    video = publish(media("bad.mp4", build, made.name), preset=COPIED)

    assert not track_of(video, "-ac3")["copied"]
    assert "its decoder complains" in video.video["warnings"][0]


def test_sound_without_pictures(publish: Publisher) -> None:
    def build(path: Path) -> None:
        made = clip("clip.mp4", sound=Sound(channels=6, options=EAC3), frames=60)
        run_ffmpeg("-i", str(made), "-map", "0:a:0", "-c", "copy", str(path))

    video = publish(media("sound.mp4", build), preset=COPIED)

    assert track_of(video, "-eac3")["copied"], video.video["warnings"]
    listed = [item.stream_info.codecs for item in video.master.playlists]
    assert listed == ["mp4a.40.2", "ac-3", "ec-3"]


def test_segments_go_on_from_each_other(publish: Publisher) -> None:
    """Their durations in the playlists too."""
    video = publish(clip("clip.mkv", sound=Sound(channels=6, options=PCM), frames=110), preset=ALL)

    for name in names(video):
        assert all(b == a + n for (a, n), (b, _) in pairwise(video.sound(name).frames))


def test_every_codec_is_as_loud(publish: Publisher) -> None:
    """Also where 5.1 is mixed down."""
    video = publish(clip("clip.mkv", sound=Sound(channels=6, only=2, options=PCM), frames=60), preset=ALL)

    peaks = {name: abs(video.sound(name).samples).max() for name in names(video)}
    assert peaks["audio-0-ac3"] == pytest.approx(0.8, abs=0.05)
    assert peaks["audio-0-eac3"] == pytest.approx(0.8, abs=0.05)
    assert peaks["audio-0-opus"] == pytest.approx(peaks["audio-0"], abs=0.05)


def test_dolby_is_told_how_loud_it_is(publish: Publisher) -> None:
    """``dialnorm`` of each frame, and of what no loudness is asked for."""
    source = clip("clip.mkv", sound=Sound(channels=6, options=PCM), frames=60)

    def told(video: Published, name: str) -> set[int]:
        frames = payload(video, name)
        at = {"ac3": lambda f: f[7] >> 3,
              "eac3": lambda f: (f[5] << 8 | f[6]) >> 6 & 31}[name[8:]]  # fmt: skip
        return {-at(frame) for frame in frames}

    plain = publish(source, preset=ALL)
    assert told(plain, "audio-0-eac3") == told(plain, "audio-0-ac3") == {-31}
    asked_for = asked(loudness=-23, ac3_bitrate_bps=448_000, eac3_bitrate_bps=384_000)
    video = publish(source, preset=asked_for)
    for name in ("audio-0-ac3", "audio-0-eac3"):
        (level,) = told(video, name)
        assert level == round(track_of(video, name[7:])["loudness"]["lufs"])


def test_he_aac_is_refused_where_no_encoder_has_it(publish: Publisher, stores: Path) -> None:
    if b" libfdk_aac " in run_ffmpeg("-encoders"):
        pytest.skip("this ffmpeg has libfdk_aac")
    with pytest.raises(InvalidInputError, match=r"libfdk_aac cannot encode on this host.*VOD_FFMPEG"):
        publish(clip("clip.mp4", frames=30), preset=asked(profile="he", bitrate_bps=64_000))
    assert not list((stores / "tmp").glob("*/work-*"))


KEY = "00a1b2c3d4e5f60718293a4b5c6d7e8f"


@pytest.mark.parametrize("encryption", ["cbcs", "aes-128"])
def test_encrypted(publish: Publisher, monkeypatch: pytest.MonkeyPatch, encryption: str) -> None:
    """Passed through and encoded: with the key, what goes in comes out."""
    uri = f"data:application/octet-stream;base64,{b64encode(bytes.fromhex(KEY)).decode()}"
    connection = {"conn_type": "generic", "password": KEY, "extra": {"key_uri": uri}}
    monkeypatch.setenv("AIRFLOW_CONN_VOD_KEY", json.dumps(connection))
    source = clip("clip.mp4", sound=Sound(channels=6, options=EAC3), frames=60)

    video = publish(source, preset=COPIED | {"encryption": encryption}, key_conn_id="vod_key")

    assert track_of(video, "-eac3")["copied"]
    own = frames_of(run_ffmpeg("-i", str(source), "-map", "0:a:0", "-c", "copy", "-f", "eac3", "-"))
    folder = video.playlist("audio-0-eac3").parent
    for number, path in enumerate(sorted(folder.glob("seg-*.m4s")), start=1):
        data = path.read_bytes()
        if encryption == "cbcs":
            clear = decrypted_samples((folder / "init.mp4").read_bytes(), data, bytes.fromhex(KEY))
            assert clear is not None and clear != data
        else:
            vector = number - 1
            cipher = Cipher(algorithms.AES(bytes.fromhex(KEY)), modes.CBC(vector.to_bytes(16, "big")))
            clear = cipher.decryptor().update(data)
            clear = clear[: -clear[-1]]
        for fragment in read_fragments(clear):
            for sample in fragment.samples:
                assert clear[sample.position : sample.end] in own
