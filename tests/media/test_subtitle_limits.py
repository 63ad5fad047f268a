"""What subtitles may be at most, and that nothing in them takes more than linear time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vod_operators.errors import InvalidInputError
from vod_operators.media import subtitle_limits, webvtt
from vod_operators.media.webvtt import Cue
from vod_operators.settings import VodSettings

LIMITS = VodSettings().subtitle_limits


def srt(number: int, begin: int, end: int, text: str = "word") -> str:
    times = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d},000" for s in (begin, end)]
    return f"{number}\n{times[0]} --> {times[1]}\n{text}\n"


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        (
            srt(1, 0, 1) + "\n" + srt(2, 1, 2, "x" * 8_000_000),
            "srt",
            "a, line 5: a cue has .*VOD_MAX_CUE_CHARS",
        ),
        (srt(1, 0, 1, "<b>" * 200_001), "srt", "a: it has 200001 tags; .*200000 .VOD_MAX_CUES"),
        (
            "\n".join(srt(n, 0, 1) for n in range(50_001)),
            "srt",
            "a: it has 50001 cues; .*50000 .VOD_MAX_CUES",
        ),
        ("[Events]\n" + "Dialogue: 0,x\n" * 50_001, "ass", "MAX_CUES"),
        ("[Events]\nDialogue: 0," + "{" * 65_536, "ass", "line 2: a cue has 65548 characters"),
        ("WEBVTT\n\n" + "STYLE\n" + "x\n" * 40_000, "vtt", "line 3: a cue has"),
    ],
    ids=["one cue", "tags", "cues", "cues of ASS", "a line of ASS", "a style"],
)
def test_a_file_beyond_a_limit_is_refused_with_it(text: str, kind: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        subtitle_limits.check_file(text, kind, "a", LIMITS)


def test_a_long_film_is_far_below() -> None:
    text = "\n".join(
        srt(n, 3 * n, 3 * n + 2, "<i>Two lines of a film</i>\nthat people read") for n in range(4_000)
    )
    subtitle_limits.check_file(text, "srt", "a", LIMITS)
    cues = [Cue(begin_ms=3000 * n, end_ms=3000 * n + 2000, text="a") for n in range(4_000)]
    subtitle_limits.check_track(cues, "a", LIMITS)


def test_cues_at_once_are_counted() -> None:
    cues = [Cue(begin_ms=n, end_ms=n + 1000, text="a") for n in range(5_000)]
    subtitle_limits.check_track(cues, "a", LIMITS)  # a thousand at any moment
    cues = [Cue(begin_ms=n, end_ms=n + 1001, text="a") for n in range(5_000)]
    with pytest.raises(InvalidInputError, match="it shows 1001 cues at once; the limit is 1000"):
        subtitle_limits.check_track(cues, "a", LIMITS)


def test_segments_have_a_budget() -> None:
    budget = subtitle_limits.SegmentBudget("a", LIMITS)
    budget.spend(200_000, 100_000_000)
    with pytest.raises(InvalidInputError, match="VOD_MAX_SEGMENT_CUES"):
        budget.spend(1, 0)
    with pytest.raises(InvalidInputError, match="VOD_MAX_SEGMENT_CUES"):
        subtitle_limits.SegmentBudget("a", LIMITS).spend(1, 100_000_001)


def test_a_cue_is_looked_at_once_for_each_of_its_segments() -> None:
    """Behind one that spans a film there are many short ones: each is looked at twice, not 1,200 times."""
    looks = 0

    class Counted(Cue):
        def __getattribute__(self, name: str) -> object:
            nonlocal looks
            looks += name == "end_ms"
            return object.__getattribute__(self, name)

    def cues() -> Iterator[Cue]:
        yield Counted(begin_ms=0, end_ms=7_200_000, text="all the time")
        for n in range(7_200):
            yield Counted(begin_ms=1000 * n, end_ms=1000 * n + 500, text="short")

    shown = list(webvtt.cut(list(cues()), [6] * 1200, 1))
    assert [len(one) for one in shown] == [7] * 1200
    assert looks <= 3 * 7_201 + 2 * 1200
