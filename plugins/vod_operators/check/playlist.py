"""Playlist text -> its content, parsed strictly (RFC 8216bis 4).

A library for players would not do: it accepts whatever can be understood. This parser reports what differs
from the RFC: a missing quote, a duration without its comma, an attribute that appears twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from urllib.parse import urljoin

from vod_operators.check.attributes import Attributes, Variables, attribute_list
from vod_operators.check.date_ranges import DateRanges
from vod_operators.check.key_tags import Encryption, encryption_of, in_force, readable, session_faults
from vod_operators.check.tags import (
    BEFORE_SEGMENTS,
    DECIMAL,
    FORMS,
    INTEGER,
    KNOWN,
    MEDIA_TAGS,
    MULTIVARIANT_TAGS,
    ONCE,
    REQUIRED,
    SEGMENT_TAGS,
    TILES,
    VALUES,
)

_DECIMAL = re.compile(r"\d{1,20}(\.\d{1,99})?")
_INTEGER = re.compile(INTEGER)

_SPACED = re.compile(rf"^\s|^#({'|'.join(sorted(KNOWN))})\b.*\s$")
"""A line with whitespace where none may be (4.1). A title may end with it, and a tag that is not known."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, kw_only=True)
class ByteRange:
    """Bytes ``[start, start + length)`` of a file."""

    start: int
    length: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One segment, as a media playlist lists it."""

    uri: str
    """Absolute URI."""
    number: int
    """Media sequence number."""
    extinf: Fraction | None
    byte_range: ByteRange | None
    map_uri: str | None
    map_range: ByteRange | None
    discontinuity: bool
    encryption: Encryption | None
    """The EXT-X-KEY in force; of several, that whose key can be fetched, or the last one."""
    keys: tuple[Encryption, ...] = ()
    """All that are in force, one for each KEYFORMAT (4.4.4.4)."""
    map_encryption: Encryption | None = None
    """EXT-X-KEY that stands before its EXT-X-MAP (4.4.4.4)."""
    gap: bool = False
    """EXT-X-GAP: there is no file, and nobody asks for one."""
    bitrate_kbps: int | None = None
    """EXT-X-BITRATE."""
    parts: tuple[Attributes, ...] = ()
    """Attributes of each EXT-X-PART of it."""
    tiles: Attributes | None = None
    """EXT-X-TILES of an image."""


@dataclass(kw_only=True)
class Playlist:
    """The content of one playlist."""

    uri: str
    text: str
    unreadable: str = ""
    """Why it could not be read; empty if it could."""
    is_master: bool = False
    version: int = 1
    tags: dict[str, str] = field(default_factory=dict)
    """Tags that may appear only once -> value."""
    errors: list[str] = field(default_factory=list)
    """Violations of the RFC's syntax, in words."""
    entries: list[Entry] = field(default_factory=list)
    variants: list[tuple[str, Attributes]] = field(default_factory=list)
    """URI and attributes of each EXT-X-STREAM-INF."""
    i_frames: list[tuple[str, Attributes]] = field(default_factory=list)
    """URI and attributes of each EXT-X-I-FRAME-STREAM-INF."""
    media: list[Attributes] = field(default_factory=list)
    """Attributes of each EXT-X-MEDIA; its URI is absolute."""
    parts: list[Attributes] = field(default_factory=list)
    """Attributes of each EXT-X-PART of the segment that is not complete yet."""
    lists: dict[str, list[Attributes]] = field(default_factory=dict)
    """Attributes of each other tag that has some, by the tag's name."""
    variables: dict[str, str] = field(default_factory=dict)
    """Variables that it defines."""

    @property
    def name(self) -> str:
        """The last two parts of its URI, by which a person finds it."""
        return "/".join(self.uri.split("/")[-2:])

    @property
    def is_live(self) -> bool:
        """Whether segments may follow: a media playlist with neither EXT-X-ENDLIST nor the type VOD."""
        ended = "EXT-X-ENDLIST" in self.tags or self.tags.get("EXT-X-PLAYLIST-TYPE") == "VOD"
        return not (ended or self.is_master or self.unreadable)

    @property
    def target_s(self) -> int:
        """Target duration; 0 if there is none."""
        value = self.tags.get("EXT-X-TARGETDURATION", "")
        return int(value) if _INTEGER.fullmatch(value) else 0

    @property
    def has_moved(self) -> bool:
        """Whether its sequence numbers tell that earlier segments were removed; many count from 1."""
        media, breaks = (self.tags.get(f"EXT-X-{kind}SEQUENCE", "") for kind in ("MEDIA-", "DISCONTINUITY-"))
        return media not in ("", "0", "1") or breaks not in ("", "0")

    @property
    def duration(self) -> Fraction:
        """Sum of all EXTINF in seconds."""
        return sum((entry.extinf or Fraction(0) for entry in self.entries), Fraction(0))

    @property
    def is_i_frames_only(self) -> bool:
        """Whether it is an I-frame playlist."""
        return "EXT-X-I-FRAMES-ONLY" in self.tags


def time_of(attributes: Attributes, name: str) -> Fraction | None:
    """An attribute in seconds; None if it is absent or not a decimal number."""
    value = attributes.get(name, "")
    return Fraction(value) if len(value) < 100 and re.fullmatch(f"-?{DECIMAL}", value) else None


def first_time(playlist: Playlist, tag: str, name: str) -> Fraction | None:
    """As ``time_of``, of the first such tag of a playlist."""
    return next((time_of(attributes, name) for attributes in playlist.lists.get(tag, [])), None)


@lru_cache(maxsize=4096)  # an I-frame playlist names each segment many times
def resolved(base: str, uri: str) -> str:
    """The absolute URI of ``uri`` in a playlist at ``base``. ``urljoin`` alone does not know ``s3://``."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", uri):
        return uri
    scheme, _, place = base.partition("://")
    return scheme + urljoin(f"http://{place}", uri).removeprefix("http")


def parse(uri: str, text: str, imported: Mapping[str, str] | None = None) -> Playlist:
    """The content of the playlist at ``uri``; violations of the syntax are in its ``errors``.

    :param imported: variables of the multivariant playlist that names it; None if none does.
    """
    playlist = Playlist(uri=uri, text=text)
    errors = playlist.errors
    # Not splitlines: a title may have other line separators.
    lines = re.split(r"\r?\n|\r", text.removeprefix("\ufeff"))
    if text.startswith("\ufeff"):
        errors.append("it begins with a byte order mark")
    if re.search(r"\r(?!\n)", text):
        errors.append("a carriage return without a line feed ends a line")
    if _CONTROL.search(text):
        errors.append("it has control characters")
    if not lines or lines[0].rstrip() != "#EXTM3U":
        errors.append("its first line is not #EXTM3U")
    state = _State(variables=Variables(uri, imported))
    for number, raw in enumerate(lines, start=1):
        line, place = raw.strip(), f"line {number}"
        is_uri = bool(line) and not line.startswith("#")
        if _SPACED.search(raw) or (is_uri and re.search(r"\s", raw)):
            words = f"whitespace around or in {line[:30]!r}" if line else "nothing but whitespace"
            errors.append(f"{place}: {words}")
        if line.startswith("#EXT"):
            _tag(playlist, state, line, place)
        elif is_uri:
            _uri(playlist, state, state.variables.substituted(line, errors, place), place)
    _close(state, errors, "the end")
    errors += state.dates.faults(
        has_date="EXT-X-PROGRAM-DATE-TIME" in state.names, is_delta="EXT-X-SKIP" in state.names
    )
    playlist.variables = state.variables.values
    if playlist.is_master and playlist.entries:
        errors.append("it lists both variants and segments")
    if playlist.is_master and (misplaced := sorted((MEDIA_TAGS | SEGMENT_TAGS) & state.names)):
        errors.append(f"{misplaced[0]} is a tag of media playlists")
    if not playlist.is_master and not playlist.target_s:
        errors.append("EXT-X-TARGETDURATION is missing or not a whole number above 0")
    return playlist


@dataclass
class _State:
    """What the lines before a URI tell of it."""

    variables: Variables
    variant: dict[str, str] | None = None
    extinf: Fraction | None = None
    byte_range: ByteRange | None = None
    open_range: int | None = None
    map_uri: str | None = None
    map_range: ByteRange | None = None
    discontinuity: bool = False
    keys: dict[str, Encryption] = field(default_factory=dict)
    """EXT-X-KEY in force, by KEYFORMAT."""
    map_encryption: Encryption | None = None
    gap: bool = False
    bitrate_kbps: int | None = None
    tiles: Attributes | None = None
    skipped: int = 0
    """Segments that EXT-X-SKIP stands for."""
    names: set[str] = field(default_factory=set)
    """Names of all tags so far."""
    dates: DateRanges = field(default_factory=DateRanges)


def _close(state: _State, errors: list[str], place: str) -> None:
    """Report a variant whose URI line has not come when the next one begins, or the playlist ends."""
    if state.variant is not None:
        errors.append(f"{place}: the EXT-X-STREAM-INF before it has no URI")
    state.variant = None


_seconds = lru_cache(maxsize=4096)(Fraction)  # most segments last equally long


def _tag(playlist: Playlist, state: _State, line: str, place: str) -> None:
    errors = playlist.errors
    name, _, value = line[1:].partition(":")
    playlist.is_master = playlist.is_master or name in MULTIVARIANT_TAGS
    if name in ONCE:
        if name in playlist.tags:
            errors.append(f"{place}: {name} appears twice")
        playlist.tags[name] = value
    if name in VALUES and not re.fullmatch(VALUES[name], value):
        errors.append(f"{place}: {name}:{value} does not have the form of its value")
    state.names.add(name)
    if name in BEFORE_SEGMENTS and playlist.entries:
        errors.append(f"{place}: {name} comes after a segment")
    elif name == "EXT-X-DISCONTINUITY-SEQUENCE" and "EXT-X-DISCONTINUITY" in state.names:
        errors.append(f"{place}: {name} comes after EXT-X-DISCONTINUITY")
    if name in REQUIRED:
        values = attribute_list(value, state.variables, errors, place)
        for required in REQUIRED[name]:
            if required not in values:
                errors.append(f"{place}: {name} has no {required}")
        if "URI" in values:
            values["URI"] = resolved(playlist.uri, values["URI"])
        _attributed(playlist, state, name, values, place)
    elif name == "EXTINF":
        duration = value.partition(",")[0]
        if not _DECIMAL.fullmatch(duration) or "," not in value:
            errors.append(f"{place}: EXTINF:{value} is not a duration and a comma")
        state.extinf = _seconds(duration) if _DECIMAL.fullmatch(duration) else None
    elif name == "EXT-X-BYTERANGE":
        length, _, start = value.partition("@")
        if not re.fullmatch(FORMS["BYTERANGE"], value):
            errors.append(f"{place}: EXT-X-BYTERANGE:{value} is not a length and a position")
        elif start:
            state.byte_range = ByteRange(start=int(start), length=int(length))
        else:
            state.open_range = int(length)
    elif name == "EXT-X-DISCONTINUITY":
        state.discontinuity = True
    elif name == "EXT-X-GAP":
        state.gap = True
    elif name == "EXT-X-BITRATE":
        state.bitrate_kbps = int(value) if _INTEGER.fullmatch(value) else None
    elif name == "EXT-X-VERSION":
        playlist.version = int(value) if _INTEGER.fullmatch(value.strip()) else playlist.version


def _attributed(playlist: Playlist, state: _State, name: str, values: dict[str, str], place: str) -> None:
    if name == "EXT-X-STREAM-INF":
        _close(state, playlist.errors, place)
        state.variant = values
    elif name == "EXT-X-I-FRAME-STREAM-INF":
        playlist.i_frames.append((values.get("URI", ""), values))
    elif name == "EXT-X-MEDIA":
        playlist.media.append(values)
    elif name == "EXT-X-MAP":
        state.map_uri, state.map_range = values.get("URI"), _range(values.get("BYTERANGE"))
        if "BYTERANGE" in values and state.map_range is None:
            playlist.errors.append(f"{place}: BYTERANGE of EXT-X-MAP does not say where it begins")
        state.map_encryption = encryption = readable(state.keys)
        if encryption and encryption.method == "AES-128" and not encryption.iv:
            playlist.errors.append(f"{place}: AES-128 encrypts the EXT-X-MAP, and its EXT-X-KEY has no IV")
    elif name == "EXT-X-KEY":
        encryption = encryption_of(values, playlist.errors, place)
        state.keys = in_force(state.keys, encryption)
        playlist.lists.setdefault(name, []).append(values)
    else:
        before = playlist.lists.setdefault(name, [])
        playlist.errors += (f"{place}: {fault}" for fault in session_faults(name, values, before))
        before.append(values)
        if name == TILES:
            state.tiles = values
        elif name == "EXT-X-PART":
            playlist.parts.append(values)
        elif name == "EXT-X-DEFINE":
            state.variables.define(values, playlist.errors, place)
        elif name == "EXT-X-DATERANGE":
            playlist.errors += (f"{place}: {fault}" for fault in state.dates.take(values))
        elif name == "EXT-X-SESSION-KEY":
            encryption_of(values, playlist.errors, place)
        elif name == "EXT-X-SKIP" and _INTEGER.fullmatch(values.get("SKIPPED-SEGMENTS", "")):
            state.skipped = int(values["SKIPPED-SEGMENTS"])


def _range(text: str | None) -> ByteRange | None:
    match = re.fullmatch(f"({INTEGER})@({INTEGER})", text or "")
    return ByteRange(start=int(match[2]), length=int(match[1])) if match else None


def _uri(playlist: Playlist, state: _State, line: str, place: str) -> None:
    uri = resolved(playlist.uri, line)
    if state.variant is not None:
        playlist.variants.append((uri, state.variant))
        state.variant = None
        return
    if state.extinf is None:
        playlist.errors.append(f"{place}: {line} has no EXTINF")
    if state.open_range is not None:
        last = playlist.entries[-1] if playlist.entries else None
        before = last.byte_range if last and last.uri == uri else None
        if before is None:
            playlist.errors.append(f"{place}: no byte range right before it says where its own begins")
        begin = before.start + before.length if before else 0
        state.byte_range = ByteRange(start=begin, length=state.open_range)
    sequence = playlist.tags.get("EXT-X-MEDIA-SEQUENCE", "0")
    first = state.skipped + (int(sequence) if _INTEGER.fullmatch(sequence) else 0)
    playlist.entries.append(
        Entry(
            uri=uri,
            number=first + len(playlist.entries),
            extinf=state.extinf,
            byte_range=state.byte_range,
            map_uri=state.map_uri,
            map_range=state.map_range,
            discontinuity=state.discontinuity,
            encryption=readable(state.keys),
            keys=tuple(state.keys.values()),
            map_encryption=state.map_encryption,
            gap=state.gap,
            bitrate_kbps=None if state.byte_range else state.bitrate_kbps,
            parts=tuple(playlist.parts),
            tiles=state.tiles,
        )
    )
    playlist.parts.clear()
    state.extinf = state.byte_range = state.open_range = state.tiles = None
    state.discontinuity = state.gap = False
