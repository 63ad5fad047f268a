"""The ladder of one video: which sizes at which rates, from what its windows came to. Pure.

A preset with ``by_title`` has *slots*: sizes, each with caps on the bitrate. ``choose_ladder`` takes as many
of them as this video needs, each with the CRF at which its size looks better than any other at that bitrate.
All is judged as VMAF at 1080p, because a viewer's screen stays the same whichever rendition is played.

The fixed ladder's settings are points of the same curves, so that the choice at a bitrate is at least as
good.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from vod_operators.media.certificate import SCREEN, has_screen
from vod_operators.media.choice import Chosen, WindowScores, merge
from vod_operators.media.curve import Curve
from vod_operators.media.encoders import ENCODERS

if TYPE_CHECKING:
    from vod_operators.media.models import Plan, Rendition

Size: TypeAlias = tuple[int, int]
"""Width and height."""

MOBILE = (640, 360)
"""Largest picture of the lowest rung, which is for slow connections and small screens."""

TOP_VMAF = 95.0
"""What the largest rate is for; few viewers see a difference above it."""

LEAST_STEP_VMAF = 2.0
"""A rung that adds less over the one below is left out: nobody would see it."""

STEP_RATIO = 1.75
"""Ratio of adjacent bitrates that is aimed at; Apple HLS authoring wants 1.5 to 2."""

LEAST_RATIO = 1.5
"""Least ratio of adjacent bitrates."""

NEAR_BEST = 0.5
"""Where even the lowest CRF stays below ``TOP_VMAF``, the largest rate is for so much less than the best."""

CRF_STEP = 0.1
"""Finest CRF that is told apart."""

FINE = 0.97
"""Factor of the search for a lower bitrate."""

HEADROOM = 1.15
"""Least cap over average: up to it the buffer levels the scenes out."""

USUAL_PEAK, MOST_PEAK = 1.5, 4.0
"""A slot's cap over the average: the least and the most that is looked for, as calm or lively as the video
is."""

BURST_MARGIN = 1.25
"""A window that was not analysed may have so much more than the largest that was."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the windows of a video came to at one size."""

    curve: Curve
    """VMAF at 1080p and bits a second over the CRF."""
    burst: float = 1.0
    """Bitrate of the largest window over the average's."""

    def crf_at(self, bitrate_bps: float, rendition: Rendition) -> float | None:
        """The lowest CRF, as the encoder takes it, that stays within a bitrate; None if no probed one
        does."""
        low, high = self.curve.points[0].crf, self.curve.points[-1].crf
        step = 1.0 if ENCODERS[rendition.encoder].whole_crf else CRF_STEP
        count = round((high - low) / step)
        if self.curve.bitrate_bps(high) > bitrate_bps:
            return None
        first, last = 0, count
        while first < last:  # the bitrate falls as the CRF rises
            middle = (first + last) // 2
            if self.curve.bitrate_bps(low + middle * step) <= bitrate_bps:
                last = middle
            else:
                first = middle + 1
        return round(low + first * step, 1)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One size at one CRF."""

    size: Size
    crf: float
    bitrate_bps: float
    vmaf: float


@dataclass
class _Slots:
    """The slots of a ladder, while operations are chosen from the top down."""

    renditions: Sequence[Rendition]
    measured: Mapping[Size, Measured]
    slots: dict[Size, list[Rendition]] = field(default_factory=dict)
    """By rising caps."""
    free: dict[Size, list[Rendition]] = field(default_factory=dict)
    """Those that the next operation may have, whatever slots the larger ones of its size get."""
    taken: dict[Size, list[Operation]] = field(default_factory=dict)
    """By falling bitrates."""

    def __post_init__(self) -> None:
        for rendition in sorted(self.renditions, key=lambda slot: slot.max_bitrate_bps):
            if size_of(rendition) in self.measured:
                self.slots.setdefault(size_of(rendition), []).append(rendition)
        self.free = dict(self.slots)

    def take(self, operation: Operation) -> None:
        """Choose an operation. What is chosen later has less bitrate, and never a larger picture."""
        self.taken.setdefault(operation.size, []).append(operation)
        self.free[operation.size] = self.free[operation.size][:-1]
        for size in self.free:
            if size[0] * size[1] > operation.size[0] * operation.size[1]:
                self.free[size] = []

    def rungs(self) -> dict[str, Operation]:
        """Slot -> the operation that was chosen for it. Each gets the least sufficient cap that is left by
        those with less bitrate."""
        found: dict[str, Operation] = {}
        for size, operations in self.taken.items():
            slots = self.slots[size]
            burst = self.measured[size].burst
            peak = min(MOST_PEAK, max(USUAL_PEAK, BURST_MARGIN * burst))
            below = -1
            for place, operation in enumerate(reversed(operations)):
                sufficient = (
                    n for n, slot in enumerate(slots) if slot.max_bitrate_bps >= peak * operation.bitrate_bps
                )
                most = len(slots) - len(operations) + place  # leaves one for each that follows
                below = min(max(next(sufficient, most), below + 1), most)
                found[slots[below].name] = operation
        return found

    def best(self, bitrate_bps: float) -> Operation | None:
        """What looks best within a bitrate; None if nothing can be made of it."""
        operations = [
            operation
            for size, slots in self.free.items()
            if slots and (operation := self._within(size, slots, bitrate_bps)) is not None
        ]
        return max(operations, key=lambda operation: operation.vmaf, default=None)

    def _within(self, size: Size, slots: Sequence[Rendition], bitrate_bps: float) -> Operation | None:
        measured, most = self.measured[size], slots[-1].max_bitrate_bps / HEADROOM
        crf = measured.crf_at(min(bitrate_bps, most), slots[-1])
        return None if crf is None else operation_of(size, measured, crf)

    def least(self, vmaf: float) -> Operation | None:
        """What has a VMAF with the fewest bits; None if nothing has it."""
        found = None
        for size, slots in self.free.items():
            measured = self.measured[size]
            if not slots or (best := self._within(size, slots, math.inf)) is None or best.vmaf < vmaf:
                continue
            crf = measured.curve.crf_of(vmaf, best.crf, measured.curve.points[-1].crf)
            whole = ENCODERS[slots[0].encoder].whole_crf
            crf = max(best.crf, float(math.floor(crf)) if whole else math.floor(10 * crf + 1e-6) / 10)
            operation = operation_of(size, measured, crf)
            if found is None or operation.bitrate_bps < found.bitrate_bps:
                found = operation
        return found


def size_of(rendition: Rendition) -> Size:
    """Width and height of a rendition."""
    return rendition.width, rendition.height


def fits(rendition: Rendition, box: Size = SCREEN) -> bool:
    """Whether a rendition is not larger than a screen, upright or lying."""
    sides = sorted(size_of(rendition))
    return sides[0] <= box[1] and sides[1] <= box[0]


def operation_of(size: Size, measured: Measured, crf: float) -> Operation:
    """A size at a CRF, with what is expected of it."""
    return Operation(
        size=size, crf=crf, bitrate_bps=measured.curve.bitrate_bps(crf), vmaf=measured.curve.vmaf(crf)
    )


def probes(plan: Plan) -> tuple[Rendition, ...]:
    """The renditions that stand for their size in the analysis: of each ladder by title and size, the
    largest cap. None of a video whose pictures are too narrow to be compared on a screen."""
    if not plan.renditions or not has_screen(plan):
        return ()
    return tuple(
        slot
        for ladder in plan.by_title
        for slot in {size_of(rendition): rendition for rendition in ladder if fits(rendition)}.values()
    )


def choose_titles(plan: Plan, windows: Sequence[WindowScores]) -> dict[str, Chosen]:
    """What is made of the renditions of all ladders by title.

    :param windows: all that were analysed.
    """
    chosen: dict[str, Chosen] = {}
    analysed = probes(plan)
    for ladder in plan.by_title:
        own = [probe for probe in analysed if probe in ladder]
        measured = {size_of(probe): found for probe in own if (found := _measured(probe, windows, plan))}
        chosen |= choose_ladder(ladder, measured)
    return chosen


def _measured(probe: Rendition, windows: Sequence[WindowScores], plan: Plan) -> Measured | None:
    points = merge(probe.name, windows, probe.max_bitrate_bps, float(plan.frame_rate))
    if not points:
        return None
    means = {point.crf: point.bitrate_bps for point in points}
    bursts = [
        8 * score.bytes * float(plan.frame_rate) / window.frames / means[score.crf]
        for window in windows
        for score in window.renditions.get(probe.name, ())
        if score.bytes
    ]
    return Measured(curve=Curve(points), burst=max(bursts, default=1.0))


def choose_ladder(renditions: Sequence[Rendition], measured: Mapping[Size, Measured]) -> dict[str, Chosen]:
    """What is made of a ladder's renditions for this video.

    The lowest rung has the bitrate of the ladder's first one as it is planned, so that every connection can
    have it. From the bitrate that gives ``TOP_VMAF``, or from the cap, rungs go down to it in steps of about
    ``STEP_RATIO``, each with the size that looks best, and none that would add less than ``LEAST_STEP_VMAF``
    to the one below.

    :param renditions: of one ladder, from the smallest picture to the largest; slots of a size by rising
        caps.
    :param measured: of each size that was analysed.
    :returns: by name; left out are those without a CRF. Renditions larger than ``SCREEN`` are not judged,
        and not in it.
    """
    judged = [rendition for rendition in renditions if fits(rendition)]
    if not judged:
        return {}
    if any(size_of(rendition) not in measured for rendition in judged):
        return _one_of_each_size(judged)
    lowest, base = _lowest(judged, measured)
    slots = _Slots(judged[judged.index(lowest) + 1 :], measured)
    operation = _top(slots, LEAST_RATIO * base.bitrate_bps)
    while operation is not None:
        slots.take(operation)
        operation = _next(slots, operation, base.bitrate_bps, base.vmaf)
    rungs = {lowest.name: base, **slots.rungs()}
    return {
        rendition.name: _chosen(rungs[rendition.name], measured[size_of(rendition)])
        if rendition.name in rungs
        else Chosen(crf=None, why=_why_left_out(rendition, rungs, measured))
        for rendition in judged
    }


def _lowest(judged: Sequence[Rendition], measured: Mapping[Size, Measured]) -> tuple[Rendition, Operation]:
    """The rung with the lowest bitrate, and its slot: as the first one is planned, or larger where that looks
    better with as many bits."""
    first = judged[0]
    planned = operation_of(size_of(first), measured[size_of(first)], first.crf)
    if planned.bitrate_bps * HEADROOM > first.max_bitrate_bps:
        crf = measured[size_of(first)].crf_at(first.max_bitrate_bps / HEADROOM, first)
        if crf is None:  # the cap rules, whatever the CRF
            return first, replace(planned, bitrate_bps=min(planned.bitrate_bps, first.max_bitrate_bps))
        planned = operation_of(size_of(first), measured[size_of(first)], crf)
    small = _Slots([rendition for rendition in judged if fits(rendition, MOBILE)] or [first], measured)
    best = small.best(planned.bitrate_bps)
    if best is None or best.vmaf <= planned.vmaf:
        return first, planned
    small.take(best)
    (name,) = small.rungs()
    return next(rendition for rendition in judged if rendition.name == name), best


def _top(slots: _Slots, least_bps: float) -> Operation | None:
    """The rung with the highest bitrate."""
    best = slots.best(math.inf)
    if best is None:
        return None
    aim = min(TOP_VMAF, best.vmaf - NEAR_BEST)
    top = slots.least(aim) or best
    # Players need two bitrates, even if the second one adds little.
    return top if top.bitrate_bps >= least_bps else slots.best(least_bps) or best


def _next(slots: _Slots, above: Operation, below_bps: float, below_vmaf: float) -> Operation | None:
    """The rung below another one; None if the smallest rung comes next."""
    ratio = above.bitrate_bps / below_bps
    steps = round(math.log(ratio) / math.log(STEP_RATIO)) if ratio > 1 else 0
    if steps < 2:
        return None
    bitrate_bps = above.bitrate_bps / ratio ** (1 / steps)
    while (operation := slots.best(bitrate_bps)) and above.vmaf - operation.vmaf < LEAST_STEP_VMAF:
        bitrate_bps *= FINE
    if (
        operation is None
        or operation.bitrate_bps < LEAST_RATIO * below_bps
        or operation.vmaf - below_vmaf < LEAST_STEP_VMAF
    ):
        return None
    return operation


def _one_of_each_size(judged: Sequence[Rendition]) -> dict[str, Chosen]:
    """What is made of a video of which nothing can be analysed: the largest slot of each size, as planned."""
    largest = {size_of(rendition): rendition.name for rendition in judged} | {
        size_of(judged[0]): judged[0].name
    }
    return {
        rendition.name: Chosen(crf=rendition.crf, why="nothing of the video could be analysed")
        if rendition.name == largest[size_of(rendition)]
        else Chosen(
            crf=None, why=f"nothing of the video could be analysed: {largest[size_of(rendition)]} is made"
        )
        for rendition in judged
    }


def _chosen(operation: Operation, measured: Measured) -> Chosen:
    return Chosen(
        crf=operation.crf,
        points=tuple(measured.curve.points),
        vmaf=round(operation.vmaf, 3),
        bitrate_bps=round(operation.bitrate_bps),
    )


def _why_left_out(slot: Rendition, rungs: Mapping[str, Operation], measured: Mapping[Size, Measured]) -> str:
    """Why a slot is not used, for a person: compared with the rung that has at most its bitrate."""
    size = size_of(slot)
    usual_bps = slot.max_bitrate_bps / USUAL_PEAK
    crf = measured[size].crf_at(usual_bps, slot)
    if crf is None:
        return f"needs more than {_kbps(usual_bps)} at this size"
    own = operation_of(size, measured[size], crf)
    by_bitrate = sorted((rung.bitrate_bps, rung.vmaf, name) for name, rung in rungs.items())
    bps, vmaf, name = max([rung for rung in by_bitrate if rung[0] <= own.bitrate_bps] or by_bitrate[:1])
    gain = own.vmaf - vmaf
    if gain < 0:
        return f"has VMAF {own.vmaf:.1f} at {_kbps(own.bitrate_bps)}, and {name} {vmaf:.1f} at {_kbps(bps)}"
    if gain < LEAST_STEP_VMAF:
        return f"adds {gain:.1f} VMAF over {name}"
    above = next((rung for rung in by_bitrate if rung[0] > own.bitrate_bps), None)
    if above is None:
        return f"VMAF {vmaf:.1f} of {name} suffices"
    return f"not needed between {name} ({_kbps(bps)}) and {above[2]} ({_kbps(above[0])})"


def _kbps(bitrate_bps: float) -> str:
    return f"{bitrate_bps / 1000:.0f} kb/s"
