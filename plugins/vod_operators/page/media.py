"""Media of the results store for the page's player: bytes of one video's folder, with ranges."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from fastapi import HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from vod_operators.errors import InvalidInputError
from vod_operators.settings import VodSettings
from vod_operators.storage.base import ReadableStorage
from vod_operators.storage.keys import ResultKeys, is_video_id
from vod_operators.work.stable import JSON_TYPE, MANIFEST_TYPE, PLAYLIST_TYPE, VERSION_NAME

TYPES: Mapping[str, str] = {
    ".aac": "audio/aac",
    ".jpg": "image/jpeg",
    ".json": JSON_TYPE,
    ".m3u8": PLAYLIST_TYPE,
    ".m4a": "audio/mp4",
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
    ".mpd": MANIFEST_TYPE,
    ".ts": "video/mp2t",
    ".vtt": "text/vtt; charset=utf-8",
}
"""Of what is published; anything else is sent as bytes that no browser opens."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""A folder or file that this package publishes: no ``..``, no hidden file, no slash, nothing encoded."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

log = logging.getLogger(__name__)

MISSING = "There is no such file"

IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATED = "private, no-cache"


def media(
    request: Request, results: ReadableStorage, settings: VodSettings, video_id: str, path: str
) -> Response:
    """A file below a video's folder, or the part of it that the request's ``Range`` names.

    :raises HTTPException: 404: there is none; 416: the range begins behind its end.
    """
    keys = ResultKeys(results_uri=settings.results_uri, video_id=video_id)
    uri = f"{keys.folder}/{path}"
    parts = path.split("/")
    if not is_video_id(video_id) or not all(_NAME.fullmatch(part) for part in parts):
        raise HTTPException(404, MISSING)
    try:
        info = results.stat(uri)
    except InvalidInputError as error:  # a folder, or a file that the server may not read
        log.warning("%s", error)
        info = None
    if info is None or not _is_inside(results.local_path(uri), len(parts)):
        raise HTTPException(404, MISSING)
    etag = '"' + info.version.strip('"') + '"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": IMMUTABLE if VERSION_NAME.fullmatch(parts[0]) else REVALIDATED,
        # Airflow compresses answers that do not say this, which makes ranges wrong, and media no smaller.
        "Content-Encoding": "identity",
    }
    if etag in re.split(r"\s*,\s*", request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    is_fresh = request.headers.get("if-range", etag) == etag
    part = _range(request.headers.get("range", ""), info.size) if is_fresh else None
    begin, end = part or (0, info.size)
    if part:
        if begin >= end:
            raise HTTPException(
                416, "The range begins behind the end", {"Content-Range": f"bytes */{info.size}"}
            )
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{info.size}"
    headers["Content-Length"] = str(end - begin)
    kind, status = TYPES.get(PurePosixPath(path).suffix, "application/octet-stream"), 206 if part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=kind)
    blocks = results.read(uri, start=begin, length=end - begin, version=info.version)
    return StreamingResponse(blocks, status_code=status, headers=headers, media_type=kind)


def _range(text: str, size: int) -> tuple[int, int] | None:
    """The bytes ``[begin, end)`` of a ``Range`` header; empty if they begin behind the end. None: all.

    Several ranges, other units and nonsense mean all (RFC 9110 14.2).
    """
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])) if int(match[2]) else size, size
    begin, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    if match[2] and int(match[2]) < begin:
        return None
    return begin, max(begin, end) if begin < size else begin


def _is_inside(path: Path | None, depth: int) -> bool:
    """Whether a file of a file store is really below the video's folder, wherever links lead.

    :param depth: how far below. The folder must not be a link either; the store's own may be.
    """
    if path is None:
        return True
    folder, results = path.parents[depth - 1], path.parents[depth]
    return path.resolve().is_relative_to(results.resolve() / folder.name)
