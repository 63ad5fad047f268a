"""One rendition of one chunk, in segments already: what is left to do for a track is to copy them.

A chunk is whole segments. If it begins at the chunk's decode time, the packager makes of it what it makes of
the whole track, byte for byte but for the fragments' sequence numbers and the duration in the init
segment. So segments are made where chunks are encoded, by all workers, and when the last chunk is done no
step has to move the whole track through the packager, or through a host at all.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from mmap import mmap
from typing import Any

from pydantic import Field

from vod_operators.errors import VerificationError
from vod_operators.media.base import Model
from vod_operators.media.check.facts import SegmentFacts
from vod_operators.media.isobmff import children, find, u32
from vod_operators.media.models import Plan
from vod_operators.media.track import KeyFrame, Segment, Track


class Piece(Model):
    """Facts of the segments of a chunk, or of a whole sound track; they are objects of their own."""

    encoder_init: str
    """SHA-256 of the init segment that the encoder wrote: the same in all chunks. Empty: of sound."""
    init: str
    """The init segment in hex; a chunk's says how long the chunk is, and not how long the track is."""
    described: dict[str, Any]
    """Of the init segment, as fields of ``Track``."""
    segments: tuple[Segment, ...] = Field(min_length=1)
    digests: tuple[str, ...]
    """SHA-256 of each segment."""
    key_frames: tuple[KeyFrame, ...]
    checked: tuple[SegmentFacts, ...]
    captions: tuple[str, ...]


def cut_when_encoded(plan: Plan) -> bool:
    """Whether segments are made by the task that encodes them.

    Not MPEG-TS, whose counters run on through the track; nor what the packager encrypts, because the key is
    needed for that, and the fewer tasks have it the better.
    """
    return plan.preset.container == "fmp4" and plan.preset.encryption != "cbcs"


def renumber(segment: bytearray | mmap, number: int) -> int:
    """Give a segment's fragments the sequence numbers from ``number`` on; returns the number after them."""
    for kind, begin, end in children(segment, 0, len(segment)):
        if kind == b"moof":
            at, _ = find(segment, begin, end, b"mfhd")
            struct.pack_into(">I", segment, at + 4, number)
            number += 1
    return number


def lasting(init: bytes, seconds: Fraction) -> bytes:
    """An init segment that says how long the whole track is."""
    data = bytearray(init)
    moov = find(data, 0, len(data), b"moov")
    mvhd, _ = find(data, *moov, b"mvhd")
    timescale = u32(data, mvhd + (20 if data[mvhd] else 12))
    mehd, _ = find(data, *moov, b"mvex", b"mehd")
    struct.pack_into(">Q" if data[mehd] else ">I", data, mehd + 4, round(seconds * timescale))
    return bytes(data)


def track_of(name: str, pieces: Sequence[Piece], **facts: Any) -> Track:
    """The whole track.

    :param facts: fields of ``Track`` that segments do not tell.

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
