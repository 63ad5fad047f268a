"""S3 that is wrong, gone or breaks off: what the person reading the task log is told."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from vod_operators.errors import CorruptObjectError, InvalidInputError, ObjectNotFoundError, StorageError
from vod_operators.storage import checkpoint
from vod_operators.storage.s3 import S3Storage
from vod_operators.storage.s3_client import ATTEMPTS, CONNECT_TIMEOUT_S, make_client
from vod_operators.storage.s3_upload import BlockReader
from vod_operators.storage.stores import get_bytes

Rule = Callable[[bytes], int | None]
"""From the head of a request: after how many bytes of answer to hang up; None: never."""


class CuttingProxy:
    """Passes TCP connections on to a server that closes each after one answer."""

    def __init__(self, port: int) -> None:
        self.rule: Rule = lambda head: None
        self.change: Callable[[bytes], bytes] = lambda answer: answer
        self.instead: bytes | None = None
        """Said to every request, instead of passing it on."""
        self.heads: list[bytes] = []
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def puts(self) -> list[bytes]:
        """Heads of the writes, but for those by which a server is tried."""
        return [head for head in self.heads if head.startswith(b"PUT") and b"/_probe-" not in head]

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(connection,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(65536)
                if not data:
                    return
                head += data
            self.heads.append(head)
            if self.instead is not None:
                client.sendall(self.instead)
                client.shutdown(socket.SHUT_RDWR)
                return
            left = self.rule(head)
            server.sendall(head)
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
            while data := server.recv(65536):
                if data.startswith(b"HTTP/1.1 100"):
                    # "Go on and send the body" is not the answer, which may have come in the same read.
                    go_on, end, data = data.partition(b"\r\n\r\n")
                    client.sendall(go_on + end)
                    if not data:
                        continue
                data = self.change(data)
                client.sendall(data if left is None else data[:left])
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        break
            client.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _pump(client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, moto_server: Any) -> Callable[..., S3Storage]:
    """Makes a store for a connection to some endpoint."""
    import json

    def make(endpoint: str, **extra: Any) -> S3Storage:
        connection = json.loads(os.environ["AIRFLOW_CONN_VOD_TEST_S3"])
        connection["extra"] |= {"endpoint_url": endpoint, **extra}
        monkeypatch.setenv("AIRFLOW_CONN_ODD_S3", json.dumps(connection))
        return S3Storage("odd_s3", backoff_s=0)

    return make


@pytest.fixture
def proxy(s3_bucket: Any) -> Iterator[CuttingProxy]:
    with closing(CuttingProxy(int(s3_bucket.endpoint.rpartition(":")[2]))) as proxy:
        yield proxy


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_an_unreachable_server_is_named(connect: Callable[..., S3Storage]) -> None:
    endpoint = f"http://127.0.0.1:{closed_port()}"
    store = connect(endpoint)
    for call in (
        lambda: store.stat("s3://films/a.mp4"),
        lambda: store.write("s3://films/a.mp4", [b"x"]),
        lambda: list(store.list("s3://films/")),
        lambda: store.create("s3://films/a.mp4", b"x"),
    ):
        with pytest.raises(StorageError) as caught:
            call()
        for part in ("'films'", endpoint, "'odd_s3'", "VOD_AWS_CONN_ID"):
            assert part in str(caught.value)
        assert not isinstance(caught.value, ObjectNotFoundError)


def test_an_unreachable_server_costs_20_s_and_not_minutes(moto_server: Any) -> None:
    config = make_client(moto_server.conn_id).meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": ATTEMPTS}
    assert config.connect_timeout * config.retries["total_max_attempts"] <= 20
    assert (config.connect_timeout, config.read_timeout) == (CONNECT_TIMEOUT_S, 60)


def test_the_settings_of_a_connection_win(connect: Callable[..., S3Storage]) -> None:
    own = {"connect_timeout": 2, "s3": {"addressing_style": "path"}}
    config = connect("http://127.0.0.1:1", config_kwargs=own)._client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 60)
    assert config.s3["addressing_style"] == "path"


def test_a_missing_bucket_is_the_requests_fault(moto_server: Any) -> None:
    store = S3Storage(moto_server.conn_id)
    uri = "s3://no-such-bucket-here/films/a.mp4"
    for call in (
        lambda: store.stat(uri),
        lambda: list(store.read(uri)),
        lambda: store.write(uri, [b"x"]),
        lambda: store.write(uri, [bytes(9 << 20)]),
        lambda: store.create(uri, b"x"),
        lambda: store.replace(uri, b"x", '"etag"'),
        lambda: store.delete(uri),
        lambda: list(store.list(uri)),
    ):
        with pytest.raises(InvalidInputError) as caught:
            call()
        for part in ("'no-such-bucket-here'", "'films/a.mp4'", "does not exist", "VOD_AWS_CONN_ID"):
            assert part in str(caught.value)


def test_store_into_a_missing_bucket_keeps_the_file(moto_server: Any, tmp_path: Any) -> None:
    path = tmp_path / "result"
    path.write_bytes(b"x")
    with pytest.raises(InvalidInputError, match="'no-such-bucket-here' of key 'a' does not exist"):
        S3Storage(moto_server.conn_id).store(path, "s3://no-such-bucket-here/a")
    assert path.exists()


def test_store_of_a_missing_file_names_it(s3_bucket: Any, tmp_path: Any) -> None:
    with pytest.raises(StorageError, match=f"{tmp_path}/gone: No such file"):
        S3Storage(s3_bucket.conn_id).store(tmp_path / "gone", f"{s3_bucket.uri}/a")


def test_a_connection_that_does_not_exist() -> None:
    with pytest.raises(InvalidInputError, match=r"no Airflow connection 'no_such_conn'.*VOD_AWS_CONN_ID"):
        S3Storage("no_such_conn").stat("s3://films/a.mp4")


def test_no_credentials_at_all() -> None:
    # aws_default may be missing: a worker with an instance role needs none. This one has no role.
    with pytest.raises(InvalidInputError) as caught:
        S3Storage("aws_default").stat("s3://films/a.mp4")
    for part in ("no credentials", "'films'", "'a.mp4'", "'aws_default'", "VOD_AWS_CONN_ID"):
        assert part in str(caught.value)


def test_a_broken_connection(connect: Callable[..., S3Storage]) -> None:
    with pytest.raises(InvalidInputError, match=r"'odd_s3'.*VOD_AWS_CONN_ID.*not-a-url"):
        connect("not-a-url").stat("s3://films/a.mp4")


def test_denied(connect: Callable[..., S3Storage], s3_bucket: Any, proxy: CuttingProxy) -> None:
    store = connect(proxy.endpoint)
    proxy.instead = b"HTTP/1.0 403 Forbidden\r\n\r\n"
    for call in (lambda: store.stat(f"{s3_bucket.uri}/a"), lambda: list(store.read(f"{s3_bucket.uri}/a"))):
        with pytest.raises(InvalidInputError) as caught:
            call()
        for part in ("denied", s3_bucket.name, "key 'a'", "VOD_AWS_CONN_ID", "s3:ListBucket"):
            assert part in str(caught.value)


def test_a_body_that_is_cut_is_resumed(
    connect: Callable[..., S3Storage], s3_bucket: Any, proxy: CuttingProxy
) -> None:
    data = os.urandom(8 << 20)
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="video", Body=data)
    cuts = iter([4 << 20, 1000, 3 << 20])
    proxy.rule = lambda head: next(cuts, None)
    store = connect(proxy.endpoint)
    assert b"".join(store.read(f"{s3_bucket.uri}/video")) == data
    ranges = [
        next((line for line in head.split(b"\r\n") if line.lower().startswith(b"range:")), None)
        for head in proxy.heads
    ]
    assert len(ranges) == 4 and ranges[0] is None
    assert None not in ranges[1:], "a resumed read must not begin again"
    assert all(b"If-Match" in head for head in proxy.heads[1:])


def test_a_cut_range_is_resumed(
    connect: Callable[..., S3Storage], s3_bucket: Any, proxy: CuttingProxy
) -> None:
    data = os.urandom(4 << 20)
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="video", Body=data)
    cuts = iter([2 << 20])
    proxy.rule = lambda head: next(cuts, None)
    store = connect(proxy.endpoint)
    found = b"".join(store.read(f"{s3_bucket.uri}/video", start=7, length=3 << 20))
    assert found == data[7 : 7 + (3 << 20)]
    assert len(proxy.heads) == 2


def test_a_body_that_never_comes_gives_up(
    connect: Callable[..., S3Storage], s3_bucket: Any, proxy: CuttingProxy
) -> None:
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="video", Body=bytes(4 << 20))
    proxy.rule = lambda head: 1000
    with pytest.raises(
        StorageError, match=r"stopped at byte \d+ of 4194304; 5 connections broke since byte 0"
    ):
        list(connect(proxy.endpoint).read(f"{s3_bucket.uri}/video"))
    assert len(proxy.heads) == 5


def test_another_version_is_not_mixed_in(
    connect: Callable[..., S3Storage], s3_bucket: Any, proxy: CuttingProxy
) -> None:
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="video", Body=b"a" * (4 << 20))
    cuts = iter([3 << 20])
    proxy.rule = lambda head: next(cuts, None)
    blocks = connect(proxy.endpoint).read(f"{s3_bucket.uri}/video")
    assert set(next(blocks)) == {ord("a")}
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="video", Body=b"b" * (4 << 20))
    with pytest.raises(StorageError, match="changed or deleted while it was read"):
        list(blocks)


def test_a_flipped_bit_on_the_wire_is_seen(
    connect: Callable[..., S3Storage], s3_bucket: Any, proxy: CuttingProxy
) -> None:
    store = connect(proxy.endpoint)
    store.write(f"{s3_bucket.uri}/plan.json", [b"correct"])
    proxy.change = lambda answer: answer.replace(b"correct", b"cowrect")
    with pytest.raises(CorruptObjectError, match=r"plan.json"):
        list(store.read(f"{s3_bucket.uri}/plan.json"))


def test_an_iterator_as_a_file() -> None:
    def blocks() -> Iterator[bytes]:
        yield from (b"ab", b"", b"cdefgh", b"i")
        raise ArithmeticError

    reader = BlockReader(blocks())
    assert [reader.read(3), reader.read(3), reader.read(2), reader.read(0)] == [b"abc", b"def", b"gh", b""]
    for _ in range(2):  # a generator that has raised looks like one that has ended
        with pytest.raises(ArithmeticError):
            reader.read(5)
    assert BlockReader([b"ab", b"c"]).read() == b"abc"


@pytest.mark.parametrize("how", ["create", "replace"])
def test_a_conditional_write_whose_answer_is_lost_is_still_ours(
    how: str, connect: Callable[..., S3Storage], s3_bucket: Any, proxy: CuttingProxy
) -> None:
    store, uri = connect(proxy.endpoint), f"{s3_bucket.uri}/claim"
    before = None if how == "create" else store.create(uri, b"before")
    cuts = iter([0])
    proxy.rule = lambda head: next(cuts, None) if head.startswith(b"PUT") else None
    version = store.create(uri, b"ours") if before is None else store.replace(uri, b"ours", before)
    info = store.stat(uri)
    assert info is not None and version == info.version
    assert b"".join(store.read(uri)) == b"ours"
    assert len(proxy.puts()) == (2 if how == "create" else 3)


def test_conflicts_are_tried_again_and_then_told(
    connect: Callable[..., S3Storage], s3_bucket: Any, proxy: CuttingProxy
) -> None:
    store, uri = connect(proxy.endpoint), f"{s3_bucket.uri}/claim"
    conflicts = iter([True, True])
    proxy.change = lambda answer: (
        answer.replace(b" 412 ", b" 409 ") if b" 412 " in answer and next(conflicts, False) else answer
    )
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="claim", Body=b"other")
    assert store.create(uri, b"ours") is None
    assert len(proxy.puts()) == 3
    proxy.change = lambda answer: answer.replace(b" 412 ", b" 409 ")
    with pytest.raises(StorageError, match="5 conditional writes conflicted"):
        store.create(uri, b"ours")


def test_headers_are_kept_for_the_edge(s3_bucket: Any, tmp_path: Any) -> None:
    store = S3Storage(s3_bucket.conn_id)
    path = tmp_path / "seg.m4s"
    path.write_bytes(b"x")
    playlist = "application/vnd.apple.mpegurl"
    store.write(f"{s3_bucket.uri}/a", [b"x"], content_type=playlist, cache_control="no-cache")
    store.store(path, f"{s3_bucket.uri}/b", content_type="video/mp4", cache_control="max-age=31536000")
    store.copy(
        f"{s3_bucket.uri}/a", f"{s3_bucket.uri}/c", content_type="video/mp2t", cache_control="max-age=9"
    )
    found = [s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=key) for key in "abc"]
    assert [(f["ContentType"], f["CacheControl"]) for f in found] == [
        (playlist, "no-cache"),
        ("video/mp4", "max-age=31536000"),
        ("video/mp2t", "max-age=9"),
    ]


def test_a_server_that_computes_no_checksum_copies_all_the_same(
    s3_bucket: Any, connect: Callable[..., S3Storage]
) -> None:
    own = {"request_checksum_calculation": "when_required"}
    store = connect(s3_bucket.endpoint, config_kwargs=own)
    stored = checkpoint.write_hashed(store, f"{s3_bucket.uri}/a", [b"a segment"])
    assert store.copy(stored.uri, f"{s3_bucket.uri}/b") == stored.sha256  # read again, as nobody verified it
    copied = checkpoint.copy(store, stored, store, f"{s3_bucket.uri}/b")
    assert (copied.sha256, get_bytes(store, copied.uri)) == (stored.sha256, b"a segment")
