"""Rules 0 and 12: whether all files are there, in the form of the RFC."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vod_operators.check.playlist import Playlist
from vod_operators.check.presentation import Presentation, Track
from vod_operators.check.rule import (
    Finding,
    Rule,
    always,
    has_fmp4,
    has_ladder,
    is_ended,
)
from vod_operators.check.versions import needed

BRANDS = re.compile(r"iso[6-9abc]|cmf[a-z0-9]|dash")
"""Brands from ``iso6`` on (ISO 14496-12); those of CMAF and DASH are based on it."""


def _name(playlist: Playlist) -> str:
    return "/".join(playlist.uri.split("/")[-2:])


def _media(found: Presentation) -> list[Track]:
    return [*found.tracks.values(), *found.i_frames.values()]


def _syntax(found: Presentation) -> Iterator[Finding]:
    for playlist in found.playlists:
        for error in playlist.errors[:5]:
            yield Finding(where=_name(playlist), found=error, expected="the form of RFC 8216bis 4")


def _files(found: Presentation) -> Iterator[Finding]:
    for track in _media(found):
        for lost in track.lost[:5]:
            yield Finding(where=track.name, found=lost, expected="a file that can be read")


def _map(found: Presentation) -> Iterator[Finding]:
    for track in found.tracks.values():
        for entry, segment in zip(track.playlist.entries, track.segments, strict=True):
            if segment.container == "fmp4" and entry.map_uri is None:
                where = f"{track.name}: {entry.uri.rsplit('/', 1)[-1]}"
                yield Finding(where=where, found="no EXT-X-MAP before it", expected="EXT-X-MAP")
                break


def _version(found: Presentation) -> Iterator[Finding]:
    for playlist in found.playlists:
        lowest, because = needed(playlist)
        if playlist.version < lowest and not playlist.lost:
            words = f"version {playlist.version}"
            yield Finding(where=_name(playlist), found=words, expected=f"at least {lowest}, for {because}")


def _init(found: Presentation) -> Iterator[Finding]:
    for track in _media(found):
        for init in track.inits:
            if not init.size_bytes:
                continue
            if not any(BRANDS.fullmatch(brand) for brand in init.brands):
                words = f"brands {', '.join(init.brands) or 'none'}"
                yield Finding(where=track.name, found=words, expected="iso6 or later in ftyp")
            if init.has_samples:
                yield Finding(where=track.name, found="samples in the moov", expected="an empty sample table")
            if not init.has_mvex:
                yield Finding(where=track.name, found="no mvex in the moov", expected="mvex")


def _vod(found: Presentation) -> Iterator[Finding]:
    for track in _media(found):
        if (kind := track.playlist.tags.get("EXT-X-PLAYLIST-TYPE")) != "VOD" and not track.playlist.lost:
            yield Finding(where=track.name, found=f"PLAYLIST-TYPE {kind or 'missing'}", expected="VOD")


def _endlist(found: Presentation) -> Iterator[Finding]:
    for track in _media(found):
        if "EXT-X-ENDLIST" not in track.playlist.tags and not track.playlist.lost:
            yield Finding(where=track.name, found="no EXT-X-ENDLIST", expected="EXT-X-ENDLIST")


def _independent(found: Presentation) -> Iterator[Finding]:
    tag = "EXT-X-INDEPENDENT-SEGMENTS"
    if found.master is None or tag in found.master.tags:
        return
    if any(tag not in track.playlist.tags for track in found.of_kind("video")):
        yield Finding(
            where=_name(found.master), found=f"no {tag}", expected=f"{tag}, here or in each variant"
        )


# fmt: off
RULES = (
    Rule(id="0.syntax", source="RFC 8216bis 4", says="playlists have the form that the RFC gives them",
         applies=always, check=_syntax),
    Rule(id="0.files", source="RFC 8216bis 6.2.1", says="all that is named is there and can be read",
         applies=always, check=_files),
    Rule(id="12.map", source="Apple 8.20", says="EXT-X-MAP for fragmented MP4",
         applies=has_fmp4, check=_map),
    Rule(id="12.version", source="RFC 8216bis 8", says="EXT-X-VERSION is high enough for what is used",
         applies=always, check=_version),
    Rule(id="12.init", source="RFC 8216bis 3.1.2", says="init: brand of iso6 or later, mvex, no samples",
         applies=has_fmp4, check=_init),
    Rule(id="12.vod", source="Apple 8.6", says="EXT-X-PLAYLIST-TYPE:VOD",
         applies=is_ended, check=_vod),
    Rule(id="12.endlist", source="RFC 8216bis 6.2.1", says="EXT-X-ENDLIST",
         applies=is_ended, check=_endlist),
    Rule(id="12.independent", source="Apple 9.12", says="EXT-X-INDEPENDENT-SEGMENTS, for all variants",
         applies=has_ladder, check=_independent),
)
# fmt: on
