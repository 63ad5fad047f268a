"""The source report: what is wrong, or may be, in a source. Joins the facts of its chunks and sound tracks,
and judges them by the preset's policy.

An interval in two chunks is one interval. The chunk after a join has seen it whole, unless it is longer than
the lead-in; then the pieces overlap in the lead-ins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from pydantic import Field

from vod_operators.formats.base import Model
from vod_operators.media.ffmpeg_report import source_size
from vod_operators.media.loudness import SILENCE_LUFS
from vod_operators.media.models import Plan, Timeline, clock
from vod_operators.media.presets.report import ReportPolicy
from vod_operators.media.report_pictures import EDGE_PIXELS, Edges, PictureFacts, Run
from vod_operators.media.report_sound import TrackFacts

MOST_LISTED = 200
"""Most intervals of a kind in the report; ``left_out`` counts the others."""

MOST_SENTENCES = 3
"""Most sentences of a kind in the warnings; one more says how many others there are."""

STILLS_ARE_USUAL = 3, Fraction(1, 5), Fraction(3, 5)
"""Where at least so many still runs are slides, titles or pauses of a screen recording and fill this much of
the video, or all still runs fill that much, standing still is usual, and none is told as frozen."""

END_S = 3
"""Black or silence up to so long at the very beginning or end is told, but is no reason to warn or refuse."""

LEAST_BAR = Fraction(1, 50)
"""Least part of the picture's width or height that bars take. Narrower ones are blanking or rounding."""

LEAST_SYMMETRY = Fraction(1, 2)
"""Least part of the wider of two bars that the narrower has. Darkness on one side is no bar."""

SHARP_SHARE = Fraction(1, 4)
"""Least share of the pictures that show a bar's edge."""

LOUDEST_LUFS, QUIETEST_LUFS = -8.0, -36.0
"""Loudness beyond which a mistake is likely: 15 LU above and 13 below the -23 LUFS of EBU R128. Recordings
mastered for loudness reach -8; below -36, speech is not understood beside a room's noise."""

HIGHEST_PEAK_DB = 1.0
"""True peak (dBTP) that a warning tells. Between samples, a lossy codec often goes a little above 0."""


class Interval(Model):
    """A part of the video, in seconds from its first picture."""

    start_s: float
    end_s: float


class Black(Interval):
    """Nothing but black is shown."""

    faded: bool
    """Whether the picture fades to it or from it; such black is usually intended, and no reason to warn."""


class Silent(Interval):
    """All channels are silent (below -70 dBFS)."""

    track: str
    """Track of the source: ``audio-0``."""


class Clipped(Interval):
    """A channel is clipped."""

    track: str
    samples: int
    """About how many are clipped."""


class Bars(Model):
    """Black bars throughout the video, in pixels of the upright source picture."""

    left: int
    top: int
    right: int
    bottom: int


class TrackLoudness(Model):
    """Loudness of a sound track of the source, with all its channels (EBU R128)."""

    track: str
    integrated_lufs: float
    """-70 for silence."""
    true_peak_dbtp: float
    """At least -60."""
    range_lu: float


class SourceReport(Model):
    """What was found in the source. None: the preset does not look for it, or there is no such stream."""

    black: tuple[Black, ...] | None = None
    frozen: tuple[Interval, ...] | None = None
    """The picture stands still amid motion."""
    stills_are_usual: bool = False
    """Whether pictures stand still so often, as in slides or a screen recording, that none is ``frozen``."""
    flashes: tuple[Interval, ...] | None = None
    """More than three flashes within a second, in a quarter of the picture (ITU-R BT.1702-3, WCAG 2.3.1)."""
    silent: tuple[Silent, ...] | None = None
    clipped: tuple[Clipped, ...] | None = None
    bars: Bars | None = None
    loudness: tuple[TrackLoudness, ...] | None = None
    left_out: dict[str, int] = Field(default_factory=dict)
    """Kind -> number of intervals that are not listed."""


def make(
    plan: Plan,
    timeline: Timeline,
    pictures: Sequence[PictureFacts | None],
    sounds: Mapping[str, TrackFacts],
) -> SourceReport:
    """The report of a whole source.

    :param pictures: the facts of each chunk, in order; None for chunks that were made before there were any.
    :param sounds: track of the source -> its facts.
    """
    policy = plan.preset.source_report
    found: dict[str, list[Interval]] = {}
    left_out: Counter[str] = Counter()
    usual = False
    seen = [facts for facts in pictures if facts is not None]
    if timeline.frames and seen:
        usual = timeline.still or _stills_are_usual(seen, timeline.frames)
        found |= _of_pictures(plan, timeline, seen, usual=usual)
        for facts in seen:
            left_out.update(facts.left_out)
    if sounds:
        found["silent"] = [
            Silent(track=track, start_s=part.start_s, end_s=part.end_s)
            for track, facts in sounds.items()
            for part in facts.silent
        ]
        found["clipped"] = [
            Clipped(track=track, **part.model_dump())
            for track, facts in sounds.items()
            for part in facts.clipped
        ]
        for track_facts in sounds.values():
            left_out.update(track_facts.left_out)
    lists = {kind: items for kind, items in found.items() if getattr(policy, kind) != "off"}
    for kind, items in lists.items():
        left_out[kind] += max(0, len(items) - MOST_LISTED)
    loudness = None
    if sounds and policy.loudness != "off":
        loudness = tuple(_loudness(track, facts) for track, facts in sounds.items() if _is_measured(facts))
    return SourceReport(
        **{kind: tuple(items[:MOST_LISTED]) for kind, items in lists.items()},
        stills_are_usual=usual,
        bars=_bars([facts.edges for facts in seen if facts.edges], source_size(plan)) if seen else None,
        loudness=loudness,
        left_out={kind: count for kind, count in left_out.items() if count and kind in lists},
    )


def _of_pictures(
    plan: Plan, timeline: Timeline, seen: Sequence[PictureFacts], *, usual: bool
) -> dict[str, list[Interval]]:
    def seconds(run: Run) -> dict[str, float]:
        ends = (max(0, run.first), min(run.last, timeline.frames))
        start, end = (round(float(plan.seconds(frame)), 3) for frame in ends)
        return {"start_s": start, "end_s": end}

    black = join(run for facts in seen for run in facts.black)
    still = join(run for facts in seen for run in facts.frozen)
    frozen = [] if usual else [run for run in still if _is_frozen(run, timeline.frames)]
    flashes = join(run for facts in seen for run in facts.flashes)
    return {
        "black": [Black(**seconds(run), faded=bool(run.before or run.after)) for run in black],
        "frozen": [Interval(**seconds(run)) for run in frozen],
        "flashes": [Interval(**seconds(run)) for run in flashes],
    }


def join(pieces: Iterator[Run]) -> list[Run]:
    """Runs of which overlapping pieces are joined: what comes before is told by the first piece, what comes
    after by the last."""
    joined: list[Run] = []
    for piece in sorted(pieces, key=lambda run: (run.first, run.last)):
        if not joined or piece.first >= joined[-1].last:
            joined.append(piece)
            continue
        last = joined[-1]
        before = last.before if piece.first > last.first or piece.before is None else piece.before
        after = last.after
        if piece.last > last.last or (piece.last == last.last and piece.after is not None):
            after = piece.after
        changes = {"last": max(last.last, piece.last), "before": before, "after": after}
        joined[-1] = last.model_copy(update=changes)
    return joined


def _is_frozen(run: Run, frames: int) -> bool:
    """Whether pictures move before and after a still run, as far as there are any.

    Of one picture before or after it no motion can be told.
    """
    begins, ends = run.first <= 1, run.last >= frames - 1
    if begins and ends:
        return False
    return (run.before is True or (begins and run.before is None)) and (
        run.after is True or (ends and run.after is None)
    )


def _stills_are_usual(seen: Sequence[PictureFacts], frames: int) -> bool:
    least, part, most = STILLS_ARE_USUAL
    intended = sum(facts.intended_runs for facts in seen)
    if intended >= least and sum(facts.intended_frames for facts in seen) >= part * frames:
        return True
    runs = sum(facts.still_runs for facts in seen)
    return runs >= least and sum(facts.still_frames for facts in seen) >= most * frames


def _bars(chunks: Sequence[Edges], size: tuple[int, int]) -> Bars | None:
    seen = [edges for edges in chunks if edges.looked_at]
    looked_at = sum(edges.looked_at for edges in seen)
    if not looked_at:
        return None
    inset = [min(edges.inset[side] for edges in seen) for side in range(4)]
    for side, width in enumerate(inset):
        shown = sum(
            count
            for edges in seen
            for place, count in edges.sharp[side].items()
            if width <= place < width + EDGE_PIXELS
        )
        if shown < SHARP_SHARE * looked_at:
            inset[side] = 0
    left, top, right, bottom = inset
    if not _is_pair(left, right, size[0]):
        left = right = 0
    if not _is_pair(top, bottom, size[1]):
        top = bottom = 0
    return Bars(left=left, top=top, right=right, bottom=bottom) if left + top + right + bottom else None


def _is_pair(one: int, other: int, side: int) -> bool:
    return one + other >= LEAST_BAR * side and min(one, other) >= LEAST_SYMMETRY * max(one, other)


def _is_measured(facts: TrackFacts) -> bool:
    return facts.integrated_lufs is not None


def _loudness(track: str, facts: TrackFacts) -> TrackLoudness:
    return TrackLoudness(
        track=track,
        integrated_lufs=facts.integrated_lufs or 0.0,
        true_peak_dbtp=facts.true_peak_db or 0.0,
        range_lu=facts.range_lu or 0.0,
    )


def certain(facts: PictureFacts, frames: int) -> PictureFacts:
    """Those facts of a chunk that no other chunk can change: flashes, and black whose ends it has seen.

    :param frames: of the whole video.
    """
    black = (
        run
        for run in facts.black
        if (run.before is not None or run.first <= 0) and (run.after is not None or run.last >= frames)
    )
    return PictureFacts(black=tuple(black), flashes=facts.flashes)


# --- the policy -----------------------------------------------------------------------------


def judge(report: SourceReport, policy: ReportPolicy, seconds: Fraction) -> tuple[list[str], list[str]]:
    """The sentences that warn, and those that refuse.

    :param seconds: length of the video.
    """
    warnings: list[str] = []
    refusals: list[str] = []
    for kind, sentences in _sentences(report, float(seconds)).items():
        action = getattr(policy, kind)
        if action in ("warn", "refuse") and sentences:
            more = len(sentences) - MOST_SENTENCES
            told = sentences[:MOST_SENTENCES] + ([f"{kind}: {more} more"] if more > 0 else [])
            (warnings if action == "warn" else refusals).extend(told)
    return warnings, refusals


def _sentences(report: SourceReport, seconds: float) -> dict[str, list[str]]:
    def at(interval: Interval) -> str:
        length = interval.end_s - interval.start_s
        return f"at {clock(interval.start_s)} ({length:.2f} s from {interval.start_s:.2f} s)"

    def at_an_end(interval: Interval) -> bool:
        touches = interval.start_s <= 0 or interval.end_s >= seconds - 0.1
        return touches and interval.end_s - interval.start_s <= END_S

    found = {
        "black": [
            f"black picture {at(black)}"
            for black in report.black or ()
            if not black.faded and not at_an_end(black)
        ],
        "frozen": [f"frozen picture {at(frozen)}" for frozen in report.frozen or ()],
        "flashes": [f"flashes that may cause seizures {at(flashes)}" for flashes in report.flashes or ()],
        "silent": [
            f"silence in {silent.track} {at(silent)}"
            for silent in report.silent or ()
            if not at_an_end(silent)
        ],
        "clipped": [f"clipped sound in {clipped.track} {at(clipped)}" for clipped in report.clipped or ()],
        "bars": [],
        "loudness": [words for loudness in report.loudness or () if (words := _unusual_loudness(loudness))],
    }
    if bars := report.bars:
        found["bars"].append(
            f"black bars: {bars.left} pixels left, {bars.top} at the top, {bars.right} right, "
            f"{bars.bottom} at the bottom"
        )
    return found


def _unusual_loudness(loudness: TrackLoudness) -> str | None:
    level, peak = loudness.integrated_lufs, loudness.true_peak_dbtp
    if level > LOUDEST_LUFS or QUIETEST_LUFS > level > SILENCE_LUFS:
        usual = f"{QUIETEST_LUFS:g} to {LOUDEST_LUFS:g} are usual"
        return f"loudness of {loudness.track}: {level:.1f} LUFS, {usual}"
    if peak > HIGHEST_PEAK_DB:
        return f"loudness of {loudness.track}: true peak of {peak:.1f} dBTP, more than {HIGHEST_PEAK_DB:g}"
    return None
