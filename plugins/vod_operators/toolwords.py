"""Phrases of media tools that may leave the log.

A tool's message can quote its input: a line of a subtitle, a title, or the text of a file that was disguised
as media. A failure's reason goes to callbacks and to people who may not read that file, so it may contain
only the tool's own phrases.
"""

from __future__ import annotations

import re

LINES = 8
"""Lines at the end of a tool's output that are searched for the reason."""

_WORDS = re.compile(
    # libavutil/error.c
    r"Invalid data found when processing input|End of file|Immediate exit requested"
    r"|(?:Bitstream filter|Decoder|Demuxer|Encoder|Muxer|Filter|Option|Protocol|Stream) not found"
    r"|Not yet implemented in FFmpeg, patches welcome|Internal bug, should not have happened"
    r"|Generic error in an external library|Output changed|Input changed"
    # errno
    r"|No space left on device|Disk quota exceeded|Cannot allocate memory|Resource temporarily unavailable"
    r"|Too many open files|Input/output error|Permission denied|Operation not permitted"
    r"|No such file or directory|Is a directory|Invalid argument|Broken pipe"
    r"|File too large|Result too large|Numerical result out of range"
    r"|Function not implemented|Value too large for defined data type|File name too long"
    # formats
    r"|moov atom not found|Format not on whitelist|could not find corresponding \w{1,16} (?:box|atom)"
    r"|(?:EBML header parsing failed|Invalid EBML header)|partial file|error reading header|Too many bits"
    r"|Could not find codec parameters|non-existing [PS]PS \d{1,5} referenced|no frame!"
    r"|Picture size \d{1,9}x\d{1,9} is invalid"
    r"|Error (?:while decoding|submitting packet to decoder|opening input|opening output)"
    r"|Out of memory|std::bad_alloc|Conversion failed!"
    # Shaka Packager
    r"|Packaging Error: \d{1,4} \([A-Z_]{1,40}\)"
)


def tool_words(stderr: str) -> str:
    """Why a tool failed, as a phrase of its own; empty if its output has no known phrase.

    :param stderr: the end of its output.
    """
    for line in reversed(stderr.strip().splitlines()[-LINES:]):
        # The last phrase of a line is the cause: "Error opening input: Invalid data found ...".
        if found := _WORDS.findall(line):
            return str(found[-1])
    return ""
