"""Cues of WebVTT -> IMSC1 documents of the text profile (W3C, Internet Media Subtitles 1.0.1).

Times count from the start of the presentation, as in the WebVTT segments: ISO 14496-30 counts those of a
document from the begin of the track, not of the sample. A cue that crosses a segment's end is in both
documents with its full times; the sample's own times clip it.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple
from xml.etree import ElementTree

from vod_operators.errors import VerificationError
from vod_operators.formats import ttml
from vod_operators.media.imsc_region import attributes_of
from vod_operators.media.webvtt import Cue, time_of

CODEC = "stpp.ttml.im1t"
"""Of the text profile, in MP4 (Apple HLS authoring 5.4)."""

NAMESPACES = {
    "xmlns": ttml.TT,
    "xmlns:ttp": ttml.TTP,
    "xmlns:tts": ttml.TTS,
    "ttp:profile": ttml.TEXT_PROFILE,
}

LOOK = {
    "xml:id": "s",
    "tts:fontFamily": "proportionalSansSerif",
    "tts:fontSize": "80%",
    "tts:color": "white",
    "tts:backgroundColor": "#000000cc",
}
"""How browsers draw WebVTT. 80 % of a cell, of which there are 15, are 1/19 of the picture's height."""

COLOURS = ("white", "lime", "cyan", "red", "yellow", "magenta", "blue", "black")
"""Classes that are colours in any WebVTT (W3C WebVTT 5.1); those of the background begin with ``bg_``."""

_TAG = re.compile(r"<(/?)([a-z]*)((?:\.[\w-]+)*)([^>]*)>")

_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

LOSSES = {
    "ruby": "ruby, which IMSC1 lacks: it stands in brackets after its text",
    "times": "times inside: all of their text is shown from the begin on",
    "voices": "names of speakers in voice tags, which IMSC1 leaves out as players of WebVTT do",
}
"""What IMSC1 does not keep of a cue, for people."""


class _Run(NamedTuple):
    """Text of one look on one line."""

    text: str
    look: tuple[tuple[str, str], ...]
    """Attributes of its ``span``."""


def document(cues: Sequence[Cue], language: str | None) -> bytes:
    """A document that shows these cues; valid also without any.

    :param language: of the whole document.
    """
    root = ElementTree.Element("tt", {"xml:lang": language or "", **NAMESPACES})
    head = ElementTree.SubElement(root, "head")
    ElementTree.SubElement(ElementTree.SubElement(head, "styling"), "style", LOOK)
    layout = ElementTree.SubElement(head, "layout")
    div = ElementTree.SubElement(ElementTree.SubElement(root, "body"), "div")
    regions: dict[str, str] = {}
    for cue in cues:
        if cue.settings not in regions:
            regions[cue.settings] = f"r{len(regions)}"
            ElementTree.SubElement(
                layout, "region", {"xml:id": regions[cue.settings], **attributes_of(cue.settings)}
            )
        times = {"begin": time_of(max(0, cue.begin_ms)), "end": time_of(cue.end_ms)}
        paragraph = ElementTree.SubElement(div, "p", {"region": regions[cue.settings], **times})
        for number, line in enumerate(_lines(cue.text)):
            if number:
                ElementTree.SubElement(paragraph, "br")
            for run in line:
                ElementTree.SubElement(paragraph, "span", {"style": "s", **dict(run.look)}).text = run.text
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def losses(cues: Sequence[Cue]) -> tuple[str, ...]:
    """What IMSC1 does not keep of these cues; sentences for people."""
    found = Counter[str]()
    for cue in cues:
        tags = {tag[2] for tag in _TAG.finditer(cue.text) if not tag[1]}
        found.update(
            name
            for name, is_so in (("ruby", "rt" in tags), ("times", "" in tags), ("voices", "v" in tags))
            if is_so
        )
    return tuple(
        f"IMSC1: {found[name]} cue{' has' if found[name] == 1 else 's have'} {words}"
        for name, words in LOSSES.items()
        if found[name]
    )


def check(name: str, data: bytes, cues: Sequence[Cue]) -> None:
    """Check a written document by reading it again.

    :param cues: those that it should show.
    :raises VerificationError: it does not show these cues, or says that it is not of the text profile.
    """
    read = ttml.read_document(data)
    planned = [
        (Fraction(max(0, cue.begin_ms), 1000), Fraction(cue.end_ms, 1000), plain)
        for cue in cues
        if (plain := plain_text(cue))
    ]
    found = [tuple(line) for line in read.lines]
    if read.fault or found != planned:
        what = read.fault or f"shows {len(found)} cues where {len(planned)} are planned, or others"
        raise VerificationError(f"{name}: a document {what}")


def plain_text(cue: Cue) -> str:
    """The text of a cue as the document has it, without its look; empty if nothing of it is visible."""
    lines = (re.sub(" +", " ", "".join(run.text for run in line)).strip(" ") for line in _lines(cue.text))
    return text if (text := "\n".join(lines)).strip() else ""


def _lines(text: str) -> list[list[_Run]]:
    """The lines of a cue's text."""
    lines: list[list[_Run]] = [[]]
    for run in _runs(text):
        for number, part in enumerate(re.sub(r"[ \t]+", " ", run.text).split("\n")):
            if number:
                lines.append([])
            if part and lines[-1] and lines[-1][-1].look == run.look:
                lines[-1][-1] = _Run(lines[-1][-1].text + part, run.look)
            elif part:
                lines[-1].append(_Run(part, run.look))
    return lines


def _runs(text: str) -> Iterator[_Run]:
    """The text between tags, each with its look."""
    opened: list[tuple[str, dict[str, str]]] = []
    at = 0
    for tag in _TAG.finditer(text):
        yield _run(text[at : tag.start()], opened)
        at = tag.end()
        is_end, name = bool(tag[1]), tag[2]
        if not name:  # a time
            continue
        if not is_end:
            opened.append((name, _look(name, tag[3], tag[4])))
            if name == "rt":
                yield _run("(", opened)
        elif name == "ruby" and opened and opened[-1][0] == "rt":  # its end may be left out
            yield _run(")", opened)
            del opened[-2:]
        elif opened and opened[-1][0] == name:
            if name == "rt":
                yield _run(")", opened)
            opened.pop()
    yield _run(text[at:], opened)


def _run(text: str, opened: Sequence[tuple[str, dict[str, str]]]) -> _Run:
    look = {name: value for _, attributes in opened for name, value in attributes.items()}
    return _Run(_NO_XML.sub("", html.unescape(text)), tuple(look.items()))


def _look(name: str, classes: str, annotation: str) -> dict[str, str]:
    """The attributes of a tag."""
    look: dict[str, str] = {}
    match name:
        case "b":
            look["tts:fontWeight"] = "bold"
        case "i":
            look["tts:fontStyle"] = "italic"
        case "u":
            look["tts:textDecoration"] = "underline"
        case "lang":
            look["xml:lang"] = annotation.strip()
    for word in classes.split("."):
        if word in COLOURS:
            look["tts:color"] = word
        elif word.removeprefix("bg_") in COLOURS:
            look["tts:backgroundColor"] = word.removeprefix("bg_")
    return look
