"""Sample tables of fragmented tracks, and the order in which one file holds their samples.

All that is kept of a sample is numbers, about 12 bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple
from zlib import crc32

from vod_operators.errors import VerificationError
from vod_operators.formats.isobmff import MAX_HEADER_BYTES, Defaults, Fragment, children, parse_moof

AHEAD_BYTES = 16 << 10
"""Bytes that are read at once where headers are: the ``moof`` of a GOP has 1 to 4 kB."""

CHUNK_S = 1
"""Pictures and sound lie beside each other in pieces of about this length, so that a player that loads the
file from its beginning gets both in time."""

Read = Callable[[int, int], bytes]
"""Returns so many bytes from a position on."""


class Places(NamedTuple):
    """Where a segment holds its samples."""

    fragments: list[Fragment]
    spans: list[tuple[int, int]]
    """First byte of each fragment's samples, and the byte after the last."""
    rest_crc32: int
    """CRC-32 of all other bytes."""


def find_places(read: Read, size: int, defaults: dict[int, Defaults]) -> Places:
    """Read the headers of a segment of one track, and nothing of its samples.

    :param size: of the segment in bytes.
    :param defaults: by the track's id, from the init segment.
    :raises VerificationError: it is damaged, or has bytes between its samples.
    """
    read = _ahead(read, size)
    fragments: list[Fragment] = []
    spans: list[tuple[int, int]] = []
    crc, begin, offset = 0, 0, 0
    for kind, first, last in children(read, 0, size):
        if kind == b"moof":
            if last - offset > MAX_HEADER_BYTES:
                raise VerificationError(f"MP4: a 'moof' box of {last - offset} bytes")
            fragments += parse_moof(read(offset, last - offset), first - offset, offset, defaults)
        elif kind == b"mdat":
            spans.append((first, last))
            crc = crc32(read(begin, first - begin), crc)
            begin = last
        offset = last
    extents = [fragment.extent for fragment in fragments]
    holes = any(
        sample.position != end
        for fragment in fragments
        for sample, end in zip(
            fragment.samples,
            accumulate((sample.size for sample in fragment.samples), initial=fragment.extent[0]),
            strict=False,
        )
    )
    if extents != spans or holes:
        raise VerificationError("MP4: a fragment's samples do not fill its 'mdat' box")
    return Places(fragments, spans, crc32(read(begin, size - begin), crc))


def _ahead(read: Read, size: int) -> Read:
    """The same, with ``AHEAD_BYTES`` read at once."""
    held, start = b"", 0

    def wrapped(at: int, length: int) -> bytes:
        nonlocal held, start
        if at < start or at + length > start + len(held):
            start, held = at, read(at, min(max(length, AHEAD_BYTES), size - at))
        return held[at - start : at - start + length]

    return wrapped


@dataclass(kw_only=True)
class Samples:
    """The samples of a track in columns."""

    timescale: int
    sizes: array[int] = field(default_factory=lambda: array("I"))
    durations: array[int] = field(default_factory=lambda: array("I"))
    """Run lengths: count and ticks, alternating; ``compositions`` likewise."""
    compositions: array[int] = field(default_factory=lambda: array("i"))
    """Ticks from decoding to presentation."""
    syncs: array[int] = field(default_factory=lambda: array("I"))
    """Numbers, from 1, of the samples at which decoding can begin."""
    ticks: int = 0
    """Length of all samples."""

    def add(self, fragment: Fragment) -> None:
        """Append the samples of the track's next fragment.

        :raises VerificationError: it does not begin where the one before ended.
        """
        if fragment.decode_time != self.ticks:
            where = f"sample {len(self.sizes) + 1} decodes at tick {fragment.decode_time}"
            raise VerificationError(f"MP4: {where}, not at {self.ticks}")
        for number, sample in enumerate(fragment.samples, start=len(self.sizes) + 1):
            self.sizes.append(sample.size)
            _count(self.durations, sample.duration)
            _count(self.compositions, sample.composition)
            if sample.is_sync:
                self.syncs.append(number)
        self.ticks += fragment.duration

    @property
    def size_bytes(self) -> int:
        """Bytes of all samples."""
        return sum(self.sizes)


def _count(runs: array[int], value: int) -> None:
    if runs and runs[-1] == value:
        runs[-2] += 1
    else:
        runs.extend((1, value))


class Stretch(NamedTuple):
    """Consecutive samples of a track that lie together in the file: a "chunk" of ISO 14496-12."""

    begins_s: Fraction
    """When its first sample decodes."""
    track: int
    samples: int
    size_bytes: int


def in_order(tracks: Sequence[Samples]) -> list[Stretch]:
    """The stretches of all tracks as a file holds them: by time, of the same time in the tracks' order."""
    found = [stretch for number, track in enumerate(tracks) for stretch in _stretches(number, track)]
    return sorted(found, key=lambda stretch: (stretch.begins_s, stretch.track))


def _stretches(number: int, track: Samples) -> Iterator[Stretch]:
    step, runs = CHUNK_S * track.timescale, track.durations
    first = begin = time = size = at = 0
    for count, duration in zip(runs[::2], runs[1::2], strict=True):
        for _ in range(count):
            size += track.sizes[at]
            at, time = at + 1, time + duration
            if time - begin >= step:
                yield Stretch(Fraction(begin, track.timescale), number, at - first, size)
                first, begin, size = at, time, 0
    if at > first:
        yield Stretch(Fraction(begin, track.timescale), number, at - first, size)
