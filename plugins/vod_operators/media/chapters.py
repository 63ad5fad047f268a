"""Where the chapters of a video begin and end, and the documents that tell players."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vod_operators.errors import InvalidInputError
from vod_operators.media.models import Plan, Source, Timeline
from vod_operators.media.movie import CHAPTER_SCALE, Mark
from vod_operators.media.webvtt import Cue, whole

JSON_FILE = "chapters.json"
WEBVTT_FILE = "chapters.vtt"

DATA_ID = "com.apple.hls.chapters"
"""Of the EXT-X-SESSION-DATA that names Apple's JSON chapters."""

UNKNOWN = "und"
"""BCP 47's code for an unknown language."""

DECLARED_S = 1
"""By how much a video may be longer than its source declares."""


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A named part of the video, in seconds from the first picture."""

    start_s: Fraction
    end_s: Fraction
    title: str | None
    language: str | None = None


def chapters_of(plan: Plan, timeline: Timeline) -> list[Chapter]:
    """The chapters of a video, whether players are told of them or not.

    Those of the request; else those of the source, clipped to the video. Those outside of it are left out.
    """
    length = timeline.seconds(plan.frame_rate)
    if plan.chapters is not None:
        begins = [chapter.start_s for chapter in plan.chapters]
        return [
            Chapter(start_s=begin, end_s=end, title=asked.title, language=asked.language)
            for asked, begin, end in zip(plan.chapters, begins, [*begins[1:], length], strict=False)
        ]
    begin = timeline.origin_pts * timeline.time_base
    found = []
    for chapter in plan.source.chapters:
        start, end = max(Fraction(0), chapter.start_s - begin), min(length, chapter.end_s - begin)
        if start < end:
            found.append(Chapter(start_s=start, end_s=end, title=chapter.title))
    return found


def told(plan: Plan, timeline: Timeline) -> list[Chapter]:
    """The chapters that players are told of, by their beginning; empty if they are not asked for."""
    if plan.chapters is None and not plan.preset.chapters:
        return []
    return sorted(chapters_of(plan, timeline), key=lambda chapter: chapter.start_s)


def require_declared(plan: Plan) -> None:
    """Check the request's chapters against the length that the source declares, if it does.

    :raises InvalidInputError: one begins after it.
    """
    length = _declared_s(plan.source)
    if plan.chapters and length is not None:
        _require_before(plan, length + DECLARED_S, length)


def require_inside(plan: Plan, timeline: Timeline) -> None:
    """Check that each of the request's chapters begins inside the video.

    :raises InvalidInputError: one does not.
    """
    length = timeline.seconds(plan.frame_rate)
    _require_before(plan, length, length)


def _declared_s(source: Source) -> Fraction | None:
    return None if source.duration_ms is None else Fraction(source.duration_ms, 1000)


def _require_before(plan: Plan, limit: Fraction, length: Fraction) -> None:
    for number, chapter in enumerate(plan.chapters or ()):
        if chapter.start_s >= limit:
            raise InvalidInputError(
                f"chapters[{number}].start: {chapter.start:g} s is not inside the video, "
                f"which has {float(length):.3f} s"
            )


# --- documents ------------------------------------------------------------------------------


def _titles(chapters: Sequence[Chapter]) -> list[str]:
    """A title of each chapter; its number, if it has none."""
    return [chapter.title or str(number) for number, chapter in enumerate(chapters, start=1)]


def _ms(seconds: Fraction) -> int:
    return round(seconds * CHAPTER_SCALE)


def _seconds(value: Fraction) -> float:
    return round(float(value), 3)


def json_chapters(chapters: Sequence[Chapter]) -> bytes:
    """Apple's JSON chapters ("Providing JavaScript Object Notation (JSON) chapters")."""
    entries = [
        {
            "chapter": number,
            "start-time": _seconds(chapter.start_s),
            "duration": _seconds(chapter.end_s - chapter.start_s),
            "titles": [{"language": chapter.language or UNKNOWN, "title": title}],
        }
        for number, (chapter, title) in enumerate(zip(chapters, _titles(chapters), strict=True), start=1)
    ]
    return (json.dumps(entries, ensure_ascii=False, indent=1) + "\n").encode()


def webvtt_chapters(chapters: Sequence[Chapter]) -> bytes:
    """A WebVTT file for ``<track kind="chapters">``."""
    cues = [
        Cue(
            begin_ms=_ms(chapter.start_s),
            end_ms=max(_ms(chapter.end_s), _ms(chapter.start_s) + 1),
            text=title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        )
        for chapter, title in zip(chapters, _titles(chapters), strict=True)
    ]
    return whole(cues).encode()


def marks(chapters: Sequence[Chapter]) -> list[Mark]:
    """The chapters as an MP4 file holds them, where each lasts until the next begins."""
    found: list[Mark] = []
    for chapter, title in zip(chapters, _titles(chapters), strict=True):
        begins_ms = _ms(chapter.start_s)
        if not found or begins_ms > found[-1].begins_ms:
            found.append(Mark(begins_ms=begins_ms, title=title))
    return found
