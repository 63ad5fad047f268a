"""MP4 (ISO 14496-12): walks boxes, and reads the samples that fragments describe.

All readers of MP4 use this one walker and this one parser, whether the bytes are in memory, in a file or
fetched by a function.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, count
from mmap import mmap
from typing import BinaryIO, NamedTuple, TypeAlias

from vod_operators.errors import VerificationError

Memory: TypeAlias = bytes | bytearray | mmap

Data: TypeAlias = Memory | BinaryIO | Callable[[int, int], bytes]
"""Where boxes are read: memory, an open file, or a function that returns so many bytes from a position on."""

MAX_BOXES = 100_000
"""Most boxes that are read of a damaged file or box: only a hostile one has more."""

MAX_HEADER_BYTES = 64 << 20
"""Largest ``moov`` or ``moof`` that is held in memory. Ours are far smaller."""

MAX_SAMPLES = 1 << 18
"""Most samples of a ``moof``: 90 minutes of AAC. Their number costs no bytes if all are alike."""

NON_SYNC = 0x0001_0000
"""``sample_is_non_sync_sample`` in sample flags (8.8.3.1)."""

DEFAULT_BASE_IS_MOOF = 0x0002_0000
"""In the flags of a ``tfhd``: positions count from its ``moof`` (8.8.7.1)."""


def read_at(data: Data, at: int, length: int) -> bytes:
    """``length`` bytes from ``at``, or fewer at the end."""
    if isinstance(data, (bytes, bytearray, mmap)):
        return bytes(data[at : at + length])
    if callable(data):
        return data(at, length)
    data.seek(at)
    return data.read(length)


def u32(data: Memory, at: int) -> int:
    """The big-endian unsigned number in the four bytes at ``at``."""
    return int(struct.unpack_from(">I", data, at)[0])


@contextmanager
def whole_headers(what: str) -> Iterator[None]:
    """Around the parsing of headers.

    :raises VerificationError: in place of the errors of reading past the end.
    """
    try:
        yield
    except (struct.error, IndexError) as error:
        raise VerificationError(f"{what}: a header ends early ({error})") from None


# --- boxes ----------------------------------------------------------------------------------


def children(data: Data, begin: int, end: int, *, tolerant: bool = False) -> Iterator[tuple[bytes, int, int]]:
    """Type, begin of the payload and end of each box in ``data[begin:end]``.

    :param tolerant: cut off a box at ``end``, and stop where no further box is recognised.
    :raises VerificationError: a box does not fit; not if tolerant.
    """
    for number in count():
        header = read_at(data, begin, min(16, end - begin)) if begin < end else b""
        if not header or (tolerant and number == MAX_BOXES):
            return
        size, kind, first = 0, b"", begin + 8
        if len(header) >= 8:
            size, kind = struct.unpack_from(">I4s", header)
            if size == 1 and len(header) == 16:
                size, first = int.from_bytes(header[8:], "big"), begin + 16
            elif size == 0:
                size = end - begin  # 0 means: to the end
        if begin + size < first or (begin + size > end and not tolerant):
            if tolerant:
                return
            what = f"box {kind!r} of {size} bytes" if kind else f"a box header of {len(header)} bytes"
            raise VerificationError(f"MP4: {what} does not fit where it stands")
        yield kind, first, min(begin + size, end)
        begin += size


def find(data: Data, begin: int, end: int, *path: bytes) -> tuple[int, int]:
    """``(begin, end)`` of the payload of the first box at ``path``.

    :raises VerificationError: there is none.
    """
    for kind, first, last in children(data, begin, end):
        if kind == path[0]:
            return (first, last) if len(path) == 1 else find(data, first, last, *path[1:])
    raise VerificationError(f"MP4: no {path[0].decode()!r} box where one must be")


SAMPLE_DESCRIPTIONS = (b"mdia", b"minf", b"stbl", b"stsd")
"""Path of the sample descriptions in a ``trak`` box."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box with that content."""
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full_box(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with version and flags before its content (4.2)."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


UNITY = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
"""The matrix of a track that is neither moved nor turned (8.2.2)."""


# --- fragments ------------------------------------------------------------------------------


class Defaults(NamedTuple):
    """What holds for samples whose ``trun`` does not say."""

    duration: int = 0
    size: int = 0
    flags: int = 0


class Sample(NamedTuple):
    """One sample of a fragment."""

    time: int
    """Decode time, in ticks."""
    duration: int
    composition: int
    """Ticks from decoding to presentation."""
    position: int
    """First byte, from the beginning of the data."""
    size: int
    flags: int

    @property
    def end(self) -> int:
        """The byte after its last one."""
        return self.position + self.size

    @property
    def is_sync(self) -> bool:
        """Whether it says of itself that decoding can begin here."""
        return not self.flags & NON_SYNC


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """The samples of one ``traf`` box: of one track in one ``moof``."""

    offset: int
    """First byte of the ``moof``, from the beginning of the data."""
    track: int
    """The track's id."""
    decode_time: int
    """Of the first sample, in ticks."""
    samples: tuple[Sample, ...]
    extent: tuple[int, int]
    """First byte of all samples, and the byte after the last one."""
    boxes: frozenset[bytes] = frozenset()
    """Types of the boxes in the ``traf``."""

    @property
    def duration(self) -> int:
        """Ticks of all samples."""
        return sum(sample.duration for sample in self.samples)


def read_fragments(
    data: Memory | BinaryIO, defaults: Mapping[int, Defaults] | None = None, *, cut_off: bool = False
) -> Iterator[Fragment]:
    """The fragments of a file or segment, in order. Reads headers only.

    :param defaults: by the track's id, from the init segment.
    :param cut_off: whether the data end after the first sample, as byte ranges of I-frame playlists do; then
        only the first sample of each fragment is returned.
    :raises VerificationError: a box is damaged, or a sample is not in the data.
    """
    size = len(data) if isinstance(data, (bytes, bytearray, mmap)) else data.seek(0, os.SEEK_END)
    offset = 0
    for kind, first, last in children(data, 0, size, tolerant=cut_off):
        if kind == b"moof":
            if last - offset > MAX_HEADER_BYTES:
                raise VerificationError(f"MP4: a 'moof' box of {last - offset} bytes")
            moof = read_at(data, offset, last - offset)
            for fragment in parse_moof(moof, first - offset, offset, defaults):
                begin, end = fragment.extent
                if cut_off:
                    fragment = replace(fragment, samples=fragment.samples[:1])
                    end = fragment.samples[0].end if fragment.samples else begin
                if begin < 0 or end > size:
                    raise VerificationError("MP4: a sample lies outside of its segment")
                yield fragment
        offset = last


def first_sample(data: Data, fragment: Fragment) -> bytes:
    """The bytes of a fragment's first sample; empty if it has none."""
    return b"".join(read_at(data, sample.position, sample.size) for sample in fragment.samples[:1])


def decode_time_field(data: Memory, begin: int, end: int) -> tuple[int, str]:
    """Position and ``struct`` format of the decode time in a ``traf`` box."""
    at, _ = find(data, begin, end, b"tfdt")
    return at + 4, ">Q" if data[at] == 1 else ">I"


def parse_moof(
    moof: bytes, payload: int, offset: int, defaults: Mapping[int, Defaults] | None = None
) -> list[Fragment]:
    """The fragments of a ``moof`` box.

    :param payload: where the box's payload begins.
    :param offset: position of the box in the data.
    :param defaults: by the track's id.
    :raises VerificationError: it is damaged.
    """
    fragments: list[Fragment] = []
    base, left = offset, MAX_SAMPLES
    with whole_headers("MP4"):
        for kind, begin, end in children(moof, payload, len(moof)):
            if kind == b"traf":
                fragment = _parse_traf(moof, begin, end, offset, base, defaults or {}, left)
                fragments.append(fragment)
                base, left = fragment.extent[1], left - len(fragment.samples)
    return fragments


def _parse_traf(
    moof: bytes, begin: int, end: int, offset: int, base: int, defaults: Mapping[int, Defaults], most: int
) -> Fragment:
    """A fragment of at most so many samples.

    :param base: where positions count from if the box does not say: the end of the fragment before (8.8.7).
    """
    at, _ = find(moof, begin, end, b"tfhd")
    flags, track, at = u32(moof, at) & 0xFFFFFF, u32(moof, at + 4), at + 8
    if flags & DEFAULT_BASE_IS_MOOF:
        base = offset
    if flags & 0x1:
        base, at = struct.unpack_from(">Q", moof, at)[0], at + 8
    at += 4 * bool(flags & 0x2)  # sample description index
    own = defaults.get(track, Defaults())
    for field, bit in (("duration", 0x8), ("size", 0x10), ("flags", 0x20)):
        if flags & bit:
            own, at = own._replace(**{field: u32(moof, at)}), at + 4
    field_at, form = decode_time_field(moof, begin, end)
    decode_time = time = struct.unpack_from(form, moof, field_at)[0]
    samples: list[Sample] = []
    position = base
    bounds = []
    boxes = list(children(moof, begin, end))
    for kind, first, last in boxes:
        if kind == b"trun":
            run = _parse_trun(moof, first, last, own, base, position, time, most - len(samples))
            if run:
                samples += run
                position, time = run[-1].end, run[-1].time + run[-1].duration
                bounds += [run[0].position, position]
    return Fragment(
        offset=offset,
        track=track,
        decode_time=decode_time,
        samples=tuple(samples),
        extent=(min(bounds, default=base), max(bounds, default=base)),
        boxes=frozenset(kind for kind, _, _ in boxes),
    )


def _parse_trun(
    moof: bytes, at: int, end: int, defaults: Defaults, base: int, position: int, time: int, most: int
) -> list[Sample]:
    """The samples of a ``trun`` box (8.8.8).

    :param base: where its data offset counts from.
    :param position: where its first sample lies if it has no data offset.
    :param most: samples that it may have.
    """
    version, flags, number, at = moof[at], u32(moof, at) & 0xFFFFFF, u32(moof, at + 4), at + 8
    if flags & 0x1:
        position, at = base + struct.unpack_from(">i", moof, at)[0], at + 4
    first_flags = defaults.flags
    if flags & 0x4:
        first_flags, at = u32(moof, at), at + 4
    form = ">" + "I" * (flags & 0x700).bit_count() + ("i" if version else "I") * bool(flags & 0x800)
    table_end = at + number * struct.calcsize(form)
    if table_end > end:
        raise VerificationError("MP4: a 'trun' box ends before its last sample")
    if number > most:
        raise VerificationError(f"MP4: a 'moof' box with more than {MAX_SAMPLES} samples")
    if not number:
        return []
    columns = zip(*struct.iter_unpack(form, moof[at:table_end]), strict=True) if table_end > at else iter(())
    durations = next(columns) if flags & 0x100 else (defaults.duration,) * number
    sizes = next(columns) if flags & 0x200 else (defaults.size,) * number
    all_flags = next(columns) if flags & 0x400 else (first_flags, *(defaults.flags,) * (number - 1))
    compositions = next(columns) if flags & 0x800 else (0,) * number
    times, positions = accumulate(durations, initial=time), accumulate(sizes, initial=position)
    rows = zip(times, durations, compositions, positions, sizes, all_flags, strict=False)
    return list(map(Sample._make, rows))
