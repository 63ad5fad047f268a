"""What a video will cost, by its plan and by what earlier videos of the preset cost; pure.

CPU time and bytes depend on the pictures, which nobody has seen before they are encoded. Two things tell of
them: how many bits the source spends on a pixel, and what became of such sources before. So each quantity is
a rough prior (a constant for each encoder, measured on one machine) times a factor, whose logarithm is
regressed on facts of the source over the deployment's earlier runs (``regression``).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from statistics import median
from typing import Any

from pydantic import Field

from vod_operators.formats.base import Model
from vod_operators.media.models import Plan, Rendition, Timeline, clock
from vod_operators.media.plan import LEAD_IN_GOPS, plan_chunk_ranges
from vod_operators.media.regression import Prior, predict
from vod_operators.media.sampling import Sample

SPREAD = 1.2816
"""Standard deviations from ``likely`` to ``low`` and ``high``: eight of ten videos are between them."""

ENCODE_S: Mapping[str, Mapping[str, float]] = {
    "libx264": {"ultrafast": 0.006, "superfast": 0.010, "veryfast": 0.015, "faster": 0.026, "fast": 0.036,
                "medium": 0.042, "slow": 0.075, "slower": 0.15, "veryslow": 0.25},
    "libx265": {"ultrafast": 0.025, "superfast": 0.03, "veryfast": 0.045, "faster": 0.045, "fast": 0.055,
                "medium": 0.08, "slow": 0.20, "slower": 0.6, "veryslow": 0.9},
    "libsvtav1": {"13": 0.012, "12": 0.015, "11": 0.02, "10": 0.025, "9": 0.035, "8": 0.05, "7": 0.075,
                  "6": 0.11, "5": 0.17, "4": 0.3, "3": 0.5},
    "h264_nvenc": {},
}  # fmt: skip
"""CPU seconds of a million pixels, by the encoder's preset. Of one machine and two clips: others differ by a
factor of two, and so do pictures."""

HARDWARE_S = 0.001
"""The same of an encoder in hardware: the copies to the device."""

CHUNK_S = 0.25
"""CPU seconds that each chunk takes besides: cutting it, segments, their check."""

DECODE_S = 0.0046
"""CPU seconds of a million pixels of the source: decoding, scaling, still pictures."""

KINDS_S: Mapping[str, float] = {"plain": 1, "deinterlaced": 2.5, "tone-mapped": 6}
"""Factor of ``DECODE_S`` by what the filters do."""

BITS: Mapping[str, tuple[float, float]] = {
    "libx264": (0.08, 23), "libx265": (0.06, 25), "libsvtav1": (0.05, 35), "h264_nvenc": (0.09, 23)
}  # fmt: skip
"""Bits of a pixel at 540p, and the CRF that they were measured at."""

HALVING_CRF: Mapping[str, float] = {"libsvtav1": 9}
"""How much more CRF halves the bits; 6 for others."""

DENSITIES: Mapping[str, float] = {"hevc": 1.6, "vp9": 1.5, "av1": 2.0, "mpeg2video": 0.4, "prores": 0.1,
                                  "dnxhd": 0.1, "mjpeg": 0.15, "mpeg4": 0.6}  # fmt: skip
"""Bits of H.264 that tell as much of the pictures as one bit of this codec does."""

USUAL_DENSITY, USUAL_PIXELS, USUAL_RATE = 0.1, 1280 * 720, 25
"""A source of which all features are 0: bits a pixel, pixels, frames a second."""

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

DENSITY_SLOPE, SIZE_SLOPE = 0.6, 0.35
"""How a rung's bits grow with the source's density and size, before there are earlier runs."""

USUAL_OTHER_BITS, MOTION_SLOPE = 0.1, 0.18
"""Bits of a pixel between key frames, and how an encoder's CPU time grows with them."""

CHUNK_NOISE = 0.2
"""How much the logarithm of a chunk's cost differs from that of the whole video's mean."""


class Range(Model):
    """An uncertain amount."""

    low: float
    likely: float
    high: float

    def times(self, factor: float) -> Range:
        """The same in another unit."""
        return Range(low=self.low * factor, likely=self.likely * factor, high=self.high * factor)

    def rounded(self, digits: int) -> Range:
        """For a document."""
        return Range(**{name: round(value, digits) for name, value in self})


class Rates(Model):
    """What resources cost, in the deployment's currency; None: not told."""

    cpu_hour: float | None = None
    gb_month: float | None = None


class MoneyRange(Model):
    """An estimate in money."""

    compute: Range | None
    """None if the deployment's rate is not known, as of the storage."""
    storage_month: Range | None


class Money(Model):
    """What a video cost, in the currency of the deployment's rates."""

    compute: float | None
    storage_month: float | None
    """A month of its published tracks."""


class Work(Model):
    """How much work a plan is, and what of its source tells how hard the pictures are."""

    seconds: float
    features: tuple[float, float, float]
    """Logarithms of the source's bits a pixel, pixels and frames a second, each over the usual one."""
    sample: tuple[float, float] | None = None
    """Logarithms of the bits of a pixel in sampled key frames and between them; None without a sample."""
    cpu_s: float
    """CPU seconds to encode it in chunks, by the prior."""
    bits: dict[str, float]
    """Rung -> bits, by the prior; at most those of its cap."""
    caps: dict[str, float]
    """Rung -> bits that it cannot exceed."""
    sound_bits: float
    sound_s: float
    """Seconds of sound, of all tracks together."""
    tasks: int
    """Encoding tasks."""

    @property
    def other_cpu_s(self) -> float:
        """CPU seconds of the other steps, by the prior."""
        return 2 + 0.01 * self.seconds + 0.02 * self.sound_s

    @property
    def overhead_s(self) -> float:
        """Seconds outside of encoding tasks, by the prior."""
        return 5 + 0.5 * self.tasks + 0.02 * self.seconds

    @property
    def length(self) -> float:
        """Feature: logarithm of the length over a minute."""
        return math.log(max(self.seconds, 1) / 60)


class PastRun(Model):
    """What a published video cost."""

    version: str
    at: datetime
    source: str
    """The source's size and codec, for people: ``1920x1080 h264``."""
    work: Work
    cpu_s: dict[str, float]
    """Step -> CPU seconds of its media tools; empty if they are not known."""
    busy_s: dict[str, float]
    """Encoding step -> seconds of its tasks together."""
    hosts: dict[str, tuple[float, float]] = Field(default_factory=dict, max_length=64)
    """Digest of a host's name -> CPU seconds and seconds of its chunks."""
    wall_s: float | None
    """None if an earlier run had done part of the work."""
    lanes: float
    """How many encoding tasks ran at a time, on average."""
    bytes_out: dict[str, int]
    """Rung, or ``sound`` -> bytes."""


class History(Model):
    """The latest runs of one preset, newest first."""

    runs: tuple[PastRun, ...] = ()


class Part(Model):
    """Encoding in chunks, as it was estimated; what ``corrected`` begins with."""

    cpu_s: float
    cpu_error: float
    """Standard deviation of the logarithm, as of the other two."""
    busy_s: float
    busy_error: float
    bytes_out: float
    bytes_error: float


class EstimateBrief(Model):
    """The ranges of an estimate."""

    wall_s: Range
    """Seconds from the start of the run to the publication, if no other video competes for the workers."""
    cpu_s: Range
    bytes_out: Range


class Estimate(EstimateBrief):
    """What a video will take."""

    money: MoneyRange | None = None
    """None if the deployment has no rates."""
    rates: Rates = Rates()
    workers: int
    """Encoding tasks at a time."""
    chunks: int
    runs: int
    """How many earlier runs it is based on; with none, the ranges are wide."""
    chunked: Part

    def brief(self) -> EstimateBrief:
        """The ranges alone."""
        return EstimateBrief(wall_s=self.wall_s, cpu_s=self.cpu_s, bytes_out=self.bytes_out)

    def told(self) -> dict[str, Any]:
        """What clients are told, as JSON: the ranges, what they are based on, and ``words``."""
        return self.model_dump(mode="json", exclude={"chunked", "rates"}) | {"words": self.in_words()}

    def in_words(self) -> str:
        """One line for people: ``about 0:54 (0:40 to 1:12) with 2 workers, ...``."""
        low, high = clock(self.wall_s.low), clock(self.wall_s.high)
        said = [
            f"about {clock(self.wall_s.likely)} ({low} to {high}) with {_count(self.workers, 'worker')}",
            f"{self.cpu_s.likely / 3600:.3g} CPU hours",
            f"{self.bytes_out.likely / 1e6:.3g} MB",
        ]
        if self.money is not None and (price := self.money.compute) is not None:
            said.append(f"{price.likely:.3g} for computing")
        if self.money is not None and (price := self.money.storage_month) is not None:
            said.append(f"{price.likely:.3g} a month for storage")
        return ", ".join(said)


class Cost(Model):
    """What a published video cost."""

    cpu_s: dict[str, float]
    """Step -> CPU seconds of its media tools, of this run and of earlier ones that it continued. A step that
    has none is left out; all are, if the tools ran in containers."""
    wall_s: float | None
    """Seconds from the start of the run that published it; earlier runs may have done part of the work."""
    bytes_out: int
    """Of all tracks."""
    money: Money | None = None
    """None if the deployment has no rates."""
    estimated: EstimateBrief | None = None
    """What ``prepare`` had estimated; None if the source did not declare its length."""


class Done(Model):
    """A chunk that is encoded; None: not known."""

    share: float
    """Of the work of all chunks, 0 to 1."""
    seconds: float | None = None
    cpu_s: float | None = None
    bytes_out: float | None = None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)


# --- how much work it is ---------------------------------------------------------------------


def work_of(plan: Plan, timeline: Timeline | None = None, sample: Sample | None = None) -> Work | None:
    """The work of a plan; None if its length is not known.

    :param timeline: with which the length is exact; else the declared one counts.
    :param sample: what became of some pictures; None if none were tried.
    """
    seconds = _seconds(plan, timeline)
    if seconds is None:
        return None
    source, video = plan.source, plan.source.video
    frames = round(seconds * plan.frame_rate)
    encoded = sum(chunk_frames(plan, timeline))
    sound_s = float(seconds) * len(plan.audio)
    sound_bits = sum(audio.bitrate_bps for audio in plan.audio) * float(seconds)
    features = (0.0, 0.0, 0.0)
    cpu_s, bits, caps = 0.0, dict[str, float](), dict[str, float]()
    if video is not None:
        pixels, rate = video.width * video.height, float(plan.frame_rate)
        sounds = sum(sound.bitrate_bps or 128_000 for sound in source.audio)
        rest = source.size_bytes * 8 / max(float(seconds), 0.04) - sounds
        density = (video.bitrate_bps or max(rest, 1000)) / (pixels * float(video.frame_rate))
        density = min(max(density * DENSITIES.get(video.codec, 1), 1e-4), 10)
        features = (
            math.log(density / USUAL_DENSITY),
            math.log(pixels / USUAL_PIXELS),
            math.log(rate / USUAL_RATE),
        )
        kind = "tone-mapped" if video.colour.hdr else "deinterlaced" if video.interlaced else "plain"
        cpu_s = (
            len(chunk_frames(plan, timeline)) * CHUNK_S + encoded * pixels / 1e6 * DECODE_S * KINDS_S[kind]
        )
        motion = 1.0 if sample is None else (sample.other_bits / USUAL_OTHER_BITS) ** MOTION_SLOPE
        shares = slot_shares(plan)
        for made in plan.renditions:
            share = shares.get(made.name, 1)
            cpu_s += share * encoded * made.width * made.height / 1e6 * encode_s(made) * motion
            caps[made.name] = made.max_bitrate_bps * float(seconds)
            one = _bits(made, features) if sample is None else _sampled_bits(plan, made, sample)
            bits[made.name] = min(one * frames, caps[made.name])
    return Work(
        seconds=float(seconds),
        features=features,
        sample=None if sample is None else (math.log(sample.key_bits), math.log(sample.other_bits)),
        cpu_s=cpu_s,
        bits=bits,
        caps=caps,
        sound_bits=sound_bits,
        sound_s=sound_s,
        tasks=len(chunk_frames(plan, timeline)) + len(plan.audio),
    )


def _seconds(plan: Plan, timeline: Timeline | None) -> Fraction | None:
    if timeline is not None:
        return timeline.seconds(plan.frame_rate)
    declared = plan.source.duration_ms
    return None if not declared else Fraction(declared, 1000)


def chunk_frames(plan: Plan, timeline: Timeline | None = None) -> list[int]:
    """How many frames the task of each chunk encodes, with lead-in and lead-out."""
    if timeline is not None:
        return [chunk.lead_in + chunk.frames + plan.lead_out(chunk) for chunk in timeline.chunks]
    frames = plan.source.frames_at(plan.frame_rate)
    if plan.source.video is None or not frames:
        return []
    lead_in = LEAD_IN_GOPS * plan.gop_frames
    return [
        min(lead_in, first) + last - first + min(plan.lookahead_frames, frames - last)
        for first, last in plan_chunk_ranges(frames, plan.chunk_frames, plan.gop_frames)
    ]


def slot_shares(plan: Plan) -> dict[str, float]:
    """How likely each slot of a ladder by title is made, before there are earlier runs: as if one of a size
    were."""
    return {
        made.name: len({(slot.width, slot.height) for slot in ladder}) / len(ladder)
        for ladder in plan.by_title
        for made in ladder
    }


def encode_s(rendition: Rendition) -> float:
    """CPU seconds of a million pixels, by the prior."""
    return ENCODE_S[rendition.encoder].get(rendition.encoder_preset, HARDWARE_S)


def _bits(rendition: Rendition, features: tuple[float, float, float]) -> float:
    """Bits of a frame, by the prior, before the cap."""
    pixels = rendition.width * rendition.height
    bits, crf = BITS[rendition.encoder]
    halvings = (rendition.crf - crf) / HALVING_CRF.get(rendition.encoder, 6)
    density, size, _ = features
    factor = math.exp(DENSITY_SLOPE * density + SIZE_SLOPE * size)
    return float(pixels * bits * 2**-halvings * (pixels / (960 * 540)) ** -0.2 * factor)


def _sampled_bits(plan: Plan, rendition: Rendition, sample: Sample) -> float:
    """Bits of a frame, by those of the rendition that was tried, before the cap."""
    tried, gop = plan.rendition(sample.rendition), plan.gop_of(rendition)
    mean = (sample.key_bits + (gop - 1) * sample.other_bits) / gop
    usual = (0.0, 0.0, 0.0)
    pixels = tried.width * tried.height
    return mean * pixels * _bits(rendition, usual) / _bits(tried, usual)


# --- before the start ------------------------------------------------------------------------


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
    made, bytes_error, shares = 0.0, 0.0, slot_shares(plan)
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
    busy, busy_error = _regress(
        BUSY,
        [
            ((r.work.features[1],), r.cpu_s["transcode"] / r.busy_s["transcode"] / 1.6)
            for r in runs
            if _has(r) and r.busy_s.get("transcode")
        ],
        (work.features[1],),
    )
    busy_s = transcode_s / (1.6 * busy)
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
    bytes_out = made + sound_bytes
    found = Estimate(
        wall_s=_range(wall_s, wall_error),
        cpu_s=_range(cpu_s, math.hypot(transcode_s * cpu_error, other_s * other_error) / cpu_s),
        bytes_out=_range(
            bytes_out, math.hypot(made * bytes_error, sound_bytes * sound_error) / (bytes_out or 1)
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


def priced(found: Estimate, rates: Rates) -> Estimate:
    """The estimate with its price."""
    if rates.cpu_hour is None and rates.gb_month is None:
        return found
    hours, stored = found.cpu_s.times(1 / 3600), found.bytes_out.times(1e-9)
    money = MoneyRange(
        compute=None if rates.cpu_hour is None else hours.times(rates.cpu_hour).rounded(6),
        storage_month=None if rates.gb_month is None else stored.times(rates.gb_month).rounded(6),
    )
    return found.model_copy(update={"money": money, "rates": rates})


def price(cpu_s: float | None, bytes_out: float, rates: Rates) -> Money | None:
    """What was spent, in money; None without rates."""
    if rates.cpu_hour is None and rates.gb_month is None:
        return None
    is_known = rates.cpu_hour is not None and cpu_s is not None
    return Money(
        compute=round((cpu_s or 0) / 3600 * (rates.cpu_hour or 0), 6) if is_known else None,
        storage_month=None if rates.gb_month is None else round(bytes_out * 1e-9 * rates.gb_month, 6),
    )


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
