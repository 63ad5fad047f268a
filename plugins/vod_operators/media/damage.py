"""What ffmpeg says of media that are not as they were made -> words for a person."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from vod_operators.media.names import clean_name

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


_FILTERS = re.compile(
    r"\[(?:[vaf][fc]#\S+|Parsed_\w+|auto_\w+) @ [^\]]*\]|filter(?:ing|s|graph)?\b.*(?:rror|ail)", re.I
)


def filters_failed(lines: Sequence[str]) -> bool:
    """Whether a filter complains: then it is our command that failed, not the source."""
    return any(_FILTERS.search(line) for line in lines)


def nothing_decoded(lines: Sequence[str], codec: str) -> bool:
    """Whether ffmpeg failed only because not one picture could be decoded, and the decoder says so.

    :param codec: of the stream that was decoded.
    """
    no_picture = any("Could not open encoder before EOF" in line for line in lines)
    return no_picture and bool(complaints(lines, codec)) and not filters_failed(lines)


def gave_up(lines: Sequence[str]) -> bool:
    """Whether ffmpeg ended because two thirds of the packets of a stream gave nothing."""
    return any("Decode error rate" in line for line in lines)


def of_the_file(lines: Sequence[str], codecs: Collection[str]) -> list[str]:
    """The lines in which a demuxer says that the file is damaged: what decoders say comes up again when it is
    decoded, and a recording that begins between key frames is whole.

    :param codecs: of the streams.
    """
    decoders = tuple(f"[{codec} @" for codec in codecs)
    # How often a line comes again says nothing without that line.
    return [line for line in lines if not line.startswith(decoders) and "Last message repeated" not in line]


def in_words(where: str, found: Sequence[str]) -> list[str]:
    """``0:12-0:18: error while decoding MB 5 3 (14 messages)``, if there were any."""
    count = f" ({len(found)} messages)" if len(found) > 1 else ""
    return [f"{where}: {clean_name(found[0])}{count}"] if found else []
