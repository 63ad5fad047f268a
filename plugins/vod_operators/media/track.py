"""One written track: the facts that playlists and manifests are made from.

Durations, sizes, codecs and bandwidths are measured on the written segments, never taken from settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field

from vod_operators.formats.base import Model, Name, Rate, is_empty, is_unset, is_zero
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.rates import peak_bps, rate_bps
from vod_operators.media.drm import METHODS, Scheme, Signal
from vod_operators.media.encryption import KeyFacts, encrypted_bytes, turn_of

DESCRIBES_VIDEO = "public.accessibility.describes-video"
"""CHARACTERISTICS of an audio description (RFC 8216bis 4.4.6.1)."""

CLEAR_SPEECH = "public.accessibility.enhances-speech-intelligibility"
"""The same of sound for people who hear badly."""

AUXILIARY = "public.auxiliary-content"
"""The same of a commentary, as Apple's players name it; the RFC has no name for it."""

FOR_DEAF = (
    "public.accessibility.transcribes-spoken-dialog",
    "public.accessibility.describes-music-and-sound",
)
"""CHARACTERISTICS of subtitles for the deaf and hard of hearing."""


SUFFIXES = {"fmp4": ".m4s", "ts": ".ts", "aac": ".aac", "vtt": ".vtt"}
"""Container -> end of the file names of its segments."""


def segment_name(number: int, container: str) -> str:
    """File name of a track's segment; numbers count from 1."""
    return f"seg-{number:05d}{SUFFIXES[container]}"


def segment_number(name: str) -> int:
    """The number in a segment's file name, from 1."""
    return int(name.partition("-")[2].partition(".")[0])


@dataclass(frozen=True)
class Segment:
    """One media segment, as a playlist lists it."""

    name: str
    ticks: int
    size_bytes: int


@dataclass(frozen=True)
class KeyFrame:
    """Place of one IDR picture: what an entry of an I-frame playlist points to."""

    file: str
    offset: int
    """First byte of its ``moof`` (Apple 6.10) or MPEG-TS packet."""
    size_bytes: int
    """From there to the end of the picture."""
    ticks: int
    """Ticks until the next key frame."""


class Encryption(Model):
    """Encryption of a track, as EXT-X-KEY declares it (RFC 8216bis 4.4.4.4)."""

    method: Literal["AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR"]
    uri: str
    """Where players get the bare key; empty if they only get licences."""
    key_id: str = ""
    """32 hex digits; empty with AES-128, and of tracks of before it was recorded."""
    signals: tuple[Signal, ...] = ()
    """How players of each DRM system get the key; none: by ``uri`` alone."""
    segments: int = Field(0, exclude_if=is_zero)
    """After how many segments the next key follows; 0: never."""
    following: tuple[Encryption, ...] = Field((), exclude_if=is_empty)
    """The other keys that are used in turn with this one."""

    @property
    def turns(self) -> tuple[Encryption, ...]:
        """All keys that are used in turn; or this one alone."""
        return (self, *self.following)

    def of_segment(self, number: int) -> Encryption:
        """That of a segment; numbers count from 0."""
        return self.turns[turn_of(number, self.segments, len(self.turns))]


def sample_encryption(keys: Sequence[KeyFacts], scheme: Scheme, *, segments: int = 0) -> Encryption:
    """How samples are encrypted with those keys, in turn.

    :param segments: after how many segments the next key follows.
    """
    first, *following = [
        Encryption(method=METHODS[scheme], uri=key.uri, key_id=key.key_id, signals=key.signals or ())
        for key in keys
    ]
    return first.model_copy(update={"following": tuple(following), "segments": segments})


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
    facts: tuple[SegmentFacts, ...] = Field(min_length=1)
    """The validator's facts of each segment, measured before it was stored."""
    text_ticks: tuple[int, ...] = ()
    """Length of each segment of a subtitle track, which its cues do not tell."""
    width: int | None = None
    height: int | None = None
    frame_rate: Rate | None = None
    video_range: Literal["SDR", "PQ", "HLG"] = "SDR"
    captions: tuple[str, ...] = ()
    """Channels of CEA-608 and CEA-708 in the pictures: ``CC1``, ``SERVICE1``."""
    channels: int | None = None
    sample_rate: int | None = None
    speakers: int = Field(0, exclude_if=is_zero)
    """As ``Format.speakers``; ``joc`` likewise."""
    joc: int = Field(0, exclude_if=is_zero)
    language: str | None = None
    title: str | None = None
    default: bool = False
    forced: bool = False
    hearing_impaired: bool = False
    describes_video: bool = False
    commentary: bool = False
    trick_bytes: tuple[int, ...] = Field((), exclude_if=is_empty)
    """Size of each segment of key frames (``media.trick``); empty: there are none."""
    not_kept: tuple[str, ...] = Field((), exclude_if=is_empty)
    """What a subtitle track does not keep of its cues; sentences for people."""
    cues: int | None = None
    """Cues of a subtitle track; one that crosses a segment's end counts once."""
    crf: float | None = Field(None, exclude_if=is_unset)
    """With which it was encoded, where that was chosen for this video."""

    def changed(self, **fields: Any) -> Track:
        """The track with other values of some fields. (``model_copy`` would also copy what is cached.)"""
        return Track(**{name: getattr(self, name) for name in Track.model_fields} | fields)

    @property
    def family(self) -> str:
        """Sample entry of its codec (``avc1``, ``hvc1``, ``av01``, ``mp4a``). Players stay within one."""
        return self.codecs.partition(".")[0]

    @property
    def characteristics(self) -> tuple[str, ...]:
        """Its CHARACTERISTICS in a playlist (RFC 8216bis 4.4.6.1)."""
        impaired = FOR_DEAF if self.kind == "text" else (CLEAR_SPEECH,)
        return (
            *([DESCRIBES_VIDEO] if self.describes_video else []),
            *(impaired if self.hearing_impaired else ()),
            *([AUXILIARY] if self.commentary else []),
        )

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The segments in order."""
        lengths = self.text_ticks or map(self._segment_ticks, self.facts)
        return tuple(
            Segment(segment_name(number, facts.container), ticks, facts.size_bytes)
            for number, (facts, ticks) in enumerate(zip(self.facts, lengths, strict=True), start=1)
        )

    @property
    def iframes_file(self) -> str | None:
        """File with copies of the key frames, each encrypted on its own, of a track whose segments are
        encrypted whole: byte ranges of those do not decrypt. None for other tracks."""
        is_whole = self.encryption is not None and self.encryption.method == "AES-128"
        return f"iframes{SUFFIXES[self.facts[0].container]}" if is_whole else None

    @cached_property
    def key_frames(self) -> tuple[KeyFrame, ...]:
        """The key frames of a video track in order."""
        frames: list[KeyFrame] = []
        copied = 0
        for segment, facts in zip(self.segments, self.facts, strict=True):
            stream = facts.stream("video")
            if stream is None:
                continue
            begins = [self._ticks(facts, key.at - stream.begin) for key in stream.keys]
            for key, (begin, end) in zip(stream.keys, pairwise([*begins, segment.ticks]), strict=True):
                file, offset, size = segment.name, key.begin, key.end - key.begin
                if self.iframes_file is not None:
                    file, offset, size = (
                        self.iframes_file,
                        copied,
                        encrypted_bytes(size + tables_bytes(facts)),
                    )
                    copied += size
                frames.append(KeyFrame(file, offset, size, end - begin))
        return tuple(frames)

    def _segment_ticks(self, facts: SegmentFacts) -> int:
        (stream,) = facts.streams
        if facts.container == "ts" and self.frame_rate:
            return self._ticks(facts, stream.samples / self.frame_rate)
        return self._ticks(facts, stream.duration)

    def _ticks(self, facts: SegmentFacts, seconds: Fraction) -> int:
        """A time inside a segment. MPEG-TS rounds times to 90 kHz; there, the nearest frame's is exact."""
        if facts.container == "ts" and self.frame_rate:
            seconds = round(seconds * self.frame_rate) / self.frame_rate
        return int(seconds * self.timescale)

    @property
    def ticks(self) -> int:
        """Length of the track in ticks."""
        return sum(segment.ticks for segment in self.segments)

    @property
    def samples(self) -> int:
        """Number of video frames, or of the codec's frames of sound (AAC: 1024 samples)."""
        return sum(stream.samples for facts in self.facts for stream in facts.streams)

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments and the init segment."""
        return self.init_bytes + sum(facts.size_bytes for facts in self.facts)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.ticks / self.timescale

    @property
    def average_bps(self) -> int:
        """Bits of all segments divided by their duration (Apple 9.14)."""
        return rate_bps(self.size_bytes - self.init_bytes, self.ticks, self.timescale)

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


def tables_bytes(facts: SegmentFacts) -> int:
    """Bytes of the tables at the beginning of an MPEG-TS segment, which players need before a key frame."""
    return facts.streams[0].keys[0].begin if facts.container == "ts" else 0
