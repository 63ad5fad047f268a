"""A WebVTT segment -> facts (W3C WebVTT 4, RFC 8216bis 3.1.4)."""

from __future__ import annotations

import re
from fractions import Fraction

from vod_operators.errors import VerificationError
from vod_operators.formats.facts import Cues, SegmentFacts

_TIME = r"(?:\d+:)?\d\d:\d\d\.\d{3}"
_CUE = re.compile(rf"^({_TIME})[ \t]+-->[ \t]+({_TIME})", re.M)
_MAP = re.compile(
    rf"^X-TIMESTAMP-MAP=(?:MPEGTS:(\d+),LOCAL:({_TIME})|LOCAL:({_TIME}),MPEGTS:(\d+))\s*$", re.M
)
CLOCK = 90_000


def read_segment(data: bytes) -> SegmentFacts:
    """The facts of a WebVTT segment.

    :raises VerificationError: it is not UTF-8, not WebVTT, or has a cue that ends before it begins.
    """
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise VerificationError(f"WebVTT: it is not UTF-8 ({error.reason} at byte {error.start})") from None
    if not re.match(r"WEBVTT(?:[ \t\n]|$)", text):
        raise VerificationError("WebVTT: it does not begin with WEBVTT")
    header = text.partition("\n\n")[0]
    begins, ends = [], []
    for begin, end in _CUE.findall(text):
        if _seconds(end) <= _seconds(begin):
            raise VerificationError(f"WebVTT: a cue ends at {end}, not after it begins at {begin}")
        begins.append(_seconds(begin))
        ends.append(_seconds(end))
    mapped = _MAP.search(header)
    return SegmentFacts(
        size_bytes=len(data),
        container="vtt",
        timestamp_map=mapped is not None,
        text_end=max(ends, default=Fraction(0)),
        cues=Cues(
            begin=min(begins),
            last=max(begins),
            end=max(ends),
            offset=_offset(mapped) if mapped else Fraction(0),
        )
        if begins
        else None,
    )


def _offset(mapped: re.Match[str]) -> Fraction:
    ticks, local = mapped[1] or mapped[4], mapped[2] or mapped[3]
    return Fraction(int(ticks), CLOCK) - _seconds(local)


def _seconds(text: str) -> Fraction:
    seconds = Fraction(0)
    for part in text.split(":"):
        seconds = seconds * 60 + Fraction(part)
    return seconds
