"""Sources on web servers that behave, and on those that do not."""

from __future__ import annotations

import base64
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vod_operators.errors import InvalidInputError, ObjectChangedError, ObjectNotFoundError, StorageError
from vod_operators.storage.http import HttpSource
from vod_operators.storage.stores import fetch

DATA = os.urandom(3 << 20)
MODIFIED = datetime(2024, 2, 29, 12, 30, tzinfo=timezone.utc)


@dataclass
class Site:
    """One object, and how the server treats those who ask for it."""

    data: bytes = field(default=DATA, repr=False)
    etag: str | None = '"one"'
    modified: str | None = format_datetime(MODIFIED, usegmt=True)
    ranges: bool = True
    head_status: int = 200
    head_length: bool = True
    status: list[int] = field(default_factory=list)
    """Statuses of the first GETs; 200 afterwards."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes of body the first GETs are cut."""
    chunked: bool = False
    no_length: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    on_cut: Callable[[Site], None] = lambda site: None
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path and headers of each request."""

    def ranges_seen(self) -> list[str | None]:
        return [headers.get("range") for method, _, headers in self.seen if method == "GET"]


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *_: object) -> None:
        pass

    def _start(self, status: int, **headers: str | None) -> None:
        self.send_response(status)
        for name, value in ({k.replace("_", "-"): v for k, v in headers.items()} | self.site.headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def _seen(self) -> bool:
        """Whether the request is answered already."""
        site, path = self.site, self.path.partition("?")[0]
        site.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        if path in site.redirects:
            self._start(302, Location=site.redirects[path], Content_Length="0")
        elif path != "/video.mp4":
            self._start(404, Content_Length="0")
        else:
            return False
        return True

    def do_HEAD(self) -> None:
        if self._seen():
            return
        site = self.site
        length = str(len(site.data)) if site.head_length else None
        self._start(site.head_status, ETag=site.etag, Last_Modified=site.modified, Content_Length=length)

    def do_GET(self) -> None:
        if self._seen():
            return
        site = self.site
        status = site.status.pop(0) if site.status else 200
        if status != 200:
            self._start(status, Content_Length="0")
            return
        facts = {"ETag": site.etag, "Last_Modified": site.modified}
        asked, body = self.headers.get("Range"), site.data
        holds = self.headers.get("If-Range") in (None, site.etag, site.modified)
        if asked and site.ranges and holds:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1 if last else len(body), len(body))
            if start >= len(body):
                self._start(416, Content_Range=f"bytes */{len(body)}", Content_Length="0")
                return
            facts["Content_Range"] = f"bytes {start}-{end - 1}/{len(body)}"
            body, status = body[start:end], 206
        cut = site.cuts.pop(0) if site.cuts else None
        if site.chunked:
            self.protocol_version = "HTTP/1.1"
            self._start(status, Transfer_Encoding="chunked", Connection="close", **facts)
            self._chunks(body[:cut], whole=cut is None)
        else:
            self._start(status, Content_Length=None if site.no_length else str(len(body)), **facts)
            self.wfile.write(body[:cut])
        if cut is not None:
            site.on_cut(site)
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def _chunks(self, body: bytes, *, whole: bool) -> None:
        for i in range(0, len(body), 100_000):
            part = body[i : i + 100_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if whole:
            self.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def base(site: Site) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up on purpose
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def url(base: str) -> str:
    return f"{base}/video.mp4"


SOURCE = HttpSource(backoff_s=0)


def read(url: str, start: int = 0, length: int | None = None) -> bytes:
    return b"".join(SOURCE.read(url, start=start, length=length))


def test_stat(site: Site, url: str) -> None:
    info = SOURCE.stat(url)
    assert info is not None
    assert (info.uri, info.size, info.version, info.modified) == (url, len(DATA), '"one"', MODIFIED)
    assert [method for method, _, _ in site.seen] == ["HEAD"]
    assert SOURCE.local_path(url) is None


@pytest.mark.parametrize("status", [400, 403, 405, 501, 500])
@pytest.mark.parametrize("ranges", [True, False])
def test_stat_where_head_is_refused(site: Site, url: str, status: int, ranges: bool) -> None:
    site.head_status, site.ranges = status, ranges
    info = SOURCE.stat(url)
    assert info is not None and (info.size, info.version) == (len(DATA), '"one"')
    assert site.ranges_seen() == ["bytes=0-0"]


def test_stat_where_head_has_no_length(site: Site, url: str) -> None:
    site.head_length = False
    info = SOURCE.stat(url)
    assert info is not None and info.size == len(DATA)


def test_stat_of_an_empty_file(site: Site, url: str) -> None:
    site.data = b""
    info = SOURCE.stat(url)
    assert info is not None and info.size == 0
    assert read(url) == b""


def test_stat_where_no_length_is_known(site: Site, url: str) -> None:
    site.head_length, site.ranges, site.chunked = False, False, True
    with pytest.raises(InvalidInputError, match=f"{url}: .*Content-Length"):
        SOURCE.stat(url)


def test_version_without_etag_is_date_and_length(site: Site, url: str) -> None:
    site.etag = None
    versions = set()
    date = site.modified
    for data, modified in ((b"a", date), (b"ab", date), (b"a", None)):
        site.data, site.modified = data, modified
        info = SOURCE.stat(url)
        assert info is not None
        versions.add(info.version)
    assert len(versions) == 3


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_file(site: Site, base: str, url: str, status: int) -> None:
    assert SOURCE.stat(f"{base}/other") is None
    site.head_status, site.status = status, [status]
    assert SOURCE.stat(url) is None
    with pytest.raises(ObjectNotFoundError, match=f"{url} does not exist"):
        read(url)


@pytest.mark.parametrize("status", [401, 403])
def test_denied(site: Site, url: str, status: int) -> None:
    site.head_status, site.status = status, [status] * 2
    for call in (SOURCE.stat, read):
        with pytest.raises(InvalidInputError, match=f"denied \\({status}.*expiry"):
            call(url)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    ("start", "length"),
    [(0, None), (5, None), (5, 10), (0, 1), (len(DATA) - 3, 10), (len(DATA), None), (7, 0)],
)
def test_ranges(site: Site, url: str, start: int, length: int | None, ranges: bool) -> None:
    site.ranges = ranges
    assert read(url, start, length) == DATA[start:][:length]


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("etag", ['"one"', 'W/"one"', None])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_body_is_resumed(site: Site, url: str, ranges: bool, etag: str | None, chunked: bool) -> None:
    site.ranges, site.etag, site.chunked = ranges, etag, chunked
    site.cuts = [1_000_000, 1_500_000, 10]
    assert read(url) == DATA
    first, *others = site.ranges_seen()
    assert first is None and len(others) == 3
    assert all(others), "a resumed read must ask for the rest only"
    if_range = {'"one"': '"one"', None: site.modified}.get(etag)  # a weak one never matches
    assert [headers.get("if-range") for _, _, headers in site.seen] == [None] + [if_range] * 3


def test_a_cut_range_is_resumed(site: Site, url: str) -> None:
    site.cuts = [500_000]
    assert read(url, 1000, 2_000_000) == DATA[1000:2_001_000]
    assert len(site.seen) == 2


def test_many_cuts_are_survived_while_it_goes_on(site: Site, url: str) -> None:
    site.data = DATA * 4
    site.cuts = [1_100_000] * 9
    assert read(url) == site.data
    assert len(site.seen) == 10


def test_a_body_that_goes_no_further_is_given_up(site: Site, url: str) -> None:
    site.cuts = [100] * 100
    with pytest.raises(StorageError, match="stopped at byte 400; 4 connections broke since byte 0"):
        read(url)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("etag", [True, False])
def test_another_version_is_not_mixed_in(site: Site, url: str, ranges: bool, etag: bool) -> None:
    def publish_again(site: Site) -> None:
        site.data = bytes(len(DATA))
        site.modified = format_datetime(datetime(2025, 1, 1, tzinfo=timezone.utc), usegmt=True)
        site.etag = '"two"' if etag else None

    site.ranges, site.etag = ranges, '"one"' if etag else None
    site.cuts, site.on_cut = [1_000_000], publish_again
    with pytest.raises(StorageError, match="was changed while it was read"):
        read(url)


def test_deleted_while_read(site: Site, url: str) -> None:
    site.cuts, site.on_cut = [1000], lambda site: site.status.append(404)
    with pytest.raises(StorageError, match="was deleted while it was read"):
        read(url)


def test_what_cannot_be_pinned_is_not_resumed(site: Site, url: str) -> None:
    site.etag = site.modified = None
    assert read(url) == DATA
    site.cuts = [1_000_000]
    with pytest.raises(StorageError, match=r"cannot be resumed: .*neither ETag nor Last-Modified"):
        read(url)


def test_a_body_without_any_length_could_be_cut_unseen(site: Site, url: str) -> None:
    site.no_length = True
    with pytest.raises(InvalidInputError, match="must send Content-Length"):
        read(url)


def test_a_compressed_body_is_refused(site: Site, url: str) -> None:
    site.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(InvalidInputError, match=r"compresses it \(gzip\)"):
        read(url)
    assert site.seen[0][2]["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(site: Site, url: str, status: int) -> None:
    site.status = [status] * 3
    assert read(url) == DATA
    site.status = [status] * 4
    with pytest.raises(StorageError, match=f"failed 4 times \\({status}"):
        read(url)


def test_a_refusal_is_final(site: Site, url: str) -> None:
    site.status = [451]
    with pytest.raises(InvalidInputError, match="answered 451"):
        read(url)
    assert len(site.seen) == 1


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url = f"http://user:secret@127.0.0.1:{port}/a?sig=secret"
    for call in (SOURCE.stat, read):
        with pytest.raises(StorageError, match=r"failed 4 times \(ConnectError") as caught:
            call(url)
        assert f"http://127.0.0.1:{port}/a" in str(caught.value)
        assert "secret" not in str(caught.value)


def test_redirects_are_followed(site: Site, base: str) -> None:
    site.redirects = {f"/{i}": f"/{i + 1}" for i in range(1, 5)} | {"/5": "/video.mp4", "/0": "/1"}
    info = SOURCE.stat(f"{base}/1")
    assert info is not None and (info.size, info.uri) == (len(DATA), f"{base}/1")
    site.cuts = [1000]
    assert read(f"{base}/1") == DATA
    with pytest.raises(InvalidInputError, match="5 redirects"):
        read(f"{base}/0")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/a?secret", "s3://bucket/key"])
def test_redirects_stay_on_the_web(site: Site, base: str, target: str) -> None:
    site.redirects = {"/away": target}
    for call in (SOURCE.stat, read):
        with pytest.raises(InvalidInputError, match="http:// or https://") as caught:
            call(f"{base}/away")
        assert "secret" not in str(caught.value)


def test_credentials_are_used_and_not_told(site: Site, url: str, caplog: pytest.LogCaptureFixture) -> None:
    secret = url.replace("http://", "http://editor:pass-word@") + "?sig=signature"
    with caplog.at_level(logging.INFO, logger="httpx"):
        assert read(secret) == DATA
    assert site.seen[0][2]["authorization"] == "Basic " + base64.b64encode(b"editor:pass-word").decode()
    assert site.seen[0][1] == "/video.mp4?sig=signature"
    assert f"{url}?..." in caplog.text  # httpx's own line: the filter was passed
    site.head_status, site.status = 403, [403] * 2 + [500] * 4
    told = [caplog.text]
    for call in (SOURCE.stat, read, read, SOURCE.list):
        with pytest.raises((InvalidInputError, StorageError)) as caught:
            call(secret)
        told.append(str(caught.value))
    for text in told:
        assert "pass-word" not in text and "signature" not in text.replace("or the signature and", "")


def test_a_bad_url_does_not_tell_its_password() -> None:
    with pytest.raises(InvalidInputError) as caught:
        SOURCE.stat("http://user:se/cret@host/a.mp4")
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_fetch(site: Site, url: str, tmp_path: Path) -> None:
    site.cuts = [2_000_000]
    fetch(SOURCE, url, tmp_path / "source.mp4", size=len(DATA))
    assert (tmp_path / "source.mp4").read_bytes() == DATA


@pytest.mark.parametrize(
    "facts",
    [
        {"etag": '"one"'},
        {"etag": 'W/"one"'},
        {"etag": "unquoted/1"},
        {"etag": None},
        {"etag": None, "chunked": True},
        {"etag": '"one"', "ranges": False},
    ],
)
def test_only_the_version_that_was_found_is_read(site: Site, url: str, facts: dict[str, object]) -> None:
    for name, value in facts.items():
        setattr(site, name, value)
    found = SOURCE.stat(url)
    assert found is not None
    assert b"".join(SOURCE.read(url, version=found.version)) == DATA
    assert b"".join(SOURCE.read(url, start=5, length=9, version=found.version)) == DATA[5:14]
    if site.etag:
        site.etag = site.etag.replace("one", "two").replace("unquoted", "other")
    else:
        site.modified = format_datetime(MODIFIED.replace(day=28), usegmt=True)
    for start in (0, 5):
        with pytest.raises(ObjectChangedError, match=f"{url} has changed since it was looked at"):
            next(SOURCE.read(url, start=start, length=9, version=found.version))


def test_a_server_that_tells_less_of_a_range(site: Site, url: str) -> None:
    found = SOURCE.stat(url)
    site.etag = None
    assert found is not None and found.version == '"one"'
    assert b"".join(SOURCE.read(url, start=5, length=9, version=found.version)) == DATA[5:14]
