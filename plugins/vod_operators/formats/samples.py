"""Decrypts the samples of a fragmented MP4 segment under ``cbcs`` or ``cenc`` (ISO 23001-7 10.4, 10.1)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from vod_operators.errors import VerificationError
from vod_operators.formats.isobmff import SAMPLE_DESCRIPTIONS, children, find, read_fragments, whole_headers
from vod_operators.formats.mp4 import read_init
from vod_operators.formats.sample_groups import key_groups

BLOCK, VECTOR = 16, 8
"""Bytes of a block of AES, and of a sample's own vector."""


class _Scheme(NamedTuple):
    """How a track is encrypted, by its ``tenc``."""

    crypt: int
    skip: int
    """Blocks that are encrypted, and that follow them and are not; 0 and 0: all are."""
    vector: bytes | None
    """Of all samples under ``cbcs``; None: ``cenc``, whose samples have one each."""


@whole_headers("MP4")
def decrypted_samples(init: bytes, segment: bytes, key: bytes) -> bytes | None:
    """A segment with its samples decrypted; None if they are encrypted otherwise.

    The headers still say that they are encrypted.

    :raises VerificationError: a box is damaged.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    default = _scheme(init)
    tracks = read_init(init)[1]
    if default is None or len(tracks) != 1:
        return None
    defaults = {number: track.defaults for number, track in tracks.items()}
    data = bytearray(segment)
    for fragment in read_fragments(segment, defaults):
        moof, scheme = fragment.offset, default
        for group in key_groups(segment, *find(segment, moof, len(segment), b"moof", b"traf")):
            if group.vector:  # all samples of a fragment have one key
                scheme = scheme._replace(vector=group.vector.ljust(BLOCK, b"\0"))
        told = _told(segment, *find(segment, moof, len(segment), b"moof"), own_vectors=scheme.vector is None)
        if not told and (scheme.vector is None or tracks[fragment.track].format.kind == "video"):
            return None
        for number, sample in enumerate(fragment.samples):
            vector, parts = told[number] if told else (b"", [])
            at = sample.position
            decryptor = None
            if scheme.vector is None:
                decryptor = Cipher(algorithms.AES(key), modes.CTR(vector.ljust(BLOCK, b"\0"))).decryptor()
            for clear, protected in parts or [(0, sample.size)]:
                at += clear
                places = [(at, at + protected)] if decryptor else _places(at, protected, scheme)
                each = decryptor or Cipher(algorithms.AES(key), modes.CBC(scheme.vector or b"")).decryptor()
                plain = each.update(b"".join(segment[a:b] for a, b in places))
                for a, b in places:
                    data[a:b], plain = plain[: b - a], plain[b - a :]
                at += protected
    return bytes(data)


def _places(at: int, size: int, scheme: _Scheme) -> list[tuple[int, int]]:
    """Begin and end of the encrypted bytes of a protected range; a last incomplete block is clear."""
    end = at + size - size % BLOCK
    if not scheme.skip:
        return [(at, end)]
    step = BLOCK * (scheme.crypt + scheme.skip)
    return [(begin, min(begin + BLOCK * scheme.crypt, end)) for begin in range(at, end, step)]


def _scheme(init: bytes) -> _Scheme | None:
    """How the first track is encrypted; None if it is neither ``cbcs`` with one vector for all samples, nor
    ``cenc`` with one of 8 bytes for each."""
    place = protection_place(init)
    if place is None:
        return None
    scheme, _ = find(init, *place, b"schm")
    at, _ = find(init, *place, b"schi", b"tenc")
    pattern, vector_bytes = init[at + 5], init[at + 7]
    if (name := init[scheme + 4 : scheme + 8]) == b"cenc" and vector_bytes == VECTOR:
        return _Scheme(0, 0, None)
    if name != b"cbcs" or vector_bytes:
        return None
    begin = at + 8 + BLOCK + 1
    return _Scheme(pattern >> 4, pattern & 15, init[begin : begin + init[begin - 1]].ljust(BLOCK, b"\0"))


def protection_place(init: bytes | bytearray) -> tuple[int, int] | None:
    """``(begin, end)`` of the payload of ``sinf`` in the first track's first sample entry; None if its
    samples are not encrypted.

    :raises VerificationError: a box is missing.
    """
    entries, end = find(init, 0, len(init), b"moov", b"trak", *SAMPLE_DESCRIPTIONS)
    kind, first, last = next(children(init, entries + 8, end), (b"", 0, 0))
    head = {b"encv": 78, b"enca": 28}.get(kind)
    return None if head is None else find(init, first + head, last, b"sinf")


def _told(
    data: bytes, begin: int, end: int, *, own_vectors: bool
) -> list[tuple[bytes, list[tuple[int, int]]]]:
    """Vector, and clear and protected bytes of each part, of each sample by ``senc``; empty if untold.

    Without parts, all of a sample is protected.
    """
    traf = find(data, begin, end, b"traf")
    found = [first for kind, first, _ in children(data, *traf) if kind == b"senc"]
    has_parts = bool(found and data[found[0] + 3] & 2)
    if not found or not (has_parts or own_vectors):
        return []
    at, samples = found[0] + 4, []
    (count,) = struct.unpack_from(">I", data, at)
    at += 4
    for _ in range(count):
        vector, at = (data[at : at + VECTOR], at + VECTOR) if own_vectors else (b"", at)
        parts: list[tuple[int, int]] = []
        if has_parts:
            (number,) = struct.unpack_from(">H", data, at)
            if at + 2 + 6 * number > end:
                raise VerificationError("MP4: a 'senc' box ends early")
            parts = [struct.unpack_from(">HI", data, at + 2 + 6 * part) for part in range(number)]
            at += 2 + 6 * number
        samples.append((vector, parts))
    return samples
