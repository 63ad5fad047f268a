"""Tracks that were never written, for what is made of their facts."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vod_operators.formats.facts import Key, SegmentFacts, Stream
from vod_operators.media.track import Track


def segment_facts(
    size_bytes: int, seconds: Fraction, *, kind: str = "video", begin: Fraction = Fraction(0), **facts: Any
) -> SegmentFacts:
    """An fMP4 segment with one key frame, of a tenth of its bytes."""
    key = Key(begin=0, end=size_bytes // 10, at=begin, is_idr=True)
    stream = Stream(
        kind=kind,
        begin=begin,
        shown=begin,
        duration=seconds,
        samples=round(25 * seconds),
        size_bytes=size_bytes,
        rate=Fraction(25),
        starts_with_idr=True,
        keys=(key,) if kind == "video" else (),
    )  # fmt: skip
    return SegmentFacts(**{"size_bytes": size_bytes, "container": "fmp4", "streams": (stream,), **facts})


def made_up_track(name: str, segments: Sequence[tuple[int, Fraction]], **fields: Any) -> Track:
    """A track of segments of so many bytes and seconds; of 360p H.264 unless the fields say otherwise."""
    kind = fields.get("kind", "video")
    facts = [segment_facts(size, seconds, kind=kind) for size, seconds in segments]
    known: dict[str, Any] = {"codecs": "avc1.64001f", "timescale": 1000, "init_bytes": 800}
    if kind == "video":
        known |= {"width": 640, "height": 360, "frame_rate": Fraction(25)}
    elif kind == "text":
        facts = [SegmentFacts(size_bytes=size, container="vtt") for size, _ in segments]
        known["text_ticks"] = tuple(int(1000 * seconds) for _, seconds in segments)
    return Track(**{"name": name, "kind": kind, "facts": tuple(facts), **known, **fields})
