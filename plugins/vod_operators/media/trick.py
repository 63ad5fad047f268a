"""Key frames of a video track as segments of their own, for fast playback in DASH.

HLS players are given byte ranges of the ordinary segments. In DASH such a range would be a fragment that
promises more samples than it holds. So the key frames are copied, without an encode, into fragments that hold
nothing else: one segment beside each ordinary one, with the same times, for the same init segment.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import pairwise

from vod_operators.errors import VerificationError
from vod_operators.formats.isobmff import (
    DEFAULT_BASE_IS_MOOF,
    Defaults,
    Fragment,
    Memory,
    box,
    children,
    first_sample,
    full_box,
    read_fragments,
)

SYNC = 0x0200_0000
"""Sample flags of a key frame: ``sample_depends_on`` of 2, it depends on no other sample (8.6.4.3)."""

TRICK_MODE = "http://dashif.org/guidelines/trickmode"
"""Scheme of the property that names the set of which it has the key frames (DASH-IF IOP 4.3, 3.2.9)."""


def trick_name(number: int) -> str:
    """File name of a segment of key frames; numbers count from 1, as those of the ordinary segments."""
    return f"trick-{number:05d}.m4s"


def trick_segment(segment: Memory, number: int, defaults: Mapping[int, Defaults] | None = None) -> bytes:
    """The key frames of a segment, each shown until the next one.

    :param segment: fragments that begin with a key frame each, of one track and not encrypted.
    :param number: of the segment in its track, from 1.
    :param defaults: by the track's id, from the init segment.
    :raises VerificationError: it is no such segment.
    """
    fragments = list(read_fragments(segment, defaults))
    if not fragments or len({fragment.track for fragment in fragments}) != 1:
        raise VerificationError("trick mode: a segment without fragments, or of several tracks")
    for fragment in fragments:
        if not fragment.samples or not fragment.samples[0].is_sync or b"senc" in fragment.boxes:
            raise VerificationError("trick mode: a fragment that does not begin with a clear key frame")
    pictures = [first_sample(segment, fragment) for fragment in fragments]
    return _head(segment) + _moof(fragments, number) + box(b"mdat", b"".join(pictures))


def _head(segment: Memory) -> bytes:
    """The ``styp`` of a segment; empty if it has none."""
    kind, _, end = next(children(segment, 0, len(segment)))
    return bytes(segment[:end]) if kind == b"styp" else b""


def _moof(fragments: list[Fragment], number: int) -> bytes:
    begins = [fragment.decode_time for fragment in fragments]
    end = begins[-1] + fragments[-1].duration
    rows = b""
    for fragment, (begin, until) in zip(fragments, pairwise([*begins, end]), strict=True):
        picture = fragment.samples[0]
        rows += struct.pack(">IIIi", until - begin, picture.size, SYNC, picture.composition)
    mfhd = full_box(b"mfhd", struct.pack(">I", number))
    tfhd = full_box(b"tfhd", struct.pack(">I", fragments[0].track), flags=DEFAULT_BASE_IS_MOOF)
    tfdt = full_box(b"tfdt", struct.pack(">Q", begins[0]), version=1)
    trun_bytes = 8 + 12 + len(rows)
    moof_bytes = 8 + len(mfhd) + 8 + len(tfhd) + len(tfdt) + trun_bytes
    # Data offset; then of each sample duration, size, flags and composition offset, which may be negative.
    head = struct.pack(">Ii", len(fragments), moof_bytes + 8)
    trun = full_box(b"trun", head, rows, version=1, flags=0x000F01)
    return box(b"moof", mfhd + box(b"traf", tfhd + tfdt + trun))
