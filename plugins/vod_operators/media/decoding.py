"""Decodes finished media, only to see whether that works: argv of ffmpeg, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ffmpeg

from vod_operators.formats.facts import Kind
from vod_operators.media.damage import complaints
from vod_operators.media.ffmpeg import BARE, LOCAL_ONLY, Argv, command

DECODERS = {"avc": "h264", "hvc": "hevc", "hev": "hevc", "dvh": "hevc", "av0": "av1", "vp0": "vp9",
            "mp4": "aac", "ac-": "ac3", "ec-": "eac3", "fLa": "flac", "ala": "alac",
            "Opu": "opus"}  # fmt: skip
"""By the first three letters of the sample entry: how ffmpeg names the decoder in its messages."""

FORMATS: Mapping[str, Mapping[str, Any]] = {
    # Edit lists would drop frames.
    "fmp4": {"format": "mov", "ignore_editlist": 1},
    "ts": {"format": "mpegts"},
    "aac": {},
}
"""Container -> input options."""

QUIET = ("-loglevel", "error", "-max_error_rate", "1")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A file to decode."""

    file: str
    container: str
    """As ``SegmentFacts.container``."""
    codecs: Mapping[Kind, str]
    """Sample entry of each stream to decode."""
    frames: int | None = None
    """Frames after which decoding may stop; None: all."""

    def counts(self, kind: Kind) -> str:
        """Name of the file that gets a line for each decoded frame."""
        return f"{self.file}.{kind}"


def decode_clips(tool: str, clips: Sequence[Clip], *, threads: int = 0) -> Argv:
    """Decode clips beside each other, and write a line for each frame into the clips' ``counts``.

    :param threads: of each decoder; 0: as many as ffmpeg likes.
    """
    outputs = []
    for clip in clips:
        # Without the deblocking, damage is found all the same: it is in the entropy coding.
        media = ffmpeg.input(
            clip.file, **FORMATS[clip.container], **LOCAL_ONLY, threads=threads, skip_loop_filter="all"
        )
        for kind in clip.codecs:
            limit = {} if clip.frames is None else {f"frames:{kind[0]}": clip.frames}
            # A wrapped frame is not copied; of sound, the samples are hashed.
            form = {"fps_mode": "passthrough", "c:v": "wrapped_avframe"} if kind == "video" else {}
            out = media[f"{kind[0]}:0"].output(clip.counts(kind), format="framecrc", **form, **limit, **BARE)
            outputs.append(out)
    return command(tool, ffmpeg.merge_outputs(*outputs), *QUIET)


def count_frames(listing: bytes) -> int:
    """How many frames were decoded, by what ``decode_clips`` wrote."""
    return sum(not line.startswith(b"#") for line in listing.splitlines())


def faults_in(lines: Sequence[str], clips: Sequence[Clip]) -> list[str]:
    """The decoders' complaints among ffmpeg's messages."""
    names = {DECODERS.get(entry[:3], entry) for clip in clips for entry in clip.codecs.values()}
    found = {line: None for name in sorted(names) for line in complaints(lines, name)}
    return list(found)


def has_no_decoder(lines: Sequence[str]) -> bool:
    """Whether this ffmpeg cannot decode the media, whatever their state."""
    return any("Decoding requested, but no decoder found" in line or "no decoder" in line for line in lines)
