"""Facts of chunks and tracks -> one report, and what a preset's policy makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from media.plans import a_plan
from vod_operators.media.models import Chunk, Timeline
from vod_operators.media.presets.report import ReportPolicy
from vod_operators.media.report_pictures import Edges, PictureFacts, Run
from vod_operators.media.report_sound import Part, TrackFacts
from vod_operators.media.source_report import Bars, Black, Interval, SourceReport, certain, join, judge, make

FRAMES = 1000


def run(first: int, last: int, before: bool | None = None, after: bool | None = None) -> Run:
    return Run(first=first, last=last, before=before, after=after)


def report(
    *chunks: PictureFacts | None,
    sounds: dict[str, TrackFacts] | None = None,
    still: bool = False,
    **policy: Any,
) -> SourceReport:
    plan = a_plan()
    preset = plan.preset.model_copy(update={"source_report": ReportPolicy(**policy)})
    timeline = Timeline(
        origin_pts=0,
        time_base=Fraction(1, 12_800),
        frames=FRAMES,
        chunks=(Chunk(index=0, first=0, last=FRAMES, key_pts=0, end_pts=None),),
        sounds={},
        still=still,
    )
    return make(plan.model_copy(update={"preset": preset}), timeline, chunks, sounds or {})


# --- joining --------------------------------------------------------------------------------


def test_a_run_over_a_join_is_one_run() -> None:
    whole = run(480, 510, False, True)
    assert join(iter([run(480, 505, False, None), whole])) == [whole]
    assert join(iter([whole, run(480, 505, False, None)])) == [whole]


def test_a_run_of_several_chunks_is_one_run() -> None:
    pieces = [run(350, 1000, None, None), run(10, 505, True, None), run(900, 1200, None, False)]
    assert join(iter(pieces)) == [run(10, 1200, True, False)]


def test_runs_that_only_touch_are_two() -> None:
    assert join(iter([run(10, 20), run(20, 30)])) == [run(10, 20), run(20, 30)]


def test_times_count_from_the_first_picture() -> None:
    found = report(PictureFacts(black=(run(50, 75, False, False),)))
    assert found.black == (Black(start_s=2.0, end_s=3.0, faded=False),)


def test_a_run_in_the_lead_out_ends_with_the_video() -> None:
    found = report(PictureFacts(black=(run(980, FRAMES, False, None),), flashes=(run(-3, 20),)))
    assert found.black == (Black(start_s=39.2, end_s=40.0, faded=False),)
    assert found.flashes == (Interval(start_s=0.0, end_s=0.8),)


def test_frozen_is_what_stands_still_amid_motion() -> None:
    runs = [
        run(0, 20, None, True),  # from the beginning
        run(100, 120, True, True),
        run(200, 220, True, None),  # the chunk after it knew that it is intended
        run(1, 10, False, True),  # begins with a cut
        run(980, FRAMES, True, None),  # to the end
    ]
    found = report(PictureFacts(frozen=tuple(runs)))
    assert [interval.start_s for interval in found.frozen or ()] == [0.0, 4.0, 39.2]


def test_one_picture_beside_a_still_run_tells_of_no_motion() -> None:
    found = report(PictureFacts(frozen=(run(1, 20, None, True), run(980, FRAMES - 1, True, None))))
    assert [(each.start_s, each.end_s) for each in found.frozen or ()] == [(0.04, 0.8), (39.2, 39.96)]


def test_a_picture_that_never_moves_is_not_frozen() -> None:
    assert report(PictureFacts(frozen=(run(0, FRAMES, None, None),))).frozen == ()


@pytest.mark.parametrize(
    "facts",
    [
        {"intended_runs": 3, "intended_frames": 200, "still_runs": 4, "still_frames": 230},  # slides
        {"still_runs": 5, "still_frames": 600},  # slides that dissolve
    ],
)
def test_where_stills_are_usual_none_is_frozen(facts: dict[str, int]) -> None:
    found = report(PictureFacts(frozen=(run(100, 120, True, True),), **facts))
    assert (found.frozen, found.stills_are_usual) == ((), True)


def test_a_still_picture_held_for_the_sound_is_not_frozen() -> None:
    assert report(PictureFacts(frozen=(run(0, 500, None, True),)), still=True).frozen == ()


def test_a_chunk_without_facts_leaves_the_others() -> None:
    found = report(None, PictureFacts(black=(run(50, 75, False, False),)))
    assert len(found.black or ()) == 1
    assert report(None).black is None


def test_what_is_off_is_not_told() -> None:
    found = report(PictureFacts(black=(run(50, 75),)), black="off")
    assert (found.black, found.frozen) == (None, ())


def test_the_list_is_bounded() -> None:
    many = tuple(run(4 * n, 4 * n + 3) for n in range(250))
    found = report(PictureFacts(black=many, left_out={"black": 7}))
    assert len(found.black or ()) == 200
    assert found.left_out == {"black": 57}


# --- bars -----------------------------------------------------------------------------------


def edges(
    inset: tuple[int, int, int, int], sharp: Sequence[dict[int, int]], looked_at: int = 10
) -> PictureFacts:
    a, b, c, d = sharp
    return PictureFacts(edges=Edges(looked_at=looked_at, inset=inset, sharp=(a, b, c, d)))


def test_bars_are_black_throughout() -> None:
    sharp = ({0: 10}, {12: 9}, {0: 10}, {12: 10})
    # A dark scene, whose edge is further in.
    dark = edges((0, 40, 0, 12), ({0: 10}, {}, {0: 10}, {12: 10}))
    assert report(edges((0, 12, 0, 12), sharp), dark).bars == Bars(left=0, top=12, right=0, bottom=12)


@pytest.mark.parametrize(
    ("inset", "sharp"),
    [
        ((0, 12, 0, 12), ({}, {}, {}, {})),  # dark above and below, without an edge
        ((1, 0, 1, 0), ({1: 10}, {}, {1: 10}, {})),  # too narrow
        ((0, 12, 0, 0), ({}, {12: 10}, {}, {0: 10})),  # on one side only
        ((0, 0, 0, 0), ({0: 10}, {0: 10}, {0: 10}, {0: 10})),
    ],
)
def test_no_bars(inset: tuple[int, int, int, int], sharp: Sequence[dict[int, int]]) -> None:
    assert report(edges(inset, sharp)).bars is None


def test_a_chunk_with_a_full_picture_has_no_bars() -> None:
    sharp = ({0: 10}, {12: 10}, {0: 10}, {12: 10})
    full = edges((0, 0, 0, 0), ({0: 10}, {0: 10}, {0: 10}, {0: 10}))
    assert report(edges((0, 12, 0, 12), sharp), full).bars is None


# --- policy ---------------------------------------------------------------------------------


def judged(found: SourceReport, **policy: Any) -> tuple[list[str], list[str]]:
    return judge(found, ReportPolicy(**policy), Fraction(40))


def test_each_kind_is_told_warned_of_or_refused() -> None:
    found = report(PictureFacts(black=(run(50, 75, False, False),), frozen=(run(100, 120, True, True),)))
    assert judged(found) == ([], [])
    assert judged(found, black="warn") == (["black picture at 0:02 (1.00 s from 2.00 s)"], [])
    assert judged(found, frozen="refuse") == ([], ["frozen picture at 0:04 (0.80 s from 4.00 s)"])


def test_fades_and_the_ends_are_no_reason_to_warn() -> None:
    runs = (run(0, 40, None, False), run(300, 320, True, False), run(970, FRAMES, False, None))
    found = report(PictureFacts(black=runs))
    assert len(found.black or ()) == 3
    assert judged(found, black="warn") == ([], [])
    assert len(judged(report(PictureFacts(black=(run(0, 100, None, False),))), black="warn")[0]) == 1


def test_many_findings_of_a_kind_are_few_sentences() -> None:
    found = report(PictureFacts(frozen=tuple(run(40 * n, 40 * n + 20, True, True) for n in range(1, 11))))
    warnings, _ = judged(found, frozen="warn")
    assert len(warnings) == 4
    assert warnings[-1] == "frozen: 7 more"


def test_sound() -> None:
    facts = TrackFacts(
        silent=(Part(start_s=0, end_s=2), Part(start_s=10, end_s=11)),
        clipped=(Part(start_s=5, end_s=6, samples=900),),
        integrated_lufs=-6.0,
        true_peak_db=0.5,
        range_lu=3.0,
    )
    found = report(sounds={"audio-0": facts})
    assert found.black is None
    warnings, _ = judged(found, silent="warn", clipped="warn", loudness="warn")
    assert warnings == [
        "silence in audio-0 at 0:10 (1.00 s from 10.00 s)",
        "clipped sound in audio-0 at 0:05 (1.00 s from 5.00 s)",
        "loudness of audio-0: -6.0 LUFS, -36 to -8 are usual",
    ]


@pytest.mark.parametrize(
    ("level", "peak", "warned"), [(-23, -1, False), (-40, -20, True), (-70, -60, False), (-14, 1.2, True)]
)
def test_unusual_loudness(level: float, peak: float, warned: bool) -> None:
    found = report(sounds={"audio-0": TrackFacts(integrated_lufs=level, true_peak_db=peak, range_lu=1)})
    assert bool(judged(found, loudness="warn")[0]) == warned


def test_one_chunk_is_certain_only_of_what_it_has_seen_whole() -> None:
    black = (run(50, 75, False, False), run(90, 120, False, None), run(0, 20, None, False))
    facts = PictureFacts(black=black, frozen=(run(30, 45, True, True),), flashes=(run(1, 9),))
    assert certain(facts, FRAMES) == PictureFacts(black=(black[0], black[2]), flashes=(run(1, 9),))


def test_an_unknown_kind_or_action_is_refused() -> None:
    with pytest.raises(ValidationError, match="blck"):
        ReportPolicy.model_validate({"blck": "warn"})
    with pytest.raises(ValidationError, match="'off', 'tell', 'warn' or 'refuse'"):
        ReportPolicy.model_validate({"black": "ignore"})
