"""Content steering: the file that tells players which edge to use, and where a video is at each edge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

from vod_operators.check.presentation import Answer, Reader
from vod_operators.formats.facts import SegmentFacts
from vod_operators.settings import VodSettings
from vod_operators.storage.base import Storage
from vod_operators.storage.keys import steering_key
from vod_operators.work.stable import JSON_TYPE

TTL_S = 300
"""Seconds after which players ask again, as RFC 8216bis 7.1 recommends."""

CACHED = "public, max-age=60"
"""Cache-Control of the file: an edge must not serve an old one for long."""


@dataclass(frozen=True)
class Steering:
    """How players of one video are steered."""

    pathways: dict[str, str]
    """Name of each edge -> URL of the video's folder there, with a final slash; the best first."""
    url: str
    """Of the steering manifest, at the first edge."""

    @property
    def relative_url(self) -> str:
        """The same, relative to the stable playlist: at the edge that the playlist came from."""
        return "../" + self.url.rpartition("/")[2]


@dataclass(frozen=True)
class EdgeReader:
    """Reads what edges will serve from the results store, before it is published."""

    inner: Reader
    edges: tuple[str, ...]
    """URL of the video's folder at each edge, with a final slash."""
    folder: str
    """The same folder in the store, with a final slash."""

    def read(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        """As ``Reader.read``."""
        return self.inner.read(self._stored(uri), start, length)

    def answer(self, uri: str) -> Answer | None:
        """None: nothing is served yet."""
        return None

    def known(self, uri: str) -> SegmentFacts | None:
        """As ``Reader.known``."""
        return self.inner.known(self._stored(uri))

    def _stored(self, uri: str) -> str:
        edge = next((edge for edge in self.edges if uri.startswith(edge)), None)
        return uri if edge is None else self.folder + uri.removeprefix(edge)


def steering_of(settings: VodSettings, video_id: str) -> Steering | None:
    """How players of a video are steered; None if the deployment does not ask for it."""
    if not settings.pathways:
        return None
    folders = [urljoin(url, ".") for url in settings.playlist_urls(video_id)]
    name = steering_key("").rpartition("/")[2]
    return Steering(
        pathways=dict(zip(settings.pathways, folders, strict=True)), url=urljoin(folders[0], f"../{name}")
    )


def steering_manifest(priority: Sequence[str]) -> bytes:
    """The steering manifest, of HLS (RFC 8216bis 7.1) and DASH (ETSI TS 103 998) alike.

    :param priority: names of edges, the best first.
    """
    return (json.dumps({"VERSION": 1, "TTL": TTL_S, "PATHWAY-PRIORITY": list(priority)}) + "\n").encode()


def ensure_manifest(results: Storage, settings: VodSettings) -> None:
    """Write the steering manifest if there is none: another order may have been put there since."""
    if settings.pathways:
        uri, data = steering_key(settings.results_uri), steering_manifest(settings.pathways)
        results.create(uri, data, content_type=JSON_TYPE, cache_control=CACHED)
