"""EXT-X-DATERANGE tags of a playlist (RFC 8216bis 4.4.5.1, appendix D.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from vod_operators.check.attributes import Attributes
from vod_operators.check.tags import DATE, DECIMAL

INTERSTITIAL = "com.apple.hls.interstitial"
ASSETS = ("X-ASSET-URI", "X-ASSET-LIST")

ROUNDING = timedelta(milliseconds=1)
"""Dates are as accurate as that."""


def date_of(text: str) -> datetime | None:
    """The date that an ISO 8601 text says, in UTC if it names no time zone; None if it says none."""
    match = re.fullmatch(DATE, text)
    if match is None:
        return None
    fraction, zone = (match[1] or ".0")[1:7], match[2] or "Z"
    offset = "+0000" if zone == "Z" else f"{zone.replace(':', ''):0<5}"
    try:
        return datetime.strptime(f"{text[:19]}.{fraction}{offset}", "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:  # such as the 31st of February
        return None


@dataclass
class DateRanges:
    """The date ranges of one playlist; tags with the same ID describe one."""

    ranges: dict[str, dict[str, str]] = field(default_factory=dict)
    """Attributes by ID."""
    undated: list[str] = field(default_factory=list)
    """IDs whose first tag has no START-DATE."""

    def take(self, attributes: Attributes) -> Iterator[str]:
        """What contradicts the tags before it, in words."""
        name = attributes.get("ID")
        if name is None:
            return
        if name not in self.ranges and "START-DATE" not in attributes:
            self.undated.append(name)
        known = self.ranges.setdefault(name, {})
        for attribute, value in attributes.items():
            if known.setdefault(attribute, value) != value:
                yield f"{attribute} of the date range {name} is not that of an earlier tag"

    def faults(self, *, has_date: bool, is_delta: bool) -> Iterator[str]:
        """What is wrong with the ranges as a whole, in words.

        :param has_date: whether the playlist has EXT-X-PROGRAM-DATE-TIME.
        :param is_delta: whether EXT-X-SKIP stands for earlier tags, which may have what is absent here.
        """
        if self.ranges and not (has_date or is_delta):
            yield "it has EXT-X-DATERANGE and no EXT-X-PROGRAM-DATE-TIME"
        for name in () if is_delta else self.undated:
            yield f"the date range {name} has no START-DATE"
        for name, attributes in self.ranges.items():
            for fault in _faults(attributes):
                yield f"the date range {name} {fault}"
        yield from self._overlaps()

    def _overlaps(self) -> Iterator[str]:
        """Ranges of a CLASS with END-ON-NEXT that overlap, in words."""
        classes = {item.get("CLASS") for item in self.ranges.values() if "END-ON-NEXT" in item} - {None}
        for kind in sorted(str(kind) for kind in classes):
            spans = {
                name: span
                for name, item in self.ranges.items()
                if item.get("CLASS") == kind and (span := _span(item))
            }
            names = sorted(spans, key=lambda name: spans[name])
            for first, second in pairwise(names):
                (begin, end), (other, until) = spans[first], spans[second]
                if end - other > ROUNDING and (other > begin or until > other):
                    yield f"the date ranges {first} and {second} of the CLASS {kind} with END-ON-NEXT overlap"


def _span(attributes: Attributes) -> tuple[datetime, datetime] | None:
    """When a range begins, and when it ends as far as is known; None without a begin."""
    start, end = (date_of(attributes.get(name, "")) for name in ("START-DATE", "END-DATE"))
    return (start, end or _end(start, attributes) or start) if start else None


def _end(start: datetime, attributes: Attributes) -> datetime | None:
    """When a range ends by its DURATION; None without one, or beyond all calendars."""
    duration = attributes.get("DURATION", "")
    try:
        return start + timedelta(seconds=float(duration)) if re.fullmatch(DECIMAL, duration) else None
    except OverflowError:
        return None


def _faults(attributes: Attributes) -> Iterator[str]:
    start, end = (date_of(attributes.get(name, "")) for name in ("START-DATE", "END-DATE"))
    if start and end and end < start:
        yield "ends before it begins"
    elif start and end and (other := _end(start, attributes)) and abs(other - end) > ROUNDING:
        yield "has another DURATION than from START-DATE to END-DATE"
    if "END-ON-NEXT" in attributes:
        if "CLASS" not in attributes:
            yield "has END-ON-NEXT and no CLASS"
        for name in {"DURATION", "END-DATE"} & attributes.keys():
            yield f"has END-ON-NEXT and {name}"
    if {"PRE", "POST"} <= set(attributes.get("CUE", "").split(",")):
        yield "has a CUE of both PRE and POST"
    if attributes.get("CLASS") == INTERSTITIAL:
        if sum(name in attributes for name in ASSETS) != 1:
            yield f"is an interstitial without exactly one of {' and '.join(ASSETS)}"
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", attributes.get("X-ASSET-URI", "x:")):
            yield "has an X-ASSET-URI that is not absolute"
