"""What tracks of sound and text are called in a playlist."""

from __future__ import annotations

import re

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""What can stand in a playlist as a language tag (RFC 5646)."""


def language_tag(language: str | None) -> str | None:
    """The language, if a playlist can hold it."""
    return language if language and _LANGUAGE.fullmatch(language) else None


def unique_title(wanted: str | None, number: int, kind: str, taken: set[str]) -> str:
    """A track's NAME, unlike all that are ``taken``, to which it is added (RFC 8216bis 4.4.6.1.1).

    :param wanted: title or language.
    :param number: of the track, from 1.
    :param kind: what it is called if nothing is wanted: ``Audio`` 2.
    """
    # A quote or a line break would end the attribute of the playlist it goes into.
    title = re.sub(r'["\x00-\x1f]', "", wanted or "") or f"{kind} {number}"
    while title in taken:
        title = f"{title} ({number})"
    taken.add(title)
    return title
