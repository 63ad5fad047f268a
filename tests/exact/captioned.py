"""Clips with CEA-608 and CEA-708 captions in their pictures, and how to read them back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from support.clips import clip, media, run_ffmpeg, x264

RATE = "30000/1001"

_RCL, _EOC = (0x14, 0x20), (0x14, 0x2F)
_ROW_15 = (0x14, 0x70)


def _parity(value: int) -> int:
    return value | (0 if value.bit_count() % 2 else 0x80)


def pop_on(text: str) -> list[tuple[int, int]]:
    """One caption on the lowest row, as pairs of bytes: commands twice, then shown at once."""
    padded = text.encode() + b"\0" * (len(text) % 2)
    letters = [(padded[at], padded[at + 1]) for at in range(0, len(padded), 2)]
    return [_RCL, _RCL, _ROW_15, _ROW_15, *letters, _EOC, _EOC]


def schedule(frames: int, every: int = 30) -> list[tuple[int, int]]:
    """A pair for each picture: a caption that names the picture it begins at, at every so many."""
    pairs = [(0, 0)] * frames
    for first in range(0, frames - every + 1, every):
        words = pop_on(f"FROM {first}")
        pairs[first : first + len(words)] = words
    return pairs


def _sei(picture: int, pair: tuple[int, int], service: int) -> bytes:
    """An H.264 SEI NAL unit with 20 triplets: both fields of line 21, one 708 block, filling.

    :param picture: its number is in the 708 block, so that no two pictures are alike.
    """
    field1, field2 = bytes([0xFC, _parity(pair[0]), _parity(pair[1])]), b"\xfd\x80\x80"
    letters = 0x20 + picture % 64, 0x20 + picture // 64
    block = bytes([0xFF, 0x02, service << 5 | 2, 0xFE, *letters]) if service else b""
    triplets = field1 + field2 + block
    triplets += b"\xfa\0\0" * (20 - len(triplets) // 3)
    payload = b"\xb5\0\x31GA94\x03" + bytes([0xC0 | 20, 0xFF]) + triplets + b"\xff"
    body = bytes([6, 4, len(payload)]) + payload + b"\x80"
    return b"\0\0\0\1" + re.sub(rb"\x00\x00(?=[\x00-\x03])", lambda _: b"\0\0\3", body)


def insert(stream: bytes, pairs: Sequence[tuple[int, int]], service: int) -> bytes:
    """Annex B H.264 with captions in each picture; the pictures are in the order they are shown in."""
    made, picture = [], 0
    for unit in re.split(rb"(?=\x00\x00\x00\x01)|(?<!\x00)(?=\x00\x00\x01)", stream):
        kind = unit.lstrip(b"\0")[1:2]
        if kind and kind[0] & 0x1F in (1, 5):
            made.append(_sei(picture, pairs[picture], service))
            picture += 1
        made.append(unit)
    assert picture == len(pairs), f"{picture} slices for {len(pairs)} pictures"
    return b"".join(made)


def captioned(file: str, *, frames: int = 132, service: int = 1, gop: int = 45, b_frames: int = 3) -> Path:
    """The numbered clip with captions, each in the picture that it belongs to; in any order of storing."""
    plain = clip("plain.mp4", frames=frames, rate=RATE, video=x264(gop=frames, b_frames=0), sound=None)

    def build(path: Path) -> None:
        raw, marked = path.with_name("plain.h264"), path.with_name("marked.h264")
        run_ffmpeg("-i", str(plain), "-c", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "h264", str(raw))
        marked.write_bytes(insert(raw.read_bytes(), schedule(frames), service))
        run_ffmpeg(
            "-framerate", RATE, "-f", "h264", "-i", str(marked), *x264(gop=gop, b_frames=b_frames), str(path)
        )  # fmt: skip

    return media(file, build, str(plain), frames, service, gop, b_frames, Path(__file__).read_text("utf-8"))


def captions_of(path: Path, folder: Path) -> list[bytes]:
    """The 20 triplets of captions of each picture, in the order of showing.

    :param path: a file with pictures, or a media playlist beside its segments.
    """
    whole = path
    if path.suffix == ".m3u8":
        whole = folder / "whole.mp4"
        parts = [path.with_name("init.mp4"), *sorted(path.parent.glob("seg-*"))]
        whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    raw = run_ffmpeg(
        "-f", "lavfi", "-i", f"movie={whole}[out0+subcc]", "-map", "0:1", "-c", "copy", "-f", "data", "-"
    )  # fmt: skip
    return [raw[at : at + 60] for at in range(0, len(raw), 60)]


def line_21(pictures: Sequence[bytes]) -> list[bytes]:
    """Both fields of CEA-608 of each picture."""
    return [triplets[:6] for triplets in pictures]


def cea_708(pictures: Sequence[bytes]) -> bytes:
    """All that CEA-708 says, in order, without the filling; in which picture is no matter to players."""
    whole = b"".join(pictures)
    triplets = [whole[at : at + 3] for at in range(0, len(whole), 3)]
    return b"".join(triplet[1:] for triplet in triplets if triplet[0] in (0xFE, 0xFF))
