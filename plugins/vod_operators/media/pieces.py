"""One rendition of one chunk, already segmented: building a track only copies segments.

A chunk is whole segments. Given the chunk's decode time, the packager makes the same bytes of a chunk as of
the whole track; only the fragments' sequence numbers and the duration in the init segment differ. So all
workers make segments where they encode chunks. After the last chunk, no step has to pass the whole track
through the packager or through one host.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from mmap import mmap
from typing import Any

from pydantic import Field

from vod_operators.errors import VerificationError
from vod_operators.formats.base import Model
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.isobmff import children, find, u32
from vod_operators.media.models import Plan
from vod_operators.media.track import KeyFrame, Segment, Track


class Piece(Model):
    """Facts of the segments of one chunk, or of a whole sound track. The segments are stored as objects."""

    encoder_init: str
    """SHA-256 of the init segment that the encoder wrote, the same in all chunks; empty for sound."""
    init: str
    """The packager's init segment in hex. A chunk's holds the chunk's duration, not the track's."""
    described: dict[str, Any]
    """Facts of the init segment, as fields of ``Track``."""
    segments: tuple[Segment, ...] = Field(min_length=1)
    digests: tuple[str, ...]
    """SHA-256 of each segment."""
    key_frames: tuple[KeyFrame, ...]
    checked: tuple[SegmentFacts, ...]
    captions: tuple[str, ...]


def cut_when_encoded(plan: Plan) -> bool:
    """Whether the task that encodes a chunk also cuts it into segments.

    Not for MPEG-TS, whose counters run through the whole track. Not for ``cbcs``, for which the packager
    needs the key: few tasks should have it.
    """
    return plan.preset.container == "fmp4" and plan.preset.encryption != "cbcs"


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


def track_of(name: str, pieces: Sequence[Piece], **facts: Any) -> Track:
    """The track that the pieces make up.

    :param pieces: all pieces, in order.
    :param facts: fields of ``Track`` that the segments do not tell.
    :raises VerificationError: a chunk was encoded with other parameters than the first one.
    """
    first = pieces[0]
    for number, piece in enumerate(pieces):
        if (piece.encoder_init, piece.described) != (first.encoder_init, first.described):
            raise VerificationError(
                f"chunk {number + 1}/{name}: its codec parameters differ from the first chunk's"
            )
    return Track(
        name=name,
        captions=tuple(sorted({channel for piece in pieces for channel in piece.captions})),
        segments=tuple(segment for piece in pieces for segment in piece.segments),
        key_frames=tuple(key for piece in pieces for key in piece.key_frames),
        checked=tuple(facts for piece in pieces for facts in piece.checked),
        **first.described,
        **facts,
    )
