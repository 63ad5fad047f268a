"""What a preset asks of sound."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import Field, model_validator

from vod_operators.formats.base import Model, is_unset
from vod_operators.media.drm import IN_DASH

MAX_HE_BPS = 64_000
"""Above it AAC-LC sounds as well (Apple 2.4)."""


def is_lc(value: object) -> bool:
    """Whether it is the usual profile of AAC, which presets of earlier releases do not name."""
    return value == "lc"


class AudioRung(Model):
    """How each sound track is encoded."""

    channels: Literal[1, 2] = 2
    sample_rate: Literal[44100, 48000] = 48000
    bitrate_bps: int = Field(ge=32_000, le=160_000)
    """32 to 160 kb/s (Apple 2.9): a track above that would fail the check before it is published."""
    profile: Literal["lc", "he"] = Field("lc", exclude_if=is_lc)
    """``he``: HE-AAC, by an ffmpeg that has libfdk_aac."""
    surround_bitrate_bps: int | None = Field(None, ge=160_000, le=640_000)
    """Bitrate of a further 5.1 rendition of tracks with at least six channels; None: no such rendition."""
    ac3_bitrate_bps: Literal[384_000, 448_000, 640_000] | None = Field(None, exclude_if=is_unset)
    """The same in Dolby Digital (AC-3), ``eac3_bitrate_bps`` in Dolby Digital Plus (E-AC-3). Where there is
    one, the other tracks get one in stereo."""
    eac3_bitrate_bps: int | None = Field(None, ge=192_000, le=1_024_000, exclude_if=is_unset)
    passthrough: bool = Field(False, exclude_if=is_unset)
    """Whether a source's own AC-3 or E-AC-3 stands for the rendition of that codec, untouched (Dolby Atmos
    included). Where its frames do not allow it, it is encoded."""
    opus_bitrate_bps: int | None = Field(None, ge=32_000, le=256_000, exclude_if=is_unset)
    """Bitrate of a further rendition in Opus, with ``channels``, of the DASH manifest; None: no such one."""
    mono_tracks: Literal["pair", "separate"] = "pair"
    """How a master (MXF, QuickTime) is read in which each channel is a mono track. ``pair``: the first two
    are left and right of one rendition, and the others are left out. ``separate``: each is a rendition."""
    loudness: Literal[-23, -16, "off"] = "off"
    """LUFS that one constant gain brings each rendition to, as far as peaks allow: -23 as in broadcasts (EBU
    R128), or -16 as is usual on the web."""

    @model_validator(mode="after")
    def _makes_sense(self) -> AudioRung:
        if self.profile == "he" and self.bitrate_bps > MAX_HE_BPS:
            raise ValueError(f"bitrate_bps: HE-AAC has at most {MAX_HE_BPS} b/s (Apple 2.4)")
        if self.passthrough and not (self.ac3_bitrate_bps or self.eac3_bitrate_bps):
            raise ValueError(
                "passthrough: give ac3_bitrate_bps or eac3_bitrate_bps too, of the codec that sound may "
                "keep; it holds where the source's frames cannot be taken"
            )
        if self.passthrough and self.loudness != "off":
            raise ValueError(
                "passthrough: untouched sound keeps its loudness; leave out passthrough or loudness"
            )
        return self


def check_sound(
    audio: AudioRung, *, container: str, encryption: str, systems: Collection[str] | None
) -> None:
    """Check that container and encryption leave a place for each codec.

    :param systems: DRM systems of the preset.
    :raises ValueError: one has none; the message names the field.
    """
    asked = {
        "profile": audio.profile != "lc",
        "ac3_bitrate_bps": audio.ac3_bitrate_bps,
        "eac3_bitrate_bps": audio.eac3_bitrate_bps,
        "opus_bitrate_bps": audio.opus_bitrate_bps,
    }
    if container == "ts" and (names := [name for name, is_so in asked.items() if is_so]):
        raise ValueError(f"audio: {names[0]}: container ts has AAC-LC only; ask for container fmp4")
    has_manifest = encryption == "none" or bool(set(IN_DASH) & set(systems or ()))
    if audio.opus_bitrate_bps and not has_manifest:
        raise ValueError(
            f"audio: opus_bitrate_bps: Opus is for the DASH manifest, and there is none with encryption "
            f"{encryption} and no protection by {', '.join(IN_DASH)}"
        )
