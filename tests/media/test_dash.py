"""The DASH manifest: what other people's parsers and ffmpeg's own DASH reader make of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from lxml import etree
from mpegdash.parser import MPEGDASHParser

from support.presentations import X264, packaged, picture, tone
from support.tools import decode
from support.tracks import made_up_track
from vod_operators.media import dash
from vod_operators.media.drm import Addresses, signals_of
from vod_operators.media.tiles import Tiles
from vod_operators.media.track import Encryption, Track


def a_track(name: str, ticks: list[int], size: int = 90_000, **facts: object) -> Track:
    """A track of segments of so many milliseconds."""
    rate = {} if facts.get("kind") else {"frame_rate": Fraction(30_000, 1001)}
    return made_up_track(name, [(size, Fraction(lasts, 1000)) for lasts in ticks], **rate, **facts)


def a_sound(name: str, **facts: object) -> Track:
    told = {"kind": "audio", "codecs": "mp4a.40.2", "channels": 2, "sample_rate": 48_000, "title": name}
    return a_track(name, [6016, 5995, 500], **(told | facts))


TRACKS = [
    a_track("540p", [6000, 6000, 500], 900_000),
    a_track("360p", [6000, 6000, 500]),
    a_track("hevc", [6000, 6000, 500], codecs="hvc1.2.4.L93.B0", video_range="PQ"),
    a_sound("audio-0", language="en", default=True),
    a_sound("audio-1", language="de"),
]


LOCKED = Encryption(
    method="SAMPLE-AES",
    uri="",
    key_id="0123456789abcdef0123456789abcdef",
    signals=signals_of(
        ("widevine", "playready"),
        "0123456789abcdef0123456789abcdef",
        "cbcs",
        Addresses(license_urls={"widevine": "https://wv.example/?a&b"}),
    ),
)


def a_text(name: str, **facts: object) -> Track:
    return a_track(name, [6000, 500], 50, kind="text", codecs="wvtt", init_bytes=0, **facts)


ORDER = (
    "ContentProtection",
    "EssentialProperty",
    "SupplementalProperty",
    "Label",
    "Accessibility",
    "Role",
    "Representation",
)
"""Of an adaptation set's elements that are used here (ISO 23009-1, 5.3.3.2)."""


def test_elements_have_the_order_of_the_schema() -> None:
    told = {"language": "en", "title": "Described", "describes_video": True}
    locked = TRACKS[2].changed(encryption=LOCKED)
    tracks = [
        *TRACKS[:2],
        locked,
        *TRACKS[3:],
        a_sound("audio-2", **told),
        a_text("text-0", title="Signs", default=True),
    ]
    root = ElementTree.fromstring(dash.manifest(tracks, 6, prefix=""))
    sets = root.findall(f".//{{{dash.MPD}}}AdaptationSet")
    assert len(sets) == 6
    for adaptation in sets:
        tags = [ORDER.index(child.tag.partition("}")[2]) for child in adaptation]
        assert all(former <= latter for former, latter in pairwise(tags)), tags


def test_what_has_no_template_is_left_out_of_the_profile_that_demands_one() -> None:
    root = ElementTree.fromstring(dash.manifest([*TRACKS, a_text("text-0")], 6, prefix=""))
    declared = root.get("profiles", "").split(",")
    assert "urn:mpeg:dash:profile:isoff-live:2011" in declared
    for adaptation in root.iter(f"{{{dash.MPD}}}AdaptationSet"):
        own = adaptation.get("profiles", ",".join(declared)).split(",")
        assert set(own) <= set(declared)  # ISO 23009-1, 5.3.7.2
        templates = adaptation.findall(f".//{{{dash.MPD}}}SegmentTemplate")
        assert bool(templates) == ("urn:mpeg:dash:profile:isoff-live:2011" in own)


class _Xlink(etree.Resolver):
    """Answers the schema's import of XLink, of which it refers to four attributes."""

    def resolve(self, url: str, pubid: str | None, context: Any) -> Any:
        if not url.endswith("xlink.xsd"):
            return None
        names = ("href", "actuate", "type", "show")
        attributes = "".join(f'<attribute name="{name}" type="string"/>' for name in names)
        return self.resolve_string(
            '<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">'
            f"{attributes}</schema>",
            context,
        )


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """MPEG's schema of manifests, which its terms do not allow to be kept here."""
    folder = os.environ.get("DASH_SCHEMA")
    if not folder:
        pytest.skip("DASH_SCHEMA names no checkout of github.com/MPEGGroup/DASHSchema")
    parser = etree.XMLParser()
    parser.resolvers.add(_Xlink())
    return etree.XMLSchema(etree.parse(str(Path(folder) / "DASH-MPD.xsd"), parser))


@pytest.mark.parametrize(
    "texts", [[], [a_text("text-0", language="en", title="Signs", forced=True, default=True)]]
)
def test_manifests_are_valid_by_the_schema_of_mpeg(schema: etree.XMLSchema, texts: list[Track]) -> None:
    described = a_sound("audio-2", language="en", title="Described", describes_video=True)
    described = described.changed(encryption=LOCKED)
    written = etree.fromstring(dash.manifest([*TRACKS, described, *texts], 6, prefix="v-1/").encode())
    schema.assertValid(written)
    # A set that has its name last, as it was once, is not.
    audio = written.findall(f".//{{{dash.MPD}}}AdaptationSet")[2]
    audio.append(audio.find(f"{{{dash.MPD}}}Label"))
    assert not schema.validate(written)


def test_what_only_some_players_use_is_valid_too(schema: etree.XMLSchema) -> None:
    """But for ContentSteering, which is newer than the schema; the DASH-IF puts it before the periods."""
    keys = TRACKS[1].changed(trick_bytes=(1000, 1000, 100))
    sheets = Tiles(
        columns=5, rows=2, width=192, height=108, step=30, frames=375, frame_rate=Fraction(30_000, 1001),
        sheet_bytes=(9000, 3000),
    )  # fmt: skip
    plain = dash.manifest([TRACKS[0], keys, *TRACKS[2:]], 6, prefix="v-1/", tiles=sheets)
    edges = {"west": "https://west.test/vod/film/", "east": "https://east.test/vod/film/"}
    written = etree.fromstring(dash.steered(plain, edges, "https://west.test/vod/steering.json").encode())
    steering = written.find(f"{{{dash.MPD}}}ContentSteering")
    assert steering is not None
    written.remove(steering)
    schema.assertValid(written)


@pytest.fixture(scope="module")
def schematron(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], set[str]]:
    """The DASH-IF's rules, compiled by the XSLT that lies beside them: a manifest -> its findings."""
    checkout = os.environ.get("DASH_SCHEMATRON")
    if not checkout:
        pytest.skip("DASH_SCHEMATRON names no checkout of github.com/Dash-Industry-Forum/DASH")
    saxon = pytest.importorskip("saxonche", reason="there is no Saxon: pip install saxonche")
    folder, made = Path(checkout) / "mpdvalidator/schematron", tmp_path_factory.mktemp("schematron")
    processor = saxon.PySaxonProcessor(license=False).new_xslt30_processor()
    source = folder / "schematron.sch"
    for sheet in ("iso_dsdl_include", "iso_abstract_expand", "iso_svrl_for_xslt2"):
        compiled = processor.compile_stylesheet(stylesheet_file=str(folder / f"schematron/{sheet}.xsl"))
        compiled.transform_to_file(source_file=str(source), output_file=str(made / sheet))
        source = made / sheet
    rules = processor.compile_stylesheet(stylesheet_file=str(source))

    def findings(manifest: str) -> set[str]:
        (made / "manifest.mpd").write_text(manifest, "utf-8")
        report = etree.fromstring(rules.transform_to_string(source_file=str(made / "manifest.mpd")).encode())
        texts = (
            report.iterfind(".//{*}failed-assert/{*}text"),
            report.iterfind(".//{*}successful-report/{*}text"),
        )
        return {" ".join((text.text or "").split()) for found in texts for text in found}

    return findings


def test_manifests_are_valid_by_the_schematron_of_the_dash_if(schematron: Callable[[str], set[str]]) -> None:
    """It is of the second edition: it knows neither later roles nor sets that are left out of a profile."""
    assert schematron(dash.manifest(TRACKS, 6, prefix="v-1/")) == set()
    roles = a_sound("audio-2", title="Described", describes_video=True)
    (told,) = schematron(dash.manifest([*TRACKS, roles], 6, prefix="v-1/"))
    assert told.startswith("The value of Role (role) shall be caption, subtitle, main, alternate")
    (told,) = schematron(dash.manifest([*TRACKS, a_text("text-0", language="en")], 6, prefix="v-1/"))
    assert told.startswith("For live profile, the SegmentTemplate element shall be present")
    late = dash.manifest(TRACKS, 6, prefix="v-1/").replace('start="PT0S"', 'start="PT1S"')
    (told,) = schematron(late)
    assert told.endswith("the start attribute shall be zero.")


def purposes(track: Track) -> tuple[list[str], list[str]]:
    """Values of Accessibility and Role of the last adaptation set."""
    root = ElementTree.fromstring(dash.manifest([TRACKS[0], track], 6, prefix=""))
    adaptation = root.findall(f".//{{{dash.MPD}}}AdaptationSet")[-1]
    described = ([e.get("value", "") for e in adaptation.findall(f"{{{dash.MPD}}}{tag}")]
                 for tag in ("Accessibility", "Role"))  # fmt: skip
    return next(described), next(described)


def test_roles_tell_whom_a_track_is_for() -> None:
    assert purposes(a_sound("a", default=True)) == ([], ["main"])
    assert purposes(a_sound("a")) == ([], ["alternate"])
    assert purposes(a_sound("a", describes_video=True)) == (["1"], ["alternate", "description"])
    assert purposes(a_sound("a", commentary=True)) == ([], ["alternate", "commentary"])
    clear = ["alternate", "enhanced-audio-intelligibility"]
    assert purposes(a_sound("a", hearing_impaired=True)) == (["2"], clear)
    assert purposes(a_text("t")) == ([], ["subtitle"])
    assert purposes(a_text("t", hearing_impaired=True)) == (["2"], ["caption"])
    assert purposes(a_text("t", commentary=True)) == ([], ["subtitle", "commentary"])


def test_subtitles_are_one_file_each() -> None:
    told = {"language": "en", "title": "Signs", "forced": True, "default": True}
    signs = a_text("text-0", **told)
    assert dash.has_manifest([*TRACKS, signs])

    text = (
        MPEGDASHParser.parse(dash.manifest([*TRACKS, signs], 6, prefix="v-1/")).periods[0].adaptation_sets[-1]
    )

    assert (text.content_type, text.mime_type, text.lang) == ("text", "text/vtt", "en")
    assert [role.value for role in text.roles] == ["forced-subtitle", "main"]
    assert [url.base_url_value for url in text.representations[0].base_urls] == ["v-1/text-0/whole.vtt"]


def test_all_that_was_measured_is_told() -> None:
    parsed = MPEGDASHParser.parse(dash.manifest(TRACKS, 6, prefix="v-1/"))
    assert (parsed.type, parsed.media_presentation_duration) == ("static", "PT12.511S")
    assert (parsed.min_buffer_time, parsed.max_segment_duration) == ("PT6.000S", "PT6.016S")
    h264, hevc, english, german = parsed.periods[0].adaptation_sets
    assert [(r.id, r.width, r.height, r.frame_rate) for r in h264.representations] == [
        ("360p", 640, 360, "30000/1001"),
        ("540p", 640, 360, "30000/1001"),
    ]
    # 90,000 and 900,000 bytes in the 6.5 s of the last two segments are 221,539 and 2,215,385 b/s.
    assert [r.bandwidth for r in h264.representations] == [221_539, 2_215_385]
    # Players must not go on in the other set, which is HDR.
    assert [p.value for p in h264.supplemental_properties] == ["1"]  # BT.709
    assert hevc.supplemental_properties is None
    assert (english.lang, german.lang) == ("en", "de")
    assert [s.roles[0].value for s in (english, german)] == ["main", "alternate"]
    template = english.representations[0].segment_templates[0]
    assert template.media == "v-1/audio-0/seg-$Number%05d$.m4s"
    assert (template.initialization, template.start_number) == ("v-1/audio-0/init.mp4", 1)
    assert [(s.t, s.d, s.r) for s in template.segment_timelines[0].Ss] == [
        (0, 6016, None), (None, 5995, None), (None, 500, None),
    ]  # fmt: skip
    video = h264.representations[0].segment_templates[0].segment_timelines[0].Ss
    assert [(s.t, s.d, s.r) for s in video] == [(0, 6000, 1), (None, 500, None)]


def test_players_that_do_not_know_hdr_leave_its_sets_alone() -> None:
    codecs = {
        "540p": "avc1.64001f",
        "hevc": "hvc1.1.6.L93.90",
        "hdr": "hvc1.2.4.L93.90",
        "hlg": "av01.0.04M.10",
    }
    ranges = {"hdr": "PQ", "hlg": "HLG"}
    tracks = [
        a_track(name, [6000], codecs=text, video_range=ranges.get(name, "SDR"))
        for name, text in codecs.items()
    ]
    root = ElementTree.fromstring(dash.manifest(tracks, 6, prefix=""))
    found = {}
    for adaptation in root.iter(f"{{{dash.MPD}}}AdaptationSet"):
        name = adaptation.find(f"{{{dash.MPD}}}Representation").get("id")
        told = {
            kind: {
                p.get("schemeIdUri").rpartition(":")[2]: p.get("value")
                for p in adaptation.iter(f"{{{dash.MPD}}}{kind}")
            }
            for kind in ("EssentialProperty", "SupplementalProperty")
        }
        found[name] = told["EssentialProperty"], list(told["SupplementalProperty"].values())
    assert found == {
        "540p": ({}, ["1", "1"]),  # BT.709, and the set that players may go on in
        "hevc": ({}, ["1", "0"]),
        "hdr": ({"ColourPrimaries": "9", "MatrixCoefficients": "9", "TransferCharacteristics": "16"}, []),
        "hlg": ({"ColourPrimaries": "9", "MatrixCoefficients": "9", "TransferCharacteristics": "18"}, []),
    }


def test_what_dash_does_not_know_has_none() -> None:
    assert dash.has_manifest(TRACKS)
    locked = Encryption(method="SAMPLE-AES", uri="https://keys.test/1")
    assert not dash.has_manifest([TRACKS[0].model_copy(update={"encryption": locked})])
    assert not dash.has_manifest([TRACKS[0].model_copy(update={"init_bytes": 0})])


@pytest.mark.filterwarnings("ignore")
def test_ffmpeg_plays_every_track_to_its_end(tmp_path: Path) -> None:
    gop = ("-g", "50", "-keyint_min", "50")
    tracks = [
        packaged(tmp_path, "small", *picture("128x72"), *X264, *gop),
        packaged(tmp_path, "large", *picture("256x144"), *X264, *gop),
        packaged(tmp_path, "en", *tone(440), "-c:a", "aac", "-ac", "2", kind="audio", language="en"),
    ]
    manifest = tmp_path / "manifest.mpd"
    manifest.write_text(dash.manifest(tracks, 6, prefix=""), "utf-8")
    assert decode(manifest, "-map", "0:v:0") == (325, "")
    assert decode(manifest, "-map", "0:v:1") == (325, "")
    frames, complaints = decode(manifest, "-map", "0:a:0")
    assert complaints == "" and frames >= 13 * 48_000 // 1024
