"""The protocol version that a playlist needs (RFC 8216bis 8)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vod_operators.check.playlist import Playlist


def needed(playlist: Playlist) -> tuple[int, str]:
    """The lowest version that has all that the playlist uses, and for what it needs it."""
    return max(_needs(playlist), default=(1, ""))


def _needs(playlist: Playlist) -> Iterator[tuple[int, str]]:
    yield from _of_segments(playlist)
    if any(item.get("INSTREAM-ID", "").startswith("SERVICE") for item in playlist.media):
        yield 7, "INSTREAM-ID of a SERVICE"
    if "EXT-X-DEFINE" in playlist.lists:
        yield 8, "EXT-X-DEFINE"
    if "EXT-X-SKIP" in playlist.lists:
        yield 9, "EXT-X-SKIP"
    if any("RECENTLY-REMOVED-DATERANGES" in item for item in playlist.lists.get("EXT-X-SKIP", [])):
        yield 10, "EXT-X-SKIP of date ranges"
    if any("QUERYPARAM" in item for item in playlist.lists.get("EXT-X-DEFINE", [])):
        yield 11, "EXT-X-DEFINE of a query parameter"
    listed = [attributes for _, attributes in (*playlist.variants, *playlist.i_frames)]
    if any(name.startswith("REQ-") for attributes in listed for name in attributes):
        yield 12, "an attribute that begins with REQ-"
    if any("INSTREAM-ID" in item and item.get("TYPE") != "CLOSED-CAPTIONS" for item in playlist.media):
        yield 13, "INSTREAM-ID of what are not captions"


def _of_segments(playlist: Playlist) -> Iterator[tuple[int, str]]:
    keys = re.findall(r"^#EXT-X-KEY:(.*)", playlist.text, re.M)
    if any(re.search(r"(^|,)IV=", key) for key in keys):
        yield 2, "IV of EXT-X-KEY"
    if re.search(r"^#EXTINF:\d+\.", playlist.text, re.M):
        yield 3, "EXTINF with decimals"
    if playlist.is_i_frames_only or any(entry.byte_range for entry in playlist.entries):
        yield 4, "byte ranges or I-frames only"
    if any("METHOD=SAMPLE-AES" in key or "KEYFORMAT" in key for key in keys):
        yield 5, "SAMPLE-AES or KEYFORMAT"
    if any(entry.map_uri for entry in playlist.entries):
        yield (5, "EXT-X-MAP of I-frames") if playlist.is_i_frames_only else (6, "EXT-X-MAP")
