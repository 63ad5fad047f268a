"""Runs and edges in hand-made grids: 64 cells at 10 frames a second, so that half a second is 5 frames."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest

from vod_operators.media.report_pictures import (
    Edges,
    Grids,
    Run,
    Window,
    edges,
    flash_runs,
    look,
    still_runs,
)

CELLS = 64
RATE = Fraction(10)


def moving(number: int) -> bytes:
    """A picture that has nothing in common with that of another number."""
    return bytes(random.Random(number).choices(range(40, 200), k=CELLS))


def drifting(number: int) -> bytes:
    """A picture of one shot, in which every cell changes a little from picture to picture, both ways."""
    return bytes(100 + (5 * number + 7 * cell) % 40 for cell in range(CELLS))


def flat(luma: int) -> bytes:
    return bytes([luma]) * CELLS


def facts(pictures: Sequence[bytes], *, begin: int = 0, first: int = 0, last: int | None = None):
    window = Window(begin=begin, first=first, last=begin + len(pictures) if last is None else last, rate=RATE)
    coarse = b"".join(picture + flat(128) * 2 for picture in pictures)
    return look(Grids(b"".join(pictures), CELLS), Grids(coarse, 3 * CELLS), window, None)


def span(runs: Sequence[Run]) -> list[tuple[int, int]]:
    return [(run.first, run.last) for run in runs]


def test_black_is_found_to_the_frame() -> None:
    pictures = [moving(n) for n in range(30)]
    pictures[12:17] = [flat(16)] * 5
    found = facts(pictures)
    assert span(found.black) == [(12, 17)]
    assert (found.black[0].before, found.black[0].after) == (False, False)
    assert found.frozen == ()


@pytest.mark.parametrize(
    ("lumas", "is_black"),
    [({16}, True), ({16, 20}, True), ({16, 21}, False), ({29, 30}, True), ({32}, False), ({16, 30}, False)],
)
def test_what_is_black(lumas: set[int], is_black: bool) -> None:
    picture = bytes(sorted(lumas)) * (CELLS // len(lumas))
    assert bool(facts([moving(0), *[picture] * 6, moving(1)]).black) == is_black


def test_black_shorter_than_half_a_second_is_not_told() -> None:
    assert facts([moving(0), *[flat(16)] * 3, moving(1)]).black == ()


def test_black_that_the_picture_fades_to_is_marked() -> None:
    fade = [bytes(16 + (value - 16) * level // 5 for value in moving(1)) for level in (5, 5, 5, 4, 3, 2, 1)]
    (run,) = facts([*fade, *[flat(16)] * 6, *[moving(2)] * 8]).black
    assert (run.before, run.after) == (True, False)


def test_black_at_the_ends_of_what_is_seen_has_nothing_beside_it() -> None:
    (run,) = facts([flat(16)] * 8).black
    assert (run.before, run.after) == (None, None)


def test_a_frozen_picture_is_found_to_the_frame() -> None:
    pictures = [drifting(n) for n in range(40)]
    pictures[15:21] = [drifting(15)] * 6
    found = facts(pictures)
    assert span(found.frozen) == [(15, 21)]
    assert (found.frozen[0].before, found.frozen[0].after) == (True, True)


def test_a_still_picture_may_differ_as_key_frames_do() -> None:
    pictures = [drifting(n) for n in range(30)]
    pictures[10:20] = [bytes(luma + n % 4 for luma in drifting(10)) for n in range(10)]
    assert span(facts(pictures).frozen) == [(10, 20)]


def test_a_slow_pan_is_not_frozen() -> None:
    pictures = [bytes(100 + (n + 7 * cell) % 90 for cell in range(CELLS)) for n in range(40)]
    assert facts(pictures).frozen == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([moving(1)] * 10, [drifting(n) for n in range(10)]),  # stands still before: slides
        ([drifting(n) for n in range(10)], [moving(1)] * 10),
        # a cut begins it: a title, a photograph
        ([bytes(value % 30 + 40 for value in drifting(n)) for n in range(10)], [drifting(1)] * 2),
        # a fade leads to it: all cells get brighter
        ([bytes(luma * level // 10 for luma in drifting(0)) for level in range(10)], [drifting(3)] * 2),
    ],
)  # fmt: skip
def test_a_still_that_is_intended_is_not_frozen(before: list[bytes], after: list[bytes]) -> None:
    found = facts([*before, *[drifting(0)] * 8, *after])
    assert all(run.first != 10 for run in found.frozen)
    assert found.intended_runs >= 1


@pytest.mark.parametrize(("step", "after"), [(2, False), (4, None), (90, None)])
def test_the_last_picture_tells_whether_what_was_still_has_moved_on(step: int, after: bool | None) -> None:
    pictures = [drifting(n) for n in range(10)] + [drifting(9)] * 9
    last = bytes(value + step * (cell < 5) + 4 * (cell == 9) for cell, value in enumerate(drifting(9)))
    data = b"".join([*pictures, last])
    window = Window(begin=0, first=0, last=len(pictures) + 1, rate=RATE)
    (run,) = still_runs(Grids(data, CELLS), window)
    assert (run.first, run.last, run.before, run.after) == (9, 19, True, after)


def test_a_moving_pointer_is_no_motion() -> None:
    def typed(n: int) -> bytes:
        return bytes(200 if cell == n % CELLS else 100 for cell in range(CELLS))

    pictures = [*map(typed, range(10)), *[typed(9)] * 8, *map(typed, range(10, 20))]
    assert facts(pictures).frozen == ()


def test_a_chunk_tells_of_runs_that_touch_its_own_frames_only() -> None:
    pictures = [moving(n) for n in range(40)]
    pictures[5:12] = [flat(16)] * 7  # in the lead-in
    pictures[17:24] = [flat(16)] * 7  # over the join
    pictures[34:39] = [flat(16)] * 5  # in the lead-out
    found = facts(pictures, begin=100, first=120, last=133)
    assert span(found.black) == [(117, 124)]


def test_what_a_marker_holds_is_bounded() -> None:
    flicker = [flat(16)] * 5 + [moving(0)] + [moving(1)]
    found = facts(flicker * 60)
    assert len(found.black) == 50
    assert found.left_out["black"] == 10
    assert len(found.model_dump_json()) < 10_000


# --- flashes --------------------------------------------------------------------------------


def flashing(pictures: Sequence[bytes], planes: bytes = flat(128) * 2) -> list[Run]:
    window = Window(begin=0, first=0, last=len(pictures), rate=RATE)
    return flash_runs(Grids(b"".join(picture + planes for picture in pictures), 3 * CELLS), window)


def test_more_than_three_flashes_within_a_second() -> None:
    pictures = [flat(60)] * 10 + [flat(200), flat(60)] * 4 + [flat(60)] * 10
    assert span(flashing(pictures)) == [(10, 17)]


def test_three_flashes_within_a_second_are_allowed() -> None:
    assert flashing([flat(60)] * 10 + [flat(200), flat(60)] * 3 + [flat(60)] * 10) == []
    # six changes a second, for long
    assert flashing(([flat(60)] * 2 + [flat(200)] * 2) * 10) == []


@pytest.mark.parametrize(("cells", "dangerous"), [(15, False), (16, True)])
def test_a_quarter_of_the_picture_flashes(cells: int, dangerous: bool) -> None:
    bright = flat(200)[:cells] + flat(60)[cells:]
    assert bool(flashing([flat(60), bright] * 10)) == dangerous


@pytest.mark.parametrize(
    ("dark", "bright", "dangerous"),
    [
        (60, 110, True),  # 1 % and 14 % of the peak
        (60, 90, False),  # 7 %
        (170, 220, True),
        (220, 235, False),  # the darker one has 84 %
    ],
)
def test_the_luminance_of_a_flash(dark: int, bright: int, dangerous: bool) -> None:
    assert bool(flashing([flat(dark), flat(bright)] * 10)) == dangerous


def test_flashes_that_take_some_frames_count() -> None:
    window = Window(begin=0, first=0, last=250, rate=Fraction(25))
    levels = [60, 120, 180, 180, 120, 60]  # 4.2 a second
    pictures = b"".join(flat(levels[n % 6]) + flat(128) * 2 for n in range(250))
    (run,) = flash_runs(Grids(pictures, 3 * CELLS), window)
    assert run.first <= 2
    assert run.last >= 246


def test_a_pan_over_a_fence_is_no_flash() -> None:
    """Each cell changes ten times a second, but as many get darker as brighter."""
    window = Window(begin=0, first=0, last=100, rate=Fraction(25))
    pictures = [bytes(200 if (cell + 2 * n) % 10 < 5 else 60 for cell in range(CELLS)) for n in range(100)]
    planes = b"".join(picture + flat(128) * 2 for picture in pictures)
    assert flash_runs(Grids(planes, 3 * CELLS), window) == []


def test_red_flashes() -> None:
    red, black = flat(63) + flat(102) + flat(240), flat(63) + flat(128) * 2
    window = Window(begin=0, first=0, last=20, rate=RATE)
    assert span(flash_runs(Grids((black + red) * 10, 3 * CELLS), window)) == [(1, 19)]
    green = flat(63) + flat(90) + flat(80)
    assert flash_runs(Grids((black + green) * 10, 3 * CELLS), window) == []


# --- bars -----------------------------------------------------------------------------------


def frame(width: int, height: int, inset: tuple[int, int, int, int]) -> tuple[bytes, bytes]:
    """Rows and columns of a bright picture with black bars."""
    left, top, right, bottom = inset
    rows = b"".join(bytes([16 if y < top or y >= height - bottom else 120]) * CELLS for y in range(height))
    columns = b"".join(bytes([16 if x < left or x >= width - right else 120]) for x in range(width)) * CELLS
    return rows, columns


def test_edges_are_found_to_the_pixel() -> None:
    rows, columns = frame(80, 60, (3, 7, 5, 8))
    assert edges(rows * 2, columns * 2, (80, 60), CELLS) == Edges(
        looked_at=2, inset=(3, 7, 5, 8), sharp=({3: 2}, {7: 2}, {5: 2}, {8: 2})
    )


@pytest.mark.parametrize(("luma", "ringing", "found"), [(26, 0, 8), (26, 3, 0), (120, 9, 8), (120, 13, 0)])
def test_a_bar_is_darker_the_darker_the_picture_is(luma: int, ringing: int, found: int) -> None:
    bar, shown = bytes([16 + ringing] + [16] * (CELLS - 1)), flat(luma)
    rows = bar * 8 + shown * 44 + bar * 8
    across = flat(luma) * 80
    inset = edges(rows, across[: 80 * CELLS], (80, 60), CELLS).inset
    assert (inset[1], inset[3]) == (found, found)


def test_a_sky_that_gets_dark_slowly_has_no_edge() -> None:
    rows = b"".join(flat(min(60, 16 + n // 3)) for n in range(60))
    assert edges(rows, flat(40) * 80, (80, 60), CELLS).sharp[1] == {}


def test_black_pictures_tell_nothing_of_edges() -> None:
    rows, columns = frame(80, 60, (0, 60, 0, 0))
    assert edges(rows, flat(16)[:1] * 80 * CELLS, (80, 60), CELLS).looked_at == 0
    assert columns


def test_runs_of_no_picture() -> None:
    assert still_runs(Grids(b"", CELLS), Window(begin=0, first=0, last=0, rate=RATE)) == []
