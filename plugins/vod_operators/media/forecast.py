"""What a video will cost, by its plan and by what earlier videos of the preset cost; pure.

CPU time and bytes depend on the pictures, which nobody has seen before they are encoded. Two things tell of
them: how many bits the source spends on a pixel, and what became of such sources before. So each quantity is
a rough prior (``workload``) times a factor, whose logarithm is regressed on facts of the source over the
deployment's earlier runs (``regression``).
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from vod_operators.media.cost import Done, Estimate, History, Part, PastRun, Range, Rates, priced
from vod_operators.media.downloads import files_of
from vod_operators.media.models import Plan
from vod_operators.media.regression import Prior, predict
from vod_operators.media.sampling import Sample
from vod_operators.media.workload import BUSY_CORES, Work, chunk_frames, slot_shares, work_of

SPREAD = 1.5
"""Standard deviations from ``likely`` to ``low`` and ``high``: eight of ten videos are between them. With the
1.28 of a normal distribution 73 % were, as with errors that are 1.16 times as large; 1.16 * 1.28 = 1.5."""

CPU = Prior(offset=0.5, slopes=(0.15, 0.15, 0.1), local=0.12, noise=0.1)
SAMPLED_CPU = Prior(offset=0.5, slopes=(0.08, 0.08, 0.1, 0.1), local=0.2, noise=0.1, reach=0.7)
BYTES = Prior(offset=0.7, slopes=(0.35, 0.35, 0.3), local=0.35, noise=0.05)
SAMPLED_BYTES = Prior(offset=0.3, slopes=(0.15, 0.15, 0.15, 0.15), local=0.1, noise=0.1, reach=0.7)
SOUND = Prior(offset=0.1, slopes=(), local=0, noise=0.02)
OTHER = Prior(offset=1.2, slopes=(0.3,), local=0, noise=0.2)
BUSY = Prior(offset=0.4, slopes=(0.1,), local=0, noise=0.1)
OVERHEAD = Prior(offset=0.6, slopes=(0.3, 0.3), local=0, noise=0.15)
"""Of the logarithms of: CPU time of chunks, and bytes of a rung, without and with a sample; bytes of sound;
CPU time of other steps; cores that a chunk's task keeps busy; seconds outside of encoding."""

CHUNK_NOISE = 0.2
"""How much the logarithm of a chunk's cost differs from that of the whole video's mean."""


def estimate(
    plan: Plan,
    history: History,
    *,
    sample: Sample | None = None,
    workers: int | None = None,
    rates: Rates | None = None,
) -> Estimate | None:
    """What the plan will take; None if the source does not declare its length.

    :param sample: what became of some pictures of the source; without it, bytes are hardly known.
    :param workers: encoding tasks that run at a time; None: as many as in earlier runs, at least one.
    """
    work = work_of(plan, None, sample)
    if work is None:
        return None
    runs = history.runs
    timed = [run for run in runs if run.wall_s is not None]
    if workers is None:
        seen = [run.lanes for run in timed if run.work.tasks > 1]
        workers = max(1, round(median(seen))) if seen else 1
    cpu, cpu_error = _of_pictures(
        CPU, SAMPLED_CPU, work, [(r, r.cpu_s["transcode"] / r.work.cpu_s) for r in runs if _has(r)]
    )
    transcode_s = work.cpu_s * cpu
    other, other_error = _regress(
        OTHER,
        [((r.work.length,), _other(r) / r.work.other_cpu_s) for r in runs if _other(r) > 0],
        (work.length,),
    )
    other_s = work.other_cpu_s * other
    made, copied, bytes_error, shares = 0.0, 0.0, 0.0, slot_shares(plan)
    copies = Counter(name for file in files_of(plan) for name in file.tracks)
    for name, bits in work.bits.items():
        known = [
            (run, 8 * run.bytes_out[name] / run.work.bits[name])
            for run in runs
            if run.bytes_out.get(name) and run.work.bits.get(name)
        ]
        factor, error = _of_pictures(BYTES, SAMPLED_BYTES, work, known)
        planned = [run for run in runs if name in run.work.bits]
        # A preset may leave a rung out of some titles.
        share = len(known) / len(planned) if planned else shares.get(name, 1)
        rung = share * min(bits * factor, work.caps[name]) / 8
        made, bytes_error = made + rung, bytes_error + rung * error
        copied += copies[name] * rung
    bytes_error /= made or 1
    sound, sound_error = _regress(
        SOUND,
        [
            ((), 8 * run.bytes_out["sound"] / run.work.sound_bits)
            for run in runs
            if run.bytes_out.get("sound") and run.work.sound_bits
        ],
        (),
    )
    sound_bytes = work.sound_bits * sound / 8
    if rates_bps := sum(audio.bitrate_bps for audio in plan.audio):
        copied += sound_bytes * sum(copies[a.name] * a.bitrate_bps for a in plan.audio) / rates_bps
    busy, busy_error = _regress(
        BUSY,
        [
            ((r.work.features[1],), r.cpu_s["transcode"] / r.busy_s["transcode"] / BUSY_CORES)
            for r in runs
            if _has(r) and r.busy_s.get("transcode")
        ],
        (work.features[1],),
    )
    busy_s = transcode_s / (BUSY_CORES * busy)
    overhead, overhead_error = _regress(
        OVERHEAD,
        [
            ((math.log(r.work.tasks), r.work.length), (_overhead(r) or 0) / r.work.overhead_s)
            for r in timed
            if r.work.tasks and (_overhead(r) or 0) > 0
        ],
        (math.log(max(work.tasks, 1)), work.length),
    )
    outside_s = work.overhead_s * overhead
    sound_wall_s = _sound_busy(runs, work)
    lengths = [float(frames) for frames in chunk_frames(plan)]
    scale = busy_s / (sum(lengths) or 1)
    tasks = [length * scale for length in lengths] + [sound_wall_s / len(plan.audio) for _ in plan.audio]
    encoding_s = makespan(tasks, workers)
    encoding_error = math.hypot(cpu_error, busy_error)
    wall_s = outside_s + encoding_s
    wall_error = math.hypot(outside_s * overhead_error, encoding_s * encoding_error) / wall_s
    cpu_s = transcode_s + other_s
    bytes_out = made + sound_bytes + copied
    found = Estimate(
        wall_s=_range(wall_s, wall_error),
        cpu_s=_range(cpu_s, math.hypot(transcode_s * cpu_error, other_s * other_error) / cpu_s),
        bytes_out=_range(
            bytes_out, math.hypot((made + copied) * bytes_error, sound_bytes * sound_error) / (bytes_out or 1)
        ).rounded(0),
        workers=workers,
        chunks=len(lengths),
        runs=len(runs),
        chunked=Part(
            cpu_s=transcode_s,
            cpu_error=cpu_error,
            busy_s=busy_s,
            busy_error=encoding_error,
            bytes_out=made,
            bytes_error=bytes_error,
        ),
    )
    return priced(found, rates or Rates())


def makespan(tasks: Sequence[float], workers: int) -> float:
    """Seconds until all tasks are done, if each begins on the first free worker."""
    free = [0.0] * max(1, min(workers, len(tasks)))
    for seconds in tasks:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def _has(run: PastRun) -> bool:
    return run.cpu_s.get("transcode", 0) > 0 and run.work.cpu_s > 0


def _other(run: PastRun) -> float:
    return sum(seconds for step, seconds in run.cpu_s.items() if step != "transcode")


def _overhead(run: PastRun) -> float | None:
    """Seconds outside of encoding tasks."""
    return None if run.wall_s is None else run.wall_s - sum(run.busy_s.values()) / max(run.lanes, 1)


def _sound_busy(runs: Sequence[PastRun], work: Work) -> float:
    known = [
        run.busy_s["audio"] / run.work.sound_s for run in runs if run.busy_s.get("audio") and run.work.sound_s
    ]
    return work.sound_s * (median(known) if known else 0.03)


def _of_pictures(
    plain: Prior, sampled: Prior, work: Work, known: Sequence[tuple[PastRun, float]]
) -> tuple[float, float]:
    """The factor to expect of what depends on the pictures, and the standard deviation of its logarithm.

    :param plain: for a source without a sample, which can only be compared with others of its kind.
    :param known: earlier runs, with their factors.
    """
    prior = plain if work.sample is None else sampled
    alike = [
        (_place(run.work), factor) for run, factor in known if (run.work.sample is None) == (prior is plain)
    ]
    return _regress(prior, alike, _place(work))


def _place(work: Work) -> tuple[float, ...]:
    """What tells of a source's pictures; the sample instead of the bits that the source spends on them."""
    return work.features if work.sample is None else (*work.sample, *work.features[1:])


def _regress(
    prior: Prior, known: Sequence[tuple[Sequence[float], float]], place: Sequence[float]
) -> tuple[float, float]:
    """The factor to expect, and the standard deviation of its logarithm."""
    samples = [(features, math.log(max(factor, 1e-6))) for features, factor in known]
    mean, error = predict(prior, samples, place)
    return math.exp(mean), error


def _range(likely: float, error: float) -> Range:
    factor = math.exp(SPREAD * error)
    return Range(low=likely / factor, likely=likely, high=likely * factor).rounded(3)


# --- while it runs ---------------------------------------------------------------------------


def corrected(before: Estimate, done: Sequence[Done]) -> Estimate:
    """The estimate once some chunks are encoded: their cost counts, and tells of the rest.

    :param done: the chunks that are encoded.
    """
    part = before.chunked
    lanes = max(1, min(before.workers, before.chunks))
    now = before
    for name, told, per in (
        ("cpu_s", "cpu_s", 1),
        ("busy_s", "seconds", lanes),
        ("bytes_out", "bytes_out", 1),
    ):
        error_name = name.rpartition("_")[0] + "_error"
        amounts = [(d.share, amount) for d in done if (amount := getattr(d, told)) and d.share > 0]
        likely = getattr(part, name)
        if not amounts or not likely:
            continue
        whole, error = _corrected(likely, getattr(part, error_name), amounts)
        field = "wall_s" if name == "busy_s" else name
        changed = _shifted(getattr(before, field), likely / per, whole / per, error)
        chunked = now.chunked.model_copy(update={name: whole, error_name: error})
        now = now.model_copy(update={field: changed, "chunked": chunked})
    return priced(now, before.rates)


def _corrected(likely: float, error: float, known: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The whole amount, and the standard deviation of its logarithm.

    :param known: share of the whole, and amount, of each chunk that is done.
    """
    share, spent = sum(part for part, _ in known), sum(amount for _, amount in known)
    # The posterior mean of the factor by which the estimate is wrong.
    weight = len(known) / CHUNK_NOISE**2
    belief = 1 / max(error, 0.01) ** 2
    factor = math.exp(math.log(spent / (likely * share)) * weight / (weight + belief))
    rest = max(0.0, 1 - share) * likely * factor
    whole = spent + rest
    return whole, rest / whole * math.sqrt(1 / (weight + belief) + CHUNK_NOISE**2 / 10)


def _shifted(before: Range, part: float, now: float, error: float) -> Range:
    """The range of the whole, of which ``part`` was estimated and is corrected to ``now``."""
    likely = max(before.likely - part + now, now)
    rest = likely - now
    # What is not encoded in chunks keeps its share of the error.
    factor = math.exp(SPREAD * error)
    low = now / factor + rest * (before.low / before.likely if before.likely else 1)
    high = now * factor + rest * (before.high / before.likely if before.likely else 1)
    return Range(low=low, likely=likely, high=high).rounded(3)
