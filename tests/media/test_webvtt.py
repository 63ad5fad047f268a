"""Cues: cleaned, cut into segments, and held against what was meant."""

from __future__ import annotations

import pytest

from vod_operators.errors import VerificationError
from vod_operators.media import webvtt
from vod_operators.media.webvtt import Cue


def cue(begin_ms: int, end_ms: int, text: str = "Hi") -> Cue:
    return Cue(begin_ms=begin_ms, end_ms=end_ms, text=text)


def test_what_ffmpeg_writes_is_read() -> None:
    document = (
        "WEBVTT\n\n00:01.000 --> 00:02.500 line:0 align:start region:r1\nOne\nTwo\n\n"
        "name\n01:00:00.000 --> 01:00:01.000\nThree\n\nafter an empty line\n\n"
        "00:05.000 --> 00:05.000\nno time\n\n00:06.000 --> 00:07.000\n<font>\n"
    )

    assert webvtt.parse(document) == [
        Cue(begin_ms=1000, end_ms=2500, text="One\nTwo", settings="line:0 align:start"),
        Cue(begin_ms=3_600_000, end_ms=3_601_000, text="Three\nafter an empty line"),
    ]


def test_times_are_shifted_and_ordered() -> None:
    document = "WEBVTT\n\n01:00:09.000 --> 01:00:10.000\nB\n\n00:59:59.500 --> 01:00:01.000\nA\n"

    found = webvtt.parse(document, shift_ms=3_600_000)

    assert [(c.begin_ms, c.end_ms, c.text) for c in found] == [(-500, 1000, "A"), (9000, 10_000, "B")]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("<i>so</i> <b>bold</b>", "<i>so</i> <b>bold</b>"),
        ('<font color="red">red</font>', "red"),
        ("<script>alert(1)</script>", "alert(1)"),
        ('<img src=x onerror="a">pic', "pic"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("1 <2 and 3> 2", "1 &lt;2 and 3&gt; 2"),
        ("Q&amp;A &lt;3", "Q&amp;A &lt;3"),
        ("<v Bob>Hi</v> <c.yellow>you</c>", "<v Bob>Hi</v> <c.yellow>you</c>"),
        ("wait --> there", "wait --&gt; there"),
        ("\x00bell\x07", "bell"),
        (" \n two \n\n", "two"),
    ],
)
def test_text_is_valid_webvtt_whatever_it_was(text: str, cleaned: str) -> None:
    assert webvtt.clean(text) == cleaned
    assert webvtt.clean(cleaned) == cleaned


def test_shapes_of_ass_are_not_text() -> None:
    document = "WEBVTT\n\n00:01.000 --> 00:02.000\n<b>m 0 0 l 100 0 100 100Hello</b>\n"

    assert [c.text for c in webvtt.parse(document, drawings=True)] == ["<b>Hello</b>"]


def test_a_cue_stands_in_every_segment_that_shows_it() -> None:
    """Segments of 2 s, 2 s and 1 s in ticks of 1/12800."""
    cues = [cue(-500, 300, "before"), cue(500, 4200, "long"), cue(1000, 2000, "to the end"), cue(3999, 4000)]

    found = list(webvtt.cut(cues, [25_600, 25_600, 12_800], 12_800))

    assert [[c.text for c in shown] for shown in found] == [
        ["before", "long", "to the end"],
        ["long", "Hi"],
        ["long"],
    ]


def test_a_segment_is_whole_without_a_cue() -> None:
    assert webvtt.segment([]) == "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"
    assert webvtt.segment([cue(-500, 3_723_004, "<i>a</i>\nb")]) == (
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"
        "00:00:00.000 --> 01:02:03.004\n<i>a</i>\nb\n\n"
    )


def test_a_whole_track() -> None:
    assert webvtt.whole([cue(0, 1500)]) == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHi\n\n"


def test_what_was_written_is_held_against_what_was_meant() -> None:
    cues = [cue(-100, 2500, "A"), cue(3000, 3500, "B")]
    files = [webvtt.segment(shown) for shown in webvtt.cut(cues, [2000, 2000], 1000)]

    webvtt.check("text-0", files, [2000, 2000], 1000, cues)

    for broken in ([files[0], files[0]], [files[0]], [files[1], files[0]], [*files, files[0]],
                   [files[0].replace("-->", ""), files[1]]):  # fmt: skip
        with pytest.raises(VerificationError, match="text-0"):
            webvtt.check("text-0", broken, [2000] * len(broken), 1000, cues)
