"""A store that ignores the conditions of writes is found out before a run relies on it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conftest import S3Bucket, s3_connection
from vod_operators.errors import InvalidInputError
from vod_operators.storage.probe import require_conditional_writes
from vod_operators.storage.stores import storage_for


@pytest.fixture
def deaf(s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Connections to a server that passes all on to moto but for one header of requests."""
    servers = []

    def serve(dropped: str) -> str:
        class Pass(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {k: v for k, v in self.headers.items() if k.lower() not in (dropped, "expect")}
                upstream = HTTPConnection(urlsplit(s3_bucket.endpoint).netloc)
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                data = answer.read()
                self.send_response_only(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(key, value)
                self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Pass)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        conn_id = f"deaf_{uuid.uuid4().hex[:8]}"
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{conn_id.upper()}", s3_connection(f"http://127.0.0.1:{server.server_port}")
        )
        return conn_id

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_good_stores_pass_and_nothing_is_left(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    for uri in (f"{s3_bucket.uri}/tmp", tmp_path.as_uri()):
        require_conditional_writes(uri, s3_bucket.conn_id)
        assert list(storage_for(uri, s3_bucket.conn_id).list(f"{uri}/")) == []


@pytest.mark.parametrize(
    ("dropped", "named"), [("if-none-match", "If-None-Match"), ("if-match", "If-Match"), ("", None)]
)
def test_a_store_that_ignores_a_condition_is_refused(
    deaf: Callable[[str], str], s3_bucket: S3Bucket, dropped: str, named: str | None
) -> None:
    uri, conn_id = f"{s3_bucket.uri}/tmp", deaf(dropped)
    if named is None:
        require_conditional_writes(uri, conn_id)  # it is the header, not the proxy
    else:
        with pytest.raises(InvalidInputError, match=f"ignores {named}, .*VOD_ACCEPT_UNSAFE_STORE=true"):
            require_conditional_writes(uri, conn_id)
    assert list(storage_for(uri, conn_id).list(f"{uri}/")) == []


def test_a_healthy_store_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vod_operators.storage import probe

    asked = []
    monkeypatch.setattr(probe, "_ignored", lambda storage, uri: asked.append(uri))
    for _ in range(3):
        require_conditional_writes((tmp_path / "a").as_uri(), "unused")
    assert len(asked) == 1
