"""Detects encryption that ffprobe does not report: it shows only the codec under it."""

from __future__ import annotations

from collections import Counter
from typing import BinaryIO

from vod_operators.errors import InvalidInputError
from vod_operators.formats.boxes import (
    MAX_ENTRY_BYTES,
    boxes,
    find_boxes,
    track_ids,
)
from vod_operators.formats.isobmff import SAMPLE_DESCRIPTIONS, read_at
from vod_operators.formats.psi import PADDING, SYNC
from vod_operators.media.programme import grid_of

_PROTECTED = (b"encv", b"enca", b"enct", b"encs", b"drms", b"drmi")
"""Sample entries (ISO 14496-12, 8.12; the last two are iTunes') that stand for an encrypted codec."""

TS_TABLE = 0
"""PID of the program association table, which is repeated several times a second."""
MIN_PACKETS = 10
"""Least packets of a stream to believe their headers: a damaged packet may claim anything."""


def check(schemes: dict[str, str]) -> None:
    """:raises InvalidInputError: a part of the source is encrypted.

    :param schemes: encrypted part -> scheme; empty if there is none.
    """
    for part, scheme in schemes.items():
        raise encrypted(f"its {part}", scheme)


def encrypted(part: str, scheme: str) -> InvalidInputError:
    """The error of an encrypted source.

    :param part: the encrypted one.
    """
    return InvalidInputError(f"source: {part} is encrypted ({scheme}); give a file without DRM")


# --- MP4 ------------------------------------------------------------------------------------


def protected_tracks(file: BinaryIO) -> dict[str, str]:
    """Encrypted tracks of an MP4 or MOV -> scheme. Reads headers only."""
    schemes: dict[str, str] = {}
    for track, trak in track_ids(file):
        for stsd in find_boxes(file, *trak, *SAMPLE_DESCRIPTIONS):
            if scheme := _scheme(file, *stsd):
                schemes[f"track {track}"] = scheme
    return schemes


def _scheme(file: BinaryIO, begin: int, end: int) -> str:
    for kind, first, last in boxes(file, begin + 8, end):  # after version, flags and the count
        if kind in _PROTECTED:
            # Search for ``schm`` by name: its place depends on the kind and version of the sample entry.
            entry = read_at(file, first, min(last - first, MAX_ENTRY_BYTES))
            at = entry.find(b"schm") + 8
            scheme = entry[at : at + 4].decode("latin-1") if at >= 8 else ""
            if kind in (b"drms", b"drmi") or scheme == "itun":
                return f"FairPlay, {kind.decode()}"
            return f"Common Encryption, {scheme if scheme.isalnum() else kind.decode()}"
    return ""


# --- MPEG-TS --------------------------------------------------------------------------------


def transport_packets(head: bytes) -> dict[int, tuple[int, int]] | None:
    """PID -> number of packets with a payload, and of scrambled ones among them (ISO 13818-1, 2.4.3.2).

    :param head: beginning of a file.
    :return: None if it is no MPEG-TS.
    """
    grid = grid_of(head)
    if grid is None:
        return None
    sync, length = grid
    payloads: Counter[int] = Counter()
    scrambled: Counter[int] = Counter()
    rows = (head[sync + offset :: length] for offset in range(4))
    for start, upper, lower, flags in zip(*rows, strict=False):  # the last packet may be cut
        pid = (upper & 0x1F) << 8 | lower
        if start == SYNC and flags & 0x10 and not upper & 0x80 and pid != PADDING:
            payloads[pid] += 1
            scrambled[pid] += bool(flags & 0xC0)
    if TS_TABLE not in payloads:
        return None  # not MPEG-TS: a raw grey picture, say, may repeat the sync byte
    return {pid: (count, scrambled[pid]) for pid, count in payloads.items()}


def scrambled(packets: dict[int, tuple[int, int]]) -> dict[str, str]:
    """Streams of which most packets are scrambled -> scheme.

    :param packets: result of ``transport_packets``.
    """
    return {
        f"MPEG-TS stream {pid:#x}": "conditional access: its packets are scrambled"
        for pid, (count, locked) in packets.items()
        if count >= MIN_PACKETS and 2 * locked > count
    }
