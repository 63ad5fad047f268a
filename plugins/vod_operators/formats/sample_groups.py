"""Groups of samples whose key is another than the init segment's (ISO 23001-7 6; ISO 14496-12, 8.9.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from vod_operators.formats.isobmff import Data, children, read_at

HEAD_BYTES = 20
"""Of an entry, before a common vector: pattern, size of the samples' own vectors, and, in 16, the key id."""


class KeyGroup(NamedTuple):
    """How the samples of a group are encrypted."""

    key_id: str
    """32 hex digits."""
    vector: bytes | None
    """Of all samples; None: each has its own."""


def key_groups(data: Data, begin: int, end: int) -> Iterator[KeyGroup]:
    """The groups that a fragment describes.

    :param begin: of the payload of its ``traf``.
    """
    for kind, first, last in children(data, begin, end):
        box = read_at(data, first, last - first) if kind == b"sgpd" else b""
        # Version 0 is deprecated: it does not tell how long an entry is.
        if box[4:8] != b"seig" or not box[0]:
            continue
        length, count = struct.unpack_from(">II", box, 8)
        at = 16
        for _ in range(count):
            size = length
            if not length:
                (size,), at = struct.unpack_from(">I", box, at), at + 4
            entry = box[at : at + size]
            if size < HEAD_BYTES or len(entry) < size:
                return
            vector = entry[HEAD_BYTES + 1 : HEAD_BYTES + 1 + entry[HEAD_BYTES]] if size > HEAD_BYTES else b""
            yield KeyGroup(entry[4:HEAD_BYTES].hex(), vector or None)
            at += size
