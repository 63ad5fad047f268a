"""Measured facts of segments, whoever made them: plain values that are stored in markers.

Times are exact seconds on the media's own clock.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from vod_operators.formats.base import Model, is_empty, is_unset, is_zero
from vod_operators.formats.hdr import StaticMetadata

Seconds = Annotated[Fraction, Field()]

KEY_BYTES = 16
"""Size of an AES-128 key."""

Kind = Literal["video", "audio", "text"]

Codec = Literal["h264", "hevc", "av1"]
"""Codecs of pictures that this project encodes."""

VideoRange = Literal["SDR", "PQ", "HLG"]

RANGES: dict[int, VideoRange] = {16: "PQ", 18: "HLG"}
"""Transfer characteristics (ITU-T H.273) -> video range; all others are SDR."""


class Cicp(NamedTuple):
    """Coding-independent code points of colours (ITU-T H.273); 2: unspecified."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2


class Format(Model):
    """How one elementary stream is coded, from its parameter sets."""

    kind: Kind
    codecs: str
    """RFC 6381."""
    entry: str
    """Sample entry in MP4 (without encryption); in MPEG-TS, the one that it would have in MP4."""
    encrypted: bool = False
    pattern: str = ""
    """Blocks of pictures that Common Encryption encrypts and skips, as ``1:9``; ``0:0``: it skips none."""
    profile: int = 0
    level: int = 0
    """``level_idc``: 10 times the level in H.264, 30 times in HEVC."""
    width: int = 0
    height: int = 0
    shown_width: int = 0
    """Width on the screen, if pixels are not square; else 0."""
    interlaced: bool = False
    video_range: VideoRange = "SDR"
    hdr_metadata: bool = False
    """Whether mastering display or light level come with the parameter sets or the sample entry."""
    depth: int = Field(0, exclude_if=is_zero)
    """Bits of a luma sample; 0: unknown."""
    colour: Cicp | None = Field(None, exclude_if=is_unset)
    """Of the parameter sets; None: unknown."""
    entry_colour: Cicp | None = Field(None, exclude_if=is_unset)
    """Of ``colr`` in the sample entry; None: it has none, or an ICC profile."""
    metadata: StaticMetadata | None = Field(None, exclude_if=is_unset)
    """Static metadata of HDR10 that comes with the parameter sets."""
    entry_metadata: StaticMetadata | None = Field(None, exclude_if=is_unset)
    """The same of ``mdcv`` and ``clli`` in the sample entry."""
    channels: int = 0
    sample_rate: int = 0
    speakers: int = Field(0, exclude_if=is_zero)
    """Dolby's sound: its loudspeakers, in the bits of ``chanmap`` (ETSI TS 102 366, annex E)."""
    joc: int = Field(0, exclude_if=is_zero)
    """Dolby's sound: complexity index of the objects in it (Dolby Atmos); 0: there are none."""


class Protection(Model):
    """How a track is encrypted, by its sample entry (ISO 23001-7 8.2)."""

    scheme: str
    """``cbcs``, ``cenc`` ...; empty if it does not tell."""
    key_id: str
    """32 hex digits; empty without a ``tenc``."""
    vector_bytes: int
    """Of each sample's own vector; 0 if there is none."""
    constant_vector_bytes: int
    """Of the vector of all samples; 0 if there is none."""


class Pssh(Model):
    """A ``pssh`` box (ISO 23001-7 8.1)."""

    system: str
    """Its id, as a UUID."""
    key_ids: tuple[str, ...]
    """Those that it names, 32 hex digits each; of version 0, those in the data of Widevine."""
    fault: str = ""
    """What is wrong with it, in words."""


class Init(Model):
    """An fMP4 init segment."""

    size_bytes: int
    brands: tuple[str, ...]
    has_samples: bool
    has_mvex: bool
    has_duration: bool = False
    """Whether ``mvhd`` or a ``tkhd`` tells a duration."""
    formats: tuple[Format, ...]
    protections: tuple[Protection, ...] = ()
    """Of each track of encrypted samples."""
    pssh: tuple[Pssh, ...] = ()


class Key(Model):
    """A key frame."""

    begin: int
    """First byte to fetch: that of the ``moof``, or of the MPEG-TS packet."""
    end: int
    """The byte after its last one."""
    at: Seconds
    """Decoding time."""
    is_idr: bool


class Stream(Model):
    """One elementary stream in one segment."""

    kind: Kind
    begin: Seconds
    """Decoding time of its first sample."""
    shown: Seconds
    """Presentation time of its earliest sample."""
    duration: Seconds
    decoded_s: Seconds = Fraction(0)
    """MPEG-TS: how long its pictures last by their decoding times; 0: as ``duration``.

    Of an open GOP the first pictures are shown between the last ones of the segment before."""
    shown_s: Seconds = Fraction(0)
    """fMP4: from the begin of its earliest sample to the end of the latest, as shown; 0: as ``duration``."""
    samples: int
    size_bytes: int
    """Bytes of its samples, without the container's."""
    rate: Seconds
    """Samples a second, by the smallest step between two; 0 if unknown."""
    starts_with_idr: bool = False
    keys: tuple[Key, ...] = ()
    gap: str | None = None
    """Where its times have a gap or overlap inside the segment, in words; None if nowhere."""
    captions: bool = False
    """Whether pictures hold CEA-608 or CEA-708 captions."""
    hdr_metadata: bool = False
    metadata: StaticMetadata | None = Field(None, exclude_if=is_unset)
    """Static metadata of HDR10 with its first picture."""
    is_hlg: bool = Field(False, exclude_if=is_unset)
    """Whether its first picture says that its transfer characteristics may be read as HLG (H.265 D.2.38)."""
    enhanced: bool = False
    """Whether pictures hold an LCEVC enhancement, which may make them larger."""
    encrypted: bool = False
    """Whether its samples are encrypted (Common Encryption, SAMPLE-AES)."""
    key_ids: tuple[str, ...] = Field((), exclude_if=is_empty)
    """Ids of the keys that its sample groups name, 32 hex digits each; empty: it is the init segment's."""
    starts_inside: bool = False
    """MPEG-TS and packed audio: whether it starts with the end of a frame of the segment before."""
    ends_inside: bool = False
    """MPEG-TS and packed audio: whether its last frame ends in the next segment."""
    lacks_composition: bool = False
    """Whether pictures are decoded in another order than they are shown, and their times do not tell."""
    coded: Format | None = Field(None, exclude_if=is_unset)
    """fMP4: how the first access unit of Dolby's sound is coded, by its own headers; None if it is encrypted,
    cannot be understood, or is other sound."""


class Cues(Model):
    """When the cues of a segment of WebVTT or IMSC1 are shown; times are those that the cues give."""

    begin: Seconds
    """Begin of the cue that begins first."""
    last: Seconds
    """Begin of the cue that begins last."""
    end: Seconds
    """End of the cue that ends last."""
    offset: Seconds
    """What X-TIMESTAMP-MAP adds to them for the clock of the media; 0 without one. IMSC1: what the edit list
    does."""


class SegmentFacts(Model):
    """One media segment."""

    size_bytes: int
    container: Literal["fmp4", "ts", "aac", "vtt", "unknown"]
    formats: tuple[Format, ...] = ()
    """Formats, if the parameter sets are in the segment itself (MPEG-TS, packed audio)."""
    streams: tuple[Stream, ...] = ()
    counters: dict[int, tuple[int, int]] = Field(default_factory=dict)
    """MPEG-TS: PID -> first and last continuity counter."""
    counter_error: str | None = None
    programmes: int = 1
    """MPEG-TS: how many its association table lists."""
    tables_first: bool | None = None
    """MPEG-TS: whether its first two packets are PAT and PMT; None if not known."""
    has_time: bool | None = None
    """Packed audio: whether an ID3 tag tells its time; None if not known."""
    timestamp_map: bool | None = None
    """WebVTT: whether there is a complete X-TIMESTAMP-MAP."""
    text_end: Seconds = Fraction(0)
    """WebVTT: end of the last cue."""
    cues: Cues | None = None
    """WebVTT and IMSC1: times of its cues; None if it has none."""
    not_text_profile: str | None = Field(None, exclude_if=is_unset)
    """IMSC1: why it is not of the text profile, in words; None if nothing says so."""
    unread: tuple[str, ...] = ()
    """MPEG-TS: what pictures and sound it has beside these, of a coding that HLS does not have there."""
    unreadable: str | None = None
    """Why nothing could be measured (no key, or damage), in words."""
    needs_key: bool = False

    def stream(self, kind: Kind) -> Stream | None:
        """The first stream of that kind; None if there is none."""
        for stream in self.streams:  # the rules ask some 20 times a segment; a generator takes twice as long
            if stream.kind == kind:
                return stream
        return None
