"""Hand-made frames of Dolby's sound: what no encoder here makes, out of what ffmpeg's makes."""

from __future__ import annotations

import struct
from itertools import pairwise

from vod_operators.formats.dolby import read_frame

JOC = 0x0110
"""``addbsi`` of Dolby Atmos with a complexity index of 16 (ETSI TS 103 420, 8.3)."""


def crc16(data: bytes) -> int:
    """The checksum of a frame (ETSI TS 102 366, 6.1.7): x^16 + x^15 + x^2 + 1."""
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = value << 1 ^ 0x18005 if value & 0x8000 else value << 1
    return value & 0xFFFF


def frames_of(data: bytes) -> list[bytes]:
    """The frames of an elementary stream."""
    at, ends = 0, [0]
    while at < len(data):
        frame = read_frame(data, at)
        assert frame is not None, at
        at += frame.size
        ends.append(at)
    return [data[begin:end] for begin, end in pairwise(ends)]


def _rebuilt(frame: bytes, bits: str) -> bytes:
    """An E-AC-3 frame of other bits: its size and its checksum written anew."""
    bits += "0" * (-len(bits) % 16)
    size = len(bits) // 8 + 2
    data = bytearray(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    (head,) = struct.unpack_from(">H", data, 2)
    struct.pack_into(">H", data, 2, head & ~0x7FF | size // 2 - 1)
    return bytes(data) + crc16(bytes(data[2:])).to_bytes(2, "big")


def _bits(frame: bytes) -> str:
    """Without the checksum."""
    return f"{int.from_bytes(frame[:-2], 'big'):0{8 * len(frame) - 16}b}"


def with_objects(frame: bytes, addbsi: int = JOC) -> bytes:
    """A frame of ffmpeg's encoder as one of Dolby Atmos. Decoders of its channels see no difference."""
    bits = _bits(frame)
    at = addbsi_at(frame)
    assert bits[at] == "0"
    return _rebuilt(frame, f"{bits[:at]}1{1:06b}{addbsi:016b}{bits[at + 1 :]}")


def addbsi_at(frame: bytes) -> int:
    """Where the bit is that says whether there is ``addbsi``."""
    bits = _bits(frame)
    at = 50  # compre
    at += 9 if bits[at] == "1" else 1
    assert bits[at] == "0", "mixing metadata"
    at += 1
    if bits[at] == "1":  # information: bsmod, copyright, original; surround; two flags of studios
        mode = int(bits[36:39], 2)
        at += 1 + 5 + 4 * (mode == 2) + 2 * (mode >= 6)
        at += 9 if bits[at] == "1" else 1
        return at + 1  # sourcefscod
    return at + 1


def as_dependent(frame: bytes, speakers: int) -> bytes:
    """A frame whose header is of a dependent substream with these loudspeakers; it cannot be decoded."""
    bits = _bits(frame)
    assert bits[50] == "0", "compr"
    return _rebuilt(frame, f"{bits[:16]}01000{bits[21:51]}1{speakers:016b}{bits[51:]}")
