"""Fragmented MP4 (ISO 14496-12): reads fragments, and joins the parts of a track without touching a sample.

A join copies bytes: the chunks' fragments follow each other after one init segment, and only each fragment's
sequence number and decode time are rewritten. So it needs no disk, and one block of memory however long the
video is. Every frame is counted from the headers.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import BinaryIO

from vod_operators.errors import VerificationError
from vod_operators.formats.facts import Codec

MAX_HEADER_BYTES = 64 << 20
"""Largest box other than ``mdat``: such boxes are held in memory. Ours are far smaller."""

NON_SYNC = 0x0001_0000
"""``sample_is_non_sync_sample`` in sample flags (ISO 14496-12, 8.8.3.1)."""


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """Facts of one ``moof`` and its ``mdat``, from the header. Byte offsets count from the file's start."""

    offset: int
    """Of the ``moof`` box."""
    size: int
    """Bytes of ``moof`` and ``mdat`` together."""
    decode_time: int
    """Of the first sample, in ticks."""
    durations: tuple[int, ...]
    """Of each sample, in ticks."""
    first_sample_offset: int
    first_sample_size: int
    starts_with_sync: bool

    @property
    def duration(self) -> int:
        """Ticks of all samples."""
        return sum(self.durations)


# --- boxes ----------------------------------------------------------------------------------


def children(data: bytes | bytearray | mmap, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, begin of the payload and end of each box in ``data[begin:end]``.

    :raises VerificationError: a box does not fit.
    """
    while begin < end:
        if begin + 8 > end:
            raise VerificationError("MP4: a box ends inside a header")
        size, kind = struct.unpack_from(">I4s", data, begin)
        if size < 8 or begin + size > end:
            raise VerificationError(f"MP4: box {kind!r} of {size} bytes does not fit where it stands")
        yield kind, begin + 8, begin + size
        begin += size


def find(data: bytes | bytearray | mmap, begin: int, end: int, *path: bytes) -> tuple[int, int]:
    """``(begin, end)`` of the payload of the first box at ``path``.

    :raises VerificationError: there is none.
    """
    for kind, first, last in children(data, begin, end):
        if kind == path[0]:
            return (first, last) if len(path) == 1 else find(data, first, last, *path[1:])
    raise VerificationError(f"MP4: no {path[0].decode()!r} box where one must be")


def u32(data: bytes | bytearray, at: int) -> int:
    """The big-endian unsigned number in the four bytes at ``at``."""
    return int(struct.unpack_from(">I", data, at)[0])


def _decode_time_field(moof: bytes | bytearray) -> tuple[int, str]:
    """Position and ``struct`` format of the fragment's decode time."""
    begin, _ = find(moof, 8, len(moof), b"traf", b"tfdt")
    return begin + 4, ">Q" if moof[begin] == 1 else ">I"


def _parse_moof(moof: bytes | bytearray, offset: int, mdat_size: int) -> Fragment:
    try:
        return _read_moof(moof, offset, mdat_size)
    except (struct.error, IndexError):
        raise VerificationError("MP4: a 'moof' box ends before its last sample") from None


def _read_moof(moof: bytes | bytearray, offset: int, mdat_size: int) -> Fragment:
    at, form = _decode_time_field(moof)
    decode_time = struct.unpack_from(form, moof, at)[0]

    begin, _ = find(moof, 8, len(moof), b"traf", b"tfhd")
    flags, at = u32(moof, begin) & 0xFFFFFF, begin + 8
    at += 8 * bool(flags & 0x1) + 4 * bool(flags & 0x2)  # base data offset, sample description index
    defaults = {}
    for name, bit in (("duration", 0x8), ("size", 0x10), ("flags", 0x20)):
        if flags & bit:
            defaults[name], at = u32(moof, at), at + 4

    begin, end = find(moof, 8, len(moof), b"traf", b"trun")
    flags, count, at = u32(moof, begin) & 0xFFFFFF, u32(moof, begin + 4), begin + 8
    data_offset = len(moof) + 8
    if flags & 0x1:
        data_offset, at = struct.unpack_from(">i", moof, at)[0], at + 4
    first_flags = defaults.get("flags", 0)
    if flags & 0x4:
        first_flags, at = u32(moof, at), at + 4
    if at + 4 * count * (flags & 0xF00).bit_count() > end:
        raise VerificationError("MP4: a 'trun' box ends before its last sample")
    durations, first_size = [], defaults.get("size", 0)
    for number in range(count):
        duration = defaults.get("duration", 0)
        if flags & 0x100:
            duration, at = u32(moof, at), at + 4
        if flags & 0x200:
            first_size, at = (u32(moof, at) if number == 0 else first_size), at + 4
        if flags & 0x400:
            first_flags, at = (u32(moof, at) if number == 0 else first_flags), at + 4
        at += 4 * bool(flags & 0x800)  # composition offset
        durations.append(duration)
    return Fragment(
        offset=offset,
        size=len(moof) + mdat_size,
        decode_time=decode_time,
        durations=tuple(durations),
        first_sample_offset=offset + data_offset,
        first_sample_size=first_size,
        starts_with_sync=not first_flags & NON_SYNC,
    )


class _Sized:
    """Reads given numbers of bytes from a stream of blocks."""

    def __init__(self, name: str, blocks: Iterable[bytes]) -> None:
        self._name = name
        self._blocks = filter(None, blocks)  # an empty block is not the end
        self._held = b""

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or fewer at the end."""
        parts = [self._held]
        have = len(self._held)
        while have < size and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            have += len(block)
        data = b"".join(parts)
        self._held = data[size:]
        return data[:size]

    def read_all(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        data = self.read(size)
        if len(data) < size:
            raise VerificationError(f"{self._name}: the file ends inside a box")
        return data

    def copy(self, size: int) -> Iterator[bytes]:
        """``size`` bytes, in blocks as they come."""
        while size:
            block = self._held or next(self._blocks, b"")
            if not block:
                raise VerificationError(f"{self._name}: the file ends inside a box")
            piece, self._held = block[:size], block[size:]
            size -= len(piece)
            yield piece

    def box_header(self) -> tuple[bytes, bytes, int] | None:
        """Raw header, type and payload size of the next box; None at the end."""
        raw = self.read(8)
        if not raw:
            return None
        if len(raw) < 8:
            raise VerificationError(f"{self._name}: the file ends inside a box header")
        size, kind = struct.unpack(">I4s", raw)
        if size == 1:
            raw += self.read_all(8)
            size = struct.unpack_from(">Q", raw, 8)[0]
        if size < len(raw):
            raise VerificationError(f"{self._name}: box {kind!r} has an impossible size of {size} bytes")
        return raw, kind, size - len(raw)


# --- join -----------------------------------------------------------------------------------


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
    sequence, init = 0, None
    for part in parts:
        stream, mine, position, taken = _Sized(part.name, part.blocks), b"", 0, False
        while header := stream.box_header():
            raw, kind, size = header
            if kind == b"mdat":
                if taken:
                    yield raw
                for block in stream.copy(size):
                    if taken:
                        yield block
                continue
            if size > MAX_HEADER_BYTES:
                raise VerificationError(f"{part.name}: MP4 box {kind!r} of {size} bytes")
            box = bytearray(raw + stream.read_all(size))
            if kind in (b"ftyp", b"moov"):
                mine += box
            elif kind == b"moof":
                fragment = _parse_moof(box, 0, 0)
                _check_continuous(part, fragment, position)
                taken = part.before <= position < part.before + part.samples
                if taken and position == part.before:
                    if init is None:
                        init = mine
                        yield init
                    elif mine != init:
                        raise VerificationError(
                            f"{part.name}: its codec parameters differ from the first chunk's"
                        )
                position += len(fragment.durations)
                if taken:
                    sequence += 1
                    begin, _ = find(box, 8, len(box), b"mfhd")
                    struct.pack_into(">I", box, begin + 4, sequence)
                    at, form = _decode_time_field(box)
                    since = fragment.decode_time - part.before * part.sample_ticks
                    struct.pack_into(form, box, at, part.decode_time + since)
                    yield bytes(box)
        if position != part.before + part.samples + part.after:
            planned = part.before + part.samples + part.after
            raise VerificationError(f"{part.name}: has {position} frames where {planned} are planned")


def _check_continuous(part: Part, fragment: Fragment, samples: int) -> None:
    if fragment.decode_time != samples * part.sample_ticks:
        raise VerificationError(
            f"{part.name}: frame {samples} decodes at tick {fragment.decode_time}, "
            f"not at {samples * part.sample_ticks}: a gap or an overlap"
        )
    if any(duration != part.sample_ticks for duration in fragment.durations):
        raise VerificationError(f"{part.name}: a frame does not last {part.sample_ticks} ticks")


# --- read -----------------------------------------------------------------------------------


def read_fragments(file: BinaryIO) -> Iterator[Fragment]:
    """The fragments of an open file; reads its headers only.

    :raises VerificationError: a box is damaged or cut off.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    moof, moof_offset = b"", 0
    while header := file.read(8):
        if len(header) < 8:
            raise VerificationError("MP4: the file ends inside a box header")
        offset = file.tell() - 8
        size, kind = struct.unpack(">I4s", header)
        if size == 1:
            header += file.read(8)
            if len(header) < 16:
                raise VerificationError("MP4: the file ends inside a box header")
            size = struct.unpack_from(">Q", header, 8)[0]
        if size < len(header):
            raise VerificationError(f"MP4: box {kind!r} has an impossible size of {size} bytes")
        if offset + size > end:
            raise VerificationError(f"MP4: the file ends inside box {kind!r}")
        if kind == b"moof":
            moof, moof_offset = header + file.read(size - len(header)), offset
        elif kind == b"mdat":
            yield _parse_moof(moof, moof_offset, size)
        file.seek(offset + size)


def first_sample(file: BinaryIO, fragment: Fragment) -> bytes:
    """The bytes of a fragment's first sample."""
    file.seek(fragment.first_sample_offset)
    return file.read(fragment.first_sample_size)


H264_IDR = (5,)
H264_SLICES = range(1, 6)
HEVC_IDR = (19, 20)
"""``IDR_W_RADL`` and ``IDR_N_LP``. Not ``CRA``: its leading pictures may refer to pictures before it."""
HEVC_SLICES = range(32)

OBU_FRAMES = (3, 6)
"""``OBU_FRAME_HEADER`` and ``OBU_FRAME``."""
OBU_SEQUENCE_HEADER = 1


def starts_with_idr(sample: bytes, codec: Codec) -> bool:
    """Whether decoding can begin at a sample, and no later picture refers to one before it.

    H.264 and HEVC (4-byte NAL lengths): the first slice is of an IDR picture. AV1: the first frame is a shown
    key frame, after a sequence header.
    """
    if codec == "av1":
        return _starts_with_key_frame(sample)
    at = 0
    while at + 4 < len(sample):
        length, head = u32(sample, at), sample[at + 4]
        kind = head & 0x1F if codec == "h264" else head >> 1 & 0x3F
        if kind in (H264_SLICES if codec == "h264" else HEVC_SLICES):
            return kind in (H264_IDR if codec == "h264" else HEVC_IDR)
        at += 4 + length
    return False


def _starts_with_key_frame(sample: bytes) -> bool:
    """``starts_with_idr`` for AV1 (5.3, 5.9.2 of its specification). Every OBU must have a size."""
    at, sequence = 0, False
    while at < len(sample):
        kind, extension, sized = sample[at] >> 3 & 15, sample[at] >> 2 & 1, sample[at] >> 1 & 1
        at += 1 + extension
        if not sized:
            return False
        size = shift = 0
        while at < len(sample):  # leb128
            byte = sample[at]
            size |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not byte & 0x80:
                break
        if kind in OBU_FRAMES and at < len(sample):
            # show_existing_frame 0, frame_type 00 (KEY_FRAME), show_frame 1
            return sequence and sample[at] >> 4 == 0b0001
        sequence |= kind == OBU_SEQUENCE_HEADER
        at += size
    return False
