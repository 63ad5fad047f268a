"""Language tags (BCP 47: RFC 5646)."""

from __future__ import annotations

import re

_FORM = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")

PRIVATE = re.compile(r"q[a-t][a-z]|x")
"""Primary subtags for private use, which the registry lists as a range."""


def is_language(tag: str) -> bool:
    """Whether the tag begins with a language of IANA's registry, and has the form of a tag.

    The registry has the shortest code of each language (RFC 5646 2.2.1): ``de``, and neither ``ger`` nor
    ``deu``. What follows (script, region, variants) is not looked up.
    """
    from language_tags import tags

    if not _FORM.fullmatch(tag):
        return False
    primary, *rest = tag.lower().split("-")
    if PRIVATE.fullmatch(primary):
        return bool(rest) or primary != "x"
    if len(primary) == 1:  # i-klingon, and others from before the registry
        return bool(tags.tag(tag).type == "grandfathered")
    return tags.language(primary) is not None
