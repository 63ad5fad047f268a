"""Names that come from outside."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from vod_operators.media.names import MAX_NAME, clean_name, iso_639_2, language_tag, unique_title

TERMINOLOGICAL = (
    "sq:sqi hy:hye eu:eus my:mya zh:zho cs:ces nl:nld fr:fra ka:kat de:deu el:ell is:isl mk:mkd mi:mri "
    "ms:msa fa:fas ro:ron sk:slk bo:bod cy:cym hr:hrv sr:srp ak:aka ar:ara en:eng no:nor pt-BR:por "
    "zh-Hant-TW:zho gu:guj yue:yue gsw:gsw fil:fil qaa:qaa mul:mul x-klingon:und"
)
"""Tags and codes of ISO 639-2/T: the twenty languages with another code for bibliographers, and others."""


def test_headers_have_the_codes_of_terminology() -> None:
    pairs = [pair.split(":") for pair in TERMINOLOGICAL.split()]
    assert [iso_639_2(tag) for tag, _ in pairs] == [code for _, code in pairs]
    assert iso_639_2(None) == "und"


def test_every_language_of_two_letters_has_a_code_of_its_own() -> None:
    from string import ascii_lowercase

    two = [a + b for a in ascii_lowercase for b in ascii_lowercase]
    known = [tag for tag in two if language_tag(tag) == tag]
    codes = [iso_639_2(tag) for tag in known]
    assert len(known) > 175 and len(set(codes)) == len(codes) and "und" not in codes


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
