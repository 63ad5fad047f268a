"""IMSC1 as ttconv reads it, a converter of others (Sandflow)."""

from __future__ import annotations

import io
from fractions import Fraction
from xml.etree import ElementTree

from ttconv.imsc import reader
from ttconv.vtt import writer
from ttconv.vtt.config import VTTWriterConfiguration

from vod_operators.media import imsc, webvtt


def read_by_ttconv(document: bytes) -> list[tuple[Fraction, Fraction, str]]:
    """Begin, end and text of each cue, through its conversion to WebVTT."""
    model = reader.to_model(ElementTree.parse(io.BytesIO(document)))
    text = writer.from_model(model, VTTWriterConfiguration(line_position=False, text_align=False))
    return [
        (Fraction(cue.begin_ms, 1000), Fraction(cue.end_ms, 1000), imsc.plain_text(cue))
        for cue in webvtt.parse(text)
    ]
