"""Rule 17: how a web server delivers the files."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from vod_operators.check.presentation import Presentation
from vod_operators.check.rule import Finding, Rule, is_served

TYPES = {
    "playlist": ("application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl"),
    "init": ("video/mp4", "audio/mp4", "application/mp4"),
    "fmp4": ("video/mp4", "video/iso.segment", "audio/mp4", "application/mp4"),
    "ts": ("video/mp2t",),
    "aac": ("audio/aac", "audio/mpeg", "audio/ac3", "audio/eac3"),
    "vtt": ("text/vtt",),
}

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def _types(presentation: Presentation) -> Iterator[Finding]:
    for kind, response in presentation.answers:
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in TYPES and response.status < 300 and media_type not in TYPES[kind]:
            words = f"Content-Type {media_type or 'missing'}"
            yield Finding(where=response.uri, found=words, expected=" or ".join(TYPES[kind][:2]))


def _gzip(presentation: Presentation) -> Iterator[Finding]:
    for kind, response in presentation.answers:
        if kind == "playlist" and response.status < 300 and "content-encoding" not in response.headers:
            yield Finding(where=response.uri, found="not compressed", expected="Content-Encoding: gzip")


def _redirects(presentation: Presentation) -> Iterator[Finding]:
    for _, response in presentation.answers:
        if 300 <= response.status < 400:
            words = f"{response.status} to {response.headers.get('location', 'nowhere')}"
            yield Finding(where=response.uri, found=words, expected="the file itself")


def _remote(presentation: Presentation) -> bool:
    return any(urlsplit(response.uri).hostname not in LOCAL_HOSTS for _, response in presentation.answers)


def _tls(presentation: Presentation) -> Iterator[Finding]:
    for _, response in presentation.answers:
        if urlsplit(response.uri).scheme != "https":
            yield Finding(where=response.uri, found="http", expected="https")
            return


def _cors(presentation: Presentation) -> Iterator[Finding]:
    for _, response in presentation.answers:
        if response.status < 300 and not response.headers.get("access-control-allow-origin"):
            yield Finding(where=response.uri, found="no such header", expected="Access-Control-Allow-Origin")


# fmt: off
RULES = (
    Rule(id="17.types", source="Apple 10.4", says="Content-Type of playlists, init segments and segments",
         must=False, applies=is_served, check=_types),
    Rule(id="17.gzip", source="Apple 10.1", says="playlists are compressed",
         applies=is_served, check=_gzip),
    Rule(id="17.redirects", source="Apple 8.18", says="no redirects",
         applies=is_served, check=_redirects),
    Rule(id="17.tls", source="Apple 11.1 to 11.3", says="served over TLS", must=False,
         applies=_remote, check=_tls),
    Rule(id="17.cors", source="web players", says="pages of other hosts may read it", must=False,
         applies=is_served, check=_cors),
)
# fmt: on
