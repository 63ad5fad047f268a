"""Decodes whole tracks with a decoder that the caller has, and keeps what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from vod_operators.check.playlist import Entry
from vod_operators.check.presentation import Presentation, Track
from vod_operators.errors import VerificationError
from vod_operators.formats.audio_frames import id3_bytes
from vod_operators.formats.facts import Kind, SegmentFacts, Stream

RUN_BYTES = 256 << 20
"""Bytes after which a run ends where pictures allow it: they lie on the disk while they are decoded. Sound is
rarely longer, and is best decoded whole."""

KINDS: tuple[Kind, ...] = ("video", "audio")

Blocks = Callable[[Entry], "tuple[bytes, bytes] | None"]
"""Returns an entry's init segment and its decrypted segment; None if there is no key."""


@dataclass(frozen=True, kw_only=True)
class Media:
    """What is decoded at once: a run of segments of one track."""

    container: str
    """As ``SegmentFacts.container``."""
    codecs: dict[Kind, str]
    """Sample entry of each stream to decode."""
    size_bytes: int
    seconds: Fraction


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What a decoder says of a run."""

    frames: dict[Kind, int]
    """How many it gave."""
    complaint: str | None
    """In words; None if it has none."""


class Decoder(Protocol):
    """Decodes media."""

    def decode(self, media: Media, blocks: Iterator[bytes]) -> Decoded | None:
        """Decode a run to its end; None if it cannot be decoded here, whoever made it.

        :param blocks: its bytes in order.
        """


@dataclass(frozen=True)
class _Run:
    """Consecutive segments that one decoder can decode as if they were one file."""

    track: Track
    pairs: Sequence[tuple[Entry, SegmentFacts]]

    def streams(self, kind: Kind) -> list[Stream]:
        return [stream for _, facts in self.pairs if (stream := facts.stream(kind))]

    @property
    def where(self) -> str:
        first, last = (self.track.place(self.pairs[at][0]) for at in (0, -1))
        return first if first == last else f"{first} to {last.rpartition(' ')[2]}"

    @property
    def media(self) -> Media:
        kinds = [kind for kind in KINDS if self.streams(kind)]
        formats = {kind: self.track.format(kind) for kind in kinds}
        return Media(
            container=self.pairs[0][1].container,
            codecs={kind: format.entry for kind, format in formats.items() if format},
            size_bytes=sum(facts.size_bytes for _, facts in self.pairs),
            seconds=sum((entry.extinf or Fraction(0) for entry, _ in self.pairs), Fraction(0)),
        )

    def expected(self, kind: Kind) -> int | None:
        """How many frames the container has; None if a decoder may give others.

        A field is no frame, and pictures before the first IDR need not be shown.
        """
        streams, format = self.streams(kind), self.track.format(kind)
        is_whole = kind == "audio" or (streams[0].starts_with_idr and not (format and format.interlaced))
        return sum(stream.samples for stream in streams) if is_whole else None


class _NoKeyError(Exception):
    """A segment cannot be decrypted."""


def decode_tracks(presentation: Presentation, blocks: Blocks, decoder: Decoder) -> None:
    """Decode all tracks of pictures and sound wholly, and keep what is wrong in ``Track.undecodable``."""
    for track in presentation.tracks.values():
        for run in _runs(track):
            faults = _faults(run, blocks, decoder)
            if faults and len(run.pairs) > 1:  # name the segments, if they show it alone
                alone = [_faults(_Run(track, [pair]), blocks, decoder) for pair in run.pairs]
                faults = [fault for found in alone for fault in found or ()] or faults
            if faults is not None:
                track.undecodable = (track.undecodable or []) + faults


def _runs(track: Track) -> Iterator[_Run]:
    run: list[tuple[Entry, SegmentFacts]] = []
    for entry, facts in track.pairs():
        if run and (not _continues(run[-1][0], entry) or _is_full(run, facts)):
            yield _Run(track, run)
            run = []
        if any(facts.stream(kind) for kind in KINDS):
            run.append((entry, facts))
        elif run:
            yield _Run(track, run)
            run = []
    if run:
        yield _Run(track, run)


def _continues(before: Entry, entry: Entry) -> bool:
    same = (before.map_uri, before.map_range) == (entry.map_uri, entry.map_range)
    return same and not entry.discontinuity


def _is_full(run: Sequence[tuple[Entry, SegmentFacts]], following: SegmentFacts) -> bool:
    stream = following.stream("video")
    can_begin = stream is None or stream.starts_with_idr
    return can_begin and sum(facts.size_bytes for _, facts in run) > RUN_BYTES


def _faults(run: _Run, blocks: Blocks, decoder: Decoder) -> list[tuple[str, str, str]] | None:
    """What is wrong with a run; None if it cannot be decoded here."""
    try:
        decoded = decoder.decode(run.media, _bytes_of(run, blocks))
    except _NoKeyError:
        return None
    except VerificationError as error:
        return [(run.where, str(error), "media that can be decrypted")]
    if decoded is None:
        return None
    if decoded.complaint:
        return [(run.where, decoded.complaint, "no complaint of a decoder")]
    counts = [(kind, frames, run.expected(kind)) for kind, frames in decoded.frames.items()]
    return [
        (run.where, f"{frames} decoded frames of {kind}", f"{expected}, as the container has")
        for kind, frames, expected in counts
        if expected not in (None, frames)
    ]


def _bytes_of(run: _Run, blocks: Blocks) -> Iterator[bytes]:
    """The init segment and all segments, decrypted."""
    for number, (entry, facts) in enumerate(run.pairs):
        clear = blocks(entry)
        if clear is None:
            raise _NoKeyError
        init, data = clear
        if facts.container == "aac":  # its time, in a tag; frames follow it
            data = data[id3_bytes(data, 0) :]
        yield from [init, data] if number == 0 else [data]
