"""How a file is encrypted, where ffprobe does not tell: it shows the codec behind the encryption."""

from __future__ import annotations

from collections import Counter
from typing import BinaryIO

from vod_operators.errors import InvalidInputError
from vod_operators.media.boxes import (
    MAX_ENTRY_BYTES,
    SAMPLE_DESCRIPTIONS,
    boxes,
    find_boxes,
    read_at,
    track_ids,
)
from vod_operators.media.programme import PADDING, SYNC, grid_of

_PROTECTED = (b"encv", b"enca", b"enct", b"encs", b"drms", b"drmi")
"""Sample entries (ISO 14496-12, 8.12; the last two are iTunes') that stand for an encrypted codec."""

TS_TABLE = 0
"""PID of the table of programs, which is repeated several times a second."""
MIN_PACKETS = 10
"""Of a stream, to believe what their headers say: a damaged packet may claim anything."""


def check(found: dict[str, str]) -> None:
    """:raises InvalidInputError: a part of the source is encrypted.

    :param found: name of the part -> scheme.
    """
    for what, scheme in found.items():
        raise encrypted(f"its {what}", scheme)


def encrypted(what: str, scheme: str) -> InvalidInputError:
    """What to say of it."""
    return InvalidInputError(f"source: {what} is encrypted ({scheme}); give a file without DRM")


# --- MP4 ------------------------------------------------------------------------------------


def protected_tracks(file: BinaryIO) -> dict[str, str]:
    """Of an MP4 or MOV: track -> scheme, of the encrypted ones. Reads headers only."""
    found: dict[str, str] = {}
    for track, trak in track_ids(file):
        for stsd in find_boxes(file, *trak, *SAMPLE_DESCRIPTIONS):
            if scheme := _scheme(file, *stsd):
                found[f"track {track}"] = scheme
    return found


def _scheme(file: BinaryIO, begin: int, end: int) -> str:
    for kind, first, last in boxes(file, begin + 8, end):  # behind version, flags and the count
        if kind in _PROTECTED:
            # Its place differs for sound and picture and their versions; its name occurs once.
            entry = read_at(file, first, min(last - first, MAX_ENTRY_BYTES))
            at = entry.find(b"schm") + 8
            scheme = entry[at : at + 4].decode("latin-1") if at >= 8 else ""
            if kind in (b"drms", b"drmi") or scheme == "itun":
                return f"FairPlay, {kind.decode()}"
            return f"Common Encryption, {scheme if scheme.isalnum() else kind.decode()}"
    return ""


# --- MPEG-TS --------------------------------------------------------------------------------


def transport_packets(head: bytes) -> dict[int, tuple[int, int]] | None:
    """Of the beginning of an MPEG-TS: PID -> packets with a payload, and scrambled ones of them.

    None if it is no MPEG-TS. (ISO 13818-1, 2.4.3.2)
    """
    grid = grid_of(head)
    return None if grid is None else _count_packets(head, *grid)


def _count_packets(head: bytes, sync: int, length: int) -> dict[int, tuple[int, int]] | None:
    seen: Counter[int] = Counter()
    scrambled: Counter[int] = Counter()
    rows = (head[sync + offset :: length] for offset in range(4))
    for start, upper, lower, flags in zip(*rows, strict=False):  # the last packet may be cut
        pid = (upper & 0x1F) << 8 | lower
        if start == SYNC and flags & 0x10 and not upper & 0x80 and pid != PADDING:
            seen[pid] += 1
            scrambled[pid] += bool(flags & 0xC0)
    if TS_TABLE not in seen:
        return None  # a grey picture of the right letter, say
    return {pid: (count, scrambled[pid]) for pid, count in seen.items()}


def scrambled(packets: dict[int, tuple[int, int]]) -> dict[str, str]:
    """Stream -> scheme, of those most packets of which are scrambled."""
    return {
        f"MPEG-TS stream {pid:#x}": "conditional access: its packets are scrambled"
        for pid, (count, locked) in packets.items()
        if count >= MIN_PACKETS and 2 * locked > count
    }
