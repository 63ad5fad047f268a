"""What ffmpeg says of media that are not as they were made -> words for a person."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPEAKER = re.compile(r"\[(?:dec:(?P<decoder>\S+)|(?P<codec>\S+)) @ [^\]]*\] (?!\[)(?P<says>.+)")

NOTHING_DECODED = "nothing of it can be decoded; it is shown black"


def complaints(lines: Sequence[str], codec: str) -> list[str]:
    """The lines in which a decoder says that what it was given is damaged.

    :param lines: ffmpeg's messages, warnings and worse.
    :param codec: of the stream that was decoded.
    """
    found = []
    for line in lines:
        match = _SPEAKER.search(line)
        if match and (match["decoder"] or match["codec"].startswith((codec, "libdav1d"))):
            found.append(match["says"])
    return found


def nothing_decoded(lines: Sequence[str]) -> bool:
    """Whether ffmpeg failed only because not one picture could be decoded."""
    return any("Could not open encoder before EOF" in line for line in lines)


def in_words(where: str, found: Sequence[str]) -> list[str]:
    """``0:12-0:18: error while decoding MB 5 3 (14 messages)``, if there were any."""
    count = f" ({len(found)} messages)" if len(found) > 1 else ""
    return [f"{where}: {found[0]}{count}"] if found else []
