"""One rendition of one chunk in segments; a track consists of those of all chunks.

A chunk is whole segments. Given the chunk's decode time, the packager makes the same bytes of a chunk as of
the whole track, except for numbers that run through the track: of MP4, the fragments' sequence numbers and
the duration in the init segment; of MPEG-TS, the continuity counters. So all workers make segments where they
encode chunks, and no step has to pass the whole track through the packager.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from mmap import mmap
from pathlib import Path
from typing import Any

from pydantic import Field

from vod_operators.errors import VerificationError
from vod_operators.formats.base import Model
from vod_operators.formats.dolby import with_locations
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.isobmff import (
    MAX_HEADER_BYTES,
    SAMPLE_DESCRIPTIONS,
    Fragment,
    children,
    decode_time_field,
    find,
    parse_moof,
    read_at,
    u32,
)
from vod_operators.formats.psi import PACKET
from vod_operators.media.measure import format_facts, init_facts
from vod_operators.media.track import Track


class Piece(Model):
    """Facts of the segments of one chunk, or of a whole sound track. The segments are stored as objects."""

    encoder_init: str = ""
    """SHA-256 of the init segment that the encoder wrote, the same in all chunks; empty for sound."""
    init: str = ""
    """The packager's init segment in hex, with the chunk's duration. MPEG-TS and packed audio have none."""
    segments: tuple[SegmentFacts, ...] = Field(min_length=1)
    captions: tuple[str, ...] = ()

    def described(self, timescale: int) -> dict[str, Any]:
        """How the track is coded, as fields of ``Track``.

        :param timescale: of the track, if there is no init segment.
        """
        if self.init:
            return init_facts(bytes.fromhex(self.init))
        return {"timescale": timescale, "init_bytes": 0} | format_facts(self.segments[0].formats[0])


def renumber(segment: bytearray | mmap, number: int) -> int:
    """Number a segment's fragments from ``number`` on, in place; returns the next number."""
    for kind, begin, end in children(segment, 0, len(segment)):
        if kind == b"moof":
            at, _ = find(segment, begin, end, b"mfhd")
            struct.pack_into(">I", segment, at + 4, number)
            number += 1
    return number


def lasting(init: bytes, seconds: Fraction) -> bytes:
    """An init segment with the duration of the whole track."""
    data = bytearray(init)
    moov = find(data, 0, len(data), b"moov")
    mvhd, _ = find(data, *moov, b"mvhd")
    timescale = u32(data, mvhd + (20 if data[mvhd] else 12))
    mehd, _ = find(data, *moov, b"mvex", b"mehd")
    struct.pack_into(">Q" if data[mehd] else ">I", data, mehd + 4, round(seconds * timescale))
    return bytes(data)


def in_language(init: bytes, code: str) -> bytes:
    """An init segment whose track has that language (ISO 14496-12, 8.4.2).

    :param code: three letters (ISO 639-2/T). The packager would write those of bibliographers.
    """
    data = bytearray(init)
    mdhd, _ = find(data, 0, len(data), b"moov", b"trak", b"mdia", b"mdhd")
    packed = 0
    for letter in code:
        packed = packed << 5 | ord(letter) - 0x60
    struct.pack_into(">H", data, mdhd + (32 if data[mdhd] else 20), packed)
    return bytes(data)


def with_boxes(init: bytes, boxes: bytes) -> bytes:
    """An init segment with further boxes at the end of its only sample entry."""
    data = bytearray(init)
    begin, end, sizes = 0, len(data), []
    for kind in (b"moov", b"trak", *SAMPLE_DESCRIPTIONS):
        begin, end = find(data, begin, end, kind)
        sizes.append(begin - 8)
    entry, _, end = next(children(data, begin + 8, end))  # after version, flags and count
    sizes.append(data.index(entry, begin) - 4)
    for at in sizes:
        struct.pack_into(">I", data, at, u32(data, at) + len(boxes))
    data[end:end] = boxes
    return bytes(data)


def with_speakers(init: bytes, speakers: int) -> bytes:
    """An init segment of E-AC-3 whose ``dec3`` names these loudspeakers (``Format.speakers``)."""
    data = bytearray(init)
    table, end = find(data, 0, len(data), b"moov", b"trak", *SAMPLE_DESCRIPTIONS)
    for _, first, last in children(data, table + 8, end):
        at, stop = find(data, first + 28, last, b"dec3")
        data[at:stop] = with_locations(bytes(data[at:stop]), speakers)
    return bytes(data)


def counter_shifts(pieces: Sequence[Piece]) -> list[dict[int, int]]:
    """What the continuity counters of each chunk lack to those of the whole track, by PID.

    Empty for MP4 and packed audio, which have none.
    """
    shifts: list[dict[int, int]] = []
    last: dict[int, int] = {}
    for piece in pieces:
        shift: dict[int, int] = {}
        for segment in piece.segments:
            for pid, (begin, end) in segment.counters.items():
                step = shift.setdefault(pid, (last[pid] + 1 - begin) % 16 if pid in last else 0)
                last[pid] = (end + step) % 16
        shifts.append(shift)
    return shifts


def shift_counters(segment: bytearray | mmap, shift: Mapping[int, int]) -> None:
    """Add to the continuity counters of an MPEG-TS segment, in place.

    :param shift: by PID.
    """
    heads = zip(segment[1::PACKET], segment[2::PACKET], segment[3::PACKET], strict=True)
    segment[3::PACKET] = bytes(
        last & 0xF0 | last + shift.get((first & 0x1F) << 8 | second, 0) & 0xF for first, second, last in heads
    )


def shifted(facts: SegmentFacts, shift: Mapping[int, int]) -> SegmentFacts:
    """The facts of a segment after ``shift_counters``."""
    counters = {
        pid: ((begin + shift[pid]) % 16, (end + shift[pid]) % 16)
        for pid, (begin, end) in facts.counters.items()
    }
    return facts.model_copy(update={"counters": counters})


def track_of(name: str, pieces: Sequence[Piece], timescale: int, **facts: Any) -> Track:
    """The track that the pieces make up.

    :param pieces: all pieces, in order.
    :param timescale: of the track, if it has no init segment.
    :param facts: fields of ``Track`` that the segments do not tell.
    :raises VerificationError: a chunk was encoded with other parameters than the first one.
    """
    coded = pieces[0].described(timescale)
    for number, piece in enumerate(pieces, start=1):
        if (piece.encoder_init, piece.described(timescale)) != (pieces[0].encoder_init, coded):
            raise VerificationError(
                f"chunk {number}/{name}: its codec parameters differ from the first chunk's"
            )
    return Track(
        name=name,
        captions=tuple(sorted({channel for piece in pieces for channel in piece.captions})),
        facts=tuple(
            shifted(segment, shift)
            for piece, shift in zip(pieces, counter_shifts(pieces), strict=True)
            for segment in piece.segments
        ),
        **coded,
        **facts,
    )


BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Part:
    """One chunk's encoded file of a track, and its place in the track."""

    name: str
    path: Path
    decode_time: int
    """Ticks of the track at the part's first sample."""
    samples: int
    """Number of samples that are taken of it."""
    sample_ticks: int
    before: int = 0
    """Samples before and after them that are left out (lead-in and lead-out); they are whole fragments."""
    after: int | None = 0
    """None: not known, because the file still grows."""


def own_fragments(part: Part) -> Iterator[bytes]:
    """A part without lead-in and lead-out, in blocks of bytes; the first one is the init segment.

    No sample is touched: only each fragment's sequence number and decode time are rewritten. Every frame is
    counted from the headers.

    :raises VerificationError: it has too few or too many samples, another frame duration, or a gap.
    """
    try:
        yield from _own_boxes(part)
    except VerificationError as error:
        raise VerificationError(f"{part.name}: {error}") from None


def whole_samples(path: Path) -> int:
    """Number of samples in the whole fragments of a file that is being written."""
    samples = offset = 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for kind, begin, end in children(file, 0, size, tolerant=True):
            if kind == b"moof" and end < size:
                fragments = parse_moof(read_at(file, offset, end - offset), begin - offset, offset)
                if any(fragment.extent[1] > size for fragment in fragments):
                    break
                samples += sum(len(fragment.samples) for fragment in fragments)
            offset = end
    return samples


def _own_boxes(part: Part) -> Iterator[bytes]:
    init, position, sequence, taken, offset = b"", 0, 0, False, 0
    end_of_samples = part.before + part.samples
    with part.path.open("rb") as file:
        for kind, begin, end in children(file, 0, file.seek(0, os.SEEK_END)):
            if kind == b"mdat":
                for at in range(offset, end, BLOCK_BYTES) if taken else ():
                    yield read_at(file, at, min(BLOCK_BYTES, end - at))
                if part.after is None and position == end_of_samples:
                    return
            elif end - offset > MAX_HEADER_BYTES:
                raise VerificationError(f"MP4 box {kind!r} of {end - offset} bytes")
            else:
                box = bytearray(read_at(file, offset, end - offset))
                if kind in (b"ftyp", b"moov"):
                    init += box
                elif kind == b"moof":
                    fragment = _only_fragment(box, begin - offset)
                    _check_continuous(part, fragment, position)
                    taken = part.before <= position < end_of_samples
                    if taken and position == part.before:
                        yield init
                    position += len(fragment.samples)
                    if taken:
                        sequence += 1
                        since = fragment.decode_time - part.before * part.sample_ticks
                        _rewrite(box, begin - offset, sequence, part.decode_time + since)
                        yield bytes(box)
            offset = end
    planned = end_of_samples + (part.after or 0)
    if position != planned:
        raise VerificationError(f"has {position} frames where {planned} are planned")


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
