"""The encoders that a ladder may name: what each can do, and the options that ffmpeg gets for it.

Every encoder must meet four conditions:

- key frames on the GOP grid only, so that they are the same in all renditions;
- a cap on the bitrate;
- headers that do not depend on the content, because all chunks share the first one's init segment;
- the same bytes for the same frames on every host.

For the last one each software encoder has one thread: with more, its rate control would depend on how far
each thread has come. Renditions and chunks run in parallel instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from vod_operators.formats.base import Model, is_unset
from vod_operators.formats.facts import Codec, VideoRange
from vod_operators.media.hdr import Hdr, svtav1_params, x265_params

EncoderName = Literal["libx264", "libx265", "libsvtav1", "h264_nvenc"]


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One of ffmpeg's encoders."""

    codec: Codec
    lookahead: Mapping[str, int]
    """Its presets, quickest first -> frames that each looks ahead."""
    max_crf: int
    probed_crfs: tuple[float, ...]
    """At which the step ``analyse`` encodes, ascending. Where pictures are easy, VMAF stays near 100 up to a
    bend that is only 8 wide: curves through CRF 20, 26, 32 and 38 of x264 were within 0.8 at any target,
    through 20, 26 and 32 up to 10 off (docs/decisions/031-target-quality.md)."""
    whole_crf: bool = False
    """Whether it takes only whole numbers as CRF."""
    min_side: int = 2
    """Smallest width and height that it takes."""
    bit_depths: tuple[int, ...] = (8,)
    hardware: bool = False
    """Whether it needs a device that not every host has."""


NVENC_LOOKAHEAD = 20
"""Frames. NVIDIA advises 10 to 20 for quality."""

ENCODERS: Mapping[EncoderName, Encoder] = {
    "libx264": Encoder(
        codec="h264",
        # ``rc-lookahead``
        lookahead={
            "ultrafast": 0, "superfast": 0, "veryfast": 10, "faster": 20, "fast": 30, "medium": 40,
            "slow": 50, "slower": 60, "veryslow": 60,
        },
        max_crf=51,
        probed_crfs=(20, 26, 32, 38),
    ),
    "libx265": Encoder(
        codec="hevc",
        # ``rc-lookahead``
        lookahead={
            "ultrafast": 5, "superfast": 10, "veryfast": 15, "faster": 15, "fast": 15, "medium": 20,
            "slow": 25, "slower": 40, "veryslow": 40,
        },
        max_crf=51,
        probed_crfs=(20, 26, 32, 38),
        min_side=16,
        bit_depths=(8, 10),
    ),
    "libsvtav1": Encoder(
        codec="av1",
        # Measured: 0 or 50 frames after a GOP, its bytes are the same.
        lookahead={str(preset): 0 for preset in range(13, 2, -1)},
        max_crf=63,
        probed_crfs=(22, 32, 42, 52),
        whole_crf=True,
        bit_depths=(8, 10),
    ),
    "h264_nvenc": Encoder(
        codec="h264",
        lookahead={f"p{preset}": NVENC_LOOKAHEAD for preset in range(1, 8)},
        max_crf=51,
        probed_crfs=(20, 26, 32, 38),
        # NVIDIA's minimum is 145 x 49; sides are even.
        min_side=146,
        hardware=True,
    ),
}  # fmt: skip


def profile_of(encoder: EncoderName, bit_depth: int) -> str:
    """The profile that an encoder is given where a rung names none."""
    codec = ENCODERS[encoder].codec
    return {"h264": "high", "hevc": "main10" if bit_depth == 10 else "main", "av1": "main"}[codec]


class Encoding(Model):
    """How a video track is encoded."""

    encoder: EncoderName
    encoder_preset: str
    crf: float
    max_bitrate_bps: int
    buffer_bits: int
    profile: str
    bit_depth: int = 8
    hdr: Hdr | None = Field(None, exclude_if=is_unset)
    """None: standard dynamic range."""

    @property
    def codec(self) -> Codec:
        """The encoder's codec."""
        return ENCODERS[self.encoder].codec

    @property
    def ladder(self) -> tuple[Codec, VideoRange]:
        """Codec and video range: players stay within one ladder of them."""
        return self.codec, self.hdr.range if self.hdr else "SDR"


def encoder_options(encoding: Encoding, gop_frames: int) -> dict[str, str | int]:
    """Options of an output's video encoder, by ffmpeg's names.

    :param gop_frames: frames from one IDR picture to the next.
    """
    own: dict[str, str | int]
    options: dict[str, str | int] = {
        "c": encoding.encoder,
        "preset": encoding.encoder_preset,
        "maxrate": encoding.max_bitrate_bps,
        "bufsize": encoding.buffer_bits,
        "g": gop_frames,
    }
    crf = f"{encoding.crf:g}"
    match encoding.encoder:
        case "libx264":
            own = {"crf": crf, "profile": encoding.profile, "keyint_min": gop_frames, "threads": 1,
                   "sc_threshold": 0, "x264-params": "stitchable=1"}  # fmt: skip
        case "libx265":
            own = {
                "crf": crf,
                "profile": encoding.profile,
                "keyint_min": gop_frames,
                "a53cc": 1,  # keep captions, as libx264 and NVENC do by default; SVT-AV1 cannot
                "tag": "hvc1",  # parameter sets in the init segment only (Apple 1.10)
                "x265-params": "pools=none:frame-threads=1:wpp=0:scenecut=0:open-gop=0:high-tier=0:info=0:"
                "log-level=error" + (x265_params(encoding.hdr.metadata) if encoding.hdr else ""),
            }
        case "libsvtav1":
            # Without mbr-overshoot-pct its average exceeds the cap by up to a half. Single GOPs still do.
            params = "lp=1:scd=0:irefresh-type=2:mbr-overshoot-pct=0"
            params += svtav1_params(encoding.hdr.metadata) if encoding.hdr else ""
            own = {"crf": crf, "svtav1-params": params}
        case "h264_nvenc":
            own = {"rc": "vbr", "cq": crf, "b": 0, "profile": encoding.profile, "bf": 3,
                   "rc-lookahead": NVENC_LOOKAHEAD, "no-scenecut": 1, "strict_gop": 1, "forced-idr": 1,
                   "spatial-aq": 1}  # fmt: skip
    return options | own
