"""Joins the parts of a track without touching a sample.

A join copies bytes: the chunks' fragments follow each other after one init segment, and only each fragment's
sequence number and decode time are rewritten. So it needs no disk, and one block of memory however long the
video is. Every frame is counted from the headers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vod_operators.errors import VerificationError
from vod_operators.formats.isobmff import (
    MAX_HEADER_BYTES,
    Fragment,
    children,
    decode_time_field,
    find,
    parse_moof,
)

ENDLESS = 1 << 63
"""End of a stream: a box ends where its header says."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One chunk's file of a track, and its place in the joined track."""

    name: str
    blocks: Iterable[bytes]
    decode_time: int
    """Ticks of the joined track at the part's first sample."""
    samples: int
    """Number of samples that are taken of it."""
    sample_ticks: int
    before: int = 0
    """Samples before and after them that are left out (lead-in and lead-out); they are whole fragments."""
    after: int = 0


def join(parts: Iterable[Part]) -> Iterator[bytes]:
    """The parts as one continuous track, in blocks of bytes.

    :raises VerificationError: a part has too few or too many samples, another frame duration, a gap, or other
        codec parameters than the first one.
    """
    joined = _Joined()
    for part in parts:
        try:
            yield from joined.take(part)
        except VerificationError as error:
            raise VerificationError(f"{part.name}: {error}") from None


class _Joined:
    """What the parts so far leave to the next one."""

    def __init__(self) -> None:
        self._init: bytes | None = None
        self._sequence = 0

    def take(self, part: Part) -> Iterator[bytes]:
        """What a part adds to the track."""
        stream, init, position, taken, offset = _Stream(part.blocks), b"", 0, False, 0
        for kind, begin, end in children(stream.read_at, 0, ENDLESS):
            if kind == b"mdat":
                for block in stream.blocks(offset, end):
                    if taken:
                        yield block
            elif end - offset > MAX_HEADER_BYTES:
                raise VerificationError(f"MP4 box {kind!r} of {end - offset} bytes")
            else:
                box = bytearray(b"".join(stream.blocks(offset, end)))
                if kind in (b"ftyp", b"moov"):
                    init += box
                elif kind == b"moof":
                    fragment = _only_fragment(box, begin - offset)
                    _check_continuous(part, fragment, position)
                    taken = part.before <= position < part.before + part.samples
                    if taken and position == part.before:
                        yield from self._begin(init)
                    position += len(fragment.samples)
                    if taken:
                        self._sequence += 1
                        since = fragment.decode_time - part.before * part.sample_ticks
                        _rewrite(box, begin - offset, self._sequence, part.decode_time + since)
                        yield bytes(box)
            offset = end
        planned = part.before + part.samples + part.after
        if position != planned:
            raise VerificationError(f"has {position} frames where {planned} are planned")

    def _begin(self, init: bytes) -> Iterator[bytes]:
        """The init segment, before the first part."""
        if self._init is None:
            self._init = init
            yield init
        elif init != self._init:
            raise VerificationError("its codec parameters differ from the first chunk's")


def _only_fragment(moof: bytearray, payload: int) -> Fragment:
    fragments = parse_moof(bytes(moof), payload, 0)
    if len(fragments) != 1:
        raise VerificationError(f"a 'moof' box has {len(fragments)} 'traf' boxes, not one")
    return fragments[0]


def _check_continuous(part: Part, fragment: Fragment, samples: int) -> None:
    if fragment.decode_time != samples * part.sample_ticks:
        raise VerificationError(
            f"frame {samples} decodes at tick {fragment.decode_time}, "
            f"not at {samples * part.sample_ticks}: a gap or an overlap"
        )
    if any(sample.duration != part.sample_ticks for sample in fragment.samples):
        raise VerificationError(f"a frame does not last {part.sample_ticks} ticks")


def _rewrite(moof: bytearray, payload: int, sequence: int, decode_time: int) -> None:
    begin, _ = find(moof, payload, len(moof), b"mfhd")
    struct.pack_into(">I", moof, begin + 4, sequence)
    at, form = decode_time_field(moof, *find(moof, payload, len(moof), b"traf"))
    struct.pack_into(form, moof, at, decode_time)


class _Stream:
    """Bytes by position in a stream of blocks, forward only."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = filter(None, blocks)  # an empty block is not the end
        self._held = b""
        self._begin = 0
        """Position of what is held."""

    def read_at(self, at: int, length: int) -> bytes:
        """``length`` bytes from ``at``, or fewer at the end."""
        parts = [self._from(at)]
        missing = length - len(parts[0])
        while missing > 0 and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            missing -= len(block)
        self._held = b"".join(parts)
        return self._held[:length]

    def blocks(self, begin: int, end: int) -> Iterator[bytes]:
        """The bytes from ``begin`` to ``end``, in blocks as they come."""
        while begin < end:
            block = self._from(begin)[: end - begin]
            if not block:
                raise VerificationError("the file ends inside a box")
            yield block
            begin += len(block)

    def _from(self, at: int) -> bytes:
        """What is held from ``at`` on, at least a byte; empty at the end. Drops what is before."""
        while at >= self._begin + len(self._held):
            self._begin += len(self._held)
            self._held = next(self._blocks, b"")
            if not self._held:
                return b""
        self._held, self._begin = self._held[at - self._begin :], at
        return self._held
