"""A source as the probe describes it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from vod_operators.media.models import AudioStream, Source, VideoStream


def a_source(
    width: int = 1920,
    height: int = 1080,
    *,
    rate: str = "25",
    bitrate_bps: int | None = None,
    duration_ms: int | None = 60_000,
    audio: tuple[AudioStream, ...] = (),
    **video: Any,
) -> Source:
    return Source(
        container="mov",
        size_bytes=1,
        duration_ms=duration_ms,
        bitrate_bps=bitrate_bps,
        video=VideoStream(
            index=0,
            codec="h264",
            width=width,
            height=height,
            frame_rate=Fraction(rate),
            **{"time_base": Fraction(1, 90_000), "pixel_format": "yuv420p", **video},
        ),
        audio=audio,
    )
