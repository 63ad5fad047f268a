"""Names that come from outside."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from vod_operators.media.names import MAX_NAME, clean_name, unique_title


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Director's cut", "Director's cut"),
        ("  two\u2028lines\u2029and\x85more\n ", "two lines and more"),
        ("a\x00b\x1b[31mc\x7f", "a b [31mc"),
        ("\u202egpj.exe\u202c", "gpj.exe"),
        ("\ufffe\uffff\ud800x\udfff", "x"),
        ("नमस्ते \u200dक", "नमस्ते \u200dक"),
        ("日本語 🎬", "日本語 🎬"),
        ("\u2066\u061c\r\n", ""),
        ("x" * 120_000, "x" * MAX_NAME),
        ("\n" * 120_000 + "x", ""),
    ],
)
def test_a_name_is_one_line_that_can_be_printed(given: str, name: str) -> None:
    cleaned = clean_name(given)
    assert cleaned == name
    assert len(cleaned.splitlines()) <= 1
    assert json.loads(json.dumps(cleaned)) == cleaned.encode().decode()
    element = ElementTree.Element("Label")
    element.text = cleaned
    assert (ElementTree.fromstring(ElementTree.tostring(element)).text or "") == cleaned


def test_a_title_cannot_leave_its_attribute() -> None:
    taken: set[str] = set()
    assert unique_title('x",URI="http://evil\u2028#EXT-X-KEY', 1, "Audio", taken) == (
        "x,URI=http://evil #EXT-X-KEY"
    )
    assert unique_title("\u2028", 2, "Audio", taken) == "Audio 2"
    assert unique_title("\x00Audio 2", 3, "Audio", taken) == "Audio 2 (3)"
