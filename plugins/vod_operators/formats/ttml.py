"""A TTML document of any maker -> when its text is shown (W3C TTML 1, 8.2 and 10; IMSC 1.0.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple
from xml.parsers import expat

from vod_operators.errors import VerificationError

TT = "http://www.w3.org/ns/ttml"
TTP, TTS = f"{TT}#parameter", f"{TT}#styling"
TEXT_PROFILE = f"{TT}/profile/imsc1/text"
"""Designator of IMSC1's text profile."""

SMPTE = "http://www.smpte-ra.org/schemas/2052-1/"
"""Beginning of the namespace of images in TTML."""

MAX_DEPTH = 64
"""Of elements: ``tt``, ``body``, some ``div``, ``p`` and ``span``."""

_CLOCK = re.compile(r"(\d{2,9}):(\d\d):(\d\d)(?:(\.\d{1,12})|:(\d{2,4})(?:\.\d{1,6})?)?")
_OFFSET = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(h|ms|m|s|f|t)")
_UNITS = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}


class Line(NamedTuple):
    """Text that is shown from ``begin`` to ``end``."""

    begin: Fraction | None
    """Seconds on the track's clock; None: from the sample's begin on."""
    end: Fraction | None
    """None: to the sample's end."""
    text: str

    @property
    def is_shown(self) -> bool:
        """Whether it ends after it begins: one inside of another that has ended does not."""
        return self.end is None or self.end > (self.begin or 0)


class Document(NamedTuple):
    """What a document shows."""

    lines: tuple[Line, ...]
    """Text of each time in each ``p``, in the document's order; without what shows nothing."""
    fault: str | None
    """Why it is no IMSC1 of the text profile, in words; None if nothing says so."""


@dataclass
class _Element:
    """An open element."""

    name: str
    begin: Fraction | None
    end: Fraction | None


@dataclass
class _Reader:
    """Collects the lines of a document."""

    opened: list[_Element] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    fault: str | None = None
    frame_rate: Fraction = Fraction(30)
    tick_rate: Fraction = Fraction(1)
    of_paragraph: int = 0
    """Number of the first line of the paragraph that is open."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if len(self.opened) == MAX_DEPTH:
            raise VerificationError(f"IMSC1: more than {MAX_DEPTH} elements are in each other")
        if not self.opened:
            if name != f"{TT} tt":
                raise VerificationError(f"IMSC1: its root is {local!r}, not 'tt' of the namespace {TT}")
            self._read_parameters(attributes)
        if local == "image" or any(
            key.startswith(SMPTE) and key.endswith(" backgroundImage") for key in attributes
        ):
            self.fault = self.fault or "has images, so it is not of the text profile"
        above = self.opened[-1] if self.opened else _Element("", None, None)
        begin, end = above.begin, above.end
        if namespace == TT and local in ("body", "div", "p", "span", "br"):
            if attributes.get("timeContainer") == "seq":
                raise VerificationError("IMSC1: timeContainer=seq, which this reader does not know")
            begin, end = self._times(attributes, above)
        self.opened.append(_Element(local if namespace == TT else "", begin, end))
        if self.opened[-1].name == "p":
            self.of_paragraph = len(self.lines)
        elif self.opened[-1].name == "br":
            self.text("\n", is_break=True)

    def finish(self, name: str) -> None:
        element = self.opened.pop()
        if element.name == "p":
            lines = [
                line._replace(text="\n".join(_trimmed(part) for part in line.text.split("\v")))
                for line in self.lines[self.of_paragraph :]
            ]
            self.lines[self.of_paragraph :] = [line for line in lines if line.text.strip() and line.is_shown]

    def text(self, data: str, *, is_break: bool = False) -> None:
        if not any(element.name == "p" for element in self.opened):
            return
        # Newlines of the document are spaces; \v is no character of XML.
        data = "\v" if is_break else re.sub(r"[ \t\r\n]+", " ", data)
        element = self.opened[-1]
        last = self.lines[-1] if len(self.lines) > self.of_paragraph else None
        if last and (last.begin, last.end) == (element.begin, element.end):
            self.lines[-1] = last._replace(text=last.text + data)
        elif data.strip() or is_break:
            self.lines.append(Line(element.begin, element.end, data))

    def _read_parameters(self, attributes: dict[str, str]) -> None:
        try:
            rate = Fraction(attributes.get(f"{TTP} frameRate", "30"))
            told = attributes.get(f"{TTP} frameRateMultiplier", "1 1").replace(":", " ").split()
            self.frame_rate = rate * Fraction(int(told[0]), int(told[-1]))
            ticks = attributes.get(f"{TTP} tickRate")
            has_frames = f"{TTP} frameRate" in attributes
            self.tick_rate = Fraction(ticks) if ticks else self.frame_rate if has_frames else Fraction(1)
            if self.frame_rate <= 0 or self.tick_rate <= 0:
                raise ValueError
        except (ValueError, ZeroDivisionError, IndexError):
            raise VerificationError("IMSC1: its frameRate or tickRate is no rate") from None
        told_profile = attributes.get(f"{TTP} profile", "") + attributes.get(f"{TTP} contentProfiles", "")
        if "/imsc1" in told_profile and "/text" not in told_profile:
            self.fault = f"says that it is of the profile {told_profile[:100]}"

    def _times(self, attributes: dict[str, str], above: _Element) -> tuple[Fraction | None, Fraction | None]:
        """Begin and end of an element on the track's clock; they count from the begin of the one above."""
        zero = above.begin or Fraction(0)
        begin, end, lasts = (
            self._seconds(attributes[name]) if name in attributes else None
            for name in ("begin", "end", "dur")
        )
        first = above.begin if begin is None else zero + begin
        ends = [above.end] if above.end is not None else []
        ends += [zero + end] if end is not None else []
        ends += [(first or Fraction(0)) + lasts] if lasts is not None else []
        last = min(ends, default=None)
        if begin is not None and end is not None and end < begin:
            raise VerificationError(f"IMSC1: an element ends at {float(end):g} s, before it begins")
        return first, last

    def _seconds(self, text: str) -> Fraction:
        if clock := _CLOCK.fullmatch(text):
            hours, minutes, whole = (int(clock[number]) for number in (1, 2, 3))
            part = Fraction(clock[4]) if clock[4] else int(clock[5] or 0) / self.frame_rate
            return 3600 * hours + 60 * minutes + whole + part
        if offset := _OFFSET.fullmatch(text):
            unit = {"f": 1 / self.frame_rate, "t": 1 / self.tick_rate}.get(offset[2])
            return Fraction(offset[1]) * (unit or _UNITS[offset[2]])
        raise VerificationError(f"IMSC1: {text[:40]!r} is no time")


def read_document(data: bytes) -> Document:
    """What a document shows.

    :raises VerificationError: it is no well-formed TTML, declares entities, or has times that make no sense.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.finish
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise VerificationError(f"IMSC1: it is no well-formed XML ({error})") from None
    return Document(tuple(reader.lines), reader.fault)


def _trimmed(text: str) -> str:
    """A line without spaces that are not shown."""
    return re.sub(" +", " ", text).strip(" ")


def _refuse(*_: object) -> None:
    raise VerificationError("IMSC1: it has a document type declaration, whose entities are not read")
