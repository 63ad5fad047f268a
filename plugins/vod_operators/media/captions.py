"""Finds the channels of CEA-608 and CEA-708 captions inside pictures (ATSC A/53 Part 4).

They are read from the encoded output, because encoders differ in what they keep. The bytes are the same in
H.264 and HEVC (SEI) and in AV1 (metadata).
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Sequence
from pathlib import Path

from vod_operators.formats.nal import CAPTIONS
from vod_operators.media.track import Track

_IN_A_SOURCE = re.compile(rb"GA94\x03[\x40-\x7f\xc0-\xff].[\xf8-\xff]", re.DOTALL)
"""MPEG-2 has no country code before it. A whole source is searched, so the pattern is longer to avoid false
matches."""

_LARGEST = 2 + 31 * 3
"""Most bytes of one picture's captions."""

_CAPTION_MODES = (0x20, 0x25, 0x26, 0x27, 0x29)
"""Commands that begin a caption: pop-on, roll-up of 2 to 4 rows, paint-on (CEA-608, table 52)."""


def has_captions(path: Path) -> bool:
    """Whether a cut piece of a source has captions in its pictures. Reads the file once, memory-mapped."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _IN_A_SOURCE.search(data) is not None


def lost(videos: Sequence[Track]) -> list[str]:
    """For a source with captions: a sentence for each codec whose tracks have none."""
    captioned = {track.family for track in videos if track.captions}
    without = dict.fromkeys(track.family for track in videos if track.family not in captioned)
    return [f"closed captions: the {family} renditions have lost them" for family in without]


def channels_of(path: Path) -> tuple[str, ...]:
    """Caption channels in a file of encoded video, sorted. Reads the file once, memory-mapped."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return tuple(sorted(channels_in(data)))


def channels_in(data: bytes | mmap.mmap) -> set[str]:
    """Caption channels in encoded video, as INSTREAM-ID names them: ``CC1``, ``SERVICE1``."""
    channels: set[str] = set()
    for mark in re.finditer(re.escape(CAPTIONS), data):
        # A NAL unit has emulation prevention bytes, at most one after every two.
        escaped = data[mark.end() : mark.end() + _LARGEST * 3 // 2]
        channels |= _channels(escaped.replace(b"\0\0\x03", b"\0\0"))
    return channels


def _channels(user_data: bytes) -> set[str]:
    if len(user_data) < 2 or not user_data[0] & 0x40:
        return set()
    end = 2 + 3 * (user_data[0] & 0x1F)
    channels: set[str] = set()
    packet = b""
    triplets = user_data[2:end]
    for at in range(0, len(triplets) - 2, 3):
        header, first, second = triplets[at : at + 3]
        kind = header & 3
        if not header & 4:  # padding
            continue
        if kind < 2:
            channels |= _line_21(kind, first & 0x7F, second & 0x7F)
        elif kind == 3:
            channels |= _services(packet)
            packet = bytes([first, second])
        elif packet:
            packet += bytes([first, second])
    return channels | _services(packet)


def _line_21(field: int, first: int, second: int) -> set[str]:
    """The CEA-608 channel that a command is for, if it begins a caption."""
    if first & 0x76 != 0x14 or second not in _CAPTION_MODES:
        return set()
    return {f"CC{1 + 2 * field + (first >> 3 & 1)}"}


def _services(packet: bytes) -> set[str]:
    """The CEA-708 services that have blocks in a packet, which may continue in the next picture."""
    services: set[str] = set()
    at = 1
    while at < len(packet):
        number, size = packet[at] >> 5, packet[at] & 0x1F
        if not size:
            break
        if number == 7:
            at += 1
            number = packet[at] & 0x3F if at < len(packet) else 0
        if number:
            services.add(f"SERVICE{number}")
        at += 1 + size
    return services
