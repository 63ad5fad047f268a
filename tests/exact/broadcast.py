"""Transport streams as receivers record them, and the pictures in them: fields, film, gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from support.clips import luma

# --- MPEG-TS --------------------------------------------------------------------------------

VIDEO_PID = 0x100


def ts_packets(data: bytes) -> list[bytearray]:
    return [bytearray(data[at : at + 188]) for at in range(0, len(data) - 187, 188)]


def pid_of(packet: bytes | bytearray) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def with_parity(source: Path) -> bytes:
    """Packets of 204 bytes, as some receivers store them: 16 of error correction follow each."""
    return b"".join(bytes(packet) + bytes(16) for packet in ts_packets(source.read_bytes()))


def without_pts(source: Path) -> bytes:
    """Only key frames say when they are shown."""
    packets = ts_packets(source.read_bytes())
    for packet in packets:
        if pid_of(packet) != VIDEO_PID or not packet[1] & 0x40:
            continue
        at, is_key = 4, False
        if packet[3] & 0x20:
            is_key = bool(packet[4] and packet[5] & 0x40)  # random access
            at += 1 + packet[4]
        assert packet[at : at + 3] == b"\0\0\1"
        if not is_key:
            packet[at + 7] &= 0x3F  # neither PTS nor DTS ...
            packet[at + 9 : at + 9 + packet[at + 8]] = b"\xff" * packet[at + 8]  # ... but stuffing
    return b"".join(packets)


def scrambled_in_the_middle(source: Path) -> bytes:
    """The key of the descrambler came late: some packets of picture and sound are still scrambled."""
    packets = ts_packets(source.read_bytes())
    for packet in packets[len(packets) * 2 // 5 : len(packets) // 2]:
        if VIDEO_PID <= pid_of(packet) <= VIDEO_PID + 1 and packet[3] & 0x10:
            packet[3] |= 0x80
            begin = 5 + packet[4] if packet[3] & 0x20 else 4
            packet[begin:] = bytes(byte * 5 % 256 ^ 0x5A for byte in packet[begin:])
    return b"".join(packets)


# --- MPEG-2: film in a broadcast ------------------------------------------------------------


def _in_pulldown(time: str) -> str:
    """The time of film, in ticks of 90 kHz, if pictures stand for three and two fields in turn."""
    return f"STARTPTS+floor(2.5*round(({time}-STARTPTS)/3753.75)+0.5)*1501.5"


PULLDOWN = f"setts=pts={_in_pulldown('PTS')}:dts={_in_pulldown('DTS')}"
"""Bitstream filter for film of 24000/1001 in a transport stream."""


def with_pulldown(source: Path) -> bytes:
    """A transport stream of film, flagged to be shown as 30000/1001 frames of fields that repeat."""
    packets = ts_packets(source.read_bytes())
    places: list[tuple[int, int]] = []
    for number, packet in enumerate(packets):
        if pid_of(packet) == VIDEO_PID and packet[3] & 0x10:
            begin = 5 + packet[4] if packet[3] & 0x20 else 4
            if packet[1] & 0x40:
                begin += 9 + packet[begin + 8]
            places += [(number, at) for at in range(begin, 188)]
    stream = bytearray(packets[number][at] for number, at in places)
    _flag_pulldown(stream)
    for (number, at), byte in zip(places, stream, strict=True):
        packets[number][at] = byte
    return b"".join(packets)


def _flag_pulldown(stream: bytearray) -> None:
    shown, numbers, at = 0, list[int](), 0
    while (at := stream.find(b"\0\0\1", at)) >= 0:
        kind, extension = stream[at + 3], stream[at + 4] >> 4
        if kind == 0xB3:  # the sequence: 30000/1001
            stream[at + 7] = stream[at + 7] & 0xF0 | 4
        elif kind == 0xB5 and extension == 1:  # not progressive as a sequence: so fields can be repeated ...
            stream[at + 5] &= ~0x08
        elif kind == 0xB8:  # a group: numbers begin anew
            shown, numbers = shown + len(numbers), []
        elif kind == 0x00:
            numbers.append(stream[at + 4] << 2 | stream[at + 5] >> 6)
        elif kind == 0xB5 and extension == 8:  # ... by each picture
            top_first, repeat = ((1, 1), (0, 0), (0, 1), (1, 0))[(shown + numbers[-1]) % 4]
            stream[at + 7] = stream[at + 7] & ~0x82 | top_first << 7 | repeat << 1
            stream[at + 8] |= 0x80
        at += 3


# --- H.264 in separate fields ---------------------------------------------------------------


class Bits:
    """What is written bit by bit."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, count: int, value: int) -> Bits:
        self.text += format(value, f"0{count}b")
        return self

    def ue(self, *values: int) -> Bits:
        for value in values:
            code = format(value + 1, "b")
            self.text += "0" * (len(code) - 1) + code
        return self

    def align(self) -> Bits:
        self.text += "0" * (-len(self.text) % 8)
        return self

    def stop(self) -> Bits:
        return self.u(1, 1).align()

    @property
    def data(self) -> bytes:
        return int(self.text, 2).to_bytes(len(self.text) // 8, "big")


def nal(kind: int, payload: bytes) -> bytes:
    """One unit of a byte stream, with its start code."""
    escaped, zeros = bytearray(), 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return b"\0\0\0\1" + bytes([kind]) + bytes(escaped)


def separate_fields(frames: int, width: int, height: int, *, first: int = 0, gop: int = 25) -> bytes:
    """H.264 whose frames are two pictures each, one a field, top first (PAFF): fields have numbers.

    :param height: a multiple of 32.
    """
    across, down = width // 16, height // 32
    # Main profile; picture order in 8 bits; not only frames; 50 fields a second; nothing reordered.
    sps = Bits().u(8, 77).u(8, 0).u(8, 31).ue(0, 0, 0, 4, 1).u(1, 0).ue(across - 1, down - 1)
    sps.u(5, 0b00101).u(5, 0b00001).u(32, 1).u(32, 50).u(5, 0b10001).u(1, 1).ue(0, 0, 0, 0, 0, 1)
    pps = Bits().ue(0, 0).u(2, 0).ue(0, 0, 0).u(3, 0).ue(0, 0, 0).u(3, 0)
    sets = nal(0x67, sps.stop().data) + nal(0x68, pps.stop().data)
    fields = luma(range(first, first + 2 * frames), width, height)
    out = []
    for number, field in enumerate(fields):
        frame, bottom = divmod(number, 2)
        since_key = frame % gop
        is_idr = since_key == 0 and not bottom
        head = Bits().ue(0, 7, 0).u(4, since_key % 16).u(1, 1).u(1, bottom)
        if is_idr:
            head.ue(frame // gop % 2)
        head.u(8, 2 * since_key + bottom).u(2 if is_idr else 1, 0).ue(0)
        out += [nal(0x09, b"\x10"), sets if is_idr else b""]
        out.append(nal(0x65 if is_idr else 0x61, _uncompressed(head, field[bottom::2])))
    return b"".join(out)


def _uncompressed(head: Bits, picture: NDArray[np.uint8]) -> bytes:
    """A slice of macroblocks that are stored as they are."""
    height, width = picture.shape
    start = Bits().ue(25).align().data
    data = b""
    for top in range(0, height, 16):
        for left in range(0, width, 16):
            block = picture[top : top + 16, left : left + 16].tobytes() + b"\x80" * 128
            data += (start if data else head.ue(25).align().data) + block
    return data + b"\x80"


def turned_by_message(stream: bytes, anticlockwise: int) -> bytes:
    """An H.264 byte stream each of whose pictures says by how many degrees it is to be turned (SEI 47)."""
    turn = Bits().u(3, 0).u(16, anticlockwise * 65536 // 360).ue(0).u(1, 0).stop()
    message = nal(0x06, bytes([47, len(turn.data)]) + turn.data + b"\x80")
    out, begin = b"", 0
    at = stream.find(b"\0\0\1")
    while at >= 0:
        if stream[at + 3] & 0x1F in (1, 5) and stream[at + 4] & 0x80:  # the first slice of a picture
            place = at - (stream[at - 1] == 0)
            out, begin = out + stream[begin:place] + message, place
        at = stream.find(b"\0\0\1", at + 3)
    return out + stream[begin:]
