"""What is chosen for one video: the CRF with which each rendition comes to its target quality. Pure.

``choose`` takes what the step ``analyse`` measured, ``corrections`` what came of the encodes themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vod_operators.formats.base import Model, Name
from vod_operators.media.curve import Curve, Point
from vod_operators.media.encoders import ENCODERS

if TYPE_CHECKING:
    from vod_operators.media.models import Rendition

MAY_MISS = 1.0
"""VMAF by which a rendition may differ from its target before it is encoded again."""

REACHED_WITHIN = 0.5
"""A target that is missed by less was only rounded."""

EXTRA_CRF = 4
"""So far outside the probed range a CRF may be chosen: beyond it the curve is a guess."""

LEAST_CRF = 8
"""Below it encoders only store noise."""

AT_CAP = 0.85
"""Share of the cap from which a window counts as being at it: the buffer needs the rest."""


class ProbeScore(Model):
    """One window of one rendition, encoded at one CRF."""

    crf: float
    bytes: int
    vmaf: float
    """Mean of its frames, at the rendition's own size; of a ladder by title at 1080p."""


class WindowScores(Model):
    """What the step ``analyse`` measured in one window."""

    window: int
    frames: int
    renditions: dict[Name, tuple[ProbeScore, ...]]
    """Empty if nothing of the window can be decoded."""
    seconds: float = 0
    """Worker seconds."""
    cpu_s: float | None = None
    """CPU seconds of the media tools; None if they are not known."""


class Chosen(Model):
    """What was chosen for a rendition, and why."""

    crf: float | None
    """None: it is left out."""
    points: tuple[Point, ...] = ()
    """What was measured, by ascending CRF."""
    vmaf: float | None = None
    """Expected at the chosen CRF."""
    bitrate_bps: float | None = None
    capped: bool = False
    """Whether the cap keeps it below its target."""
    why: str | None = None
    """Why the target cannot be reached, or why it is left out; for a person."""

    @property
    def curve(self) -> Curve | None:
        """What was measured as a curve; None if nothing was."""
        return Curve(self.points) if self.points else None


class Choice(Model):
    """What was chosen for the renditions of a plan. Those that are not named are made as planned."""

    renditions: dict[Name, Chosen]


def merge(name: str, windows: Sequence[WindowScores], cap_bps: int, rate: float) -> tuple[Point, ...]:
    """What all windows of a rendition came to, by ascending CRF.

    :param rate: frames a second.
    """
    frames: dict[float, int] = {}
    vmaf: dict[float, float] = {}
    size: dict[float, int] = {}
    at_cap: dict[float, int] = {}
    for window in windows:
        for score in window.renditions.get(name, ()):
            crf = score.crf
            frames[crf] = frames.get(crf, 0) + window.frames
            vmaf[crf] = vmaf.get(crf, 0.0) + window.frames * score.vmaf
            size[crf] = size.get(crf, 0) + score.bytes
            is_at_cap = 8 * score.bytes * rate / window.frames >= AT_CAP * cap_bps
            at_cap[crf] = at_cap.get(crf, 0) + is_at_cap * window.frames
    return tuple(
        Point(
            crf=crf,
            vmaf=vmaf[crf] / frames[crf],
            bitrate_bps=8 * size[crf] * rate / frames[crf],
            at_cap=at_cap[crf] / frames[crf],
        )
        for crf in sorted(frames)
    )


def choose(targets: Sequence[Rendition], windows: Sequence[WindowScores], rate: float) -> Choice:
    """The CRF of each rendition with a target.

    :param windows: all that were analysed.
    :param rate: frames a second.
    """
    return Choice(
        renditions={
            rendition.name: choose_one(
                rendition, merge(rendition.name, windows, rendition.max_bitrate_bps, rate)
            )
            for rendition in targets
        }
    )


def choose_one(rendition: Rendition, points: tuple[Point, ...]) -> Chosen:
    """The CRF of one rendition.

    :param points: what was measured, by ascending CRF.
    """
    target = rendition.target_vmaf
    assert target is not None
    if not points:
        return Chosen(crf=rendition.crf, why="nothing of the video could be decoded to analyse it")
    curve = Curve(points)
    crf = rounded(rendition, curve.crf_of(target, *limits(rendition, points)))
    vmaf = curve.vmaf(crf)
    capped = target - vmaf > REACHED_WITHIN and share_at_cap(points, crf) > 0
    why = None
    if abs(vmaf - target) > REACHED_WITHIN:
        words = "the cap allows no more" if capped else f"CRF {crf:g} is the limit"
        why = f"VMAF {vmaf:.1f} instead of {target:g} is expected: {words}"
    return Chosen(
        crf=crf,
        points=points,
        vmaf=round(vmaf, 3),
        bitrate_bps=round(curve.bitrate_bps(crf)),
        capped=capped,
        why=why,
    )


def limits(rendition: Rendition, points: Sequence[Point]) -> tuple[float, float]:
    """Lowest and highest CRF that may be chosen."""
    encoder = ENCODERS[rendition.encoder]
    return (
        max(LEAST_CRF, points[0].crf - EXTRA_CRF),
        min(encoder.max_crf, points[-1].crf + EXTRA_CRF),
    )


def rounded(rendition: Rendition, crf: float) -> float:
    """The CRF as the encoder takes it."""
    return float(round(crf)) if ENCODERS[rendition.encoder].whole_crf else round(crf, 1)


def share_at_cap(points: Sequence[Point], crf: float) -> float:
    """Share of the frames in windows at the cap, at the highest probed CRF that is not above one."""
    below = [point for point in points if point.crf <= crf]
    return (below[-1] if below else points[0]).at_cap


def corrections(
    targets: Sequence[Rendition], choice: Choice, measured: Mapping[str, float]
) -> dict[str, float]:
    """The CRF of each rendition that is encoded again: it misses its target by more than ``MAY_MISS``.

    :param targets: the renditions with a target, with their chosen CRF.
    :param measured: mean VMAF of the encodes, at their own size.
    """
    again = {}
    for rendition in targets:
        target, found = rendition.target_vmaf, measured.get(rendition.name)
        chosen = choice.renditions.get(rendition.name)
        curve = chosen.curve if chosen else None
        if target is None or found is None or curve is None or abs(found - target) <= MAY_MISS:
            continue
        # The encode is so much better than its curve; the same curve, moved, tells where the target is.
        moved = found - curve.vmaf(rendition.crf)
        crf = rounded(rendition, curve.crf_of(target - moved, *limits(rendition, curve.points)))
        gain = abs(found - target) - abs(curve.vmaf(crf) + moved - target)
        if gain >= LEAST_GAIN and (crf < rendition.crf) == (found < target):
            again[rendition.name] = crf
    return again


LEAST_GAIN = 0.5
"""VMAF by which a second encode must come nearer to the target to be worth it: at its cap or at the encoder's
limit it would not."""
