"""Still pictures: what kind one is, and its size."""

from __future__ import annotations

import struct
from typing import NamedTuple

from vod_operators.errors import VerificationError

PNG = b"\x89PNG\r\n\x1a\n"

FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame header (ITU-T T.81, B.1.1.3)."""


class Image(NamedTuple):
    """A still picture."""

    kind: str
    """As CODECS names it: ``jpeg``, ``png``."""
    width: int
    height: int


def read_image(data: bytes) -> Image:
    """Kind and size of a JPEG or PNG.

    :raises VerificationError: it is neither, or it ends early.
    """
    try:
        if data.startswith(PNG):
            return Image("png", *struct.unpack_from(">II", data, 16))
        if data.startswith(b"\xff\xd8"):
            return _read_jpeg(data)
    except (struct.error, IndexError):
        raise VerificationError("an image that ends early") from None
    raise VerificationError("neither a JPEG nor a PNG")


def _read_jpeg(data: bytes) -> Image:
    at = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, at)
        if marker >> 8 != 0xFF or length < 2:
            raise VerificationError(f"a JPEG with no marker at byte {at}")
        if marker & 0xFF in FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Image("jpeg", width, height)
        at += 2 + length
