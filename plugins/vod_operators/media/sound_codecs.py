"""The codecs that sound is made in: encoders, frames, and what they put before the first sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vod_operators.formats.audio_frames import AAC_FRAME
from vod_operators.formats.dolby import BLOCK, UNIT_SAMPLES

SoundCodec = Literal["aac", "he-aac", "ac3", "eac3", "opus"]

DOLBY_RATE = OPUS_RATE = 48_000


@dataclass(frozen=True, kw_only=True)
class Sounding:
    """How one codec is encoded."""

    encoder: str
    """ffmpeg's name."""
    family: str
    """Sample entry of MP4."""
    label: str
    """What people call it."""
    frame: int
    """Samples of a frame."""
    most_extra: int
    """Most samples of a track besides those that are heard: priming, and padding of the last frame."""
    unflushed: int = 0
    """Samples of the end that the encoder keeps to itself, so that as many more must follow."""
    options: tuple[tuple[str, str | int], ...] = ()


CODECS: dict[SoundCodec, Sounding] = {
    "aac": Sounding(encoder="aac", family="mp4a", label="AAC", frame=AAC_FRAME, most_extra=2 * AAC_FRAME),
    # libfdk_aac's SBR needs up to 5058 samples of the core at half the rate, besides the padding.
    "he-aac": Sounding(
        encoder="libfdk_aac",
        family="mp4a",
        label="HE-AAC",
        frame=2 * AAC_FRAME,
        most_extra=12 * AAC_FRAME,
        options=(("profile", "aac_he"),),
    ),
    # Priming of one block, which the transform overlaps with the first.
    "ac3": Sounding(
        encoder="ac3",
        family="ac-3",
        label="Dolby Digital",
        frame=UNIT_SAMPLES,
        most_extra=BLOCK + UNIT_SAMPLES,
        unflushed=BLOCK,
    ),
    "eac3": Sounding(
        encoder="eac3",
        family="ec-3",
        label="Dolby Digital Plus",
        frame=UNIT_SAMPLES,
        most_extra=BLOCK + UNIT_SAMPLES,
        unflushed=BLOCK,
    ),
    # Frames of 20 ms, and a lookahead of 6.5 ms. Of integers, ffmpeg would mix down more softly than for
    # AAC, so that no sum is clipped.
    "opus": Sounding(
        encoder="libopus",
        family="Opus",
        label="Opus",
        frame=960,
        most_extra=312 + 960,
        options=(("sample_fmt", "flt"),),
    ),
}

SURROUND_SUFFIX = "-surround"
"""Ends the name of a track's 5.1 rendition in AAC."""

SUFFIXES: dict[SoundCodec, str] = {"ac3": "-ac3", "eac3": "-eac3", "opus": "-opus"}
"""End the names of a track's renditions in other codecs."""

STEREO_BPS: dict[SoundCodec, int] = {"ac3": 192_000, "eac3": 128_000}
"""Bitrates of stereo beside 5.1 in the same codec."""

GROUPED = (SURROUND_SUFFIX, SUFFIXES["ac3"], SUFFIXES["eac3"])
"""Those that have a sound group of their own in HLS."""


def is_plain(name: str) -> bool:
    """Whether it is the name of a track's stereo rendition in AAC, which all players can choose."""
    return not name.endswith((*GROUPED, SUFFIXES["opus"]))
