"""Chapters of a request and of a source, and what players are told of them."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from plans import a_plan

from vod_operators.errors import InvalidInputError
from vod_operators.media import chapters
from vod_operators.media.chapter_request import parse_chapters
from vod_operators.media.models import Chapter, Chunk, Plan, Timeline

TIMELINE = Timeline(
    origin_pts=12_800, time_base=Fraction(1, 12_800), frames=250, sounds={},
    chunks=(Chunk(index=0, first=0, last=250, key_pts=0, end_pts=None),),
)  # fmt: skip
"""Ten seconds, which begin at 1 s of the source's clock."""


def planned(asked: str = "", *, told: bool = False, source: tuple[Chapter, ...] = ()) -> Plan:
    plan = a_plan()
    return plan.model_copy(
        update={
            "chapters": parse_chapters(asked),
            "preset": plan.preset.model_copy(update={"chapters": told}),
            "source": plan.source.model_copy(update={"chapters": source}),
        }
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "chapters: "),
        ("{}", "chapters: "),
        ('[{"start": 0}]', r"chapters\[0\].title: "),
        ('[{"start": 0, "title": ""}]', r"chapters\[0\].title: "),
        ('[{"start": 0, "title": "\\u202e "}]', r"chapters\[0\].title: .*no printable character"),
        (json.dumps([{"start": 0, "title": "x" * 256}]), r"chapters\[0\].title: .*255"),
        ('[{"start": -1, "title": "a"}]', r"chapters\[0\].start: "),
        ('[{"start": 1, "title": "a"}]', r"chapters\[0\].start: the first must begin at 0, not at 1"),
        ('[{"start": 0, "title": "a", "end": 1}]', r"chapters\[0\].end: "),
        ('[{"start": 0, "title": "a", "language": "klingonisch"}]', r"chapters\[0\].language: .*no language"),
        (
            '[{"start": 0, "title": "a"}, {"start": 5, "title": "b"}, {"start": 5.0001, "title": "c"}]',
            r"chapters\[2\].start: .* is not after the chapter before it, which begins at 5 s",
        ),
        (json.dumps([{"start": n, "title": "a"} for n in range(1001)]), "more than 1000"),
    ],
)
def test_a_request_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        parse_chapters(text)


def test_a_request_without_chapters() -> None:
    assert parse_chapters("null") is None and parse_chapters("") is None
    assert parse_chapters("[]") == ()


def test_those_of_the_request_last_until_the_next() -> None:
    plan = planned(
        '[{"start": 0, "title": " A\\u0000 "}, {"start": 2.5004, "title": "B", "language": "ger"}]',
        source=(Chapter(start_s=Fraction(0), end_s=Fraction(9), title="the source's"),),
    )
    told = chapters.told(plan, TIMELINE)
    assert [(c.start_s, c.end_s, c.title, c.language) for c in told] == [
        (0, Fraction("2.5"), "A", None), (Fraction("2.5"), 10, "B", "de"),
    ]  # fmt: skip


def test_those_of_the_source_are_told_if_the_preset_says_so() -> None:
    source = (
        Chapter(start_s=Fraction(6), end_s=Fraction(99), title="late"),
        Chapter(start_s=Fraction(0), end_s=Fraction(3), title=None),
        Chapter(start_s=Fraction(50), end_s=Fraction(60), title="outside"),
    )
    assert chapters.told(planned(source=source), TIMELINE) == []
    assert chapters.told(planned("[]", told=True, source=source), TIMELINE) == []
    told = chapters.told(planned(told=True, source=source), TIMELINE)
    assert [(c.start_s, c.end_s, c.title) for c in told] == [(0, 2, None), (5, 10, "late")]
    assert json.loads(chapters.json_chapters(told)) == [
        {"chapter": 1, "start-time": 0, "duration": 2, "titles": [{"language": "und", "title": "1"}]},
        {"chapter": 2, "start-time": 5, "duration": 5, "titles": [{"language": "und", "title": "late"}]},
    ]
    assert [(mark.begins_ms, mark.title) for mark in chapters.marks(told)] == [(0, "1"), (5000, "late")]


def test_webvtt_shows_a_title_as_it_is() -> None:
    told = chapters.told(planned('[{"start": 0, "title": "a --> b & <i>c</i> &amp;"}]'), TIMELINE)
    assert chapters.webvtt_chapters(told).decode() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:10.000\na --&gt; b &amp; &lt;i&gt;c&lt;/i&gt; &amp;amp;\n\n"
    )


def test_the_end_is_checked_when_it_is_known() -> None:
    plan = planned('[{"start": 0, "title": "a"}, {"start": 10, "title": "b"}]')
    with pytest.raises(InvalidInputError, match=r"chapters\[1\].start: 10 s is not inside .* 10.000 s"):
        chapters.require_inside(plan, TIMELINE)
    chapters.require_declared(plan)  # no length is declared
    declared = plan.model_copy(update={"source": plan.source.model_copy(update={"duration_ms": 9_500})})
    chapters.require_declared(declared)  # half a second more than declared is usual
    declared = plan.model_copy(update={"source": plan.source.model_copy(update={"duration_ms": 8_900})})
    with pytest.raises(InvalidInputError, match=r"chapters\[1\].start: 10 s is not inside .* 8.900 s"):
        chapters.require_declared(declared)
