"""Content steering: the file that tells players which edge to use, and where a video is at each edge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

from vod_operators.check.presentation import Answer, Reader
from vod_operators.formats.base import Model
from vod_operators.formats.facts import SegmentFacts
from vod_operators.media import dash
from vod_operators.media.master import steered
from vod_operators.settings import VodSettings
from vod_operators.storage.keys import steering_key

TTL_S = 300
"""Seconds after which players ask again, as RFC 8216bis 7.1 recommends."""


class Steering(Model):
    """How players of one video are steered."""

    pathways: dict[str, str]
    """Name of each edge -> URL of the video's folder there, with a final slash; the best first."""
    url: str
    """Of the steering manifest, at the first edge."""

    def playlist(self, playlist: bytes) -> bytes:
        """The stable playlist with all edges; the steering manifest is that of the edge it comes from."""
        relative = "../" + self.url.rpartition("/")[2]
        return steered(playlist.decode(), self.pathways, relative).encode()

    def manifest(self, manifest: bytes) -> bytes:
        """The stable DASH manifest with all edges."""
        return dash.steered(manifest.decode(), self.pathways, self.url).encode()


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
