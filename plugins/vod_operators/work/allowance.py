"""Limits of a media tool's time, output and memory, derived from the source and from what it declares.

::

    time     a floor + VOD_TOOL_TIME_FACTOR times the duration
    output   a floor + VOD_TOOL_OUTPUT_FACTOR times the source's bytes + what the plan's bitrates allow
    memory   VOD_TOOL_MEMORY_FACTOR times what pictures of that size need

Each limit is far above what an honest source takes. A source that reaches one is hostile or broken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from vod_operators.errors import InvalidInputError, ToolOutputError
from vod_operators.media.ffmpeg_report import written_bytes
from vod_operators.media.models import Plan
from vod_operators.runners.base import ToolLimits
from vod_operators.settings import VodSettings

FLOOR_S = 600
"""Time limit of a tool for the shortest media."""

PROBE_FLOOR_S = 45
"""Time limit of probing a small file; ffprobe reads some seconds of media."""

READ_BPS = 20_000_000
"""Bytes a second that a slow disk reads."""

REPAIR_FLOOR_S = 20
REPAIR_BPS = 150_000
"""Source bytes rewritten a second, at least: 1080p of 2 Mb/s at 0.6 times real time."""

REPAIR_SLOWNESS = 3
"""A rewrite may also take so many times the duration that the container declares."""

OUTPUT_FLOOR = 256_000_000
REPAIR_FLOOR = 64_000_000
"""Output floor of a rewrite that stores decoded pictures losslessly."""

BASE_MEMORY = 640_000_000
"""ffprobe or ffmpeg, the index of a long film, and the buffers of its formats."""

PACKAGER_MEMORY = 1_000_000_000
"""Shaka Packager's threads reserved 1056 MB at each measured start, and used 71 to 117 MB of it."""

THREAD_MEMORY = 24_000_000
"""For each core: ffmpeg starts a thread or two for each decoder and filter, each with a stack of 8 MB."""

SAMPLE_BYTES = 3
"""Bytes of a decoded pixel: 4:2:0 of 16 bits, or 4:4:4 of 8."""

DECODED_FRAMES = 32
"""Decoded frames held at once: 16 reference frames, and as many in the queues of filters."""

ENCODER_BYTES = 600
"""Memory of an encoder for each pixel of its picture. x264 took 250 for nine renditions up to
1080p, x265 190 and SVT-AV1 215 for thirteen up to 2160p (5.8 and 6.2 GB); slower presets take more."""

LONGEST_SAMPLES = 8 * 4
"""Bytes of one moment of decoded sound: eight channels of float."""


def before_probe(settings: VodSettings, size_bytes: int) -> ToolLimits:
    """Limits of probing a file of which only the size is known."""
    claimed = min(settings.max_pixels * _decoded_bytes_per_pixel(), 400 * size_bytes)
    return ToolLimits(
        seconds=PROBE_FLOOR_S + size_bytes / READ_BPS * settings.tool_time_factor / 60,
        output_bytes=OUTPUT_FLOOR,
        memory_bytes=_memory(settings, claimed),
    )


def of_plan(settings: VodSettings, plan: Plan) -> ToolLimits:
    """Limits of tools that work on an admitted source."""
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
    """Limits of rewriting a source.

    :param frames: of the source, as far as they can be counted.
    :param decode: whether pictures are decoded and stored losslessly; else packets are copied.
    """
    size, limits = plan.source.size_bytes, of_plan(settings, plan)
    declared = (plan.source.duration_ms or 0) / 1000
    seconds = REPAIR_FLOOR_S + size / REPAIR_BPS + REPAIR_SLOWNESS * declared
    seconds *= settings.tool_time_factor / 60
    output_bytes = OUTPUT_FLOOR + 2 * size
    if decode:
        video = plan.source.video
        raw = frames * video.width * video.height * SAMPLE_BYTES if video else 0
        raw += sum(
            round(declared_s(settings, plan) * sound.sample_rate * 4 * sound.channels)
            for sound in plan.source.audio
        )
        output_bytes = REPAIR_FLOOR + min(raw, round(settings.tool_output_factor * size))
    return ToolLimits(seconds=seconds, output_bytes=output_bytes, memory_bytes=limits.memory_bytes)


def declared_s(settings: VodSettings, plan: Plan) -> float:
    """Seconds of media that the container declares; the longest admitted duration where it declares none."""
    declared = plan.source.duration_ms
    return float(settings.max_duration_s) if declared is None else declared / 1000


@contextmanager
def source_at_fault(what: str = "source") -> Iterator[None]:
    """Around tools that only read the source or a subtitle file: too much output is the file's fault.

    A limit of memory or time is not translated, because the host may be at fault.

    :param what: the file's name in the message.
    :raises InvalidInputError: a tool reached its output limit.
    """
    try:
        yield
    except ToolOutputError as error:
        raise InvalidInputError(f"{what}: too much comes of it: {error.describe()}") from error


def _decoded_bytes_per_pixel() -> int:
    return SAMPLE_BYTES * (DECODED_FRAMES + 2 * _cores())


def _encoded_bytes(plan: Plan, seconds: float) -> float:
    """Upper bound of the bytes of renditions and sound; three copies exist while they are cut and copied."""
    bits = sum(r.max_bitrate_bps * seconds + r.buffer_bits for r in plan.renditions)
    # Sound may first be decoded to a file of samples.
    samples = max((audio.sample_rate for audio in plan.audio), default=0) * LONGEST_SAMPLES * seconds
    report = written_bytes(plan, round(seconds * plan.frame_rate))
    return 3 * bits / 8 + samples + report


def _memory(settings: VodSettings, held_bytes: int) -> int:
    return round(settings.tool_memory_factor * (BASE_MEMORY + THREAD_MEMORY * _cores() + held_bytes))


def _cores() -> int:
    return os.cpu_count() or 1
