"""Connections on behalf of a request: to loopback servers that are named, with a table for a name server."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vod_operators.errors import InvalidInputError, NotAllowedError, StorageError
from vod_operators.storage.allow import AllowList
from vod_operators.storage.guard import Credentials, GuardedTransport
from vod_operators.storage.http import HttpSource

BODY = b"a film"


@dataclass
class Site:
    """A web server that answers with ``BODY``, or with a redirect."""

    port: int = 0
    redirects: dict[str, str] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def serve(site: Site, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.seen.append({"path": self.path, "method": self.command, **dict(self.headers.items())})
            there = site.redirects.get(self.path)
            self.send_response(302 if there else 200)
            if there:
                self.send_header("Location", there)
            self.send_header("Content-Length", "0" if there else str(len(BODY)))
            self.end_headers()
            if not there and self.command != "HEAD":
                self.wfile.write(BODY)

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    """One that is named, and another."""
    found = Site(), Site()
    servers = [serve(site) for site in found]
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name server's table: the first address of a name that is left is its answer."""
    table: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in table:
            return real(table[host].pop(0), port, *args, **kwargs)
        if str(host).replace(".", "").isdecimal():
            return real(host, port, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return table


def client(*entries: str, credentials: Credentials | None = None) -> httpx.Client:
    allow = AllowList("VOD_SOURCE_ALLOW", entries)
    return httpx.Client(transport=GuardedTransport(allow, credentials), follow_redirects=True, timeout=10)


def source(*entries: str) -> HttpSource:
    return HttpSource(AllowList("VOD_SOURCE_ALLOW", entries), backoff_s=0)


def test_nothing_connects_to_what_is_not_named(sites: tuple[Site, Site]) -> None:
    site, _ = sites
    with pytest.raises(NotAllowedError):
        source("public").stat(f"{site.base}/film")
    assert site.seen == []


def test_a_redirect_is_checked_and_not_told(sites: tuple[Site, Site]) -> None:
    site, other = sites
    site.redirects = {
        "/film": f"{other.base}/s3cret",
        "/again": "/film",
        "/gone": "http://127.0.0.1:1/s3cret",
        "/file": "file:///etc/passwd",
    }
    named = source(f"127.0.0.1:{site.port}")
    refusals = set()
    for path in ("/film", "/again", "/gone"):
        for ask in (named.stat, lambda uri: list(named.read(uri))):
            with pytest.raises(NotAllowedError) as refusal:
                ask(f"{site.base}{path}")
            assert "s3cret" not in str(refusal.value) and str(other.port) not in str(refusal.value)
            refusals.add(str(refusal.value).replace(path, ""))
    assert len(refusals) == 1 and other.seen == []
    with pytest.raises(InvalidInputError, match="UnsupportedProtocol"):
        named.stat(f"{site.base}/file")
    site.redirects["/here"] = "/film2"
    assert b"".join(named.read(f"{site.base}/here")) == BODY


def test_the_connection_goes_to_what_was_checked(
    sites: tuple[Site, Site], names: dict[str, list[str]]
) -> None:
    site, _ = sites
    names["media.test"] = ["127.0.0.1"]  # there is no second answer
    with client("media.test") as web:
        assert web.get(f"http://media.test:{site.port}/film?x=1").content == BODY
    assert names["media.test"] == []
    assert [(seen["Host"], seen["path"]) for seen in site.seen] == [(f"media.test:{site.port}", "/film?x=1")]


def test_a_name_that_changes_its_address_is_checked_again(
    sites: tuple[Site, Site], names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        httpx.HTTPTransport,
        "handle_request",
        lambda _, request: sent.append(request.url.host) or httpx.Response(200, content=BODY),
    )
    names["cdn.test"] = ["8.8.8.8", "127.0.0.1"]
    with client("public") as web:
        assert web.get("http://cdn.test/film").content == BODY
        with pytest.raises(NotAllowedError):
            web.get("http://cdn.test/film")
    assert sent == ["8.8.8.8"]


def test_a_host_of_two_addresses_is_tried_at_both(sites: tuple[Site, Site], monkeypatch: Any) -> None:
    site, _ = sites
    both = [(0, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.9.9.9", "127.0.0.1")]
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: both if host == "two.test" else real(host, *a, **k)
    )
    with client("two.test") as web:
        assert web.get(f"http://two.test:{site.port}/").content == BODY


def test_a_host_that_is_away_may_come_back(names: dict[str, list[str]]) -> None:
    with pytest.raises(StorageError):
        source("media.test").stat("http://media.test/film")


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[..., ssl.SSLContext]:
    def make(name: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (tmp_path / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        return context

    return make


def test_certificates_are_those_of_the_name(
    certificate: Callable[[str], ssl.SSLContext],
    names: dict[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site, asked = Site(), []
    context = certificate("media.test")
    context.sni_callback = lambda _, name, __: asked.append(name)
    server = serve(site, context)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    names |= {"media.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}
    with client("media.test", "other.test") as web:
        assert web.get(f"https://media.test:{site.port}/").content == BODY
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            web.get(f"https://other.test:{site.port}/")
    server.shutdown()
    server.server_close()
    assert asked == ["media.test", "other.test"]


def test_credentials_go_to_their_server_only(sites: tuple[Site, Site]) -> None:
    site, other = sites
    site.redirects["/films/moved"] = f"{other.base}/films/elsewhere"
    credentials = Credentials(f"{site.base}/films", (("X-Api-Key", "s3cret"),))
    assert "s3cret" not in repr(credentials)
    with client("127.0.0.1", credentials=credentials) as web:
        web.get(f"{site.base}/films/moved")
        web.get(f"{site.base}/other")
    assert [seen.get("X-Api-Key") for seen in site.seen] == ["s3cret", None]
    assert [seen["path"] for seen in other.seen] == ["/films/elsewhere"]
    assert "X-Api-Key" not in other.seen[0]


def test_a_proxy_of_the_environment_is_used(
    sites: tuple[Site, Site], names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, _ = sites
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
    with client("media.test") as web:
        assert web.get("http://media.test/film").content == BODY
        with pytest.raises(NotAllowedError):
            web.get("http://other.test/film")
    assert [seen["path"] for seen in proxy.seen] == ["http://media.test/film"]


def test_what_is_no_http_is_not_quoted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            for _ in range(8):
                connection, _ = listener.accept()
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-s3cret\r\n")
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(StorageError) as failure:
            source("127.0.0.1").stat(f"http://127.0.0.1:{port}/film")
    assert "s3cret" not in str(failure.value) and "RemoteProtocolError" in str(failure.value)


@pytest.mark.parametrize("status", [b"403", b"418", b"299", b"500"])
def test_a_reason_phrase_is_not_quoted(status: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            for _ in range(8):
                connection, _ = listener.accept()
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 " + status + b" s3cret\r\nContent-Length: 0\r\n\r\n")
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises((StorageError, InvalidInputError)) as failure:
            source("127.0.0.1").stat(f"http://127.0.0.1:{port}/film")
    assert "s3cret" not in str(failure.value) and status.decode() in str(failure.value)
