"""Opens the store of a URI, and fetches whole objects with their sizes and checksums verified."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from vod_operators.errors import CorruptObjectError, InvalidInputError, StorageError
from vod_operators.storage.allow import AllowList
from vod_operators.storage.base import Digest, ReadableStorage, Storage, blocks_of, digest_of
from vod_operators.storage.guard import Credentials
from vod_operators.storage.http import SCHEMES as HTTP_SCHEMES
from vod_operators.storage.http import HttpSource
from vod_operators.storage.local import SCHEME as LOCAL_SCHEME
from vod_operators.storage.local import LocalStorage
from vod_operators.storage.redact import redact
from vod_operators.storage.s3 import SCHEME as S3_SCHEME
from vod_operators.storage.s3 import S3Storage

MAX_DOCUMENT_BYTES = 16 << 20
"""Limit of plans, markers and playlists: a 10 h film has 6,000 segments x 8 renditions x 200 B = 9.6 MB."""


def storage_for(uri: str, aws_conn_id: str, *, accept_unsafe: bool = False) -> Storage:
    """The store of ``uri``; one for each process, kind and Airflow connection, so connections are reused.

    :param accept_unsafe: write even if an S3 server does not honour conditions.
    :raises InvalidInputError: the URI belongs to no store that can be written.
    """
    if uri.startswith(LOCAL_SCHEME):
        return LocalStorage()
    if uri.startswith(S3_SCHEME):
        return _s3(aws_conn_id, accept_unsafe, os.getpid())
    if uri.lower().startswith(HTTP_SCHEMES):
        raise InvalidInputError(f"{redact(uri)} is read-only; write to an s3:// or file:// URI")
    if "://" not in uri and uri.startswith("/"):
        raise InvalidInputError(f"{uri!r} is a path, not a URI; write {Path(uri).as_uri()}")
    raise InvalidInputError(
        f"{redact(uri)!r} is not a URI that can be read; use file:///absolute/path, s3://bucket/key, "
        "http://host/path or https://host/path"
    )


def readable_for(uri: str, aws_conn_id: str) -> ReadableStorage:
    """The store of ``uri`` for reading, which may also be a web server.

    For URIs that the user of the command line names; URIs of requests are read through ``requested.py``.

    :raises InvalidInputError: the URI belongs to no store.
    """
    return http_source() if uri.lower().startswith(HTTP_SCHEMES) else storage_for(uri, aws_conn_id)


def http_source(allow: AllowList | None = None, credentials: Credentials | None = None) -> HttpSource:
    """Reads web servers, as :class:`HttpSource`; one for each process, list and credentials."""
    return _http(allow, credentials, os.getpid())


# The process is part of the key because executors fork: a child must not share its parent's sockets.
@lru_cache(maxsize=8)
def _s3(aws_conn_id: str, accept_unsafe: bool, process: int) -> Storage:
    return S3Storage(aws_conn_id, accept_unsafe=accept_unsafe)


@lru_cache(maxsize=8)
def _http(allow: AllowList | None, credentials: Credentials | None, process: int) -> HttpSource:
    return HttpSource(allow, credentials)


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in lower-case hex, read in blocks."""
    return digest_of(blocks_of(path)).sha256


def verified(
    uri: str, blocks: Iterable[bytes], *, sha256: str | None = None, size: int | None = None
) -> Iterator[bytes]:
    """The blocks, unchanged, while their size and checksum are verified.

    :param uri: the blocks' origin, for messages.
    :param sha256: the hex digest that they must have.
    :param size: how many bytes they must have.
    :raises CorruptObjectError: they differ; raised at the first byte too many, or after the last block.
    """
    digest = Digest()
    for block in digest.of(blocks):
        if size is not None and digest.size > size:  # at once, because the rest may fill the disk
            raise CorruptObjectError(f"{redact(uri)}: expected {size} bytes, found more than {size}")
        yield block
    if size is not None and digest.size != size:
        raise CorruptObjectError(f"{redact(uri)}: expected {size} bytes, found {digest.size}")
    if sha256 is not None and digest.sha256 != sha256.lower():
        raise CorruptObjectError(
            f"{redact(uri)}: expected SHA-256 {sha256}, found {digest.sha256} in {digest.size} bytes"
        )


def fetch(
    storage: ReadableStorage,
    uri: str,
    path: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    version: str | None = None,
) -> None:
    """Copy an object to a local file, which appears only when it is complete.

    :param sha256: the hex digest that the object must have.
    :param size: how many bytes it must have.
    :param version: the version that it must have, as ``stat`` returned it.
    :raises ObjectChangedError: it has another version, or got one meanwhile; no file is left.
    :raises CorruptObjectError: it has another size or digest; no file is left.
    :raises ObjectNotFoundError: it does not exist.
    :raises StorageError: the store or the local disk failed.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            blocks = storage.read(uri, version=version)
            for block in verified(uri, blocks, sha256=sha256, size=size):
                file.write(block)
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}, while fetching {redact(uri)}") from error
    finally:
        part.unlink(missing_ok=True)


def get_bytes(storage: ReadableStorage, uri: str, limit: int = MAX_DOCUMENT_BYTES) -> bytes:
    """A small object's content.

    :param limit: most bytes that it may have.
    :raises InvalidInputError: it is larger.
    :raises ObjectNotFoundError: it does not exist.
    """
    data = bytearray()
    for block in storage.read(uri):  # without a range, so that S3's checksum of the object is verified
        data += block
        if len(data) > limit:
            raise InvalidInputError(f"{redact(uri)} has more than {limit} bytes, too many for a document")
    return bytes(data)
