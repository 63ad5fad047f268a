"""How much work a plan is, by constants of one machine; pure. ``forecast`` corrects it by earlier runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from pydantic import Field

from vod_operators.formats.base import Model, is_zero
from vod_operators.media import probing
from vod_operators.media.encoders import ENCODERS
from vod_operators.media.models import Plan, Rendition, Timeline
from vod_operators.media.plan import LEAD_IN_GOPS, plan_chunk_ranges, plan_windows
from vod_operators.media.sampling import Sample

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

MEASURE_S = 0.02
"""CPU seconds of a million pixels whose VMAF is measured: half of an encode with x264 ``fast``."""

BUSY_CORES = 1.6
"""Cores that an encoding task keeps busy."""

DENSITY_SLOPE, SIZE_SLOPE = 0.6, 0.35
"""How a rung's bits grow with the source's density and size, before there are earlier runs."""

USUAL_OTHER_BITS, MOTION_SLOPE = 0.1, 0.18
"""Bits of a pixel between key frames, and how an encoder's CPU time grows with them."""


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
    analyse_cpu_s: float = Field(0, exclude_if=is_zero)
    """CPU seconds of the analysis, by the prior; 0 if the plan leaves nothing open."""

    @property
    def other_cpu_s(self) -> float:
        """CPU seconds of the other steps, by the prior."""
        return 2 + 0.01 * self.seconds + 0.02 * self.sound_s + self.analyse_cpu_s

    @property
    def overhead_s(self) -> float:
        """Seconds outside of encoding tasks, by the prior."""
        return 5 + 0.5 * self.tasks + 0.02 * self.seconds + self.analyse_cpu_s / BUSY_CORES

    @property
    def length(self) -> float:
        """Feature: logarithm of the length over a minute."""
        return math.log(max(self.seconds, 1) / 60)


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
    cpu_s, motion, bits, caps = 0.0, 1.0, dict[str, float](), dict[str, float]()
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
        if sample is not None:
            motion = (sample.other_bits / USUAL_OTHER_BITS) ** MOTION_SLOPE
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
        analyse_cpu_s=_analyse_cpu_s(plan, timeline, motion),
    )


def _analyse_cpu_s(plan: Plan, timeline: Timeline | None, motion: float) -> float:
    """CPU seconds of the step ``analyse``, by the prior.

    :param motion: factor of an encode's CPU time.
    """
    windows = _window_frames(plan, timeline)
    if not windows or plan.source.video is None:
        return 0.0
    rate = float(plan.frame_rate)
    encoded = sum(windows) + len(windows) * plan.lookahead_frames
    points = sum(max(1, round(probing.POINTS * frames / (2 * rate))) for frames in windows)
    spent = encoded * plan.source.video.width * plan.source.video.height / 1e6 * DECODE_S
    # Renditions that differ by their caps only share their encodes, unless a cap binds.
    for made, *_ in probing.alike(plan, probing.probed(plan)):
        width, height = probing.reference_of(made, plan).size
        one = encoded * made.width * made.height / 1e6 * encode_s(made) * motion
        one += points * width * height / 1e6 * MEASURE_S
        spent += len(ENCODERS[made.encoder].probed_crfs) * one
    return spent


def _window_frames(plan: Plan, timeline: Timeline | None) -> list[int]:
    """Frames of each window that is analysed."""
    if not plan.is_open:
        return []
    if timeline is not None:
        return [window.frames for window in timeline.windows]
    if not (frames := plan.source.frames_at(plan.frame_rate)):
        return []
    chunks = plan_chunk_ranges(frames, plan.chunk_frames, plan.gop_frames)
    return [last - first for first, last in plan_windows(chunks, plan.gop_frames, plan.frame_rate)]


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
