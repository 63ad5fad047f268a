"""A preset that asks for what only some players use, and edges of which one can die."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.players import Server
from support.session import Session

RUNGS = [
    {"name": "216p", "width": 384, "height": 216, "crf": 26, "max_bitrate_bps": 500_000},
    {"name": "432p", "width": 768, "height": 432, "crf": 26, "max_bitrate_bps": 1_500_000},
]
PRESET: dict[str, Any] = {
    "title": "extras",
    "description": "Segments of 2 s, so that little is in the buffer.",
    "gop_seconds": 2,
    "segment_gops": 1,
    "ladders": [{"encoder": "libx264", "encoder_preset": "ultrafast", "rungs": RUNGS}],
    "audio": {"bitrate_bps": 96_000},
    "pictures": {"tiles": True},
    "trick_mode": True,
    "score": True,
    "stable_ids": True,
}


def write_extras(folder: Path, name: str = "extras") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(PRESET), "utf-8")
    return folder


class Edge:
    """A server of the results that can be stopped, and started again at the same URL.

    :param host: a name of its own, because shaka-player gives up on a host and not on a port.
    """

    def __init__(self, results: Path, host: str) -> None:
        from edge_server import create_app

        self._app = create_app(results)
        self._server: Server | None = Server(self._app)
        self._port = int(self._server.url.rpartition(":")[2])
        self.url = f"http://{host}:{self._port}"

    def start(self) -> None:
        self._server = self._server or Server(self._app, self._port)

    def stop(self) -> None:
        if self._server:
            self._server.stop()
        self._server = None


def without_lost_edge(session: Session, edge: Edge) -> None:
    """Forget what the console says of an edge that was stopped."""
    session.console = [line for line in session.console if edge.url not in line]
