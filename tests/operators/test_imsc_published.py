"""Subtitles as IMSC1 beside WebVTT: published only where asked for, the same cues in both."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import m3u8
import pytest

from support.breaks import judged
from support.clips import clip
from support.presets import write_preset
from support.settings import configure
from support.steps import Steps
from support.ttconv_reader import read_by_ttconv
from vod_operators.formats import ttml
from vod_operators.formats.isobmff import read_fragments
from vod_operators.media import dash, imsc, webvtt
from vod_operators.storage.local import LocalStorage
from vod_operators.work.reader import StoreReader

SRT = """1
00:00:00,200 --> 00:00:01,500
One & <i>two</i>

2
00:00:01,800 --> 00:00:03,000
Across <b>segments</b>
"""
VTT = """WEBVTT

00:00.500 --> 00:02.500 line:0 align:start
<c.yellow>jaune</c> <ruby>漢<rt>かん</ruby>
"""


@pytest.fixture
def published(stores: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a clip with two subtitle tracks."""
    folder = write_preset(stores / "presets", imsc=True, stable_ids=True)
    configure(monkeypatch, presets_dir=str(folder))
    (stores / "en.srt").write_text(SRT, "utf-8")
    (stores / "fr.vtt").write_text(VTT, "utf-8")
    files = [
        {"uri": (stores / "en.srt").as_uri(), "language": "en", "default": True},
        {"uri": (stores / "fr.vtt").as_uri(), "language": "fr", "hearing_impaired": True},
    ]
    Steps(video_id="film", source=clip("extras.mp4", frames=75).as_uri(), subtitles=files).run()
    return stores / "results/film"


def documents(folder: Path) -> list[bytes]:
    """The document of each segment of an IMSC1 track."""
    found = []
    for path in sorted(folder.glob("seg-*.m4s")):
        data = path.read_bytes()
        ((sample,),) = (fragment.samples for fragment in read_fragments(data))
        found.append(data[sample.position : sample.end])
    return found


def cues_of(folder: Path) -> list[list[tuple[Fraction, Fraction, str]]]:
    """The cues of each segment of a WebVTT track."""
    return [
        [
            (Fraction(cue.begin_ms, 1000), Fraction(cue.end_ms, 1000), imsc.plain_text(cue))
            for cue in webvtt.parse(path.read_text("utf-8"))
        ]
        for path in sorted(folder.glob("seg-*.vtt"))
    ]


def test_both_formats(published: Path) -> None:
    video = json.loads((published / "video.json").read_text("utf-8"))
    version = published / video["version"]

    texts = {track["name"]: track for track in video["renditions"] if track["kind"] == "text"}
    assert {name: (t["codecs"], t["language"], t["frames"]) for name, t in texts.items()} == {
        "text-0": ("wvtt", "en", 2), "text-1": ("wvtt", "fr", 1),
        "imsc-0": ("stpp.ttml.im1t", "en", 2), "imsc-1": ("stpp.ttml.im1t", "fr", 1),
    }  # fmt: skip
    assert [words for words in video["warnings"] if "IMSC1" in words] == [
        "imsc-1 (Français): IMSC1: 1 cue has ruby, which IMSC1 lacks: it stands in brackets after its text"
    ]
    for number in (0, 1):
        cues = cues_of(version / f"text-{number}")
        assert [list(ttml.read_document(d).lines) for d in documents(version / f"imsc-{number}")] == cues
        lists = [m3u8.load(str(version / f"{kind}-{number}/index.m3u8")) for kind in ("text", "imsc")]
        assert len({tuple(s.duration for s in one.segments) for one in lists}) == 1
        assert len(lists[0].segments) == 3
        # Equal cues by another reader too.
        assert [read_by_ttconv(d) for d in documents(version / f"imsc-{number}")] == cues
    across = [any(line[2] == "Across segments" for line in cues) for cues in cues_of(version / "text-0")]
    assert across == [False, True, True]

    # HLS: a group of each format, of the same names, and each variant with either.
    master = m3u8.load(str(published / "index.m3u8"))
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for item in master.media:
        if item.type == "SUBTITLES":
            groups.setdefault(item.group_id, []).append((item.name, item.language, item.default))
    assert groups["text"] == groups["imsc"] == [("English", "en", "YES"), ("Français", "fr", "NO")]
    pairs = {"text": set(), "imsc": set()}  # type: dict[str, set[str]]
    for variant in master.playlists:
        group = variant.stream_info.subtitles.strip('"')
        pairs[group].add(variant.uri)
        assert ("stpp.ttml.im1t" in variant.stream_info.codecs) == (group == "imsc")
    assert pairs["text"] == pairs["imsc"]
    assert master.playlists[0].stream_info.subtitles.strip('"') == "text"
    found = judged(
        published / "index.m3u8", StoreReader((published / "index.m3u8").as_uri(), lambda _: LocalStorage())
    )
    assert {rule for rule, verdict in found.items() if verdict.status == "fail"} == set()
    for rule in ("15.text-profile", "15.formats", "15.kind", "15.cues", "15.span", "14.members"):
        assert found[rule].status == "pass", rule

    # DASH: segmented, on the timeline of the pictures.
    root = ElementTree.fromstring((published / "manifest.mpd").read_text("utf-8"))
    sets = [s for s in root.iter(f"{{{dash.MPD}}}AdaptationSet") if s.get("contentType") == "text"]
    assert [(s.get("mimeType"), s.get("lang")) for s in sets] == [
        ("text/vtt", "en"), ("text/vtt", "fr"), ("application/mp4", "en"), ("application/mp4", "fr"),
    ]  # fmt: skip
    template = sets[2].find(f".//{{{dash.MPD}}}SegmentTemplate")
    assert template is not None
    assert (template.get("media") or "").endswith("/imsc-0/seg-$Number%05d$.m4s")
    lasts = sum(
        Fraction(int(s.get("d", "0")) * (1 + int(s.get("r", "0"))), int(template.get("timescale", "1")))
        for s in template.iter(f"{{{dash.MPD}}}S")
    )
    assert lasts == 3


def test_off_by_default(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, presets_dir=str(write_preset(stores / "presets")))
    (stores / "en.srt").write_text(SRT, "utf-8")
    files = [{"uri": (stores / "en.srt").as_uri(), "language": "en"}]
    Steps(video_id="film", source=clip("extras.mp4", frames=75).as_uri(), subtitles=files).run()
    folder = stores / "results/film"
    assert not list(folder.glob("*/imsc-*"))
    for name in ("index.m3u8", "manifest.mpd", "video.json"):
        text = (folder / name).read_text("utf-8")
        assert "imsc" not in text and "stpp" not in text
