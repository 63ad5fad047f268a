"""Rules 0 and 12: whether all files are there, in the form of the RFC."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vod_operators.check.playlist import Playlist, first_time
from vod_operators.check.presentation import Presentation, seconds
from vod_operators.check.rule import Finding, Rule, always, has_fmp4, is_ended
from vod_operators.check.rules_variants import has_pictures, pictures

BRANDS = re.compile(r"iso[6-9abc]|cmf[a-z0-9]|dash")
"""Brands from ``iso6`` on (ISO 14496-12); those of CMAF and DASH are based on it."""


def _syntax(presentation: Presentation) -> Iterator[Finding]:
    for playlist in presentation.playlists:
        for error in playlist.errors[:5]:
            yield Finding(where=playlist.name, found=error, expected="the form of RFC 8216bis 4")


def _files(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
        for reason in track.unreadable[:5]:
            yield Finding(where=track.name, found=reason, expected="a file that can be read")


def _map(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        for entry, segment in track.pairs():
            if segment.container == "fmp4" and entry.map_uri is None:
                yield Finding(where=track.place(entry), found="no EXT-X-MAP before it", expected="EXT-X-MAP")
                break


def _needs(playlist: Playlist) -> Iterator[tuple[int, str]]:
    """The protocol version that has each feature that the playlist uses (RFC 8216bis 8), and the feature."""
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
    if re.search(r"^#EXT-X-MAP:", playlist.text, re.M):
        yield (5, "EXT-X-MAP of I-frames") if playlist.is_i_frames_only else (6, "EXT-X-MAP")


def _version(presentation: Presentation) -> Iterator[Finding]:
    for playlist in presentation.playlists:
        least, feature = max(_needs(playlist), default=(1, ""))
        if playlist.version < least and not playlist.unreadable:
            words = f"version {playlist.version}"
            yield Finding(where=playlist.name, found=words, expected=f"at least {least}, for {feature}")


def _init(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
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
            if init.has_duration:
                yield Finding(where=track.name, found="a duration in mvhd or tkhd", expected="0")


def _vod(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
        kind = track.playlist.tags.get("EXT-X-PLAYLIST-TYPE")
        # An event that has ended keeps its type (RFC 8216bis 6.2.1); a window has none (6.2.2).
        if kind not in ("VOD", "EVENT") and not (track.playlist.unreadable or track.playlist.has_moved):
            yield Finding(where=track.name, found=f"PLAYLIST-TYPE {kind or 'missing'}", expected="VOD")


def _endlist(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
        if "EXT-X-ENDLIST" not in track.playlist.tags and not track.playlist.unreadable:
            yield Finding(where=track.name, found="no EXT-X-ENDLIST", expected="EXT-X-ENDLIST")


def _independent(presentation: Presentation) -> Iterator[Finding]:
    tag, master = "EXT-X-INDEPENDENT-SEGMENTS", presentation.master
    if master is None or tag in master.tags:
        return
    # Of segments that do not begin with an IDR picture the tag would not be true.
    tracks = [track for _, track, _ in pictures(presentation) if not track.playlist.unreadable]
    if any(
        tag not in track.playlist.tags and all(s.starts_with_idr for _, s in track.streams("video"))
        for track in tracks
    ):
        yield Finding(where=master.name, found=f"no {tag}", expected=f"{tag}, here or in each variant")


def _starts(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.media:
        playlist = track.playlist
        origin = playlist if "EXT-X-START" in playlist.lists else presentation.master
        offset = first_time(origin, "EXT-X-START", "TIME-OFFSET") if origin else None
        if offset is None or not playlist.entries:
            continue
        words = f"TIME-OFFSET={float(offset):g}"
        edge = playlist.duration - 3 * playlist.target_s
        if abs(offset) > playlist.duration:
            expected = f"within its duration, {seconds(playlist.duration)}"
            yield Finding(where=playlist.name, found=words, expected=expected)
        elif playlist.is_live and (offset + playlist.duration if offset < 0 else offset) > edge:
            expected = "three target durations before the end"
            yield Finding(where=playlist.name, found=words, expected=expected)


def _starts_twice(presentation: Presentation) -> Iterator[Finding]:
    own = presentation.master.lists.get("EXT-X-START", []) if presentation.master else []
    for track in presentation.media:
        other = track.playlist.lists.get("EXT-X-START", [])
        if own and other and own[0] != other[0]:
            yield Finding(
                where=track.name,
                found="another EXT-X-START than in the multivariant playlist",
                expected="the same",
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
    Rule(id="12.init", source="RFC 8216bis 3.1.2", says="init: iso6 or later, mvex, no samples, no duration",
         applies=lambda p: any(track.inits for track in p.media), check=_init),
    Rule(id="12.vod", source="Apple 8.6", says="EXT-X-PLAYLIST-TYPE, of VOD or of an event that has ended",
         applies=is_ended, check=_vod),
    Rule(id="12.endlist", source="RFC 8216bis 6.2.1", says="EXT-X-ENDLIST",
         applies=is_ended, check=_endlist),
    Rule(id="12.start", source="RFC 8216bis 4.4.2.2", says="EXT-X-START is in the playlist, not at its end",
         applies=lambda p: any("EXT-X-START" in playlist.lists for playlist in p.playlists),
         check=_starts, must=False),
    Rule(id="12.same-start", source="RFC 8216bis 4.4.2", says="EXT-X-START is the same in all playlists",
         applies=lambda p: bool(p.master and p.master.lists.get("EXT-X-START")), check=_starts_twice),
    Rule(id="12.independent", source="Apple 9.12", says="EXT-X-INDEPENDENT-SEGMENTS, for all variants",
         applies=has_pictures, check=_independent),
)
# fmt: on
