"""Analyses the small raw pictures that a chunk's decode wrote: black, still and flashing runs, and bars.

All numbers are integers of 8 bits in limited range (16 is black, 235 white), and frames are numbered on the
whole video's grid. A chunk's lead-in and lead-out are analysed too, so that a run that crosses a join is seen
by the chunk after it as a whole, with what comes before; ``source_report`` joins what overlaps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from mmap import mmap
from operator import sub
from statistics import median, median_high

from pydantic import Field

from vod_operators.formats.base import Model

LEAST_S = Fraction(1, 2)
"""Shortest run that is reported."""

TOLERANCE_FRAMES = 1
"""A run this much shorter is reported too: a lossy codec or a converted rate may mix its last frame."""

CONTEXT_S = Fraction(2, 5)
"""How much before and after a run is looked at. The lead-in has at least 3 s."""

MOST_RUNS = 50
"""Most runs of a kind that a chunk records, with about 60 bytes each; the others are only counted."""

# --- black ----------------------------------------------------------------------------------

BLACK = 20
"""Brightest cell of a black picture: 2 % of the signal's range above 16. A night scene has a lamp, a face
or a title somewhere."""

LIFTED_BLACK, LIFTED_STEP = 31, 2
"""Brightest cell, and difference between cells, of a flat picture that is black with a lifted level: limited
range read as full range puts black at 30. Pure blue has 32 (BT.709)."""

FADED = Fraction(2, 5)
"""A picture next to black that has less than this part of the light of one ``CONTEXT_S`` away is part of a
fade; next to a cut it has all of it."""

DIM = 3
"""Mean luma above 16 below which a scene is nearly black itself, so that no cut can be told from a fade."""

# --- still ----------------------------------------------------------------------------------

STILL_STEP = 3
"""Most by which a cell of a still picture differs from the first one: key frames of a lossy source differ a
little from the pictures before them."""

MOVING_SHARE = Fraction(1, 20)
"""Least share of cells that change from one picture to the next where something moves. A pointer and typed
text change less than a hundredth, a speaking person's head a fifth."""

MOVING_STEPS = Fraction(1, 4)
"""Least share of the steps in which something moves: drawings are often held for three frames."""

BOTH_WAYS = Fraction(1, 10)
"""Least share of the changed cells that get darker, and that get brighter. In a fade all go the same way."""

CUT_STEP, CUT_FACTOR = 12, 4
"""A mean change of this much, and this many times that of the pictures before, is a cut. A defect holds a
picture of the shot before it; a title, a slide or a photograph begins with a cut."""

# --- flashes --------------------------------------------------------------------------------

FLASH_STEP, FLASH_DARK = 1_000, 8_000
"""Least change of luminance of a flash, and most luminance of its darker picture, in 10,000ths of the peak:
20 and 160 cd/m2 of a display of 200 (ITU-R BT.1702-3); 10 % and 80 % (WCAG 2.3.1)."""

TRANSITIONS = 7
"""Opposing changes within a second that are more than three flashes of two changes each."""

FLASH_AREA = Fraction(1, 4)
"""Least share of the picture that flashes (BT.1702-3, WCAG 2.3.1)."""

TOGETHER_FRAMES = 3
"""Frames within which the cells of one flash change."""

MOTION_SHARE = Fraction(1, 4)
"""Where more than this times as many cells change the other way, something moves: a pan over a fence."""

RED_STEP, RED_SHARE = 20, 0.8
"""A change to or from saturated red, R / (R + G + B) of at least ``RED_SHARE``, is one of a red flash, if 320
times R - G - B changes by more than ``RED_STEP`` (WCAG 2.3.1)."""

# --- bars -----------------------------------------------------------------------------------

BAR_BLACK = range(2, 13)
"""How far above 16 the brightest cell of a bar's row or column may be, with the ringing that a lossy codec
leaves at its edge: a quarter of the mean of the picture, within this range."""

EDGE_PIXELS = 3
"""Rows from a bar's edge in which the picture must show."""

EDGE_SHARE, EDGE_STEP = Fraction(1, 2), 2
"""Least share of the cells along an edge that are this much brighter there than a bar's brightest: an evening
sky that gets dark slowly, and credits, have no such edge."""

MOST_EDGES = 8
"""Most places that a chunk records for each side."""


class Run(Model):
    """Frames ``[first, last)`` that have something in common, numbered in the whole video."""

    first: int
    last: int
    before: bool | None = None
    """Of black: whether the picture fades to it. Of a still picture: whether pictures move before it, and it
    does not begin with a cut. None: nothing, or nothing that this chunk sees, comes before."""
    after: bool | None = None
    """The same of what comes after."""


class Edges(Model):
    """Where the picture of a chunk begins on each side, in pixels of the upright source picture."""

    looked_at: int
    """Pictures that are not black."""
    inset: tuple[int, int, int, int]
    """Least width of the black at the left, top, right and bottom; of no picture, 0."""
    sharp: tuple[dict[int, int], dict[int, int], dict[int, int], dict[int, int]]
    """Of each side: width -> number of pictures with a sharp edge there."""


class PictureFacts(Model):
    """What the report says of a chunk's pictures; a marker's fact."""

    black: tuple[Run, ...] = ()
    frozen: tuple[Run, ...] = ()
    """Still runs that are not known to be intended."""
    flashes: tuple[Run, ...] = ()
    left_out: dict[str, int] = Field(default_factory=dict)
    """Kind -> runs that are not recorded."""
    still_runs: int = 0
    """Still runs that end in this chunk."""
    still_frames: int = 0
    intended_runs: int = 0
    """Those of the still runs that are not in ``frozen``."""
    intended_frames: int = 0
    edges: Edges | None = None


@dataclass(frozen=True, kw_only=True)
class Window:
    """The frames that a chunk's decode wrote."""

    begin: int
    """Number of the first one, of the lead-in."""
    first: int
    last: int
    """The chunk's own frames are ``[first, last)``."""
    rate: Fraction

    @property
    def least(self) -> int:
        """Frames of the shortest run."""
        return max(2, int(LEAST_S * self.rate) - TOLERANCE_FRAMES)

    @property
    def context(self) -> int:
        """Frames that are looked at before and after a run."""
        return max(1, round(CONTEXT_S * self.rate))

    def own(self, run: Run) -> bool:
        """Whether the run has a frame of the chunk's own."""
        return run.first < self.last and run.last > self.first


class Grids:
    """The luma of consecutive pictures, as equal grids of cells."""

    def __init__(self, data: bytes | mmap, cells: int) -> None:
        self.data, self.cells = data, cells
        self.count = len(data) // cells

    def __getitem__(self, number: int) -> bytes:
        return self.data[number * self.cells : (number + 1) * self.cells]

    def light(self, number: int) -> Fraction:
        """Mean luma above black."""
        return Fraction(sum(self[number]), self.cells) - 16

    def changes(self, number: int) -> list[int]:
        """Change of each cell from the picture before."""
        return list(map(sub, self[number], self[number - 1]))


def runs(flags: Iterator[bool]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of consecutive true flags."""
    begin, number = None, 0
    for number, flag in enumerate(flags):
        if flag and begin is None:
            begin = number
        elif not flag and begin is not None:
            yield begin, number
            begin = None
    if begin is not None:
        yield begin, number + 1


def is_black(grid: bytes) -> bool:
    """Whether a picture shows nothing but black."""
    if not grid.translate(None, _UP_TO_BLACK):
        return True
    return not grid.translate(None, _UP_TO_LIFTED) and max(grid) - min(grid) <= LIFTED_STEP


_UP_TO_BLACK, _UP_TO_LIFTED = bytes(range(BLACK + 1)), bytes(range(LIFTED_BLACK + 1))


def black_runs(grids: Grids, window: Window) -> list[Run]:
    """Runs of black pictures, and whether the picture fades to or from them."""
    found = []
    for begin, end in runs(is_black(grids[n]) for n in range(grids.count)):
        if end - begin >= window.least:
            before = _fades(grids, begin - 1, max(0, begin - window.context)) if begin else None
            after = None
            if end < grids.count:
                after = _fades(grids, end, min(grids.count, end + window.context) - 1)
            found.append(_run(window, begin, end, before, after))
    return found


def _run(window: Window, begin: int, end: int, before: bool | None, after: bool | None) -> Run:
    return Run(first=window.begin + begin, last=window.begin + end, before=before, after=after)


def _fades(grids: Grids, near: int, far: int) -> bool:
    light = grids.light(far)
    return light < DIM or grids.light(near) < FADED * light


def still_runs(grids: Grids, window: Window) -> list[Run]:
    """Runs of pictures that are the same; black is none. They begin with the picture that is held."""
    found = []
    for begin, end in _held(grids, window.least):
        if is_black(grids[begin]):
            continue
        before = after = None
        if begin == 1:
            before = None if _jumps(grids, 1) else False
        elif begin:
            before = not _is_cut(grids, begin, window) and _moves(grids, begin - window.context, begin)
        if end == grids.count - 1:
            after = None if _jumps(grids, end) else False
        elif end < grids.count:
            after = _moves(grids, end + 1, end + 1 + window.context)
        found.append(_run(window, begin, end, before, after))
    return found


def _held(grids: Grids, least: int) -> Iterator[tuple[int, int]]:
    begin, held = 0, grids[0] if grids.count else b""
    for number in range(1, grids.count + 1):
        grid = grids[number] if number < grids.count else b""
        if grid and _is_same(held, grid):
            continue
        if number - begin >= least:
            yield begin, number
        begin, held = number, grid


def _is_same(held: bytes, grid: bytes) -> bool:
    return held == grid or (
        max(map(abs, map(sub, held[::_SPARSE], grid[::_SPARSE]))) <= STILL_STEP
        and max(map(abs, map(sub, held, grid))) <= STILL_STEP
    )


_SPARSE = 37
"""Every such cell is compared first: of pictures that move, that is enough."""


def _moves(grids: Grids, begin: int, end: int) -> bool | None:
    """Whether pictures move in enough steps to the frames ``[begin, end)``; None if there are none."""
    numbers = range(max(1, begin), min(end, grids.count))
    moving = 0
    for number in numbers:
        changes = grids.changes(number)
        changed = grids.cells - changes.count(0)
        if changed >= MOVING_SHARE * grids.cells:
            brighter = sum(map(_IS_MORE, changes))
            moving += min(brighter, changed - brighter) >= BOTH_WAYS * changed
    return moving >= MOVING_STEPS * len(numbers) if numbers else None


_IS_MORE = (0).__lt__


def _jumps(grids: Grids, number: int) -> bool:
    """Whether enough cells change to a frame by more than those of a still picture."""
    steps = sum(abs(change) > STILL_STEP for change in grids.changes(number))
    return steps >= MOVING_SHARE * grids.cells


def _is_cut(grids: Grids, number: int, window: Window) -> bool:
    def step(n: int) -> float:
        return sum(map(abs, grids.changes(n))) / grids.cells

    steps = [step(n) for n in range(max(1, number - window.context), number)]
    usual = [change for change in steps if change >= 1]  # without repeated pictures
    return step(number) >= max(CUT_STEP, CUT_FACTOR * median(usual) if usual else 0)


# --- flashes --------------------------------------------------------------------------------


class _Changes:
    """Opposing changes of one value of each cell, and those among them that are flashes."""

    def __init__(self, cells: int, step: int, dark: int | None, rate: Fraction) -> None:
        self.step, self.dark, self.rate = step, dark, rate
        self.turned = [0] * cells
        """1 or -1: the direction of the last change."""
        self.at = [-TOGETHER_FRAMES] * cells
        """Frame of the last change."""
        self.high = [0] * cells
        """Extremes since then."""
        self.low = [1 << 30] * cells
        self.times: list[list[int]] = [[] for _ in range(cells)]
        """Frames of the last changes of each cell, at most ``TRANSITIONS``, that were part of a flash."""
        self.last: Sequence[int] = ()

    def add(self, number: int, values: Sequence[int]) -> tuple[int, int] | None:
        """The next picture. Returns the frames that flash with it, if a large enough part flashes now."""
        if values == self.last:
            return None
        self.last = values
        changed = False
        for cell, value in enumerate(values):
            if value > self.high[cell]:
                self.high[cell] = value
            if value < self.low[cell]:
                self.low[cell] = value
            low, high, dark = self.low[cell], self.high[cell], self.dark
            if high - low < self.step or (dark is not None and low >= dark):
                continue
            way = 0
            if self.turned[cell] >= 0 and high - value >= self.step and (dark is None or value < dark):
                way = -1
            elif self.turned[cell] <= 0 and value - low >= self.step:
                way = 1
            if way:
                self.turned[cell], self.at[cell], self.high[cell], self.low[cell] = way, number, value, value
                changed = True
        return self._flashing(number) if changed else None

    def _flashing(self, number: int) -> tuple[int, int] | None:
        turning = [cell for cell, at in enumerate(self.at) if at > number - TOGETHER_FRAMES]
        brighter = [cell for cell in turning if self.turned[cell] > 0]
        darker = [cell for cell in turning if self.turned[cell] < 0]
        fewer, more = sorted((brighter, darker), key=len)
        least = FLASH_AREA * len(self.times)
        if len(more) < least or len(fewer) > MOTION_SHARE * len(more):
            return None
        flashing = []
        for cell in more:
            times = self.times[cell]
            if times[-1:] != [self.at[cell]]:
                times.append(self.at[cell])
                del times[:-TRANSITIONS]
            if len(times) == TRANSITIONS and number - times[0] < self.rate:
                flashing.append(times)
        if len(flashing) < least:
            return None
        # Something may move in some cells, just before or after.
        return median_high(times[0] for times in flashing), median_high(times[-1] for times in flashing)


def flash_runs(pictures: Grids, window: Window) -> list[Run]:
    """Runs in which a quarter of the picture flashes more than three times a second.

    :param pictures: planes of Y, Cb and Cr, one after the other.
    """
    cells = pictures.cells // 3
    luminance = _Changes(cells, FLASH_STEP, FLASH_DARK, window.rate)
    red = _Changes(cells, RED_STEP, None, window.rate)
    found: list[Run] = []
    for number in range(pictures.count):
        planes = pictures[number]
        hits = [luminance.add(number, [_LUMINANCE[luma] for luma in planes[:cells]])]
        hits.append(red.add(number, _reds(planes, cells)))
        for begin, end in filter(None, hits):
            run = _run(window, begin, end, None, None)
            if found and run.first <= found[-1].last:
                first = min(run.first, found.pop().first)
                run = run.model_copy(update={"first": first})
            found.append(run)
    return [run for run in found if run.last > run.first]


def _linear(value: float) -> float:
    return float(min(1.0, max(0.0, value)) ** 2.4)


_LUMINANCE = [round(10_000 * _linear((luma - 16) / 219)) for luma in range(256)]
"""Relative luminance of each luma, in 10,000ths (ITU-R BT.1886)."""

_LEAST_CR = 160
"""Least Cr of a saturated red bright enough to flash."""

_NO_REDS = bytes(range(_LEAST_CR))


def _reds(planes: bytes, cells: int) -> list[int]:
    """320 times R - G - B of each saturated red cell; of others, 0."""
    reds = planes[2 * cells :]
    if not reds.translate(None, _NO_REDS):
        return [0] * cells
    return [
        _red(planes[cell], planes[cells + cell], reds[cell]) if reds[cell] >= _LEAST_CR else 0
        for cell in range(cells)
    ]


def _red(luma: int, cb: int, cr: int) -> int:
    y, b, r = (luma - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    red, green, blue = (
        _linear(y + 1.5748 * r), _linear(y - 0.1873 * b - 0.4681 * r), _linear(y + 1.8556 * b)
    )  # fmt: skip
    saturated = red >= RED_SHARE * (red + green + blue)
    return max(0, round(320 * (red - green - blue))) if saturated else 0


# --- bars -----------------------------------------------------------------------------------


def edges(rows: bytes, columns: bytes, size: tuple[int, int], cells: int) -> Edges:
    """Where the picture begins on each side.

    :param rows: of each picture, ``cells`` of each row; ``columns`` the same, but row by row too.
    :param size: width and height of the picture.
    """
    width, height = size
    insets: list[list[int]] = []
    sharp: tuple[Counter[int], ...] = (Counter(), Counter(), Counter(), Counter())
    for number in range(len(rows) // (cells * height)):
        part = rows[number * cells * height : (number + 1) * cells * height]
        lines = [part[n * cells : (n + 1) * cells] for n in range(height)]
        part = columns[number * cells * width : (number + 1) * cells * width]
        across = [part[n::width] for n in range(width)]
        bar = 16 + min(max((sum(part) // len(part) - 16) // 4, BAR_BLACK[0]), BAR_BLACK[-1])
        inset = []
        for side, order in ((0, across), (1, lines), (2, across[::-1]), (3, lines[::-1])):
            place = next((n for n, line in enumerate(order) if max(line) > bar), None)
            if place is None:
                break
            inset.append(place)
            lit = map(max, *order[place : place + EDGE_PIXELS], bytes(cells))
            if sum(value > bar + EDGE_STEP for value in lit) >= EDGE_SHARE * cells:
                sharp[side][place] += 1
        if len(inset) == 4:
            insets.append(inset)
    left, top, right, bottom = (min(side) for side in zip(*insets, strict=True)) if insets else (0, 0, 0, 0)
    a, b, c, d = (dict(side.most_common(MOST_EDGES)) for side in sharp)
    return Edges(looked_at=len(insets), inset=(left, top, right, bottom), sharp=(a, b, c, d))


# --- all ------------------------------------------------------------------------------------


def look(grids: Grids, coarse: Grids, window: Window, found_edges: Edges | None) -> PictureFacts:
    """The facts of a chunk."""
    still = still_runs(grids, window)
    candidates = [run for run in still if run.before is not False and run.after is not False]
    lists = {
        "black": black_runs(grids, window),
        "frozen": candidates,
        "flashes": flash_runs(coarse, window),
    }
    own = {kind: [run for run in found if window.own(run)] for kind, found in lists.items()}
    ends_here = [run for run in still if window.first < run.last <= window.last]
    intended = [run for run in ends_here if run not in candidates]

    def frames(found: Sequence[Run]) -> int:
        return sum(max(0, min(run.last, window.last) - max(run.first, window.first)) for run in found)

    return PictureFacts(
        **{kind: tuple(found[:MOST_RUNS]) for kind, found in own.items()},
        left_out={kind: len(found) - MOST_RUNS for kind, found in own.items() if len(found) > MOST_RUNS},
        still_runs=len(ends_here),
        still_frames=frames(still),
        intended_runs=len(intended),
        intended_frames=frames([run for run in still if run not in candidates]),
        edges=found_edges,
    )
