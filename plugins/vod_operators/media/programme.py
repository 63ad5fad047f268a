"""Finds where an MPEG-TS changes PIDs in mid-file, by its tables, and rewrites it under the first PIDs
(ISO 13818-1, 2.4.4).

A demuxer that follows such a change outputs the last picture before it only at the end of the file: a picture
is known to be complete when the next packet of the same PID comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from mmap import mmap

from vod_operators.errors import InvalidInputError
from vod_operators.formats.psi import (
    PACKET,
    PADDING,
    SYNC,
    descriptors,
    pid_at,
    programmes_in,
    section_in,
    streams_in,
)

LENGTHS = (188, 192, 204)
"""Bytes from one packet to the next: plain, with a clock before it (M2TS), with error correction after it."""

SCRAMBLED = 0x40
"""Least value of a scrambled packet's fourth byte (ISO 13818-1, 2.4.3.3)."""

VIDEO_TYPES = frozenset({0x01, 0x02, 0x10, 0x1B, 0x20, 0x21, 0x24, 0x25, 0x33, 0x42, 0xD1, 0xD2, 0xEA})
AUDIO_TYPES = frozenset({0x03, 0x04, 0x0F, 0x11, 0x1C, *range(0x80, 0x86), 0x87, 0xA1, 0xA2})
"""Stream types (ISO 13818-1, table 2-34; ATSC A/53-3; Blu-ray)."""

REGISTRATION, LANGUAGE = 0x05, 0x0A
SOUND_TAGS = frozenset({0x6A, 0x7A, 0x7B, 0x7C})
"""Descriptors of AC-3, E-AC-3, DTS and AAC (ETSI EN 300 468, 6.1)."""
CODING_TAGS = SOUND_TAGS | {0x46, 0x56, 0x59}
"""The same, with those of teletext and subtitles."""
SOUND_NAMES = frozenset({b"AC-3", b"EAC3", b"DTS1", b"DTS2", b"DTS3", b"Opus", b"BSSD"})
"""Registered format identifiers of sound."""

BLOCK_PACKETS = 20_000
MAX_CHANGES = 1000


@dataclass(frozen=True)
class _Stream:
    """A stream as a program map table describes it (ISO 13818-1, 2.4.4.8)."""

    pid: int
    coding: tuple[int, frozenset[bytes]]
    """Stream type, and the descriptors that name a coding where the type does not."""
    languages: bytes

    @property
    def medium(self) -> str | None:
        """``picture`` or ``sound``; None for other streams."""
        kind, descriptors = self.coding
        if kind in VIDEO_TYPES:
            return "picture"
        is_sound = kind in AUDIO_TYPES or any(_names_sound(each) for each in descriptors)
        return "sound" if is_sound else None


@dataclass(frozen=True)
class _Table:
    """One version of a program map table (PMT)."""

    pid: int
    at: int
    """Byte where its packet begins."""
    clock_pid: int
    streams: tuple[_Stream, ...]


@dataclass(frozen=True)
class Change:
    """A change of PIDs."""

    at: int
    """Byte from which on it holds."""
    pids: Mapping[int, int]
    """PID from there on -> PID of the same stream at the file's beginning. Tables become padding."""


def grid_of(data: mmap | bytes) -> tuple[int, int] | None:
    """First byte of the first packet, and bytes from one packet to the next; None if it is no MPEG-TS."""
    for length in LENGTHS:
        for first in range(min(length, max(0, len(data) - 3 * length))):
            if all(data[at] == SYNC for at in range(first, min(len(data), first + 8 * length), length)):
                return first, length
    return None


def changes_of(data: mmap | bytes, programme_pids: Set[int]) -> list[Change]:
    """The changes of a programme's PIDs; empty if they touch no stream that is used.

    A stream continues as the new one with the same coding, and if possible the same language.

    :param programme_pids: PIDs of the streams that are used; their programme is examined.
    :raises InvalidInputError: a used stream continues in another coding, which no decoder follows.
    """
    grid = grid_of(data)
    if grid is None:
        return []
    versions = _versions(data, programme_pids, *grid)
    if not versions:
        return []
    tables = {0: PADDING} | {table.pid: PADDING for table in versions}
    streams = {stream.pid: stream for stream in versions[0].streams}
    changes: list[Change] = []
    for table in versions[1 : MAX_CHANGES + 1]:
        first_pids = _followed(streams, table)
        for stream in table.streams:
            if stream.pid not in first_pids:
                _refuse_other_coding(streams, programme_pids - set(first_pids.values()), stream, table.at)
                first_pids[stream.pid] = PADDING if stream.pid in streams else stream.pid
        streams |= {first_pids[stream.pid]: stream for stream in table.streams}
        streams.pop(PADDING, None)
        first_pids.setdefault(table.clock_pid, versions[0].clock_pid)
        moved = {pid: first for pid, first in first_pids.items() if pid != first}
        changes.append(Change(table.at, tables | moved))
    return changes if any(programme_pids & set(change.pids.values()) for change in changes) else []


def _versions(data: mmap | bytes, programme_pids: Set[int], first: int, length: int) -> list[_Table]:
    """Each version of the map of the programme with these streams, in file order. Its PID may change."""
    programmes = list(_programmes(data, first, length))
    for number, pid in programmes[0][1].items() if programmes else ():
        opening = next(_tables(data, pid, first, length, 0, len(data)), None)
        if opening is None or not programme_pids & {stream.pid for stream in opening.streams}:
            continue
        places = [(0, pid)]
        for at, listed in programmes[1:]:
            # The same programme, or the only one that there is.
            following = listed.get(number, next(iter(listed.values())) if len(listed) == 1 else None)
            if places[-1][1] not in listed.values() and following is not None:
                places.append((at, following))
        ends = [*(at for at, _ in places[1:]), len(data)]
        versions: list[_Table] = []
        for (at, map_pid), end in zip(places, ends, strict=True):
            tables = list(_tables(data, map_pid, first, length, at, end))
            # Begin at the list of programmes that names the new map: demuxers must not see that either.
            versions += [replace(table, at=at) for table in tables[:1]] + tables[1:]
        return versions
    return []


def _followed(streams: Mapping[int, _Stream], table: _Table) -> dict[int, int]:
    """PID in the table -> first PID, for the streams that continue.

    :param streams: first PID -> the latest description of the stream.
    """
    firsts: dict[int, int] = {}
    alike: tuple[Callable[[_Stream], Hashable], ...] = (
        lambda stream: (stream.coding, stream.languages, stream.pid),
        lambda stream: (stream.coding, stream.languages),
        lambda stream: (stream.coding, stream.pid),
        lambda stream: stream.coding,
    )
    for likeness in alike:
        for stream in table.streams:
            free = (first for first in streams if first not in firsts.values())
            first_pid = next((first for first in free if likeness(streams[first]) == likeness(stream)), None)
            if stream.pid not in firsts and first_pid is not None:
                firsts[stream.pid] = first_pid
    return firsts


def _refuse_other_coding(streams: Mapping[int, _Stream], ended: Set[int], new: _Stream, at: int) -> None:
    """Refuse a new stream that replaces a used one in another coding.

    :param ended: first PIDs of used streams that the map no longer lists.
    :raises InvalidInputError: the new stream is of the same medium as one of them.
    """
    for pid in ended & streams.keys():
        old = streams[pid]
        if new.medium is not None and old.medium == new.medium:
            raise InvalidInputError(
                f"source: its {old.medium} (PID {old.pid:#x}, stream type {old.coding[0]:#04x}) continues in "
                f"another coding (PID {new.pid:#x}, stream type {new.coding[0]:#04x}) from byte {at}; "
                "cut the file there, or transcode it into one coding"
            )


def count_scrambled(data: mmap | bytes, pids: Set[int]) -> int:
    """Number of scrambled packets of these PIDs. Demuxers drop them without a message."""
    grid = grid_of(data)
    if grid is None:
        return 0
    first, length = grid
    count = 0
    for begin in range(first, len(data), BLOCK_PACKETS * length):
        block = data[begin : begin + BLOCK_PACKETS * length]
        controls = block[3::length]
        if max(controls, default=0) >= SCRAMBLED:
            rows = zip(block[1::length], block[2::length], controls, strict=False)
            count += sum(
                control >= SCRAMBLED and (high & 0x1F) << 8 | low in pids for high, low, control in rows
            )
    return count


def _programmes(data: mmap | bytes, first: int, length: int) -> Iterator[tuple[int, dict[int, int]]]:
    """Each list of programmes that differs from the one before: its byte, and number -> PID of the map."""
    programmes: dict[int, int] = {}
    for section, at in _sections(data, 0, first, length, 0, len(data)):
        if section[0] or not section[5] & 1:  # not yet in force
            continue
        listed = programmes_in(section)
        if listed and listed != programmes:
            programmes = listed
            yield at, listed


def _tables(data: mmap | bytes, pid: int, first: int, length: int, begin: int, end: int) -> Iterator[_Table]:
    """Each version of the map of that PID whose streams differ from the one before, in ``[begin, end)``."""
    last_section, last_streams = b"", None
    for section, at in _sections(data, pid, first, length, begin, end):
        if section[0] != 2 or section == last_section or not section[5] & 1:  # repeated, or not yet in force
            continue
        table = _parse_map(section, pid, at)
        if table.streams != last_streams:
            yield table
        last_section, last_streams = section, table.streams


def _parse_map(section: bytes, pid: int, at: int) -> _Table:
    streams = []
    for stream, kind, described in streams_in(section):
        named = list(descriptors(described))
        naming = frozenset(_coding_of(tag, body) for tag, body in named) - {b""}
        languages = b",".join(body[:3] for tag, body in named if tag == LANGUAGE)
        streams.append(_Stream(stream, (kind, naming), languages))
    return _Table(pid, at, (section[8] & 0x1F) << 8 | section[9], tuple(streams))


def _coding_of(tag: int, body: bytes) -> bytes:
    """What a descriptor tells of the coding; empty if it tells nothing of it."""
    if tag == REGISTRATION:
        return body[:4]
    return bytes([tag]) if tag in CODING_TAGS else b""


def _names_sound(coding: bytes) -> bool:
    return coding in SOUND_NAMES or (len(coding) == 1 and coding[0] in SOUND_TAGS)


def _sections(
    data: mmap | bytes, pid: int, first: int, length: int, begin: int, end: int
) -> Iterator[tuple[bytes, int]]:
    """Each section that fits in one packet, and the byte where the packet begins, in ``[begin, end)``."""
    # Packets that start a section. Programmes with a map longer than a packet are not transcoded.
    start = re.compile(re.escape(bytes([SYNC, 0x40 | pid >> 8, pid & 0xFF])))
    for match in start.finditer(data, begin, end):
        at = match.start()
        if (at - first) % length:
            continue
        section = section_in(data[at : at + PACKET])
        if section:
            yield section, at


def under_first_pids(data: mmap | bytes, changes: Sequence[Change]) -> Iterator[bytes]:
    """The file, in blocks, with all streams under their first PIDs and without the later tables.

    :param changes: result of ``changes_of``.
    """
    grid = grid_of(data)
    assert grid is not None
    _, length = grid
    bounds = [*(change.at for change in changes), len(data)]
    counters = _Counters()
    yield bytes(data[: bounds[0]])
    for change, end in zip(changes, bounds[1:], strict=True):
        counters.begin(data, change.at, length, set(change.pids.values()) - {PADDING})
        for begin in range(change.at, end, BLOCK_PACKETS * length):
            block = bytearray(data[begin : min(end, begin + BLOCK_PACKETS * length)])
            for number, (high, low) in enumerate(zip(block[1::length], block[2::length], strict=False)):
                pid = change.pids.get((high & 0x1F) << 8 | low)
                if pid is not None:
                    place = number * length
                    block[place + 1] = high & 0xE0 | pid >> 8
                    block[place + 2] = pid & 0xFF
                    if place + 3 < len(block):
                        block[place + 3] = counters.continued(pid, block[place + 3])
            yield bytes(block)


class _Counters:
    """Keeps continuity counters running across a change, because a gap means loss (ISO 13818-1, 2.4.3.3)."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        self._shift: dict[int, int] = {}

    def begin(self, data: mmap | bytes, at: int, length: int, pids: set[int]) -> None:
        """Start a change: from ``at`` on, these PIDs carry streams with counters of their own."""
        self._shift = {}
        missing = pids - self._last.keys()
        for place in range(at - length, max(-1, at - BLOCK_PACKETS * length), -length):
            pid = pid_at(data, place)
            if pid in missing and data[place + 3] & 0x10:
                self._last[pid] = data[place + 3] & 0x0F
                missing.discard(pid)
            if not missing:
                break

    def continued(self, pid: int, control: int) -> int:
        """The fourth byte of a packet, with the counter that continues the PID's."""
        shift = self._shift.setdefault(pid, self._last.get(pid, control - 1) + 1 - control)
        counter = control + shift & 0x0F
        if control & 0x10:  # packets without a payload do not advance the counter
            self._last[pid] = counter
        return control & 0xF0 | counter
