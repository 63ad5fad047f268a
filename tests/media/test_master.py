"""What is added to a master playlist: scores, stable ids, pathways."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

import m3u8
import pytest

from support.tracks import made_up_track
from vod_operators.check.playlist import parse
from vod_operators.media import dash, hls
from vod_operators.media.master import hinted, stable_ids_of, steered
from vod_operators.media.sound_codecs import SURROUND_SUFFIX
from vod_operators.media.track import Track

SECONDS = Fraction(6)


def a_video(name: str, size: int, codecs: str = "avc1.64001f") -> Track:
    return made_up_track(name, [(size, SECONDS)] * 2, codecs=codecs)


def a_sound(name: str, language: str | None, **facts: object) -> Track:
    told = {"kind": "audio", "codecs": "mp4a.40.2", "channels": 2, "sample_rate": 48_000, "title": name}
    return made_up_track(name, [(90_000, SECONDS)] * 2, **(told | {"language": language} | facts))


TRACKS = [
    a_video("360p", 300_000),
    a_video("720p", 1_500_000),
    a_video("h720p", 900_000, "hvc1.2.4.L93.B0"),
    a_sound("audio-0", "en", default=True),
    a_sound("audio-0" + SURROUND_SUFFIX, "en", default=True, channels=6),
    a_sound("audio-1", "de"),
    made_up_track("text-0", [(50, SECONDS)] * 2, kind="text", codecs="wvtt", init_bytes=0, language="en",
                  title="English"),
]  # fmt: skip
MASTER = hls.master_playlist(TRACKS, 6, prefix="v-1/")


def test_a_score_is_worth_the_bits_of_h264() -> None:
    parsed = parse("https://a.test/m.m3u8", hinted(MASTER, TRACKS, score=True, stable_ids=False))

    assert parsed.errors == []
    scores = {uri.split("/")[-2]: declared["SCORE"] for uri, declared in parsed.variants}
    # 300,000 bytes in 6 s are 0.4 Mb/s; a bit of HEVC counts twice.
    assert scores == {"360p": "0.400", "720p": "2.000", "h720p": "2.400"}
    assert all("SCORE" in declared for _, declared in parsed.i_frames)
    assert "STABLE" not in parsed.text


def test_one_playlist_has_one_id() -> None:
    parsed = parse("https://a.test/m.m3u8", hinted(MASTER, TRACKS, score=False, stable_ids=True))

    assert parsed.errors == [] and "SCORE" not in parsed.text
    ids = {(uri, declared["STABLE-VARIANT-ID"]) for uri, declared in parsed.variants}
    assert len(parsed.variants) > len(ids) == 3  # some are listed with stereo and with 5.1
    assert {declared["STABLE-VARIANT-ID"] for _, declared in parsed.i_frames} == {
        "360p.i-frames", "720p.i-frames", "h720p.i-frames",
    }  # fmt: skip
    assert {(item["URI"].split("/")[-2], item["STABLE-RENDITION-ID"]) for item in parsed.media} == {
        ("audio-0", "audio.en"), ("audio-0" + SURROUND_SUFFIX, "audio.en.surround"),
        ("audio-1", "audio.de"), ("text-0", "text.en"),
    }  # fmt: skip


def test_an_id_tells_purpose_and_not_the_place_in_the_source() -> None:
    english, german = a_sound("audio-0", "en"), a_sound("audio-1", "de")
    before, after = stable_ids_of([english, german]), stable_ids_of(
        [german.changed(name="audio-0"), english.changed(name="audio-1")]
    )  # fmt: skip
    assert (before["audio-0"], before["audio-1"]) == (after["audio-1"], after["audio-0"])
    roles = [
        a_sound("audio-0", None),
        a_sound("audio-1", None),
        a_sound("audio-2", "en", commentary=True),
        a_sound("audio-3", "en", describes_video=True),
        a_sound("audio-4", "en", hearing_impaired=True),
    ]
    assert list(stable_ids_of(roles).values()) == [
        "audio.und", "audio.und.2", "audio.en.commentary", "audio.en.description",
        "audio.en.hearing-impaired",
    ]  # fmt: skip


EDGES = {"west": "https://west.test/vod/film/", "east": "https://east.test/vod/film/"}


def test_every_pathway_has_all_variants_and_renditions() -> None:
    found = steered(MASTER, EDGES, "../steering.json")
    parsed = parse("https://west.test/vod/film/index.m3u8", found)

    assert parsed.errors == []
    (steering,) = parsed.lists["EXT-X-CONTENT-STEERING"]
    assert steering == {"SERVER-URI": "../steering.json", "PATHWAY-ID": "west"}
    plain = m3u8.loads(MASTER)
    pathways = [declared["PATHWAY-ID"] for _, declared in parsed.variants]
    assert pathways == ["west"] * len(plain.playlists) + ["east"] * len(plain.playlists)
    for uri, declared in (*parsed.variants, *parsed.i_frames):
        assert uri.startswith(EDGES[declared["PATHWAY-ID"]] + "v-1/")
    for _, declared in parsed.variants:
        for kind in ("AUDIO", "SUBTITLES"):
            members = [i for i in parsed.media if (i["TYPE"], i["GROUP-ID"]) == (kind, declared[kind])]
            assert members and all(item["URI"].startswith(EDGES[declared["PATHWAY-ID"]]) for item in members)
    assert len(parsed.media) == 2 * len(plain.media)
    assert len(parsed.i_frames) == 2 * len(plain.iframe_playlists)


def test_captions_and_unknown_lines_are_there_once() -> None:
    captioned = [track.changed(captions=("CC1",)) if track.kind == "video" else track for track in TRACKS]
    master = hls.master_playlist(captioned, 6, prefix="v-1/") + '#EXT-X-SESSION-DATA:DATA-ID="a",VALUE="b"\n'
    found = steered(master, EDGES, "../steering.json")

    assert found.count("TYPE=CLOSED-CAPTIONS") == 1 and found.count("SESSION-DATA") == 1
    group = f'CLOSED-CAPTIONS="{hls.CAPTIONS_GROUP}"'
    assert found.count(group) == 2 * master.count(group)


def test_sound_alone_is_steered_too() -> None:
    sounds = TRACKS[3:4]
    parsed = parse("https://west.test/m.m3u8", steered(hls.master_playlist(sounds, 6, prefix=""), EDGES, "s"))
    assert parsed.errors == [] and len(parsed.variants) == 2


def test_dash_lists_the_edges() -> None:
    plain = dash.manifest(TRACKS, 6, prefix="v-1/")
    root = ElementTree.fromstring(dash.steered(plain, EDGES, "https://west.test/vod/steering.json?a=1&b"))

    tags = [child.tag.partition("}")[2] for child in root]
    assert tags == ["BaseURL", "BaseURL", "ContentSteering", "Period"]
    assert [(e.get("serviceLocation"), e.text) for e in root[:2]] == list(EDGES.items())
    assert root[2].get("defaultServiceLocation") == "west"
    assert root[2].text == "https://west.test/vod/steering.json?a=1&b"


@pytest.mark.parametrize(("score", "stable_ids"), [(False, True), (True, False), (True, True)])
def test_hints_and_pathways_go_together(score: bool, stable_ids: bool) -> None:
    found = steered(hinted(MASTER, TRACKS, score=score, stable_ids=stable_ids), EDGES, "../steering.json")
    parsed = parse("https://west.test/m.m3u8", found)
    assert parsed.errors == []
    assert ("SCORE" in found, "STABLE" in found) == (score, stable_ids)
