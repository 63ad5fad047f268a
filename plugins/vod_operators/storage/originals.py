"""Which objects of a store are originals, the ids of their videos, and the prefixes of an interval's."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from vod_operators.errors import InvalidInputError
from vod_operators.storage.keys import is_video_id
from vod_operators.storage.redact import redact

# fmt: off
EXTENSIONS = frozenset({
    "3g2", "3gp", "aac", "ac3", "aif", "aiff", "asf", "avi", "caf", "dv", "eac3", "f4v", "flac", "flv", "gxf",
    "h264", "h265", "hevc", "ivf", "m1v", "m2t", "m2ts", "m2v", "m4a", "m4v", "mj2", "mka", "mkv", "mov",
    "mp2", "mp3", "mp4", "mpeg", "mpg", "mts", "mxf", "nut", "obu", "oga", "ogg", "ogv", "opus", "qt", "rm",
    "ts", "vob", "w64", "wav", "webm", "wma", "wmv", "wtv", "y4m",
})
# fmt: on
"""File name extensions of media, in lower case. ``prepare`` finds out what a file really is."""

PLACEHOLDER = "{prefix}"

_DIRECTIVE = re.compile(r"%(.?)")
_DIRECTIVES = "YmdHjGV%"
"""Directives of ``strftime`` that a pattern may use; none is finer than an hour, as prefixes are hourly."""

_LISTED = re.compile(r"(?:(\S+)\s+)?((?:s3|https?|file)://.+)")


def is_media(uri: str) -> bool:
    """Whether an object's name is that of a media file."""
    return PurePosixPath(_file_name(uri)).suffix[1:].lower() in EXTENSIONS


def canonical(uri: str) -> str:
    """A spelling that is equal for all URIs of the same object. Use it for comparison, not for reading.

    Paths of files and web servers may be percent-encoded in several ways; keys of S3 are not encoded.
    """
    scheme, _, path_only = uri.partition("://")
    scheme = scheme.lower()
    if scheme == "file":
        return f"file://{unquote(path_only, errors='surrogateescape')}"
    if scheme not in ("http", "https"):
        return uri
    try:
        parts = urlsplit(uri)
        port = f":{parts.port}" if parts.port not in (None, {"http": 80, "https": 443}[scheme]) else ""
    except ValueError:
        return uri
    user, at, _ = parts.netloc.rpartition("@")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    # Piece by piece, because an encoded slash does not separate folders.
    pieces = (unquote(piece, errors="surrogateescape") for piece in parts.path.split("/"))
    path = "/".join(quote(piece, safe="", errors="surrogateescape") for piece in pieces)
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{user}{at}{host}{port}{path or '/'}{query}"


def is_same_source(uri: str, other_uri: str) -> bool:
    """Whether two URIs name the same object. Queries are ignored, because they may be signatures."""
    return canonical(redact(uri)) == canonical(redact(other_uri))


def video_id_of(uri: str) -> str:
    """The default video id of an original: the same for every spelling of its URI, and for no other URI.

    It consists of the file name, for people, and 64 bits of the URI's SHA-256: among a million originals, two
    ids are equal with a probability of 3e-8. A URL's signature counts too, so give the video of a signed URL
    an id of its own.
    """
    spelling = canonical(uri)
    stem = PurePosixPath(_file_name(uri)).stem
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:100]
    return f"{name or 'video'}-{hashlib.sha256(spelling.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def _file_name(uri: str) -> str:
    """The decoded file name. Keys of S3 are not encoded, and neither they nor file paths have a query."""
    path = urlsplit(uri).path if uri.startswith("http") else uri
    name = path.rpartition("/")[2]
    return name if uri.startswith("s3:") else unquote(name)


def listed(line: str) -> tuple[str, str]:
    """Video id and URI of a line of a list: ``URI`` or ``VIDEO_ID URI``.

    :raises InvalidInputError: the line is neither.
    """
    match = _LISTED.fullmatch(line.strip())
    if match is None or (match[1] and not is_video_id(match[1])):
        raise InvalidInputError(
            f"videos: {redact(line.strip())[:100]!r} is neither a URI (s3://, https:// or file://) "
            "nor a video id and a URI"
        )
    return match[1] or video_id_of(match[2]), match[2]


def check_pattern(pattern: str) -> str:
    """Check a pattern of ``VOD_INGEST_PATTERN``; returns it.

    :raises ValueError: it is not ``{prefix}/`` followed by directives of ``strftime``.
    """
    date_part = pattern.removeprefix(PLACEHOLDER)
    directives = _DIRECTIVE.findall(date_part)
    if date_part == pattern or not date_part.startswith("/") or not set(directives) - {"%"}:
        raise ValueError(f"{pattern!r} is not usable; write {{prefix}}/ and a date, as {{prefix}}/%Y/%m/%d/")
    if unknown := [f"%{letter}" for letter in directives if not letter or letter not in _DIRECTIVES]:
        usable = " ".join(f"%{letter}" for letter in _DIRECTIVES)
        raise ValueError(f"{pattern!r} has {', '.join(unknown)}; usable are {usable}")
    return pattern


def prefixes_of(pattern: str, prefix: str, begin: datetime, end: datetime) -> list[str]:
    """Prefixes of the URIs of an interval's originals: the pattern at each hour of ``[begin, end)``, in UTC.

    :param prefix: the folder, without a final slash.
    """
    date_part = pattern.removeprefix(PLACEHOLDER)
    hour = begin.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    prefixes: dict[str, None] = {}
    while hour < end:
        prefixes[prefix + hour.strftime(date_part)] = None
        hour += timedelta(hours=1)
    return list(prefixes)
