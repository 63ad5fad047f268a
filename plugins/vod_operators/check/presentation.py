"""A whole presentation as it was read, which the rules judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Protocol

from vod_operators.check.attributes import Attributes
from vod_operators.check.playlist import Entry, Playlist
from vod_operators.formats.facts import Cicp, Format, Init, Kind, SegmentFacts, Stream, VideoRange
from vod_operators.formats.images import Image
from vod_operators.formats.rates import peak_bps, rate_bps

GROUPED = ("AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS")
"""Types of EXT-X-MEDIA, each also the attribute of a variant that names a group of it."""


DOLBY_VISION = ("dvh1", "dvhe", "dav1")
"""Sample entries of Dolby Vision without a compatible base layer."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a web server answered for one file."""

    uri: str
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""


class Reader(Protocol):
    """Where a presentation is read from."""

    def read(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes ``[start, start + length)`` of a file; without a length, to its end.

        :raises ObjectNotFoundError: there is no such file.
        """

    def answer(self, uri: str) -> Answer | None:
        """How a web server answers a browser's request for the file; None if it is not on the web."""

    def known(self, uri: str) -> SegmentFacts | None:
        """Facts of the segment from an earlier measurement that can be trusted; None: it must be read."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with an entry of an I-frame playlist."""

    entry: Entry
    found: str
    at_begin: bool = False
    """Whether the fault is that its bytes do not begin where they must."""


@dataclass(kw_only=True)
class Track:
    """One media playlist, and the facts of its segments."""

    playlist: Playlist
    inits: list[Init] = field(default_factory=list)
    """All init segments that its segments refer to, in order."""
    segments: list[SegmentFacts] = field(default_factory=list)
    """Facts of each entry's segment."""
    unreadable: list[str] = field(default_factory=list)
    """Files that it names and that cannot be read, each with the reason."""
    faults: list[Fault] = field(default_factory=list)
    """I-frame playlist: faults of entries that are not one picture."""
    undecodable: list[tuple[str, str, str]] | None = None
    """What a decoder found: where, what, and what was expected. None: it has decoded nothing of the track."""

    @property
    def name(self) -> str:
        """As ``Playlist.name``."""
        return self.playlist.name

    def place(self, entry: Entry) -> str:
        """Names one of its segments in messages."""
        return f"{self.name}: {entry.uri.rsplit('/', 1)[-1]}"

    def pairs(self) -> Iterator[tuple[Entry, SegmentFacts]]:
        """Entry and facts of each segment."""
        return zip(self.playlist.entries, self.segments, strict=True)

    @cached_property
    def formats(self) -> list[Format]:
        """Formats of its elementary streams, without duplicates."""
        parts: tuple[Init | SegmentFacts, ...] = (*self.inits, *self.segments)
        return list(dict.fromkeys(format for part in parts for format in part.formats))

    def format(self, kind: Kind) -> Format | None:
        """The first format of that kind; None if there is none."""
        return next((format for format in self.formats if format.kind == kind), None)

    @cached_property
    def video_range(self) -> VideoRange | None:
        """As the parameter sets, the sample entry or the pictures say; None if that is not known.

        Pictures may say that they can be read as HLG (RFC 8216bis 4.4.6.2), and Dolby Vision of profile 5 has
        no transfer characteristics that others know.
        """
        format = self.format("video")
        if format is None:
            return None
        if format.video_range == "SDR" and any(stream.is_hlg for _, stream in self.streams("video")):
            return "HLG"
        is_untold = not format.colour or format.colour.transfer == Cicp().transfer
        return None if format.entry in DOLBY_VISION and is_untold else format.video_range

    def streams(self, kind: Kind) -> Iterator[tuple[Entry, Stream]]:
        """Entry and stream of each segment that has a stream of that kind."""
        for entry, segment in self.pairs():
            if stream := segment.stream(kind):
                yield entry, stream

    @cached_property
    def kind(self) -> Kind | None:
        """Its main kind: text if it is WebVTT, else video before audio; None if nothing could be read."""
        kinds: tuple[Kind, ...] = ("video", "audio", "text")
        if any(segment.container == "vtt" for segment in self.segments):
            return "text"
        return next((kind for kind in kinds if self.format(kind)), None)

    @cached_property
    def average_bps(self) -> int:
        """Bits of all segments divided by the sum of their EXTINF."""
        pieces = self._pieces()
        lasts = sum((piece[1] for piece in pieces), Fraction(0))
        return rate_bps(sum(piece[0] for piece in pieces), lasts, 1) if lasts else 0

    @cached_property
    def peak_bps(self) -> int:
        """Highest bitrate of contiguous segments that last 0.5 to 1.5 target durations."""
        return peak_bps(self._pieces(), 1, self.playlist.target_s, self.average_bps)

    def _pieces(self) -> list[tuple[int, Fraction]]:
        """Bytes and seconds of its segments."""
        pairs = [(entry, facts) for entry, facts in self.pairs() if not entry.gap]
        return [(facts.size_bytes, entry.extinf) for entry, facts in pairs if entry.extinf]


@dataclass(frozen=True, kw_only=True)
class SessionData:
    """A file that an EXT-X-SESSION-DATA names."""

    data_id: str
    is_json: bool
    """Whether it must be JSON: FORMAT is not RAW."""
    content: bytes | None
    """None if it cannot be read."""
    unreadable: str = ""
    """Why."""


@dataclass(kw_only=True)
class ImageTrack:
    """One image playlist, and what its files are."""

    playlist: Playlist
    images: list[Image | str] = field(default_factory=list)
    """Of each entry: the image, or why it cannot be read."""


@dataclass(kw_only=True)
class Presentation:
    """A whole presentation: playlists, and the facts of their segments."""

    master: Playlist | None = None
    """None if it is one media playlist."""
    tracks: dict[str, Track] = field(default_factory=dict)
    """URI -> track, without I-frame playlists."""
    i_frames: dict[str, Track] = field(default_factory=dict)
    """URI -> I-frame playlist."""
    images: dict[str, ImageTrack] = field(default_factory=dict)
    """URI -> image playlist."""
    session_data: dict[str, SessionData] = field(default_factory=dict)
    """URI -> file that an EXT-X-SESSION-DATA names."""
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    """Web server's answers, each with its kind: ``playlist``, ``init``, or the container of a segment."""

    @property
    def media(self) -> list[Track]:
        """All media playlists."""
        return [*self.tracks.values(), *self.i_frames.values()]

    @property
    def playlists(self) -> list[Playlist]:
        """The master playlist, if any, and all media playlists."""
        return [*([self.master] if self.master else []), *(track.playlist for track in self.media)]

    @property
    def renditions(self) -> list[Attributes]:
        """Attributes of each EXT-X-MEDIA."""
        return self.master.media if self.master else []

    @property
    def i_frame_streams(self) -> list[tuple[str, Attributes]]:
        """URI and attributes of each EXT-X-I-FRAME-STREAM-INF."""
        return self.master.i_frames if self.master else []

    def variants(self) -> list[tuple[Track, Attributes]]:
        """Track and attributes of each variant, in order."""
        return [(self.tracks[uri], item) for uri, item in self.master.variants] if self.master else []

    def listed(self) -> Iterator[tuple[str, Attributes]]:
        """Place (for messages) and attributes of each variant, also of those of I-frames."""
        for number, (_, attributes) in enumerate(self.variants(), start=1):
            yield f"variant {number}", attributes
        for number, (_, attributes) in enumerate(self.i_frame_streams, start=1):
            yield f"I-frame variant {number}", attributes

    def members(self, kind: str, group: str | None) -> list[Attributes]:
        """Attributes of each EXT-X-MEDIA in a group.

        :param kind: its TYPE, such as ``AUDIO``.
        """
        return [
            item for item in self.renditions if item.get("TYPE") == kind and item.get("GROUP-ID") == group
        ]

    def missing_groups(self, variant: Attributes) -> list[str]:
        """The types of which a variant names a group that has no member."""
        return [
            kind
            for kind in GROUPED
            if kind in variant
            and (kind, variant[kind]) != ("CLOSED-CAPTIONS", "NONE")
            and not self.members(kind, variant[kind])
        ]

    def sounds(self, variant: Attributes) -> list[Track]:
        """Sound tracks with playlists of their own that play with a variant."""
        group = self.members("AUDIO", variant.get("AUDIO"))
        return [self.tracks[item["URI"]] for item in group if "URI" in item]

    def of_kind(self, kind: Kind) -> list[Track]:
        """Tracks whose main kind it is."""
        return [track for track in self.tracks.values() if track.kind == kind]

    def videos(self) -> list[tuple[Track, Format]]:
        """Each track of pictures, with their first format."""
        formats = ((track, track.format("video")) for track in self.of_kind("video"))
        return [(track, format) for track, format in formats if format]


def seconds(value: Fraction) -> str:
    """Seconds for a person, to the microsecond: ``1.5 s``."""
    return f"{float(value):.6f}".rstrip("0").rstrip(".") + " s"
