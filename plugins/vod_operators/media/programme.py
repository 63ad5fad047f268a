"""An MPEG-TS whose programme goes on under other PIDs in mid-file (ISO 13818-1, 2.4.4): found by its tables,
and written anew under the first ones.

A demuxer that follows such a change gives the last picture before it at the end of the file, because only
the next packet of the same PID tells that a picture is whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import pairwise
from mmap import mmap

SYNC = 0x47
PADDING = 0x1FFF
PACKET_BYTES = 188
LENGTHS = (188, 192, 204)
"""Bytes from one packet to the next: bare, with a clock before each (M2TS), with error correction behind."""

SCRAMBLED = 0x40
"""The fourth byte of a scrambled packet is at least that (ISO 13818-1, 2.4.3.3)."""

BLOCK_PACKETS = 20_000
MAX_CHANGES = 1000


@dataclass(frozen=True)
class _Stream:
    kind: int
    pid: int


@dataclass(frozen=True)
class _Table:
    """One version of a programme's map."""

    at: int
    """Where its packet begins."""
    clock_pid: int
    streams: tuple[_Stream, ...]


def grid_of(data: mmap | bytes) -> tuple[int, int] | None:
    """Where the first packet begins, and bytes from one to the next; None if it is no MPEG-TS."""
    for length in LENGTHS:
        for first in range(min(length, max(0, len(data) - 3 * length))):
            if all(data[at] == SYNC for at in range(first, min(len(data), first + 8 * length), length)):
                return first, length
    return None


def new_pids(data: mmap | bytes, programme_pids: Set[int]) -> list[tuple[int, dict[int, int]]]:
    """Where streams of a programme get other PIDs, and what those stand for: ``(offset, {PID: first PID})``.

    A stream goes on as the one of its kind and number in the map before.

    :param programme_pids: PIDs of the streams that are used: their programme is looked at.
    """
    grid = grid_of(data)
    if grid is None:
        return []
    versions: list[_Table] = []
    for pid in _map_pids(data, *grid):
        tables = list(_tables(data, pid, *grid))
        if tables and programme_pids & {stream.pid for stream in tables[0].streams}:
            versions = tables
            break
    changes: list[tuple[int, dict[int, int]]] = []
    origin = {stream.pid: stream.pid for stream in versions[0].streams} if versions else {}
    for before, after in pairwise(versions[: MAX_CHANGES + 1]):
        following: dict[int, int] = {}
        for kind in dict.fromkeys(stream.kind for stream in after.streams):
            old = [stream.pid for stream in before.streams if stream.kind == kind]
            new = [stream.pid for stream in after.streams if stream.kind == kind]
            following |= {pid: origin.get(past, past) for past, pid in zip(old, new, strict=False)}
        if after.clock_pid not in following:
            following[after.clock_pid] = versions[0].clock_pid
        origin = following
        changes.append((after.at, {pid: first for pid, first in following.items() if pid != first}))
    return changes if any(pids for _, pids in changes) else []


def count_scrambled(data: mmap | bytes, pids: Set[int]) -> int:
    """How many packets of these PIDs are scrambled: demuxers drop them without a word."""
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


def _map_pids(data: mmap | bytes, first: int, length: int) -> list[int]:
    """PIDs of all programmes' maps, by the first table of programmes."""
    for section, _ in _sections(data, 0, first, length):
        if section[0] == 0:
            entries = section[8:-4]
            return [
                (entries[at + 2] & 0x1F) << 8 | entries[at + 3]
                for at in range(0, len(entries) - 3, 4)
                if entries[at] or entries[at + 1]  # programme 0 is the network's table
            ]
    return []


def _tables(data: mmap | bytes, pid: int, first: int, length: int) -> Iterator[_Table]:
    """Each version of the map of that PID that differs from the one before."""
    known = b""
    for section, at in _sections(data, pid, first, length):
        if section[0] != 2 or section == known or not section[5] & 1:  # repeated, or not yet in force
            continue
        table = _parse_map(section, at)
        if known and table.streams == _parse_map(known, 0).streams:
            known = section
            continue
        known = section
        yield table


def _parse_map(section: bytes, at: int) -> _Table:
    streams, end = [], len(section) - 4
    place = 12 + ((section[10] & 0x0F) << 8 | section[11])
    while place + 5 <= end:
        kind, high, low = section[place : place + 3]
        streams.append(_Stream(kind, (high & 0x1F) << 8 | low))
        place += 5 + ((section[place + 3] & 0x0F) << 8 | section[place + 4])
    return _Table(at, (section[8] & 0x1F) << 8 | section[9], tuple(streams))


def _sections(data: mmap | bytes, pid: int, first: int, length: int) -> Iterator[tuple[bytes, int]]:
    """Each section of a table that fits in one packet, and where that begins."""
    # One that starts a section: longer maps are of no programme that is transcoded.
    start = re.compile(re.escape(bytes([SYNC, 0x40 | pid >> 8, pid & 0xFF])))
    for found in start.finditer(data):
        at = found.start()
        if (at - first) % length:
            continue
        packet = data[at : at + PACKET_BYTES]
        control = packet[3] >> 4 & 3
        body = 4 + (1 + packet[4] if control & 2 else 0)
        if not control & 1 or body + 4 > len(packet):
            continue
        body += 1 + packet[body]
        size = 3 + ((packet[body + 1] & 0x0F) << 8 | packet[body + 2]) if body + 3 <= len(packet) else 0
        if 16 <= size <= len(packet) - body:
            yield bytes(packet[body : body + size]), at


def under_first_pids(data: mmap | bytes, changes: list[tuple[int, dict[int, int]]]) -> Iterator[bytes]:
    """The same file with the streams under their first PIDs, and without the later maps.

    :param changes: what ``new_pids`` found.
    """
    grid = grid_of(data)
    assert grid is not None
    _, length = grid
    map_pid = _pid_at(data, changes[0][0])
    bounds = [*(at for at, _ in changes), len(data)]
    counters = _Counters()
    yield bytes(data[: bounds[0]])
    for (at, pids), end in zip(changes, bounds[1:], strict=True):
        counters.begin(data, at, length, set(pids.values()))
        replaced = pids | {map_pid: PADDING}
        for begin in range(at, end, BLOCK_PACKETS * length):
            block = bytearray(data[begin : min(end, begin + BLOCK_PACKETS * length)])
            for number, (high, low) in enumerate(zip(block[1::length], block[2::length], strict=False)):
                pid = replaced.get((high & 0x1F) << 8 | low)
                if pid is not None:
                    place = number * length
                    block[place + 1] = high & 0xE0 | pid >> 8
                    block[place + 2] = pid & 0xFF
                    if place + 3 < len(block):
                        block[place + 3] = counters.continued(pid, block[place + 3])
            yield bytes(block)


class _Counters:
    """Continuity counters that run on over a change: a gap in them is loss (ISO 13818-1, 2.4.3.3)."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        self._shift: dict[int, int] = {}

    def begin(self, data: mmap | bytes, at: int, length: int, pids: set[int]) -> None:
        """From there on other counters come under these PIDs."""
        self._shift = {}
        missing = pids - self._last.keys()
        for place in range(at - length, max(-1, at - BLOCK_PACKETS * length), -length):
            pid = _pid_at(data, place)
            if pid in missing and data[place + 3] & 0x10:
                self._last[pid] = data[place + 3] & 0x0F
                missing.discard(pid)
            if not missing:
                break

    def continued(self, pid: int, control: int) -> int:
        """The fourth byte of a packet, with the counter that follows."""
        shift = self._shift.setdefault(pid, self._last.get(pid, control - 1) + 1 - control)
        counter = control + shift & 0x0F
        if control & 0x10:  # packets without a payload do not count
            self._last[pid] = counter
        return control & 0xF0 | counter


def _pid_at(data: mmap | bytes, at: int) -> int:
    return (data[at + 1] & 0x1F) << 8 | data[at + 2]
