"""A small web server for a results folder, for trials on one machine.

In production a CDN or an nginx cache serves the results store. This server has no cache, no TLS and no access
control. It provides what a player needs: MIME types, byte ranges, CORS, compressed playlists, and the cache
lifetimes that the layout of the results allows.

Run it: ``python scripts/edge_server.py --root DIR --port 8090``
"""

from __future__ import annotations

import argparse
import gzip
import os
from collections.abc import Sequence
from pathlib import Path, PurePath

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

MIME_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".ts": "video/mp2t",
    ".aac": "audio/aac",
    ".vtt": "text/vtt",
    ".json": "application/json",
}
PLAYLISTS = {".m3u8", ".mpd"}
"""Files that are compressed: text that shrinks tenfold and is requested often. Media does not shrink."""

STABLE = "public, max-age=2"
"""For files that are replaced when a video is published again, so that viewers get them within seconds."""

IMMUTABLE = "public, max-age=31536000, immutable"
"""For files of a version, which are written only once. A year is the longest that caches honour."""


class ResultFiles(StaticFiles):
    """Serves the published files, but no hidden ones and none outside of the folder."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        # Unfinished writes and lock files are hidden files.
        if any(part.startswith(".") for part in PurePath(path).parts):
            return "", None
        return super().lookup_path(path)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        suffix = PurePath(full_path).suffix.lower()
        # The stable files, such as video_id/index.m3u8, have two parts; files of versions have more.
        depth = len(PurePath(self.get_path(scope)).parts)
        response = FileResponse(
            full_path,
            status_code=status_code,
            stat_result=stat_result,
            media_type=MIME_TYPES.get(suffix, "application/octet-stream"),
            headers={
                "Cache-Control": STABLE if depth <= 2 else IMMUTABLE,
                "X-Content-Type-Options": "nosniff",
            },
        )
        request = Headers(scope=scope)
        compressed = suffix in PLAYLISTS and _accepts_gzip(request) and "range" not in request
        if suffix in PLAYLISTS:
            response.headers["Vary"] = "Accept-Encoding"
        if compressed:
            # The compressed representation needs its own ETag, or a cache could mix the bytes of both.
            response.headers["ETag"] = response.headers["ETag"][:-1] + '-gzip"'
        if self.is_not_modified(response.headers, request):
            return NotModifiedResponse(response.headers)
        return _compressed(response, Path(full_path)) if compressed else response


def _accepts_gzip(request: Headers) -> bool:
    codings = [coding.replace(" ", "") for coding in request.get("accept-encoding", "").lower().split(",")]
    return any(coding.split(";")[0] == "gzip" and not coding.endswith(";q=0") for coding in codings)


def _compressed(plain: FileResponse, path: Path) -> Response:
    # A playlist of a day of video is about half a megabyte: small enough for memory.
    response = Response(gzip.compress(path.read_bytes(), compresslevel=6, mtime=0), plain.status_code)
    headers = {
        name: value
        for name, value in plain.headers.items()
        if name not in ("content-length", "accept-ranges")
    }
    response.headers.update(headers)
    response.headers["Content-Encoding"] = "gzip"
    return response


def create_app(root: Path) -> Starlette:
    """The edge as an ASGI application.

    :param root: the results folder; ``root/{video_id}/index.m3u8`` is a video's stable playlist.
    """
    return Starlette(
        routes=[Mount("/", ResultFiles(directory=root))],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "HEAD"],
                allow_headers=["Range"],
                expose_headers=["Content-Length", "Content-Range", "Date"],
            )
        ],
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Serve a results folder to players, for trying things out.")
    parser.add_argument("--root", type=Path, required=True, help="the results folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8090, help="port to listen on (default: %(default)s)")
    options = parser.parse_args(argv)
    if not options.root.is_dir():
        parser.error(f"--root {options.root}: no such folder")
    uvicorn.run(create_app(options.root), host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
