"""Packets of MPEG-TS, and the tables that tell which PIDs a programme has (ISO 13818-1, 2.4.3, 2.4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

PACKET = 188
SYNC = 0x47
PADDING = 0x1FFF
"""PID of packets without content."""


def pid_at(data: bytes | mmap, at: int) -> int:
    """PID of the packet that begins at ``at``."""
    return (data[at + 1] & 0x1F) << 8 | data[at + 2]


def payload_of(packet: bytes) -> int:
    """First byte of a packet's payload; ``PACKET`` or more if it has none."""
    control = packet[3] >> 4 & 3
    return 4 + (1 + packet[4] if control & 2 else 0) if control & 1 else PACKET


def section_in(packet: bytes) -> bytes:
    """The section that begins in a packet; empty if it does not fit in it."""
    begin = payload_of(packet) if len(packet) == PACKET else PACKET  # the file's last one may be cut
    if begin + 4 > len(packet):
        return b""
    begin += 1 + packet[begin]
    size = 3 + (u16(packet, begin + 1) & 0xFFF) if begin + 3 <= len(packet) else 0
    return packet[begin : begin + size] if 16 <= size <= len(packet) - begin else b""


def programmes_in(section: bytes) -> dict[int, int]:
    """Programme number -> PID of its map, of a program association section."""
    entries = section[8:-4]
    listed = {u16(entries, at): u16(entries, at + 2) & 0x1FFF for at in range(0, len(entries) - 3, 4)}
    listed.pop(0, None)  # names the network's table
    return listed


def streams_in(section: bytes) -> Iterator[tuple[int, int, bytes]]:
    """PID, stream type and descriptors of each stream, of a program map section."""
    end = len(section) - 4
    at = 12 + (u16(section, 10) & 0xFFF)
    while at + 5 <= end:
        size = u16(section, at + 3) & 0xFFF
        yield u16(section, at + 1) & 0x1FFF, section[at], section[at + 5 : min(end, at + 5 + size)]
        at += 5 + size


def descriptors(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each descriptor."""
    place = 0
    while place + 2 <= len(data):
        yield data[place], data[place + 2 : place + 2 + data[place + 1]]
        place += 2 + data[place + 1]


def u16(data: bytes | bytearray, at: int) -> int:
    """The big-endian unsigned number in the two bytes at ``at``, or in what there is of them."""
    return int.from_bytes(data[at : at + 2], "big")
