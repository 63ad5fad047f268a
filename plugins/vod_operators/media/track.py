"""One written track: the facts that playlists and manifests are made from.

Durations, sizes, codecs and bandwidths are measured on the written segments, never taken from settings.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vod_operators.formats.base import Model, Name, Rate
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.rates import peak_bps, rate_bps

DESCRIBES_VIDEO = "public.accessibility.describes-video"
"""CHARACTERISTICS of an audio description (RFC 8216bis 4.4.6.1)."""

FOR_DEAF = (
    "public.accessibility.transcribes-spoken-dialog",
    "public.accessibility.describes-music-and-sound",
)
"""CHARACTERISTICS of subtitles for the deaf and hard of hearing."""


class Segment(Model):
    """One media segment, from its own headers."""

    name: str
    ticks: int = Field(gt=0)
    samples: int = Field(ge=0)
    """Number of video frames, audio frames of 1024 samples, or cues that it shows."""
    size_bytes: int = Field(gt=0)


class KeyFrame(Model):
    """Place of one IDR picture: what an entry of an I-frame playlist points to."""

    segment: int
    offset: int
    """First byte of its ``moof`` (Apple 6.10) or MPEG-TS packet, in the segment's file."""
    size_bytes: int
    """From there to the end of the picture."""
    ticks: int
    """Ticks until the next key frame."""


class Encryption(Model):
    """Encryption of a track, as EXT-X-KEY declares it (RFC 8216bis 4.4.4.4)."""

    method: Literal["AES-128", "SAMPLE-AES"]
    uri: str
    """Where players get the key."""


class Track(Model):
    """One written track: the facts that playlists are made from."""

    name: Name
    kind: Literal["video", "audio", "text"]
    codecs: str
    """RFC 6381, read from the init segment or the parameter sets."""
    timescale: int
    init_bytes: int
    """0: MPEG-TS and packed audio have no init segment."""
    encryption: Encryption | None = None
    segments: tuple[Segment, ...] = Field(min_length=1)
    key_frames: tuple[KeyFrame, ...] = ()
    key_frames_in: str | None = None
    """File with copies of the key frames, if segments are encrypted whole: byte ranges would not decrypt."""
    width: int | None = None
    height: int | None = None
    frame_rate: Rate | None = None
    video_range: Literal["SDR", "PQ", "HLG"] = "SDR"
    captions: tuple[str, ...] = ()
    """Channels of CEA-608 and CEA-708 in the pictures: ``CC1``, ``SERVICE1``."""
    channels: int | None = None
    sample_rate: int | None = None
    language: str | None = None
    title: str | None = None
    default: bool = False
    forced: bool = False
    hearing_impaired: bool = False
    describes_video: bool = False
    cues: int | None = None
    """Cues of a subtitle track; one that crosses a segment's end counts once."""
    checked: tuple[SegmentFacts, ...] = ()
    """The validator's facts of each segment, measured before it was stored."""

    @property
    def family(self) -> str:
        """Sample entry of its codec (``avc1``, ``hvc1``, ``av01``, ``mp4a``). Players stay within one."""
        return self.codecs.partition(".")[0]

    @property
    def characteristics(self) -> tuple[str, ...]:
        """Its CHARACTERISTICS in a playlist (RFC 8216bis 4.4.6.1)."""
        return (DESCRIBES_VIDEO,) if self.describes_video else FOR_DEAF if self.hearing_impaired else ()

    @property
    def ticks(self) -> int:
        """Length of the track in ticks."""
        return sum(segment.ticks for segment in self.segments)

    @property
    def samples(self) -> int:
        """Sum of the segments' samples; a cue counts in each segment that shows it."""
        return sum(segment.samples for segment in self.segments)

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments and the init segment."""
        return self.init_bytes + sum(segment.size_bytes for segment in self.segments)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.ticks / self.timescale

    @property
    def average_bps(self) -> int:
        """Bits of all segments divided by their duration (Apple 9.14)."""
        return rate_bps(sum(segment.size_bytes for segment in self.segments), self.ticks, self.timescale)

    def peak_bps(self, target_s: int) -> int:
        """Peak bitrate (RFC 8216bis 4.4.6.2): see ``peak_bps``."""
        return peak_bps(
            [(s.size_bytes, s.ticks) for s in self.segments], self.timescale, target_s, self.average_bps
        )

    def key_frame_average_bps(self) -> int:
        """Average bitrate of the I-frame playlist."""
        return rate_bps(sum(key.size_bytes for key in self.key_frames), self.ticks, self.timescale)

    def key_frame_peak_bps(self, target_s: int) -> int:
        """Peak bitrate of the I-frame playlist."""
        pieces = [(key.size_bytes, key.ticks) for key in self.key_frames]
        return peak_bps(pieces, self.timescale, target_s, self.key_frame_average_bps())
