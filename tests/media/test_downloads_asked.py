"""Which files to download a preset and a request may ask for, and which a video gets."""

from __future__ import annotations

import pytest
from plans import a_plan, a_rendition

from vod_operators.errors import InvalidInputError
from vod_operators.media.downloads import files_of, missing, parse_downloads
from vod_operators.media.models import AudioRendition, AudioStream, Plan
from vod_operators.media.plan import fingerprint
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.presets.model import Preset

H264 = load_preset("h264")


def changed(**fields: object) -> Preset:
    return Preset.model_validate(H264.model_dump() | fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"downloads": ["721p"]}, r"no rung '721p'; it has 234p, .*'best' is the best of them"),
        ({"downloads": ["best", "720p", "best"]}, "'best' is named twice"),
        ({"downloads": ["best"], "encryption": "cbcs"}, "undoes the encryption cbcs; leave out"),
        ({"downloads": ["best"], "container": "ts"}, "container ts has none; leave out"),
    ],
)
def test_a_preset_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        changed(**fields)


def test_a_rung_must_not_be_called_as_a_file() -> None:
    rung = H264.ladders[0].rungs[0].model_dump() | {"name": "best"}
    ladder = H264.ladders[0].model_dump() | {"rungs": [rung]}
    with pytest.raises(ValueError, match="a rung has the name 'best'"):
        changed(ladders=[ladder], downloads=["best"])
    changed(ladders=[ladder])  # without downloads it may have any name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("720p", "no JSON"),
        ('"720p"', "must be a list"),
        ("[720]", "must be a list"),
        ('["8k"]', "no rung '8k'"),
    ],
)
def test_a_request_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=f"downloads: .*{words}"):
        parse_downloads(text, H264)


def test_a_request_leaves_them_to_the_preset_or_has_none() -> None:
    assert parse_downloads("null", H264) is None
    assert parse_downloads("[]", H264) == ()
    assert parse_downloads('["best", "720p"]', H264) == ("best", "720p")
    assert parse_downloads("[]", changed(encryption="cbcs")) == ()
    with pytest.raises(InvalidInputError, match="undoes the encryption"):
        parse_downloads('["best"]', changed(encryption="cbcs"))


def test_who_asks_for_nothing_has_the_fingerprint_of_before() -> None:
    plan = a_plan()
    assert {"downloads", "chapters"}.isdisjoint(plan.model_dump() | plan.preset.model_dump())
    assert fingerprint(changed()) == fingerprint(H264)
    assert fingerprint(plan.model_copy(update={"downloads": ("best",)})) != fingerprint(plan)
    assert fingerprint(plan.model_copy(update={"chapters": ()})) != fingerprint(plan)


def sound(name: str, *, default: bool, channels: int = 2) -> AudioRendition:
    stream = AudioStream(index=1, codec="aac", channels=channels, sample_rate=48000, time_base="1/48000")
    return AudioRendition(
        name=name, track=name[:7], stream=stream, channels=channels, sample_rate=48000, bitrate_bps=128_000,
        language=None, title=name, default=default,
    )  # fmt: skip


def planned(*downloads: str, **fields: object) -> Plan:
    sounds = (
        sound("audio-0", default=False), sound("audio-1", default=True),
        sound("audio-1-surround", default=True, channels=6),
    )  # fmt: skip
    made = (a_rendition("small"), a_rendition("large"))
    return a_plan().model_copy(update={"downloads": downloads, "audio": sounds, "renditions": made} | fields)


def test_files() -> None:
    """No file twice; stereo only, the default first."""
    files = files_of(planned("large", "best", "audio"))
    assert [(file.asked, file.tracks) for file in files] == [
        (("large", "best"), ("large", "audio-1", "audio-0")),
        (("audio",), ("audio-1",)),
        (("audio",), ("audio-0",)),
    ]
    assert [file.name("film") for file in files] == [
        "film-large.mp4", "film-audio-1.m4a", "film-audio-0.m4a",
    ]  # fmt: skip


def test_the_best_is_of_the_codec_that_most_players_have() -> None:
    hevc = a_rendition("hevc").model_copy(update={"encoder": "libx265"})
    both = (a_rendition("small"), hevc)
    assert files_of(planned("best", renditions=both))[0].rendition == "small"
    assert files_of(planned("best", renditions=(hevc,)))[0].rendition == "hevc"


def test_what_is_missing() -> None:
    assert missing(planned("small", "best", "audio")) == []
    assert missing(planned("720p")) == ["download '720p' left out: this video has no such rendition"]
    assert missing(planned("best", "audio", audio=())) == [
        "download 'audio' left out: the source has no sound"
    ]
    assert files_of(planned("best", renditions=())) == []
    assert "ask for audio" in missing(planned("best", renditions=()))[0]
