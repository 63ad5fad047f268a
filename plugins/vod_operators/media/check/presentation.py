"""A whole presentation, as it was read: what the rules judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Protocol

from vod_operators.media.check.facts import Format, Init, Kind, SegmentFacts, Stream
from vod_operators.media.check.playlist import Entry, Playlist
from vod_operators.media.track import peak_bps, rate_bps


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
        """The bytes of a file, or ``[start, start + length)`` of them.

        :raises ObjectNotFoundError: it is not there.
        """

    def answer(self, uri: str) -> Answer | None:
        """How a web server answers to a browser that asks for it; None if it is not on the web."""

    def known(self, uri: str) -> SegmentFacts | None:
        """What was measured of the segment already, if that can be trusted; else it is read."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with an entry of an I-frame playlist."""

    entry: Entry
    found: str
    at_begin: bool = False
    """It does not begin where it must."""


@dataclass(kw_only=True)
class Track:
    """One media playlist, with what was found in its segments."""

    playlist: Playlist
    inits: list[Init] = field(default_factory=list)
    """Each that a segment of it refers to, in order."""
    segments: list[SegmentFacts] = field(default_factory=list)
    """One for each entry."""
    lost: list[str] = field(default_factory=list)
    """What it names and is not there, with the reason."""
    faults: list[Fault] = field(default_factory=list)
    """I-frame playlist: which entries are not one picture."""

    @property
    def name(self) -> str:
        """The end of its URI: enough to find it by."""
        return "/".join(self.playlist.uri.split("/")[-2:])

    @cached_property
    def formats(self) -> list[Format]:
        """Of all its elementary streams, each once."""
        found = [f for init in self.inits for f in init.formats] + [
            f for segment in self.segments for f in segment.formats
        ]
        return list(dict.fromkeys(found))

    def format(self, kind: Kind) -> Format | None:
        """The format of its pictures or its sound."""
        return next((found for found in self.formats if found.kind == kind), None)

    def streams(self, kind: Kind) -> Iterator[tuple[Entry, Stream]]:
        """Its segments' streams of that kind."""
        for entry, segment in zip(self.playlist.entries, self.segments, strict=True):
            if stream := segment.stream(kind):
                yield entry, stream

    @cached_property
    def kind(self) -> Kind | None:
        """What it is foremost; None if nothing of it could be read."""
        kinds: tuple[Kind, ...] = ("video", "audio", "text")
        if any(segment.container == "vtt" for segment in self.segments):
            return "text"
        return next((kind for kind in kinds if self.format(kind)), None)

    @cached_property
    def average_bps(self) -> int:
        """Bits of all segments over their EXTINF."""
        pieces = self._pieces()
        lasts = sum((piece[1] for piece in pieces), Fraction(0))
        return rate_bps(sum(piece[0] for piece in pieces), lasts, 1) if lasts else 0

    @cached_property
    def peak_bps(self) -> int:
        """Peak of contiguous segments that last 0.5 to 1.5 target durations."""
        return peak_bps(self._pieces(), 1, self.playlist.target_s, self.average_bps)

    def _pieces(self) -> list[tuple[int, Fraction]]:
        """Bytes and seconds of its segments."""
        pairs = zip(self.playlist.entries, self.segments, strict=True)
        return [(segment.size_bytes, entry.extinf) for entry, segment in pairs if entry.extinf]


@dataclass(kw_only=True)
class Presentation:
    """All that the rules judge."""

    location: str
    master: Playlist | None = None
    """None if the location is one media playlist."""
    tracks: dict[str, Track] = field(default_factory=dict)
    """By URI: everything but I-frame playlists."""
    i_frames: dict[str, Track] = field(default_factory=dict)
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    """How a web server answered: for a ``playlist``, an ``init``, or a segment by its container."""

    @property
    def playlists(self) -> list[Playlist]:
        """All of them."""
        tracks = [*self.tracks.values(), *self.i_frames.values()]
        return [*([self.master] if self.master else []), *(track.playlist for track in tracks)]

    def variants(self) -> list[tuple[Track, Mapping[str, str]]]:
        """The variants' tracks and attributes, in their order."""
        return [(self.tracks[uri], found) for uri, found in self.master.variants] if self.master else []

    def members(self, kind: str, group: str | None) -> list[Mapping[str, str]]:
        """The EXT-X-MEDIA of a group."""
        listed = self.master.media if self.master else []
        return [item for item in listed if item.get("TYPE") == kind and item.get("GROUP-ID") == group]

    def sounds(self, variant: Mapping[str, str]) -> list[Track]:
        """Sound tracks that play with a variant, from playlists of their own."""
        group = self.members("AUDIO", variant.get("AUDIO"))
        return [self.tracks[item["URI"]] for item in group if "URI" in item]

    def of_kind(self, kind: Kind) -> list[Track]:
        """Tracks that are foremost of that kind."""
        return [track for track in self.tracks.values() if track.kind == kind]


def seconds(value: Fraction) -> str:
    """For a person: to the microsecond."""
    return f"{float(value):.6f}".rstrip("0").rstrip(".") + " s"
