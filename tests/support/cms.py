"""A CMS that is told of runs, and how it knows who tells it."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from support.tools import ROOT


@dataclass(frozen=True, kw_only=True)
class CmsRequest:
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Cms:
    """A CMS that records what it is told, and answers as a test wants."""

    def __init__(self) -> None:
        self.requests: list[CmsRequest] = []
        self.answers: list[int | str] = []
        """One for each request: a status, ``drop``, ``silence``, ``trickle``, ``endless body``; then 200."""
        self.url = ""
        self.closing = threading.Event()

    def events(self) -> list[str]:
        return [request.json()["event"] for request in self.requests]


def snippet_of_the_page() -> Callable[..., bool]:
    """The function that CMS authors copy."""
    page = (ROOT / "docs" / "cms.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(import hashlib.*?)```", page, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code, scope)
    return scope["verified"]  # type: ignore[no-any-return]


@pytest.fixture
def cms() -> Iterator[Cms]:
    cms = Cms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            cms.requests.append(CmsRequest(headers=dict(self.headers.items()), body=body))
            answer = cms.answers.pop(0) if cms.answers else 200
            if isinstance(answer, int):
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif answer == "silence":
                cms.closing.wait(30)
            elif answer == "trickle":
                self._repeat(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n")
            elif answer == "endless body":
                self._repeat(b"HTTP/1.1 200 OK\r\n\r\n", b"more")
            self.close_connection = True

        def _repeat(self, first: bytes, then: bytes) -> None:
            with contextlib.suppress(OSError):
                self.wfile.write(first)
                while not cms.closing.wait(0.1):
                    self.wfile.write(then)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cms.url = f"http://127.0.0.1:{server.server_port}/vod"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield cms
    cms.closing.set()
    server.shutdown()
    server.server_close()
