"""The encoders that a ladder may name: what each can do, and what ffmpeg tells it.

Whatever the encoder: key frames on the GOP grid only, no bitrate above the cap, headers that do not depend
on the content, and the same bytes for the same frames on every host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vod_operators.media.models import Rendition

EncoderName = Literal["libx264"]

Codec = Literal["h264", "hevc", "av1"]


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One encoder of ffmpeg's."""

    codec: Codec
    lookahead: Mapping[str, int]
    """Its presets, from the quickest on, and how many frames each looks ahead."""
    max_crf: int
    bit_depths: tuple[int, ...] = (8,)


ENCODERS: Mapping[EncoderName, Encoder] = {
    "libx264": Encoder(
        codec="h264",
        lookahead={
            "ultrafast": 0, "superfast": 0, "veryfast": 10, "faster": 20, "fast": 30, "medium": 40,
            "slow": 50, "slower": 60, "veryslow": 60,
        },
        max_crf=51,
    ),
}  # fmt: skip


def profile_of(encoder: EncoderName, bit_depth: int) -> str:
    """The profile of what an encoder makes, if a rung names none."""
    return "high" if ENCODERS[encoder].codec == "h264" else "main"


def encoder_options(rendition: Rendition, gop_frames: int) -> dict[str, str | int]:
    """What an output's video encoder is told, by ffmpeg's option names."""
    options: dict[str, str | int] = {
        "c": rendition.encoder,
        "preset": rendition.encoder_preset,
        "crf": f"{rendition.crf:g}",
        "maxrate": rendition.max_bitrate_bps,
        "bufsize": rendition.buffer_bits,
        "g": gop_frames,
        "profile": rendition.profile,
        "keyint_min": gop_frames,
        # With more threads x264's rate control depends on how far each of them is: no two encodes of the
        # same frames would be the same, on two hosts least of all. Renditions and chunks are the threads.
        "threads": 1,
        "sc_threshold": 0,  # key frames on the grid only, so that all renditions agree on them
        # Headers must not depend on the content: every chunk shares the first one's init segment.
        "x264-params": "stitchable=1",
    }
    return options
