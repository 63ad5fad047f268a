"""A WebVTT segment -> facts (W3C WebVTT 4, RFC 8216bis 3.1.4)."""

from __future__ import annotations

import re
from fractions import Fraction

from vod_operators.errors import VerificationError
from vod_operators.formats.facts import SegmentFacts

_CUE = re.compile(r"^((?:\d+:)?\d\d:\d\d\.\d{3})[ \t]+-->[ \t]+((?:\d+:)?\d\d:\d\d\.\d{3})", re.M)
_MAP = re.compile(
    r"^X-TIMESTAMP-MAP=(?:MPEGTS:\d+,LOCAL:(?:\d+:)?\d\d:\d\d\.\d{3}|LOCAL:(?:\d+:)?\d\d:\d\d\.\d{3},MPEGTS:\d+)\s*$",
    re.M,
)


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
    ends = []
    for begin, end in _CUE.findall(text):
        if _seconds(end) <= _seconds(begin):
            raise VerificationError(f"WebVTT: a cue ends at {end}, not after it begins at {begin}")
        ends.append(_seconds(end))
    return SegmentFacts(
        size_bytes=len(data),
        container="vtt",
        timestamp_map=_MAP.search(header) is not None,
        text_end=max(ends, default=Fraction(0)),
    )


def _seconds(text: str) -> Fraction:
    seconds = Fraction(0)
    for part in text.split(":"):
        seconds = seconds * 60 + Fraction(part)
    return seconds
