"""Rule 12 of EXT-X-SESSION-DATA: its files, and Apple's JSON chapters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from vod_operators.check.presentation import Presentation
from vod_operators.check.rule import Finding, Rule

CHAPTERS = "com.apple.hls.chapters"
"""DATA-ID of Apple's JSON chapters."""


def _files(presentation: Presentation) -> Iterator[Finding]:
    for name, data in presentation.session_data.items():
        if data.content is None:
            yield Finding(where=name, found=data.unreadable, expected="a file that can be read")
        elif data.is_json and _parsed(data.content) is None:
            yield Finding(where=name, found="no JSON", expected="JSON, or FORMAT=RAW")


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _chapters(presentation: Presentation) -> Iterator[Finding]:
    for name, data in presentation.session_data.items():
        parsed = _parsed(data.content) if data.content is not None else None
        if data.data_id != CHAPTERS or parsed is None:
            continue
        if not isinstance(parsed, list):
            yield Finding(where=name, found="no array", expected="an array of chapters")
            continue
        before = 0.0
        for number, entry in enumerate(parsed, start=1):
            for fault in _faults(entry, before):
                yield Finding(where=f"{name}: chapter {number}", found=fault, expected="the form of chapters")
            if isinstance(entry, dict) and _is_time(entry.get("start-time")):
                before = entry["start-time"]


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _faults(entry: Any, before: float) -> Iterator[str]:
    """What is wrong with a chapter.

    :param before: when the chapter before it begins.
    """
    if not isinstance(entry, dict):
        yield "no object"
        return
    if not _is_time(entry.get("start-time")):
        yield f"start-time {entry.get('start-time', 'missing')}"
    elif entry["start-time"] < before and "duration" not in entry:
        yield "it begins before the one before it, and has no duration"
    if "duration" in entry and not _is_time(entry["duration"]):
        yield f"duration {entry['duration']}"
    titles = entry.get("titles", [])
    if not isinstance(titles, list):
        yield "titles are no array"
        return
    languages = []
    for title in titles:
        texts = [title.get(name) for name in ("language", "title")] if isinstance(title, dict) else [None]
        if not all(isinstance(text, str) for text in texts):
            yield "a title without language and title"
        else:
            languages.append(texts[0])
    if len(set(languages)) != len(languages):
        yield "two titles of one language"


def _has_chapters(presentation: Presentation) -> bool:
    return any(data.data_id == CHAPTERS for data in presentation.session_data.values())


# fmt: off
RULES = (
    Rule(id="12.session-data", source="RFC 8216bis 4.4.6.4", says="files of EXT-X-SESSION-DATA: there, JSON",
         applies=lambda p: bool(p.session_data), check=_files),
    Rule(id="12.chapters", source="Apple, JSON chapters", says="chapters have the form that Apple gives them",
         applies=_has_chapters, check=_chapters),
)
# fmt: on
