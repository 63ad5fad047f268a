"""What is measured of segments, whoever made them: plain values that travel in markers.

Times are exact seconds on the media's own clock.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from vod_operators.media.base import Model

Seconds = Annotated[Fraction, Field()]

Kind = Literal["video", "audio", "text"]

VideoRange = Literal["SDR", "PQ", "HLG"]

RANGES: dict[int, VideoRange] = {16: "PQ", 18: "HLG"}
"""ITU-T H.273 transfer characteristics; all others are standard dynamic range."""


class Format(Model):
    """How one elementary stream is coded: from its parameter sets."""

    kind: Kind
    codecs: str
    """RFC 6381."""
    entry: str
    """Sample entry in MP4, of the clear format; the one it would have, in MPEG-TS."""
    encrypted: bool = False
    profile: int = 0
    level: int = 0
    """``level_idc``; HEVC: 30 times the level."""
    width: int = 0
    height: int = 0
    interlaced: bool = False
    video_range: VideoRange = "SDR"
    hdr_metadata: bool = False
    """Mastering display and light level are told with the parameter sets."""
    channels: int = 0
    sample_rate: int = 0


class Init(Model):
    """An fMP4 init segment."""

    size_bytes: int
    brands: tuple[str, ...]
    has_samples: bool
    has_mvex: bool
    formats: tuple[Format, ...]


class Key(Model):
    """A picture that decoding can begin at."""

    begin: int
    """First byte to fetch: of the ``moof``, or of the MPEG-TS packet."""
    end: int
    """Behind its last byte."""
    at: Seconds
    """When it is decoded."""
    is_idr: bool


class Stream(Model):
    """One elementary stream in one segment."""

    kind: Kind
    begin: Seconds
    """Decoding time of its first sample."""
    shown: Seconds
    """Presentation time of its earliest sample."""
    duration: Seconds
    samples: int
    size_bytes: int
    """Of its samples alone, without what wraps them."""
    rate: Seconds
    """Samples a second of the finest step; 0 if unknown."""
    starts_with_idr: bool = False
    keys: tuple[Key, ...] = ()
    gap: str | None = None
    """Where its times do not follow each other inside the segment."""
    captions: bool = False
    """CEA-608/708 in the pictures' SEI."""
    hdr_metadata: bool = False


class SegmentFacts(Model):
    """One media segment."""

    size_bytes: int
    container: Literal["fmp4", "ts", "aac", "vtt", "unknown"]
    formats: tuple[Format, ...] = ()
    """Where the parameter sets are in the segment itself (MPEG-TS)."""
    streams: tuple[Stream, ...] = ()
    counters: dict[int, tuple[int, int]] = Field(default_factory=dict)
    """MPEG-TS: first and last continuity counter by PID."""
    counter_error: str | None = None
    timestamp_map: bool | None = None
    """WebVTT: whether X-TIMESTAMP-MAP is there, and whole."""
    text_end: Seconds = Fraction(0)
    """WebVTT: end of the last cue."""
    unreadable: str | None = None
    """Why nothing of it can be told: no key, or damage."""
    needs_key: bool = False

    def stream(self, kind: Kind) -> Stream | None:
        """The stream of that kind."""
        return next((stream for stream in self.streams if stream.kind == kind), None)
