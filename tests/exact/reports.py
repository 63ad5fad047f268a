"""MP4 and AVI as phones, cameras and editors write them, out of what ffmpeg's muxers made."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from support.tools import ffprobe

# --- Motion JPEG ----------------------------------------------------------------------------


def without_huffman_tables(source: Path) -> bytes:
    """A webcam's pictures: their Huffman tables, which are the standard ones, are left out."""
    data = bytearray(source.read_bytes())
    packets = ffprobe(source, "-select_streams", "v", "-show_entries", "packet=pos,size")["packets"]
    for packet in packets:
        at = int(packet["pos"])
        begin = data.index(b"\xff\xd8", at)
        begin += 2
        while data[begin + 1] != 0xDA:
            if data[begin + 1] == 0xC4:
                data[begin + 1] = 0xFE  # a comment
            begin += 2 + int.from_bytes(data[begin + 2 : begin + 4], "big")
    return bytes(data)


def with_orientation(pictures: bytes, orientation: int) -> bytes:
    """JPEGs laid end to end, each with an Exif orientation: 6 is to be turned clockwise."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    start = b"\xff\xd8\xff"
    return pictures.replace(start, b"\xff\xd8\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + b"\xff")


# --- MP4 ------------------------------------------------------------------------------------


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and whole box."""
    at = 0
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0]
        yield data[at + 4 : at + 8], data[at : at + size]
        at += size


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def with_compressed_index(source: Path) -> bytes:
    """As QuickTime 4 to 7 could write it: the ``moov`` is deflated."""
    made = b""
    for kind, whole in boxes(source.read_bytes()):
        if kind == b"moov":
            body = box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", len(whole)) + zlib.compress(whole))
            whole = box(b"moov", box(b"cmov", body))
        made += whole
    return made


def with_trailer(source: Path) -> bytes:
    """A phone's or a camera's own data behind the last box, which is no box."""
    return source.read_bytes() + bytes(n * 151 % 256 for n in range(70_001)) + b"SEFT"


def with_open_end(source: Path) -> bytes:
    """Its last box, the media, has no length: to the end of the file."""
    found = dict(boxes(source.read_bytes()))
    kinds = [kind for kind, _ in boxes(source.read_bytes())]
    assert kinds[-1] == b"mdat"
    return b"".join(found[kind] for kind in kinds[:-1]) + b"\0\0\0\0" + found[b"mdat"][4:]


def first_is_no_key(source: Path) -> bytes:
    """The table of key frames begins with the second one."""
    data = bytearray(source.read_bytes())
    at = data.index(b"stss")
    (count,) = struct.unpack_from(">I", data, at + 8)
    numbers = struct.unpack_from(f">{count}I", data, at + 12)
    assert numbers[0] == 1
    struct.pack_into(f">I{count - 1}I", data, at + 8, count - 1, *numbers[1:])
    return bytes(data)


def fragments(data: bytes) -> tuple[bytes, list[bytes]]:
    """The beginning of a fragmented MP4, and each ``moof`` with its ``mdat``."""
    head, parts = b"", list[bytes]()
    for kind, whole in boxes(data):
        if kind == b"moof":
            parts.append(whole)
        elif kind == b"mdat":
            parts[-1] += whole
        elif kind in (b"ftyp", b"moov"):
            head += whole
    return head, parts


def later(fragment: bytes, seconds: float, scales: dict[int, int]) -> bytes:
    """A fragment of a later time.

    :param scales: track -> ticks of a second.
    """
    data, track, at = bytearray(fragment), 0, 0
    while True:
        header, time = data.find(b"tfhd", at), data.find(b"tfdt", at)
        if header < 0:
            return bytes(data)
        (track,) = struct.unpack_from(">I", data, header + 8)
        wide = data[time + 4] == 1
        form = ">Q" if wide else ">I"
        (old,) = struct.unpack_from(form, data, time + 8)
        struct.pack_into(form, data, time + 8, old + round(seconds * scales[track]))
        at = time + 4


def scales_of(data: bytes) -> dict[int, int]:
    """Track -> ticks of a second."""
    found, at = {}, 0
    while (at := data.find(b"tkhd", at)) >= 0:
        (track,) = struct.unpack_from(">I", data, at + (24 if data[at + 4] else 16))
        header = data.index(b"mdhd", at)
        (found[track],) = struct.unpack_from(">I", data, header + (24 if data[header + 4] else 16))
        at = header
    return found


def without_key_frames(source: Path) -> bytes:
    """The table of key frames is empty: pictures from which one may begin to decode are told elsewhere."""
    data = bytearray(source.read_bytes())
    at = data.index(b"stss")
    data[at + 8 : at + 12] = bytes(4)
    return bytes(data)
