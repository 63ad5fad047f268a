"""Chapters of a request."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from vod_operators.errors import InvalidInputError
from vod_operators.formats.base import Model, is_unset
from vod_operators.media.names import LANGUAGE_PATTERN, MAX_NAME, clean_name, language_tag

MOST = 1000
"""Most chapters of a request."""

MILLISECONDS = 1000


class AskedChapter(Model):
    """A chapter of a request. It lasts until the next one begins, or the video ends."""

    start: float = Field(ge=0, le=7 * 24 * 3600, allow_inf_nan=False)
    """Seconds from the first picture; counted in milliseconds."""
    title: str = Field(min_length=1, max_length=MAX_NAME)
    language: str | None = Field(None, exclude_if=is_unset)
    """Of the title, a BCP 47 tag; None: unknown."""

    @field_validator("title")
    @classmethod
    def _is_shown(cls, title: str) -> str:
        if not (cleaned := clean_name(title)):
            raise ValueError("it has no printable character")
        return cleaned

    @field_validator("language")
    @classmethod
    def _is_known(cls, language: str | None) -> str | None:
        if language and (tag := language_tag(language)) is None:
            raise ValueError("it is no language; use a tag such as en or pt-BR")
        return tag if language else None

    @property
    def start_s(self) -> Fraction:
        """Where it begins, to the millisecond."""
        return Fraction(round(self.start * MILLISECONDS), MILLISECONDS)


_CHAPTERS = TypeAdapter(list[AskedChapter])


def chapters_schema() -> dict[str, Any]:
    """JSON schema of the request's ``chapters``."""
    return {
        "maxItems": MOST,
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["start", "title"],
            "properties": {
                "start": {"type": "number", "minimum": 0},
                "title": {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
                "language": {"type": ["string", "null"], "pattern": f"{LANGUAGE_PATTERN}(?!\\n)"},
            },
        },
    }


def parse_chapters(text: str) -> tuple[AskedChapter, ...] | None:
    """The request's ``chapters``, from JSON; None if it leaves them to the preset and the source.

    :raises InvalidInputError: they are malformed or not in order; the message names the chapter.
    """
    if text.strip() in ("", "None", "null"):
        return None
    try:
        chapters = _CHAPTERS.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise InvalidInputError(f"chapters{where}: {first['msg']}") from None
    if len(chapters) > MOST:
        raise InvalidInputError(f"chapters: {len(chapters)} are more than {MOST}")
    if chapters and chapters[0].start_s:
        raise InvalidInputError(
            f"chapters[0].start: the first must begin at 0, not at {chapters[0].start:g}; "
            "what comes before it would be in no chapter"
        )
    for number, (before, chapter) in enumerate(pairwise(chapters), start=1):
        if chapter.start_s <= before.start_s:
            raise InvalidInputError(
                f"chapters[{number}].start: {chapter.start:g} s is not after the chapter before it, "
                f"which begins at {before.start:g} s; list them in order"
            )
    return tuple(chapters)
