"""What a media tool may take of its host: derived from what its source is and declares.

::

    time     a floor, and VOD_TOOL_TIME_FACTOR times the length of the media
    output   a floor, VOD_TOOL_OUTPUT_FACTOR times the source's bytes, and what the plan's bitrates come to
    memory   VOD_TOOL_MEMORY_FACTOR times what pictures of that size need

Each is far above what an honest source takes; whatever reaches one is hostile or broken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from vod_operators.errors import InvalidInputError, ToolOutputError
from vod_operators.media.models import Plan
from vod_operators.runners.base import ToolLimits
from vod_operators.settings import VodSettings

FLOOR_S = 600
"""What a tool may take however short the media is."""

PROBE_FLOOR_S = 45
"""What it may take to see what a file is: ffprobe reads some seconds of media."""

READ_BPS = 20_000_000
"""Bytes a second that a slow disk gives, at least."""

REPAIR_FLOOR_S = 20
REPAIR_BPS = 150_000
"""Bytes of a source a second that are at least written anew: 1080p of 2 Mb/s at 0.6 times its speed."""

REPAIR_SLOWNESS = 3
"""How much longer than the media, of which the container tells how long it is, that may take besides."""

OUTPUT_FLOOR = 256_000_000
REPAIR_FLOOR = 64_000_000
"""Of writing pictures without loss."""

BASE_MEMORY = 640_000_000
"""ffprobe or ffmpeg, the index of a long film, and the buffers of its formats."""

PACKAGER_MEMORY = 1_000_000_000
"""Shaka Packager's threads: 1056 MB were seen at each of its starts, of which it used 71 to 117."""

THREAD_MEMORY = 24_000_000
"""Of each core: ffmpeg starts a thread or two for each decoder and filter, each with a stack of 8 MB."""

SAMPLE_BYTES = 3
"""Of a pixel: 4:2:0 of 16 bits, or 4:4:4 of 8."""

DECODED_FRAMES = 32
"""Held at once: 16 that a stream may refer to, and as many in the queues of filters."""

ENCODER_BYTES = 600
"""Memory of an encoder for each pixel of its picture. x264 took 250 for nine renditions up to
1080p, x265 190 and SVT-AV1 215 for thirteen up to 2160p (5.8 and 6.2 GB); slower presets take more."""

LONGEST_SAMPLES = 8 * 4
"""Bytes of one moment of decoded sound: eight channels of float."""


def before_probe(settings: VodSettings, size_bytes: int) -> ToolLimits:
    """Of a file that nothing is known of but its size."""
    claimed = min(settings.max_pixels * _decoded_bytes_per_pixel(), 400 * size_bytes)
    return ToolLimits(
        seconds=PROBE_FLOOR_S + size_bytes / READ_BPS * settings.tool_time_factor / 60,
        output_bytes=OUTPUT_FLOOR,
        memory_bytes=_memory(settings, claimed),
    )


def of_plan(settings: VodSettings, plan: Plan) -> ToolLimits:
    """Of tools that work on a source that was admitted."""
    video = plan.source.video
    seconds = declared_s(settings, plan)
    held = PACKAGER_MEMORY + (video.width * video.height * _decoded_bytes_per_pixel() if video else 0)
    for rendition in plan.renditions:
        held += rendition.width * rendition.height * ENCODER_BYTES
        held += THREAD_MEMORY * _cores() // 2
    return ToolLimits(
        seconds=FLOOR_S + settings.tool_time_factor * seconds + plan.source.size_bytes / READ_BPS,
        output_bytes=round(
            OUTPUT_FLOOR
            + settings.tool_output_factor * plan.source.size_bytes
            + _encoded_bytes(plan, seconds)
        ),
        memory_bytes=_memory(settings, held),
    )


def of_repair(settings: VodSettings, plan: Plan, frames: int, *, decode: bool) -> ToolLimits:
    """Of writing a source anew.

    :param frames: that it has, as far as they can be counted.
    :param decode: whether pictures are written without loss; else packets are copied.
    """
    size, limits = plan.source.size_bytes, of_plan(settings, plan)
    declared = (plan.source.duration_ms or 0) / 1000
    seconds = REPAIR_FLOOR_S + size / REPAIR_BPS + REPAIR_SLOWNESS * declared
    seconds *= settings.tool_time_factor / 60
    if not decode:
        return ToolLimits(
            seconds=seconds, output_bytes=OUTPUT_FLOOR + 2 * size, memory_bytes=limits.memory_bytes
        )
    video = plan.source.video
    raw = frames * video.width * video.height * SAMPLE_BYTES if video else 0
    raw += sum(
        round(declared_s(settings, plan) * sound.sample_rate * 4 * sound.channels)
        for sound in plan.source.audio
    )
    expanded = round(settings.tool_output_factor * size)
    return ToolLimits(
        seconds=seconds,
        output_bytes=REPAIR_FLOOR + min(raw, expanded),
        memory_bytes=limits.memory_bytes,
    )


def declared_s(settings: VodSettings, plan: Plan) -> float:
    """Seconds of media; the most that is taken where the container does not say."""
    declared = plan.source.duration_ms
    return float(settings.max_duration_s) if declared is None else declared / 1000


@contextmanager
def source_at_fault(what: str = "source") -> Iterator[None]:
    """Around tools that only read what was given: too much output there is the giver's doing.

    (Too little memory or time may be the host's.)

    :raises InvalidInputError: a tool wrote too much.
    """
    try:
        yield
    except ToolOutputError as error:
        raise InvalidInputError(f"{what}: too much comes of it: {error.describe()}") from error


def _decoded_bytes_per_pixel() -> int:
    return SAMPLE_BYTES * (DECODED_FRAMES + 2 * _cores())


def _encoded_bytes(plan: Plan, seconds: float) -> float:
    """What renditions and sounds take at most: all of them, thrice while they are cut and copied."""
    bits = sum(r.max_bitrate_bps * seconds + r.buffer_bits for r in plan.renditions)
    # Sound may be decoded first, and be written in samples.
    samples = max((audio.sample_rate for audio in plan.audio), default=0) * LONGEST_SAMPLES * seconds
    return 3 * bits / 8 + samples


def _memory(settings: VodSettings, held_bytes: int) -> int:
    return round(settings.tool_memory_factor * (BASE_MEMORY + THREAD_MEMORY * _cores() + held_bytes))


def _cores() -> int:
    return os.cpu_count() or 1
