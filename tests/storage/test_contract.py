"""What every store promises, asked of each of them: a folder and S3."""

from __future__ import annotations

import hashlib
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest

from vod_operators.errors import (
    CorruptObjectError,
    InvalidInputError,
    ObjectChangedError,
    ObjectNotFoundError,
)
from vod_operators.storage.base import BLOCK_BYTES, Storage
from vod_operators.storage.stores import fetch, get_bytes, sha256_of, storage_for

MIB = 1 << 20


@dataclass(frozen=True)
class Store:
    storage: Storage
    uri: Callable[[str], str]
    debris: Callable[[], list[str]]
    """What a listing does not show: temporary and lock files, unfinished uploads."""
    streamed_bytes: int
    """Size of a stream far above what a write may hold in memory..."""
    memory_bytes: int
    """...which is this."""


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        folder = tmp_path / "a store"
        folder.mkdir()
        shown = {".hidden-but-ours-to-list"}
        return Store(
            storage_for(folder.as_uri(), "unused"),
            lambda key: f"{folder.as_uri()}/{quote(key)}",
            lambda: [p.name for p in folder.rglob(".*") if p.name not in shown],
            20 * MIB,
            4 * MIB,
        )
    bucket = request.getfixturevalue("s3_bucket")
    return Store(
        storage_for(bucket.uri, bucket.conn_id),
        lambda key: f"{bucket.uri}/{key}",
        lambda: [
            upload["Key"]
            for upload in bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])
        ],
        128 * MIB,  # parts of 8 MiB: 4 sent or waiting, one being read and joined
        60 * MIB,
    )


def put(store: Store, key: str, data: bytes) -> str:
    store.storage.write(store.uri(key), [data])
    return store.uri(key)


def content(store: Store, uri: str) -> bytes:
    return b"".join(store.storage.read(uri))


def test_what_was_written_is_read(store: Store) -> None:
    uri = store.uri("folder/video.bin")
    blocks = iter([b"one", b"", b"two", b"three"])
    store.storage.write(uri, blocks, content_type="video/mp4", cache_control="no-store")
    assert content(store, uri) == b"onetwothree"
    info = store.storage.stat(uri)
    assert info is not None
    assert (info.uri, info.size) == (uri, 11)
    assert info.modified.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - info.modified) < timedelta(hours=1)
    assert list(store.storage.list(uri)) == [info]
    assert store.debris() == []


def test_an_empty_object_is_an_object(store: Store) -> None:
    uri = put(store, "empty", b"")
    store.storage.write(uri, [])
    info = store.storage.stat(uri)
    assert info is not None and info.size == 0
    assert content(store, uri) == b""
    assert list(store.storage.read(uri, length=5)) == []


@pytest.mark.parametrize(
    "key", ["a b/ä ö.mp4", "日本/映画 #1?.mp4", "100%25 & +plus.mp4", "it's (1) ~[x].mp4"]
)
def test_keys_may_have_any_letters(store: Store, key: str) -> None:
    uri = put(store, key, key.encode())
    assert content(store, uri) == key.encode()
    assert [info.uri for info in store.storage.list(store.uri(""))] == [uri]
    store.storage.delete(uri)
    assert store.storage.stat(uri) is None


def test_a_missing_object(store: Store) -> None:
    uri = store.uri("no/such/object")
    assert store.storage.stat(uri) is None
    assert store.storage.local_path(uri) is None
    store.storage.delete(uri)
    assert list(store.storage.list(store.uri("no/"))) == []
    for options in ({}, {"start": 3}, {"length": 0}):
        with pytest.raises(ObjectNotFoundError, match="no/such/object"):
            list(store.storage.read(uri, **options))


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 4, b"3456"),
        (0, 1, b"0"),
        (9, 1, b"9"),
        (8, 5, b"89"),
        (0, 0, b""),
        (10, None, b""),
        (99, 5, b""),
    ],
)
def test_ranges(store: Store, start: int, length: int | None, expected: bytes) -> None:
    uri = put(store, "digits", b"0123456789")
    assert b"".join(store.storage.read(uri, start=start, length=length)) == expected


def test_versions_follow_the_content(store: Store) -> None:
    seen = []
    for data in (b"first", b"other", b"third"):
        info = store.storage.stat(put(store, "object", data))
        assert info is not None
        seen.append(info.version)
    assert len(set(seen)) == 3


@pytest.mark.parametrize("blocks_before", [1, 20])
def test_a_failing_iterator_changes_nothing(store: Store, blocks_before: int) -> None:
    def blocks() -> Iterator[bytes]:
        for _ in range(blocks_before):  # 20 MiB are several parts of an upload
            yield b"x" * MIB
        raise ArithmeticError("ffmpeg died")

    old = put(store, "old", b"still here")
    for uri in (old, store.uri("new")):
        with pytest.raises(ArithmeticError, match="ffmpeg died"):
            store.storage.write(uri, blocks())
    assert [info.uri for info in store.storage.list(store.uri(""))] == [old]
    assert content(store, old) == b"still here"
    assert store.debris() == []


def test_readers_see_one_whole_version(store: Store) -> None:
    uri = put(store, "playlist", b"a" * (2 * MIB))
    done = threading.Event()

    def read() -> set[frozenset[int]]:
        found = set()
        while not done.is_set():
            found.add(frozenset(content(store, uri)))
        return found

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for i in range(12):
            put(store, "playlist", (b"a", b"b")[i % 2] * ((2 + i % 2) * MIB))
        done.set()
        found = readers[0].result() | readers[1].result()
    assert found <= {frozenset(b"a"), frozenset(b"b")} and found


def test_create_has_one_winner(store: Store) -> None:
    uri = store.uri("claims/video.json")
    start = threading.Barrier(20)

    def claim(i: int) -> str | None:
        start.wait()
        return store.storage.create(uri, b"owner %d" % i)

    with ThreadPoolExecutor(20) as pool:
        versions = list(pool.map(claim, range(20)))
    winners = [i for i, version in enumerate(versions) if version is not None]
    assert len(winners) == 1
    assert content(store, uri) == b"owner %d" % winners[0]
    info = store.storage.stat(uri)
    assert info is not None and info.version == versions[winners[0]]
    assert store.storage.create(uri, b"late") is None
    assert store.debris() == []


def test_replace_has_one_winner(store: Store) -> None:
    uri = store.uri("claims/video.json")
    version = store.storage.create(uri, b"first")
    assert version is not None
    start = threading.Barrier(20)

    def take_over(i: int) -> str | None:
        start.wait()
        return store.storage.replace(uri, b"owner %d" % i, version)

    with ThreadPoolExecutor(20) as pool:
        versions = list(pool.map(take_over, range(20)))
    winners = [i for i, version in enumerate(versions) if version is not None]
    assert len(winners) == 1
    assert content(store, uri) == b"owner %d" % winners[0]
    assert store.storage.replace(uri, b"late", version) is None
    assert store.storage.replace(uri, b"next", versions[winners[0]] or "") is not None
    assert store.debris() == []


def test_no_replace_is_lost(store: Store) -> None:
    """Equal sizes, many in one tick of the clock: a version must not come back."""
    uri = store.uri("counter")
    store.storage.create(uri, b"00000")

    def count(_: int) -> None:
        for _ in range(6):
            while True:
                info = store.storage.stat(uri)
                assert info is not None
                value = int(content(store, uri))
                if store.storage.replace(uri, b"%05d" % (value + 1), info.version):
                    break

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(count, range(5)))
    assert content(store, uri) == b"00030"


def test_replace_of_a_vanished_object(store: Store) -> None:
    uri = store.uri("claim")
    version = store.storage.create(uri, b"mine")
    assert version is not None
    store.storage.delete(uri)
    assert store.storage.replace(uri, b"mine again", version) is None
    assert store.storage.stat(uri) is None


def test_conditional_writes_have_headers(store: Store, request: pytest.FixtureRequest) -> None:
    uri = store.uri("index.m3u8")
    headers = {"content_type": "application/vnd.apple.mpegurl", "cache_control": "public, max-age=2"}
    version = store.storage.create(uri, b"first", **headers)
    for _ in range(2):
        assert version is not None
        if uri.startswith("s3://"):
            bucket = request.getfixturevalue("s3_bucket")
            head = bucket.client.head_object(Bucket=bucket.name, Key="index.m3u8")
            assert (head["ContentType"], head["CacheControl"]) == tuple(headers.values())
        version = store.storage.replace(uri, b"second", version, **headers)


def test_the_clock_is_the_one_that_dates_objects(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = store.uri("a/claim.json")
    real = time.time_ns
    with monkeypatch.context() as patch:  # this host's own is ten minutes ahead
        patch.setattr(time, "time_ns", lambda: real() + 600 * 10**9)
        before = store.storage.now(uri)
        version = store.storage.create(uri, b"1")
        assert version is not None and store.storage.replace(uri, b"2", version) is not None
        put(store, "a/b", b"")
        after = store.storage.now(uri)
    assert before.utcoffset() == timedelta(0)
    for info in store.storage.list(store.uri("a/")):
        assert before - timedelta(seconds=1) <= info.modified <= after + timedelta(seconds=1)
    assert store.debris() == []


def test_folders_and_their_removal(store: Store) -> None:
    for key in ("v/a/1", "v/a/b/2", "v/a-b/3", "v/a_b/4", "v/c", "v2/5"):
        put(store, key, b"x")
    assert list(store.storage.folders(store.uri("v/"))) == ["a-b", "a", "a_b"]  # as "a-b/" < "a/"
    assert list(store.storage.folders(store.uri("q/"))) == []
    store.storage.delete_folder(store.uri("v/a/"))
    store.storage.delete_folder(store.uri("q/"))
    assert list(store.storage.folders(store.uri("v/"))) == ["a-b", "a_b"]
    store.storage.delete_folder(store.uri("v/"))
    assert [info.uri for info in store.storage.list(store.uri(""))] == [store.uri("v2/5")]


def test_a_folder_of_more_than_one_page_goes_whole(store: Store) -> None:
    for i in range(1005):
        put(store, f"v/{i}", b"")
    store.storage.delete_folder(store.uri("v/"))
    assert list(store.storage.list(store.uri("v/"))) == []


def test_list_is_by_prefix_and_in_order(store: Store) -> None:
    keys = ["a/b/2", "a/b/10", "a/b-c", "a/b.d", "a/bb/1", "a/b", "z", ".hidden-but-ours-to-list"]
    if store.storage.local_path(put(store, "probe", b"")):
        keys.remove("a/b")  # a folder cannot also be a file
    store.storage.delete(store.uri("probe"))
    for key in keys:
        put(store, key, key.encode())

    def listed(prefix: str) -> list[str]:
        found = list(store.storage.list(store.uri(prefix)))
        assert all(content(store, info.uri) == info.uri[len(store.uri("")) :].encode() for info in found)
        return [info.uri[len(store.uri("")) :] for info in found]

    assert listed("") == sorted(keys)
    assert listed("a/b/") == ["a/b/10", "a/b/2"]
    assert listed("a/b") == sorted(key for key in keys if key.startswith("a/b"))
    assert listed("a/b-") == ["a/b-c"]
    assert listed("a/x") == []
    assert listed("q/") == []


def test_store_moves_the_file(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "result.mp4"
    data = bytes(range(256)) * 4096 * 20  # 20 MiB
    path.write_bytes(data)
    uri = store.uri("deep/er/result.mp4")
    store.storage.store(path, uri, content_type="video/mp4")
    assert not path.exists()
    assert content(store, uri) == data
    path.write_bytes(b"again")
    store.storage.store(path, uri)
    assert content(store, uri) == b"again"
    assert store.debris() == []


def test_memory_is_bounded(store: Store) -> None:
    uri = store.uri("long.ts")
    block = bytes(MIB)
    count = store.streamed_bytes // MIB
    put(store, "warm-up", b"")  # imports are not what is measured
    tracemalloc.start()
    try:
        store.storage.write(uri, (block + b"" for _ in range(count)))
        written_peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        sizes = [len(block) for block in store.storage.read(uri)]
        read_peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) == store.streamed_bytes
    assert max(sizes) <= BLOCK_BYTES
    assert written_peak < store.memory_bytes
    assert read_peak < 8 * MIB


def test_fetch(store: Store, tmp_path: Path) -> None:
    data = b"moving pictures" * 100_000
    uri = put(store, "chunk.mkv", data)
    path = tmp_path / "work" / "chunk.mkv"
    fetch(store.storage, uri, path, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    assert path.read_bytes() == data
    assert sha256_of(path) == hashlib.sha256(data).hexdigest()
    assert [p.name for p in path.parent.iterdir()] == ["chunk.mkv"]


@pytest.mark.parametrize("found", [b"good byteS", b"good", b"good bytes and more"])
def test_a_corrupt_object_is_not_fetched(store: Store, tmp_path: Path, found: bytes) -> None:
    wanted = b"good bytes"
    uri = put(store, "chunk.mkv", found)
    digest = hashlib.sha256(wanted).hexdigest()
    with pytest.raises(CorruptObjectError) as by_digest:
        fetch(store.storage, uri, tmp_path / "chunk.mkv", sha256=digest)
    for part in (uri, digest, hashlib.sha256(found).hexdigest()):
        assert part in str(by_digest.value)
    if len(found) != len(wanted):
        with pytest.raises(CorruptObjectError, match=r"expected 10 bytes, found (4|more than 10)$"):
            fetch(store.storage, uri, tmp_path / "chunk.mkv", size=len(wanted))
    assert not list(tmp_path.glob("chunk*"))


def test_get_bytes_has_a_limit(store: Store) -> None:
    uri = put(store, "plan.json", b"{}" * 50)
    assert get_bytes(store.storage, uri, 100) == b"{}" * 50
    with pytest.raises(InvalidInputError, match="more than 99 bytes"):
        get_bytes(store.storage, uri, 99)


@pytest.mark.parametrize("uri", ["ftp://host/a", "/a/b", "", "file:relative", "s3:///key", "https://host/a"])
def test_uris_of_other_stores_are_refused(store: Store, uri: str) -> None:
    with pytest.raises(InvalidInputError, match=r"use (file|s3)://"):
        store.storage.stat(uri)
    with pytest.raises(InvalidInputError, match=r"use (file|s3)://"):
        store.storage.write(uri, [b""])


def test_a_version_is_read_whole_or_not_at_all(store: Store) -> None:
    uri = put(store, "object", b"first")
    first = store.storage.stat(uri)
    assert first is not None
    assert b"".join(store.storage.read(uri, start=2, version=first.version)) == b"rst"
    assert list(store.storage.read(uri, start=9, version=first.version)) == []
    put(store, "object", b"other")
    for options in ({}, {"start": 2}, {"start": 1, "length": 2}):
        with pytest.raises(ObjectChangedError, match=r"object.* change"):
            list(store.storage.read(uri, version=first.version, **options))
    store.storage.delete(uri)
    with pytest.raises((ObjectChangedError, ObjectNotFoundError)):
        list(store.storage.read(uri, version=first.version))


def test_what_changed_is_not_fetched(store: Store, tmp_path: Path) -> None:
    uri = put(store, "object", b"first")
    first = store.storage.stat(uri)
    assert first is not None
    put(store, "object", b"other")
    with pytest.raises(ObjectChangedError):
        fetch(store.storage, uri, tmp_path / "copy", version=first.version)
    assert not list(tmp_path.glob("copy*"))


def test_a_copy_is_the_same_and_stands_alone(store: Store) -> None:
    data = bytes(range(256)) * 40_000  # more than one part of S3
    source, uri = put(store, "tmp/seg-00001.m4s", data), store.uri("results/film/ä seg-00001.m4s")
    put(store, "results/film/ä seg-00001.m4s", b"of an earlier try")

    for _ in range(2):
        found = store.storage.copy(source, uri, content_type="video/iso.segment", cache_control="max-age=9")
        assert found == hashlib.sha256(data).hexdigest()
        assert content(store, uri) == data

    store.storage.write(source, [b"another"])
    assert content(store, uri) == data
    store.storage.copy(uri, source)
    store.storage.delete(uri)
    assert content(store, source) == data
    assert store.debris() == []


def test_what_is_not_there_cannot_be_copied(store: Store) -> None:
    with pytest.raises(ObjectNotFoundError, match="no/such/object"):
        store.storage.copy(store.uri("no/such/object"), store.uri("copy"))
    assert store.storage.stat(store.uri("copy")) is None
    assert store.debris() == []
