"""ffmpeg's messages about damaged media -> words for a person."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from vod_operators.media.names import clean_name

_SPEAKER = re.compile(r"\[(?:dec:(?P<decoder>\S+)|(?P<codec>\S+)) @ [^\]]*\] (?!\[)(?P<says>.+)")

NOTHING_DECODED = "nothing of it can be decoded; it is shown black"


def complaints(lines: Sequence[str], *codecs: str) -> list[str]:
    """The messages in which a decoder reports damaged input.

    :param lines: ffmpeg's messages from level ``warning`` on.
    :param codecs: of the decoded streams.
    """
    return [
        match["says"]
        for match in map(_SPEAKER.search, lines)
        if match and (match["decoder"] or match["codec"].startswith((*codecs, "libdav1d")))
    ]


_FILTERS = re.compile(
    r"\[(?:[vaf][fc]#\S+|Parsed_\w+|auto_\w+) @ [^\]]*\]|filter(?:ing|s|graph)?\b.*(?:rror|ail)", re.I
)


def filters_failed(lines: Sequence[str]) -> bool:
    """Whether a filter reports an error: then our command is at fault, not the source."""
    return any(_FILTERS.search(line) for line in lines)


def nothing_decoded(lines: Sequence[str], codec: str) -> bool:
    """Whether ffmpeg failed only because no picture could be decoded, as the decoder reports."""
    no_picture = any("Could not open encoder before EOF" in line for line in lines)
    return no_picture and bool(complaints(lines, codec)) and not filters_failed(lines)


def gave_up(lines: Sequence[str]) -> bool:
    """Whether ffmpeg gave up because two thirds of a stream's packets could not be decoded."""
    return any("Decode error rate" in line for line in lines)


def of_the_file(lines: Sequence[str], codecs: Collection[str]) -> list[str]:
    """The messages in which a demuxer reports a damaged file.

    Decoders' messages are left out. They come again when the chunks are decoded; and a recording that begins
    between key frames is not damaged.

    :param codecs: codecs of the streams.
    """
    decoders = tuple(f"[{codec} @" for codec in codecs)
    # "Last message repeated" means nothing without the message.
    return [line for line in lines if not line.startswith(decoders) and "Last message repeated" not in line]


def in_words(where: str, found: Sequence[str]) -> list[str]:
    """``0:12-0:18: error while decoding MB 5 3 (14 messages)``: the first of ``found``; empty for none."""
    count = f" ({len(found)} messages)" if len(found) > 1 else ""
    return [f"{where}: {clean_name(found[0])}{count}"] if found else []
