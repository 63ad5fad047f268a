"""A segment in any container of HLS -> facts."""

from __future__ import annotations

from typing import Any

from vod_operators.errors import VerificationError
from vod_operators.formats import mp4, ts, webvtt
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.isobmff import whole_headers

MAX_SEGMENT_BYTES = 512 << 20
"""Largest segment that is read: more than a minute at the highest bitrate in use."""


@whole_headers("segment")
def measure_segment(
    data: bytes, tracks: dict[int, mp4.InitTrack], size_bytes: int, *, cut_off: bool = False
) -> SegmentFacts:
    """The facts of a segment in any container of HLS.

    :param data: its bytes, decrypted.
    :param tracks: tracks of its init segment; empty if it has none.
    :param size_bytes: size of the stored segment.
    :param cut_off: whether the data end after the first sample, as byte ranges of I-frame playlists do.
    :raises VerificationError: it is damaged, or in no container that HLS allows.
    """
    if len(data) > MAX_SEGMENT_BYTES:
        raise VerificationError(f"it has {len(data)} bytes, too many for a segment")
    if tracks:
        return mp4.read_segment(data, tracks, size_bytes, cut_off=cut_off)
    if data[4:8] in (b"moof", b"styp", b"sidx"):
        return unreadable("it is fMP4, and has no init segment", size_bytes=size_bytes, container="fmp4")
    if data[:1] == b"\x47":
        return ts.read_segment(data, size_bytes)
    if data.removeprefix(b"\xef\xbb\xbf")[:6] == b"WEBVTT":
        return webvtt.read_segment(data)
    if data[:3] == b"ID3" or data[:1] == b"\xff" or data[:2] == b"\x0b\x77":
        return ts.read_packed_audio(data, size_bytes)
    raise VerificationError("it is neither fMP4 with an init segment, nor MPEG-TS, WebVTT or packed audio")


def unreadable(why: str, **facts: Any) -> SegmentFacts:
    """Facts of a segment of which nothing could be measured."""
    return SegmentFacts(**{"size_bytes": 0, "container": "unknown", "unreadable": why, **facts})
