"""What a server takes without verifying its checksum is read again; what it verifies is not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.odd_s3 import OddServer
from support.s3_servers import S3Bucket, s3_connection
from vod_operators.errors import CorruptObjectError, StorageError
from vod_operators.storage.s3 import S3Storage
from vod_operators.storage.s3_upload import PART_BYTES

OddS3 = Callable[..., tuple[OddServer, str]]
Write = Callable[[S3Storage, str, Path], object]

DATA = bytes(range(256)) * (PART_BYTES // 256) + b"and a second part"


def _store(store: S3Storage, uri: str, folder: Path) -> None:
    path = folder / "segment.m4s"
    path.write_bytes(DATA)
    try:
        store.store(path, uri)
    finally:
        (folder / "kept").write_text(str(path.exists()))


def _replace(store: S3Storage, uri: str, folder: Path) -> None:
    version = store.create(uri, b"before")
    assert version is not None
    store.replace(uri, b"short", version)


WRITES: dict[str, Write] = {
    "write": lambda store, uri, folder: store.write(uri, [b"short"]),
    "write in parts": lambda store, uri, folder: store.write(uri, [DATA[:100], DATA[100:]]),
    "store in parts": _store,
    "create": lambda store, uri, folder: store.create(uri, b"short"),
    "replace": _replace,
}


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=[] if how == "create" else pytest.mark.faults) for how in WRITES]
)
def test_where_the_server_does_not_verify_what_was_written_is_read_again(
    how: str, odd_s3: OddS3, s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    server, conn_id = odd_s3("ignores checksums")
    store, uri = S3Storage(conn_id), f"{s3_bucket.uri}/folder/a"
    server.corrupt = "/folder/a"
    with pytest.raises(CorruptObjectError, match=r"bytes of SHA-256 \w+ were sent, but .* does not verify"):
        WRITES[how](store, uri, tmp_path)
    if how == "store in parts":
        assert (tmp_path / "kept").read_text() == "True"
    store.delete(uri)
    WRITES[how](store, uri, tmp_path)
    assert [info.uri for info in store.list(f"{s3_bucket.uri}/")] == [uri]


@pytest.mark.faults
def test_where_the_server_verifies_nothing_is_read_again(
    odd_s3: OddS3, s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    server, conn_id = odd_s3()
    store = S3Storage(conn_id)
    for number, write in enumerate(WRITES.values()):
        write(store, f"{s3_bucket.uri}/folder/{number}", tmp_path)
    assert not [path for method, path in server.requests if method == "GET"]
    assert len([path for _, path in server.requests if "/_probe-" in path]) == 1
    assert len(list(store.list(f"{s3_bucket.uri}/"))) == len(WRITES)


def test_a_body_that_arrives_changed_is_refused_by_a_server_that_verifies(
    odd_s3: OddS3, s3_bucket: S3Bucket
) -> None:
    server, conn_id = odd_s3()
    server.corrupt = "/folder/a"
    with pytest.raises(StorageError, match="HTTP 400 BadDigest"):
        S3Storage(conn_id).write(f"{s3_bucket.uri}/folder/a", [b"short"])


@pytest.mark.faults
def test_a_connection_that_sends_no_checksum_has_what_it_wrote_read_again(
    s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"request_checksum_calculation": "when_required"}
    monkeypatch.setenv("AIRFLOW_CONN_PLAIN_S3", s3_connection(s3_bucket.endpoint, config_kwargs=config))
    store, uri = S3Storage("plain_s3"), f"{s3_bucket.uri}/folder/a"
    reads, read = [], store.read

    def watched(uri: str, **asked: Any) -> Iterator[bytes]:
        reads.append(uri)
        return read(uri, **asked)

    monkeypatch.setattr(store, "read", watched)
    store.write(uri, [b"short"])
    assert reads == [uri]


@pytest.mark.parametrize("verifies", [True, False])
def test_a_copy_without_a_checksum_is_read_again_where_nothing_is_verified(
    verifies: bool, odd_s3: OddS3, s3_bucket: S3Bucket
) -> None:
    _, conn_id = odd_s3("refuses checksums of copies", *([] if verifies else ["ignores checksums"]))
    store, uri = S3Storage(conn_id), f"{s3_bucket.uri}/folder/a"
    store.write(uri, [b"short"])
    assert store.copy(uri, f"{uri}2") == (None if verifies else hashlib.sha256(b"short").hexdigest())
    assert b"".join(store.read(f"{uri}2")) == b"short"
