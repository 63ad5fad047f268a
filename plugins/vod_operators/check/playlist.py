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

Attributes = Mapping[str, str]
"""An attribute list, values without quotes."""

_ATTRIBUTE = re.compile(r'\s*([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s][^,\r\n]*)(,|$)')
_DECIMAL = re.compile(r"\d+(\.\d+)?")
_INTEGER = re.compile(r"\d{1,20}")

QUOTED = {
    "CODECS", "AUDIO", "SUBTITLES", "VIDEO", "URI", "GROUP-ID", "LANGUAGE", "NAME", "CHANNELS",
    "ASSOC-LANGUAGE", "INSTREAM-ID", "CHARACTERISTICS", "KEYFORMAT", "KEYFORMATVERSIONS", "BYTERANGE",
    "SUPPLEMENTAL-CODECS", "STABLE-VARIANT-ID", "STABLE-RENDITION-ID", "PATHWAY-ID", "DATA-ID", "VALUE",
}  # fmt: skip
"""Attributes whose value must be quoted. Others must not be; only CLOSED-CAPTIONS may be either."""

REQUIRED = {
    "EXT-X-STREAM-INF": ("BANDWIDTH",),
    "EXT-X-I-FRAME-STREAM-INF": ("BANDWIDTH", "URI"),
    "EXT-X-MEDIA": ("TYPE", "GROUP-ID", "NAME"),
    "EXT-X-MAP": ("URI",),
    "EXT-X-KEY": ("METHOD",),
}


@dataclass(frozen=True, kw_only=True)
class ByteRange:
    """Bytes ``[start, start + length)`` of a file."""

    start: int
    length: int


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """One EXT-X-KEY."""

    method: str
    uri: str | None
    iv: bytes | None
    key_format: str


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
    """Tags that may stand only once -> value."""
    errors: list[str] = field(default_factory=list)
    """Violations of the RFC's syntax, in words."""
    entries: list[Entry] = field(default_factory=list)
    variants: list[tuple[str, Attributes]] = field(default_factory=list)
    """URI and attributes of each EXT-X-STREAM-INF."""
    i_frames: list[tuple[str, Attributes]] = field(default_factory=list)
    """URI and attributes of each EXT-X-I-FRAME-STREAM-INF."""
    media: list[Attributes] = field(default_factory=list)
    """Attributes of each EXT-X-MEDIA; its URI is absolute."""

    @property
    def name(self) -> str:
        """The last two parts of its URI, by which a person finds it."""
        return "/".join(self.uri.split("/")[-2:])

    @property
    def target_s(self) -> int:
        """Target duration; 0 if there is none."""
        value = self.tags.get("EXT-X-TARGETDURATION", "")
        return int(value) if _INTEGER.fullmatch(value) else 0

    @property
    def duration(self) -> Fraction:
        """Sum of all EXTINF in seconds."""
        return sum((entry.extinf or Fraction(0) for entry in self.entries), Fraction(0))

    @property
    def is_i_frames_only(self) -> bool:
        """Whether it is an I-frame playlist."""
        return "EXT-X-I-FRAMES-ONLY" in self.tags


@lru_cache(maxsize=4096)  # an I-frame playlist names each segment many times
def resolved(base: str, uri: str) -> str:
    """The absolute URI of ``uri`` in a playlist at ``base``. ``urljoin`` alone does not know ``s3://``."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", uri):
        return uri
    scheme, _, place = base.partition("://")
    return scheme + urljoin(f"http://{place}", uri).removeprefix("http")


def attributes(text: str, errors: list[str], place: str) -> dict[str, str]:
    """An attribute list (RFC 8216bis 4.2), values without quotes.

    :param errors: violations are added here.
    :param place: in the playlist, for messages.
    """
    values: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None:
            errors.append(f"{place}: not an attribute list from {text[at : at + 30]!r} on")
            break
        name, value = match[1], match[2]
        quoted = value.startswith('"')
        if name in values:
            errors.append(f"{place}: {name} appears twice")
        if quoted != (name in QUOTED) and name != "CLOSED-CAPTIONS" and not name.startswith("X-"):
            errors.append(f"{place}: {name} must{' not' if quoted else ''} be quoted")
        values[name] = value.strip('"')
        at = match.end()
    return values


def parse(uri: str, text: str) -> Playlist:
    """The content of the playlist at ``uri``; violations of the syntax are in its ``errors``."""
    playlist = Playlist(uri=uri, text=text)
    errors = playlist.errors
    lines = text.removeprefix("\ufeff").splitlines()
    if text.startswith("\ufeff"):
        errors.append("it begins with a byte order mark")
    if not lines or lines[0].rstrip() != "#EXTM3U":
        errors.append("its first line is not #EXTM3U")
    state = _State()
    for number, raw in enumerate(lines, start=1):
        line, place = raw.rstrip(), f"line {number}"
        if line.startswith("#EXT"):
            _tag(playlist, state, *_split(line), place)
        elif line and not line.startswith("#"):
            _uri(playlist, state, line, place)
    playlist.is_master = bool(playlist.variants or playlist.media or playlist.i_frames)
    if playlist.is_master and playlist.entries:
        errors.append("it lists both variants and segments")
    if not playlist.is_master and not playlist.target_s:
        errors.append("EXT-X-TARGETDURATION is missing or not a whole number above 0")
    return playlist


@dataclass
class _State:
    """What the lines before a URI tell of it."""

    variant: dict[str, str] | None = None
    extinf: Fraction | None = None
    byte_range: ByteRange | None = None
    range_end: dict[str, int] = field(default_factory=dict)
    open_range: int | None = None
    map_uri: str | None = None
    map_range: ByteRange | None = None
    discontinuity: bool = False
    encryption: Encryption | None = None


_seconds = lru_cache(maxsize=4096)(Fraction)  # most segments last equally long


def _split(line: str) -> tuple[str, str]:
    name, _, value = line[1:].partition(":")
    return name, value


def _tag(playlist: Playlist, state: _State, name: str, value: str, place: str) -> None:
    errors = playlist.errors
    if name in REQUIRED:
        values = attributes(value, errors, place)
        for required in REQUIRED[name]:
            if required not in values:
                errors.append(f"{place}: {name} has no {required}")
        for numeric in ("BANDWIDTH", "AVERAGE-BANDWIDTH"):
            if numeric in values and not _INTEGER.fullmatch(values[numeric]):
                errors.append(f"{place}: {numeric} is not a whole number: {values[numeric]!r}")
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
        if not _INTEGER.fullmatch(length) or (start and not _INTEGER.fullmatch(start)):
            errors.append(f"{place}: EXT-X-BYTERANGE:{value} is not a length and a position")
        elif start:
            state.byte_range = ByteRange(start=int(start), length=int(length))
        else:
            state.open_range = int(length)
    elif name == "EXT-X-DISCONTINUITY":
        state.discontinuity = True
    elif name in playlist.tags:
        errors.append(f"{place}: {name} appears twice")
    else:
        playlist.tags[name] = value
        if name == "EXT-X-VERSION":
            playlist.version = int(value) if _INTEGER.fullmatch(value) else 0


def _attributed(playlist: Playlist, state: _State, name: str, values: dict[str, str], place: str) -> None:
    if name == "EXT-X-STREAM-INF":
        state.variant = values
    elif name == "EXT-X-I-FRAME-STREAM-INF":
        playlist.i_frames.append((values.get("URI", ""), values))
    elif name == "EXT-X-MEDIA":
        playlist.media.append(values)
    elif name == "EXT-X-MAP":
        state.map_uri, state.map_range = values.get("URI"), _range(values.get("BYTERANGE"))
    else:
        method = values.get("METHOD", "")
        iv = values.get("IV", "")
        if iv and not re.fullmatch(r"0[xX][0-9A-Fa-f]{32}", iv):
            playlist.errors.append(f"{place}: IV is not 0x and 32 hexadecimal digits")
            iv = ""
        if method not in ("NONE", "AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR"):
            playlist.errors.append(f"{place}: METHOD={method} is not a known method")
        if method != "NONE" and "URI" not in values:
            playlist.errors.append(f"{place}: EXT-X-KEY has no URI")
        state.encryption = None
        if method not in ("NONE", ""):
            state.encryption = Encryption(
                method=method,
                uri=values.get("URI"),
                iv=bytes.fromhex(iv[2:]) if iv else None,
                key_format=values.get("KEYFORMAT", "identity"),
            )


def _range(text: str | None) -> ByteRange | None:
    match = re.fullmatch(r"(\d+)@(\d+)", text or "")
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
        state.byte_range = ByteRange(start=state.range_end.get(uri, 0), length=state.open_range)
    if state.byte_range:
        state.range_end[uri] = state.byte_range.start + state.byte_range.length
    sequence = playlist.tags.get("EXT-X-MEDIA-SEQUENCE", "0")
    playlist.entries.append(
        Entry(
            uri=uri,
            number=len(playlist.entries) + (int(sequence) if _INTEGER.fullmatch(sequence) else 0),
            extinf=state.extinf,
            byte_range=state.byte_range,
            map_uri=state.map_uri,
            map_range=state.map_range,
            discontinuity=state.discontinuity,
            encryption=state.encryption,
        )
    )
    state.extinf = state.byte_range = state.open_range = None
    state.discontinuity = False
