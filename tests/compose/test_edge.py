"""The edge's nginx in front of an S3 server, without Docker; it needs an nginx (``make test-compose``)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from support.tools import ROOT
from vod_operators.work.stable import IMMUTABLE, PLAYLIST_TYPE, SHORT_LIVED

pytestmark = pytest.mark.compose

SEGMENT = bytes(range(256)) * 10_000
PLAYLIST = b"#EXTM3U\n" + b"#EXT-X-COMMENT:much the same\n" * 40


@dataclass
class Store:
    """Answers as S3 does to reads, and counts them."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    is_away: bool = False


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    objects = {
        "/vod-results/film/index.m3u8": (PLAYLIST, PLAYLIST_TYPE, SHORT_LIVED),
        "/vod-results/film/v-1/360p/seg-0.m4s": (SEGMENT, "video/iso.segment", IMMUTABLE),
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            store.asked.append((self.command, self.path, dict(self.headers.items())))
            data, kind, keep = objects.get(self.path, (b"<Error/>", "application/xml", ""))
            status = 503 if store.is_away else 200 if keep else 403
            found = data
            if status == 200 and "Range" in self.headers:
                first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
                found, status = data[int(first) : int(last) + 1], 206
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {first}-{int(first) + len(found) - 1}/{len(data)}")
            for name, value in {
                "Content-Type": kind,
                "Cache-Control": keep,
                "ETag": '"1"',
                "Vary": "Origin",
                "x-amz-request-id": "1",
                "Content-Length": str(len(found)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield store
    server.shutdown()
    server.server_close()


@pytest.fixture
def edge(store: Store, tmp_path: Path) -> Iterator[httpx.Client]:
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (ROOT / "docker" / "edge" / "nginx.conf").read_text("utf-8")
    for of_the_container, here in {
        " /tmp/": f" {tmp_path}/",
        "@EDGE_CACHE_SIZE@": "10m",
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "http://s3:8333": store.url,
        "/var/lib/vod/cache": str(tmp_path / "cache"),
        "/dev/stderr": str(tmp_path / "error.log"),
        # As root, nginx would hand its files to a user who may not come here.
        "worker_processes auto;": "worker_processes 1; user root;",
    }.items():
        assert of_the_container in text
        text = text.replace(of_the_container, here)
    (tmp_path / "nginx.conf").write_text(text)
    process = subprocess.Popen([nginx, "-c", str(tmp_path / "nginx.conf"), "-g", "daemon off;"])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(100):
            try:
                client.get("/health")
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        yield client
    process.terminate()
    process.wait(20)


def test_a_playlist_is_small_and_short_lived(edge: httpx.Client, store: Store) -> None:
    first = edge.get("/film/index.m3u8", headers={"Origin": "https://one.example"})
    second = edge.get("/film/index.m3u8", headers={"Origin": "https://another.example"})
    assert first.content == second.content == PLAYLIST
    assert [answer.headers["x-cache"] for answer in (first, second)] == ["MISS", "HIT"]
    assert first.headers["content-encoding"] == "gzip" and first.headers["vary"] == "Accept-Encoding"
    assert first.headers["content-type"] == PLAYLIST_TYPE
    assert first.headers["cache-control"] == SHORT_LIVED
    assert first.headers["access-control-allow-origin"] == "*"
    assert "x-amz-request-id" not in first.headers
    assert len(store.asked) == 1


def test_a_segment_is_kept_in_slices(edge: httpx.Client, store: Store) -> None:
    part = edge.get("/film/v-1/360p/seg-0.m4s", headers={"Range": "bytes=1048570-1048579"})
    assert (part.status_code, part.content) == (206, SEGMENT[1048570:1048580])
    assert [asked[2]["Range"] for asked in store.asked] == ["bytes=0-1048575", "bytes=1048576-2097151"]
    whole = edge.get("/film/v-1/360p/seg-0.m4s")
    assert (whole.status_code, whole.content, whole.headers["cache-control"]) == (200, SEGMENT, IMMUTABLE)
    assert len(store.asked) == 3  # only the last slice was missing
    assert edge.get("/film/v-1/360p/seg-0.m4s").headers["x-cache"] == "HIT"
    assert len(store.asked) == 3
    assert "content-encoding" not in whole.headers


def test_viewers_stay_when_the_store_goes(edge: httpx.Client, store: Store) -> None:
    edge.get("/film/index.m3u8")
    store.is_away = True
    time.sleep(3.1)  # what is published with 2 s is old by then
    answer = edge.get("/film/index.m3u8")
    assert (answer.status_code, answer.content, answer.headers["x-cache"]) == (200, PLAYLIST, "STALE")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/film/",
        "/film/none.m3u8",
        "/film/index.m3u8/",
        "/film/.hidden.m3u8",
        "/film/../../vod-tmp/film/index.m3u8",
        "/film/%2e%2e/%2e%2e/vod-tmp/plan.json",
        "/film/claim",
        "/film/index.m3u8%0a",
        "/film/v-1/360p/seg-0.m4s%0A",
    ],
)
def test_nothing_but_results_is_to_be_had(edge: httpx.Client, store: Store, path: str) -> None:
    answer = edge.get(path)
    assert (answer.status_code, answer.text) == (404, "not found\n")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert all(asked[1].startswith("/vod-results/") for asked in store.asked)


def test_viewers_only_read(edge: httpx.Client, store: Store) -> None:
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert edge.request(method, "/film/index.m3u8", content=b"x").status_code == 404
    assert edge.options("/film/index.m3u8").status_code == 204
    assert edge.head("/film/index.m3u8").status_code == 200
    edge.get("/film/index.m3u8?acl", headers={"Authorization": "mine", "Cookie": "mine"})
    assert {path for _, path, _ in store.asked} == {"/vod-results/film/index.m3u8"}
    assert not any("Authorization" in headers or "Cookie" in headers for _, _, headers in store.asked)
