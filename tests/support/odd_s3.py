"""An S3 server before moto that does with conditions and checksums what some servers do."""

from __future__ import annotations

import threading
from collections.abc import Collection
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class OddServer:
    """Passes requests on; what it does to them is named as the project's messages name it.

    :param oddities: ``ignores If-Match``, ``refuses If-Match``, ``refuses quoted`` (ETags in ``If-Match``, as
        Ceph RGW 16 does), the first two also of ``If-None-Match``, ``ignores checksums`` and
        ``refuses checksums of copies``.
    """

    def __init__(self, upstream: str, oddities: Collection[str]) -> None:
        self.oddities = frozenset(oddities)
        self.corrupt: str | None = None
        """A part of the paths whose next body arrives with its first byte changed."""
        self.requests: list[tuple[str, str]] = []
        """Method and path."""
        odd = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                odd.requests.append((self.command, self.path))
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
                is_write = self.command in ("PUT", "POST")
                if is_write and odd.refuses(headers):
                    return self.answer(412, {}, b"")
                if "refuses checksums of copies" in odd.oddities and "x-amz-checksum-algorithm" in headers:
                    return self.answer(501, {}, b"")
                if is_write:
                    headers = odd.heard(headers)
                    if body and odd.corrupt is not None and odd.corrupt in self.path:
                        odd.corrupt = None
                        body = bytes([body[0] ^ 1]) + body[1:]
                connection = HTTPConnection(urlsplit(upstream).netloc)
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                return self.answer(answer.status, dict(answer.getheaders()), answer.read())

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                length = headers.get("Content-Length") or str(len(body))
                self.send_response_only(status)
                for key, value in headers.items():
                    if key.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(key, value)
                self.send_header("Content-Length", length)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def refuses(self, headers: dict[str, str]) -> bool:
        if any(f"refuses {name}" in self.oddities for name in headers):
            return True
        return "refuses quoted" in self.oddities and '"' in headers.get("If-Match", "")

    def heard(self, headers: dict[str, str]) -> dict[str, str]:
        deaf = {k: v for k, v in headers.items() if f"ignores {k}" not in self.oddities}
        if "ignores checksums" in self.oddities:
            return {k: v for k, v in deaf.items() if "checksum" not in k.lower()}
        return deaf
