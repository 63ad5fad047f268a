"""A plan of one small video."""

from __future__ import annotations

from fractions import Fraction

from vod_operators.media.models import (
    Plan,
    Rendition,
    Source,
    VideoStream,
)
from vod_operators.media.presets.model import Ladder, Preset, Rung
from vod_operators.media.presets.sound import AudioRung

RUNG = Rung(name="360p", width=640, height=360, crf=25, max_bitrate_bps=500_000, buffer_bits=500_000)


def a_rendition(name: str = "360p", width: int = 128, height: int = 96) -> Rendition:
    return Rendition(
        name=name,
        encoder="libx264",
        encoder_preset="fast",
        width=width,
        height=height,
        crf=25,
        max_bitrate_bps=1,
        buffer_bits=1,
        profile="high",
    )


def a_plan(rate: Fraction = Fraction(25), gop: int = 50, gops: int = 3) -> Plan:
    return Plan(
        video_id="v",
        preset=Preset(
            name="p",
            title="p",
            description="p",
            ladders=(Ladder(encoder="libx264", encoder_preset="fast", rungs=(RUNG,)),),
            audio=AudioRung(bitrate_bps=128_000),
        ),
        source=Source(
            container="mov",
            size_bytes=1,
            video=VideoStream(
                index=0,
                codec="h264",
                width=128,
                height=96,
                frame_rate=rate,
                time_base=Fraction(1, 12_800),
                pixel_format="yuv420p",
            ),
        ),
        frame_rate=rate,
        timescale=12_800 if rate == 25 else rate.numerator,
        gop_frames=gop,
        segment_frames=gop * gops,
        chunk_frames=gop * gops,
        lookahead_frames=0,
        renditions=(a_rendition(),),
        audio=(),
    )
