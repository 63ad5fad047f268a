"""Settings of a WebVTT cue (line, position, size, align, vertical) -> the region of IMSC1 where it stands.

WebVTT places a box that is as large as its text (W3C WebVTT 7.2); a region has a fixed size, and text sticks
to one of its edges. So the region reaches from the box's edge to the middle of the picture or, where that is
too near, to its other edge. What is longer shows beyond the region.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LINE = 6.0
"""Height of a line in percent of the picture's: of WebVTT's font, 5 %, with usual leading."""

BOTTOM = 95.0
"""Where text ends that says nothing of its line: televisions may cut off the last 5 %."""

MIDDLE, NEAR = 50.0, 5.0

_SETTING = re.compile(r"(vertical|line|position|size|align):(\S+)")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%(?:,([a-z-]+))?")
_NUMBER = re.compile(r"(-?\d{1,3})(?:,[a-z]+)?")


class _Span(NamedTuple):
    """A part of one axis, in percent from the left or the top."""

    begin: float
    end: float
    at: str
    """To which end text sticks: ``low``, ``high`` or ``middle``."""


def attributes_of(settings: str) -> dict[str, str]:
    """The attributes of the region; what is malformed in the settings is left out, as players do."""
    given = dict(_SETTING.findall(settings))
    vertical = given.get("vertical") if given.get("vertical") in ("rl", "lr") else None
    align = {"middle": "center"}.get(given.get("align", ""), given.get("align", ""))
    if align not in ("start", "center", "end", "left", "right"):
        align = "center"
    along, across = _along(given, align), _across(given.get("line", ""), vertical)
    x, y = (across, along) if vertical else (along, across)
    towards = {"low": "before", "high": "after", "middle": "center"}
    if vertical == "rl":  # its first line is on the right
        towards |= {"low": "after", "high": "before"}
    if vertical:
        align = {"left": "start", "right": "end"}.get(align, align)
    return {
        "tts:origin": f"{_percent(x.begin)} {_percent(y.begin)}",
        "tts:extent": f"{_percent(x.end - x.begin)} {_percent(y.end - y.begin)}",
        "tts:displayAlign": towards[across.at],
        "tts:textAlign": align,
        "tts:overflow": "visible",
        **({"tts:writingMode": f"tb{vertical}"} if vertical else {}),
    }


def _along(given: dict[str, str], align: str) -> _Span:
    """Where lines begin and end (WebVTT 7.2, steps of the size and of the position)."""
    sticks = {"start": "low", "left": "low", "end": "high", "right": "high"}.get(align, "middle")
    at = {"low": 0.0, "high": 100.0, "middle": 50.0}[sticks]
    if told := _PERCENT.fullmatch(given.get("position", "")):
        at = min(100.0, float(told[1]))
        sticks = {"line-left": "low", "line-right": "high", "center": "middle"}.get(told[2], sticks)
    size = _PERCENT.fullmatch(given.get("size", ""))
    most = {"low": 100 - at, "high": at, "middle": 2 * min(at, 100 - at)}[sticks]
    width = max(NEAR, min(float(size[1]) if size else 100.0, most))
    begin = {"low": at, "high": at - width, "middle": at - width / 2}[sticks]
    begin = min(max(0.0, begin), 100 - width)
    return _Span(begin, begin + width, sticks)


def _across(line: str, vertical: str | None) -> _Span:
    """Where the first or last line stands."""
    if told := _PERCENT.fullmatch(line):
        at = min(100.0, float(told[1]))
        if told[2] == "center":
            half = max(NEAR, min(at, 100 - at))
            return _Span(max(0.0, at - half), min(100.0, at + half), "middle")
        return _high(max(at, LINE)) if told[2] == "end" else _low(min(at, 100 - LINE))
    number = int(found[1]) if (found := _NUMBER.fullmatch(line)) else -1
    is_first = (number >= 0) != (vertical == "rl")  # of the edge on the left or above
    distance = min(LINE * (number if number >= 0 else -number - 1), 100 - LINE)
    if not found and not vertical:
        return _high(BOTTOM)
    return _low(distance) if is_first else _high(100 - distance)


def _low(begin: float) -> _Span:
    return _Span(begin, MIDDLE if begin < MIDDLE - NEAR else 100.0, "low")


def _high(end: float) -> _Span:
    return _Span(MIDDLE if end > MIDDLE + NEAR else 0.0, end, "high")


def _percent(value: float) -> str:
    return f"{round(value, 3):g}%"
