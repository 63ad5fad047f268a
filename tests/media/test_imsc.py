"""IMSC1 documents of WebVTT cues, read back, also by ttconv; and our reader of anybody's."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

import pytest
from ttconv.imsc import reader
from ttconv.srt import writer

from support.ttconv_reader import read_by_ttconv
from vod_operators.errors import VerificationError
from vod_operators.formats.mp4 import read_init
from vod_operators.formats.segment import measure_segment
from vod_operators.formats.ttml import Line, read_document
from vod_operators.media import imsc, webvtt
from vod_operators.media.imsc_region import attributes_of
from vod_operators.media.text_mp4 import init_segment, media_segment

VTT = """WEBVTT

00:00.500 --> 00:02.000
Fish &amp; chips, a &lt; b
<b>bold <i>both</i></b> <u>under</u>

00:05.000 --> 00:07.250 line:0 align:start
Across <c.yellow.bg_blue>a join</c>

00:12.000 --> 00:13.000
zwölf \U0001f41f
"""
SECOND = 12800
LENGTHS = [6 * SECOND, 6 * SECOND, 2 * SECOND]


def cue(text: str, settings: str = "") -> webvtt.Cue:
    return webvtt.Cue(begin_ms=1000, end_ms=2000, text=text, settings=settings)


def documents(vtt: str = VTT) -> list[bytes]:
    cues = webvtt.parse(vtt)
    return [imsc.document(shown, "de") for shown in webvtt.cut(cues, LENGTHS, SECOND)]


def test_our_reader_finds_the_same_cues() -> None:
    found = [[(float(line.begin or 0), line.text) for line in read_document(d).lines] for d in documents()]
    assert found == [
        [(0.5, "Fish & chips, a < b\nbold both under"), (5.0, "Across a join")],
        [(5.0, "Across a join")],  # in both segments
        [(12.0, "zwölf \U0001f41f")],
    ]


def test_another_reader_finds_the_same_cues() -> None:
    for document in documents():
        ours = [(line.begin, line.end, line.text) for line in read_document(document).lines]
        assert read_by_ttconv(document) == ours


def test_another_reader_finds_the_same_look() -> None:
    first, second, _ = (
        writer.from_model(reader.to_model(ElementTree.parse(io.BytesIO(document))))
        for document in documents()
    )
    assert "<b>bold </b>" in first and "<i>both</i>" in first.replace("<b>", "").replace("</b>", "")
    assert "<u>under</u>" in first
    assert '<font color="#ffff00ff">a join</font>' in second


def test_documents_say_what_they_are() -> None:
    root = ElementTree.fromstring(documents()[0])
    assert root.tag == "{http://www.w3.org/ns/ttml}tt"
    assert root.get("{http://www.w3.org/ns/ttml#parameter}profile") == (
        "http://www.w3.org/ns/ttml/profile/imsc1/text"
    )
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"
    regions = {
        r.get("{http://www.w3.org/XML/1998/namespace}id")
        for r in root.iter("{http://www.w3.org/ns/ttml}region")
    }
    assert {p.get("region") for p in root.iter("{http://www.w3.org/ns/ttml}p")} == regions


@pytest.mark.parametrize(
    "text",
    [
        "a &amp;amp; ]]&gt; \"quoted\" 'so'",
        "&#xFFFE;&#1;left",
        "<i>unclosed <b>both</i> still",
        "  two  spaces\nand &nbsp; one ",
        "<lang en-GB>colour</lang>",
        "\ufffe\x7f",
        "&nbsp;",
    ],
)
def test_odd_text_comes_back(text: str) -> None:
    cues = [cue(webvtt.clean(text))]
    data = imsc.document(cues, None)
    imsc.check("odd", data, cues)


def test_what_imsc1_lacks_is_told() -> None:
    cues = [cue("<ruby>漢<rt>かん</ruby>字"), cue("<v Fred>Hi <00:01.500>there"), cue("plain")]
    assert imsc.plain_text(cues[0]) == "漢(かん)字"
    told = imsc.losses(cues)
    assert len(told) == 3
    assert told[0].startswith("IMSC1: 1 cue has ruby")
    assert imsc.losses([cue("<i>x</i>")]) == ()


def region(settings: str) -> str:
    found = attributes_of(settings)
    names = ("origin", "extent", "displayAlign", "textAlign", "writingMode")
    return " ".join(found.get(f"tts:{name}", "-") for name in names)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", "0% 50% 100% 45% after center -"),
        ("line:0", "0% 0% 100% 50% before center -"),
        ("line:2 align:start", "0% 12% 100% 38% before start -"),
        ("line:-1", "0% 50% 100% 50% after center -"),
        ("line:-3 align:end", "0% 50% 100% 38% after end -"),
        ("line:90%,end", "0% 50% 100% 40% after center -"),
        ("line:60%", "0% 60% 100% 40% before center -"),
        ("line:30%,center", "0% 0% 100% 60% center center -"),
        ("position:20%,line-left size:40% align:left", "20% 50% 40% 45% after left -"),
        ("position:80% align:right", "0% 50% 80% 45% after right -"),
        ("position:30% size:100%", "0% 50% 60% 45% after center -"),
        ("vertical:rl", "0% 0% 50% 100% after center tbrl"),
        ("vertical:rl line:0 align:left", "50% 0% 50% 100% before start tbrl"),
        ("vertical:lr line:0", "0% 0% 50% 100% before center tblr"),
        ("line:x size:900% align:up", "0% 50% 100% 45% after center -"),
    ],
)
def test_places(settings: str, expected: str) -> None:
    assert region(settings) == expected


def test_regions_lie_inside_of_the_picture() -> None:
    numbers = [f"line:{number}" for number in (-99, -1, 0, 40)]
    percents = [f"line:{part}%,{at}" for part in (0, 50, 100) for at in ("start", "center", "end")]
    for line in ["", *numbers, *percents]:
        for rest in ("", "vertical:rl", "vertical:lr", "position:0%", "position:100% align:start", "size:0%"):
            found = attributes_of(f"{line} {rest}")
            x, y = (float(part.rstrip("%")) for part in found["tts:origin"].split())
            width, height = (float(part.rstrip("%")) for part in found["tts:extent"].split())
            assert min(x, y) >= 0 and min(width, height) >= 5 and max(x + width, y + height) <= 100, found


# --- in MP4 ---------------------------------------------------------------------------------


def test_segments() -> None:
    init = init_segment(SECOND, sum(LENGTHS), "deu")
    facts, tracks = read_init(init)
    assert (facts.has_mvex, facts.has_samples) == (True, False)
    assert facts.brands == ("iso6", "iso6", "cmfc", "im1t")
    assert [(f.kind, f.codecs) for f in facts.formats] == [("text", "stpp.ttml.im1t")]
    begin, seen = 0, []
    for number, (document, ticks) in enumerate(zip(documents(), LENGTHS, strict=True), start=1):
        data = media_segment(document, number, begin, ticks)
        segment = measure_segment(data, tracks, len(data))
        (stream,) = segment.streams
        assert (stream.begin, stream.duration) == (Fraction(begin, SECOND), Fraction(ticks, SECOND))
        assert segment.cues
        seen.append((float(segment.cues.begin), float(segment.cues.end)))
        begin += ticks
    assert seen == [(0.5, 7.25), (5.0, 7.25), (12.0, 13.0)]


# --- documents of others --------------------------------------------------------------------

TT = '<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" {}>{}</tt>'


def lines_of(body: str, parameters: str = "") -> list[Line]:
    return list(read_document(TT.format(parameters, f"<body>{body}</body>").encode()).lines)


@pytest.mark.parametrize(
    ("body", "parameters", "expected"),
    [
        ('<div begin="10s"><p begin="1s" end="2.5s">a<br/>b</p></div>', "", [(11, 12.5, "a\nb")]),
        ('<div><p begin="00:00:01:15" dur="1s">a</p></div>', 'ttp:frameRate="30"', [(1.5, 2.5, "a")]),
        ('<div><p begin="30f" end="60f">a</p></div>', 'ttp:frameRate="30"', [(1, 2, "a")]),
        ('<div><p begin="5t" end="10t">a</p></div>', 'ttp:tickRate="5"', [(1, 2, "a")]),
        ('<div><p>a <span begin="1s" end="2s">b</span></p></div>', "", [(None, None, "a"), (1, 2, "b")]),
        ('<div end="2s"><p begin="1s" end="9s">a</p><p begin="3s" end="4s">b</p></div>', "", [(1, 2, "a")]),
        ('<div><p begin="1s" end="2s">  </p></div>', "", []),
        ('<div><p begin="100ms" end="1m">a &amp;\n b</p></div>', "", [(Fraction(1, 10), 60, "a & b")]),
    ],
)
def test_reads_documents_of_others(body: str, parameters: str, expected: list[Any]) -> None:
    assert lines_of(body, parameters) == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<tt", "well-formed"),
        (b"\xff\xfe<", "well-formed"),
        (b"<tt/>", "namespace"),
        (b'<!DOCTYPE tt [<!ENTITY a "aaaa">]><tt xmlns="http://www.w3.org/ns/ttml"/>', "document type"),
        (TT.format("", '<body begin="soon"/>').encode(), "'soon' is no time"),
        (TT.format("", '<body begin="2s" end="1s"/>').encode(), "before it begins"),
        (TT.format('ttp:tickRate="0"', "").encode(), "no rate"),
        (TT.format("", "<body>" + "<div>" * 99 + "</div>" * 99 + "</body>").encode(), "64 elements"),
    ],
)
def test_refuses_what_is_none(data: bytes, words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        read_document(data)


def test_images_are_another_profile() -> None:
    smpte = 'xmlns:smpte="http://www.smpte-ra.org/schemas/2052-1/2010/smpte-tt"'
    data = TT.format(smpte, '<body><div smpte:backgroundImage="a.png"/></body>').encode()
    assert "images" in (read_document(data).fault or "")
    image = 'ttp:profile="http://www.w3.org/ns/ttml/profile/imsc1/image"'
    assert "imsc1/image" in (read_document(TT.format(image, "").encode()).fault or "")
    assert read_document(documents()[0]).fault is None
    assert read_document(documents()[0]).lines[0] == Line(
        Fraction(1, 2), Fraction(2), "Fish & chips, a < b\nbold both under"
    )
