"""``pssh`` boxes of anybody -> facts (ISO 23001-7 8.1)."""

from __future__ import annotations

from uuid import UUID

from vod_operators.formats.facts import Pssh

WIDEVINE = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
"""System id, and the end of its KEYFORMAT."""


def read_pssh(box: bytes) -> Pssh:
    """The facts of one box, header included; what cannot be read of it is a fault."""
    return open_pssh(box)[0]


def open_pssh(box: bytes) -> tuple[Pssh, bytes]:
    """The same, and the system's own data; without data if there is a fault."""
    if len(box) < 32 or box[4:8] != b"pssh" or int.from_bytes(box[:4], "big") != len(box):
        return Pssh(system="", key_ids=(), fault=f"{len(box)} bytes that are no pssh box"), b""
    system, version, at = str(UUID(bytes=box[12:28])), box[8], 28
    if version > 1:
        return Pssh(system=system, key_ids=(), fault=f"a pssh box of version {version}"), b""
    ids: list[str] = []
    if version == 1:
        count, at = int.from_bytes(box[28:32], "big"), 32
        if at + 16 * count > len(box):
            return Pssh(system=system, key_ids=(), fault="a pssh box that ends within its key ids"), b""
        ids = [box[at + 16 * n : at + 16 * n + 16].hex() for n in range(count)]
        at += 16 * count
    data = box[at + 4 :]
    if int.from_bytes(box[at : at + 4], "big") != len(data):
        return Pssh(system=system, key_ids=tuple(ids), fault="a pssh box whose data have another size"), b""
    told = ids or (_of_widevine(data) if system == WIDEVINE else [])
    return Pssh(system=system, key_ids=tuple(told)), data


def _of_widevine(data: bytes) -> list[str]:
    """Key ids in a ``WidevinePsshData`` message: its field 2, as far as the message can be read."""
    found, at = [], 0
    try:
        while at < len(data):
            tag, at = _number(data, at)
            if tag & 7 == 0:
                _, at = _number(data, at)
            elif tag & 7 == 2:
                size, at = _number(data, at)
                if tag >> 3 == 2 and size == 16:
                    found.append(data[at : at + 16].hex())
                at += size
            else:
                break
    except IndexError:
        return []
    return found


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
