"""Languages and names of audio and subtitle tracks, as playlists hold them."""

from __future__ import annotations

import re

from vod_operators.formats.languages import is_language

LANGUAGE_PATTERN = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"
"""A language tag that a playlist can hold (the form of RFC 5646)."""


def language_tag(language: str | None) -> str | None:
    """The language tag for a playlist; None if the text is not one.

    RFC 5646 2.2.1 requires the shortest code: ``de`` for ``ger`` and ``deu``. A language that IANA's registry
    does not know is no tag.
    """
    from babel.core import get_global  # imported here, because every task parses the DAG file anew

    if not language or not re.fullmatch(LANGUAGE_PATTERN, language):
        return None
    primary, *subtags = language.split("-")
    shortest: str = get_global("language_aliases").get(primary.lower(), primary.lower())
    tag = "-".join([shortest.replace("_", "-"), *subtags])
    return tag if is_language(tag) else None


OTHER_CODES = (
    "alb arm baq bur chi cze dut fre geo ger gre ice mac mao may mol per rum scc scr slo tib twi wel"
)
"""Codes of three letters that are not ISO 639-2/T's: of bibliographers (639-2/B), or withdrawn."""


def iso_639_2(tag: str | None) -> str:
    """The ISO 639-2/T code of a language tag, for the header of a track: ``deu`` for ``de``; ``und`` if none.

    Languages that only ISO 639-3 knows have its code.
    """
    from babel.core import get_global

    primary = (tag or "").lower().partition("-")[0]
    if len(primary) == 3:
        return primary
    codes = (
        code
        for code, shortest in get_global("language_aliases").items()
        # Also in that list: languages that CLDR takes for another (``arb`` for ``ar``), which are tags.
        if shortest == primary and len(code) == 3 and code not in OTHER_CODES and not is_language(code)
    )
    return next(codes, "und")


def language_name(tag: str | None) -> str | None:
    """A language's own name for itself, as in a player's menu: ``Deutsch``; the tag itself if unknown."""
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
"""Most characters of a name from a source or a request."""

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]+"
)
"""Control characters (also of text direction, which would reverse the text after the name), line breaks of
any kind, and what XML does not allow."""


def clean_name(text: str) -> str:
    """A name from outside made safe for playlists, manifests, logs and JSON.

    It is one line of printable characters, ``MAX_NAME`` at most.
    """
    return " ".join(_UNPRINTABLE.sub(" ", text[: 10 * MAX_NAME]).split())[:MAX_NAME].strip()


def unique_title(preferred: str | None, number: int, kind: str, used: set[str]) -> str:
    """A track's NAME, which must be unique in its group (RFC 8216bis 4.4.6.1.1).

    :param preferred: the track's title, or the name of its language.
    :param number: number of the track, from 1.
    :param kind: makes the name if there is no preferred one: ``Audio 2``.
    :param used: names in use; the new one is added.
    """
    # A quote would end the attribute in the playlist.
    title = clean_name((preferred or "").replace('"', "")) or f"{kind} {number}"
    while title in used:
        title = f"{title} ({number})"
    used.add(title)
    return title
