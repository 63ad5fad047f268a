"""IMSC1 as ttconv reads it, a converter of others (Sandflow). It is not of the locked packages:
``.venv/bin/pip install ttconv`` makes the tests run that need it."""

from __future__ import annotations

import io
from fractions import Fraction
from importlib.util import find_spec
from xml.etree import ElementTree

import pytest

from vod_operators.media import imsc, webvtt


def ttconv_is_there() -> bool:
    """Whether it is installed."""
    return find_spec("ttconv") is not None


def read_by_ttconv(document: bytes) -> list[tuple[Fraction, Fraction, str]]:
    """Begin, end and text of each cue, through its conversion to WebVTT. Skips the test without ttconv."""
    reader = pytest.importorskip("ttconv.imsc.reader")
    writer = pytest.importorskip("ttconv.vtt.writer")
    config = pytest.importorskip("ttconv.vtt.config").VTTWriterConfiguration
    model = reader.to_model(ElementTree.parse(io.BytesIO(document)))
    text = writer.from_model(model, config(line_position=False, text_align=False))
    return [
        (Fraction(cue.begin_ms, 1000), Fraction(cue.end_ms, 1000), imsc.plain_text(cue))
        for cue in webvtt.parse(text)
    ]
