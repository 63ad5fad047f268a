"""A preset that asks for what only some players use, and edges of which one can die."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
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


def write_extras(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "extras.json").write_text(json.dumps(PRESET), "utf-8")
    return folder


@contextmanager
def edges(results: Path, count: int = 2) -> Iterator[list[Server]]:
    """Servers of the same results."""
    from edge_server import create_app

    servers = [Server(create_app(results)) for _ in range(count)]
    yield servers
    for server in servers:
        server.stop()


def without_lost_edge(session: Session, url: str) -> None:
    """Forget what the console says of an edge that was stopped."""
    session.console = [line for line in session.console if url not in line and "ERR_CONNECTION" not in line]
