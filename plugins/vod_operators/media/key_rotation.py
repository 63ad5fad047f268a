"""Segments of a track whose keys are used in turn: each says which key it needs (ISO 23001-7 6).

All chunks share one init segment, which names the first key. The samples of another key are in a sample group
that names it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from vod_operators.formats.isobmff import box, children, find, full_box, parse_moof, u32
from vod_operators.formats.samples import protection_place
from vod_operators.media.drm import common_pssh

VECTOR_SIZE_AT, KEY_AT = 7, 8
"""Where the payload of ``tenc`` has the size of each sample's vector, 0 if all have the same, and the key id
(ISO 23001-7 8.2)."""

FRAGMENT_LOCAL = 0x10000
"""Added to the number of a sample group that is described in the fragment itself (ISO 14496-12, 8.9.4)."""


def with_keys(init: bytes, key_ids: Sequence[str], vector: str) -> bytes:
    """An init segment that names the first of these keys for its samples, and all of them for players.

    :param key_ids: 32 hex digits each.
    :param vector: of all samples under the first key, 32 hex digits; without effect where each has its own.
    """
    data = bytearray(init)
    at = _tenc(data)
    after = at + KEY_AT + 16
    data[at + KEY_AT : after] = bytes.fromhex(key_ids[0])
    if not data[at + VECTOR_SIZE_AT]:
        data[after + 1 : after + 1 + data[after]] = bytes.fromhex(vector)
    begin, end = find(data, 0, len(data), b"moov")
    others = (place for place in children(data, begin, end) if place[0] != b"pssh")
    boxes = [bytes(data[first - 8 : last]) for _, first, last in others]
    return bytes(data[: begin - 8]) + box(b"moov", *boxes, common_pssh(key_ids)) + bytes(data[end:])


def with_key(segment: bytes, init: bytes, key_id: str) -> bytes:
    """A segment, without ``sidx``, all of whose samples say that this key encrypts them.

    :param init: its init segment, which says how they are encrypted.
    :param key_id: 32 hex digits.
    """
    at = _tenc(init)
    # Of ``tenc``: pattern, whether samples are encrypted, size of their vectors, key id, and a common vector.
    entry = bytearray(init[at + 4 : at + KEY_AT + 16])
    entry[4:] = bytes.fromhex(key_id)
    if not init[at + VECTOR_SIZE_AT]:
        vector = at + KEY_AT + 16
        entry += init[vector : vector + 1 + init[vector]]
    boxes = ((kind, segment[first - 8 : last]) for kind, first, last in children(segment, 0, len(segment)))
    return b"".join(_in_group(whole, bytes(entry)) if kind == b"moof" else whole for kind, whole in boxes)


def _in_group(moof: bytes, entry: bytes) -> bytes:
    """A ``moof`` box, all of whose samples are in a group with this description."""
    (fragment,) = parse_moof(moof, 8, 0)
    group = full_box(b"sgpd", b"seig", struct.pack(">II", len(entry), 1), entry, version=1) + full_box(
        b"sbgp", b"seig", struct.pack(">III", 1, len(fragment.samples), FRAGMENT_LOCAL + 1)
    )
    data = bytearray(moof)
    begin, end = find(data, 8, len(data), b"traf")
    for kind, first, _ in children(data, begin, end):
        if kind == b"trun":  # its data begin that much later; what ``saio`` points to stays
            struct.pack_into(">i", data, first + 8, struct.unpack_from(">i", data, first + 8)[0] + len(group))
    struct.pack_into(">I", data, begin - 8, u32(data, begin - 8) + len(group))
    struct.pack_into(">I", data, 0, u32(data, 0) + len(group))
    data[end:end] = group
    return bytes(data)


def _tenc(init: bytes | bytearray) -> int:
    """Where the payload of the only track's ``tenc`` begins."""
    place = protection_place(init)
    assert place is not None, "the packager encrypts all samples"
    return find(init, *place, b"schi", b"tenc")[0]
