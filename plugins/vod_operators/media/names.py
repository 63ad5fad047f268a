"""What tracks of sound and text are called in a playlist."""

from __future__ import annotations

import re

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""What can stand in a playlist as a language tag (RFC 5646)."""


def language_tag(language: str | None) -> str | None:
    """The language as a playlist has it: ``de`` of ``ger`` and ``deu``, because RFC 5646 2.2.1 wants the
    shortest code; None if it cannot stand there.
    """
    from babel.core import get_global  # here, because the DAG file is parsed again for every task

    if not language or not _LANGUAGE.fullmatch(language):
        return None
    primary, *rest = language.split("-")
    shortest: str = get_global("language_aliases").get(primary.lower(), primary.lower())
    return "-".join([shortest.replace("_", "-"), *rest])


def language_name(tag: str | None) -> str | None:
    """What its speakers call a language, as a player's menu does: ``Deutsch``; the tag itself if unknown."""
    from babel import Locale, UnknownLocaleError

    if tag is None:
        return None
    try:
        locale = Locale.parse(tag, sep="-", resolve_likely_subtags=False)
    except (UnknownLocaleError, ValueError):
        return tag
    name = locale.get_display_name() or tag
    return name[:1].upper() + name[1:]


MAX_NAME = 255
"""Letters of a name that came with a source or a request."""

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]+"
)
"""Controls (those of direction too, which would turn the text behind the name), line breaks of any kind,
and what is no character of XML."""


def clean_name(text: str) -> str:
    """A name that came from outside, as it can stand in playlists, manifests, logs and JSON: one line of
    what can be printed, of ``MAX_NAME`` letters at most.
    """
    return " ".join(_UNPRINTABLE.sub(" ", text[: 10 * MAX_NAME]).split())[:MAX_NAME].strip()


def unique_title(wanted: str | None, number: int, kind: str, taken: set[str]) -> str:
    """A track's NAME, unlike all that are ``taken``, to which it is added (RFC 8216bis 4.4.6.1.1).

    :param wanted: title or language's name.
    :param number: of the track, from 1.
    :param kind: what it is called if nothing is wanted: ``Audio`` 2.
    """
    # A quote or a line break would end the attribute of the playlist it goes into.
    title = clean_name((wanted or "").replace('"', "")) or f"{kind} {number}"
    while title in taken:
        title = f"{title} ({number})"
    taken.add(title)
    return title
