"""A store that does not honour the conditions of writes is found out before a run relies on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.odd_s3 import OddServer
from support.s3_servers import S3Bucket
from vod_operators.errors import InvalidInputError, UnsafeStoreError
from vod_operators.storage import claim
from vod_operators.storage.probe import require_conditional_writes
from vod_operators.storage.s3 import S3Storage
from vod_operators.storage.stores import storage_for

OddS3 = Callable[..., tuple[OddServer, str]]


def test_good_stores_pass_and_nothing_is_left(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    for uri in (f"{s3_bucket.uri}/tmp", tmp_path.as_uri()):
        require_conditional_writes(uri, s3_bucket.conn_id)
        assert list(storage_for(uri, s3_bucket.conn_id).list(f"{uri}/")) == []


@pytest.mark.parametrize(
    ("oddity", "seen"),
    [
        ("ignores If-None-Match", "ignores If-None-Match"),
        ("ignores If-Match", "ignores If-Match"),
        ("refuses If-None-Match", r"refuses If-None-Match: \* \(HTTP 412 for a key that is free\)"),
        (
            "refuses If-Match",
            r"refuses If-Match with a quoted ETag \(HTTP 412 for the ETag that the object has\), and "
            r"refuses If-Match with a bare ETag \(HTTP 412 for the ETag that the object has\)",
        ),
    ],
)
def test_a_store_without_a_condition_is_refused(
    odd_s3: OddS3, s3_bucket: S3Bucket, oddity: str, seen: str
) -> None:
    uri, (_, conn_id) = f"{s3_bucket.uri}/tmp", odd_s3(oddity)
    with pytest.raises(UnsafeStoreError, match=f"this store {seen}, .*VOD_ACCEPT_UNSAFE_STORE=true"):
        require_conditional_writes(uri, conn_id)
    assert list(storage_for(uri, conn_id).list(f"{uri}/")) == []


def test_the_proxy_itself_is_no_fault(odd_s3: OddS3, s3_bucket: S3Bucket) -> None:
    _, conn_id = odd_s3()
    require_conditional_writes(f"{s3_bucket.uri}/tmp", conn_id)


def test_a_bare_etag_is_sent_only_where_a_quoted_one_is_refused(odd_s3: OddS3, s3_bucket: S3Bucket) -> None:
    server, conn_id = odd_s3("refuses quoted")
    require_conditional_writes(f"{s3_bucket.uri}/tmp", conn_id)
    store, uri = S3Storage(conn_id), f"{s3_bucket.uri}/tmp/a"
    first = store.create(uri, b"first")
    assert first is not None and store.create(uri, b"second") is None
    second = store.replace(uri, b"second", first)
    assert second is not None and store.replace(uri, b"third", first) is None
    tried = len(server.requests)
    assert store.replace(uri, b"third", second) is not None
    assert [path.endswith("/tmp/a") for method, path in server.requests[tried:] if method == "PUT"] == [True]
    assert [info.uri for info in store.list(f"{s3_bucket.uri}/")] == [uri]


def test_a_store_that_refuses_quotes_and_ignores_the_rest_is_not_safe(
    odd_s3: OddS3, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, conn_id = odd_s3("refuses quoted")
    monkeypatch.setattr(
        server, "heard", lambda headers: {k: v for k, v in headers.items() if k != "If-Match"}
    )
    seen = "refuses If-Match with a quoted ETag .*, and ignores If-Match with a bare ETag"
    with pytest.raises(UnsafeStoreError, match=seen):
        require_conditional_writes(f"{s3_bucket.uri}/tmp", conn_id)


@pytest.mark.parametrize("how", ["ignores", "refuses"])
def test_an_unsafe_store_that_is_accepted_is_written_without_conditions(
    odd_s3: OddS3, s3_bucket: S3Bucket, how: str
) -> None:
    _, conn_id = odd_s3(f"{how} If-Match", f"{how} If-None-Match")
    store, uri = S3Storage(conn_id, accept_unsafe=True), f"{s3_bucket.uri}/tmp/claim.json"
    mine = claim.hold(store, uri, owner="me", ttl_s=300)
    claim.check(store, uri, claim.hold(store, uri, owner="me", ttl_s=900))
    assert mine.token == 1
    assert claim.release(store, uri, owner="me")
    # Who comes later than the look is not kept out, but who comes later than the other's write is.
    assert store.create(uri, b"other") is None
    info = store.stat(uri)
    assert info is not None and store.replace(uri, b"a", '"0123"') is None
    assert store.replace(uri, b"a", info.version) is not None
    assert [info.uri for info in store.list(f"{s3_bucket.uri}/")] == [uri]


def test_a_claim_on_an_unsafe_store_fails_at_once(odd_s3: OddS3, s3_bucket: S3Bucket) -> None:
    _, conn_id = odd_s3("refuses If-Match", "refuses If-None-Match")
    with pytest.raises(InvalidInputError, match="refuses If-None-Match"):
        claim.hold(S3Storage(conn_id), f"{s3_bucket.uri}/tmp/claim.json", owner="me", ttl_s=300)


def test_a_healthy_store_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vod_operators.storage import probe

    asked = []
    monkeypatch.setattr(probe, "_fault", lambda storage, uri: asked.append(uri))
    for _ in range(3):
        require_conditional_writes((tmp_path / "a").as_uri(), "unused")
    assert len(asked) == 1
