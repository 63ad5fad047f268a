"""Amazon S3 and compatible servers: ``s3://bucket/key`` URIs; keys are not percent-encoded.

The server must honour conditional writes (``If-None-Match: *``, ``If-Match``), or two runs could own one
video; ``probe.py`` checks this. If a server does not verify checksums, every write is read back. A worker
that is killed during a large write leaves parts, which the janitor removes.
"""

from __future__ import annotations

import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vod_operators.errors import (
    CorruptObjectError,
    InvalidInputError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageError,
)
from vod_operators.storage.base import (
    BLOCK_BYTES,
    Block,
    Digest,
    Headers,
    Interruptions,
    ObjectInfo,
    Unfinished,
    blocks_of,
    digest_of,
)
from vod_operators.storage.s3_checksums import ChecksumProbe
from vod_operators.storage.s3_client import explain, make_client, status_and_code
from vod_operators.storage.s3_conditions import ConditionalWrites
from vod_operators.storage.s3_upload import BlockReader, transfer_config

if TYPE_CHECKING:
    from typing_extensions import Unpack

SCHEME = "s3://"

TRIES = 5
"""Broken connections within one block before giving up."""


class S3Storage:
    """Implements :class:`vod_operators.storage.base.Storage` on S3.

    :param aws_conn_id: Airflow connection with credentials, region and ``endpoint_url``; its
        ``config_kwargs`` override this package's timeouts and retries.
    :param backoff_s: first pause between attempts, doubled each time.
    :param accept_unsafe: write even if the server does not honour conditions.
    """

    def __init__(self, aws_conn_id: str, *, backoff_s: float = 0.25, accept_unsafe: bool = False) -> None:
        self.aws_conn_id = aws_conn_id
        self._backoff_s = backoff_s
        self._cached_client: Any = None
        self._making = threading.Lock()  # making a boto3 client is not thread-safe, using it is
        self._known_buckets: set[str] = set()
        self._checksums = ChecksumProbe()
        self._conditional = ConditionalWrites(
            lambda: self._client, self._explained, self._pause, accept_unsafe=accept_unsafe
        )

    @property
    def _client(self) -> Any:
        with self._making:
            if self._cached_client is None:
                self._cached_client = make_client(self.aws_conn_id)
            return self._cached_client

    def stat(self, uri: str) -> ObjectInfo | None:
        bucket, key = _split(uri)
        try:
            response = self._client.head_object(Bucket=bucket, Key=key)
        except Exception as error:
            if status_and_code(error)[0] == 404:
                self._require_bucket(bucket, uri)
                return None
            raise self._explained(error, uri) from error
        return ObjectInfo(
            uri=uri,
            size=response["ContentLength"],
            version=response["ETag"],
            modified=response["LastModified"],
        )

    def local_path(self, uri: str) -> Path | None:
        return None

    def read(
        self, uri: str, *, start: int = 0, length: int | None = None, version: str | None = None
    ) -> Iterator[bytes]:
        if length == 0:
            if self.stat(uri) is None:
                raise ObjectNotFoundError(f"{uri} does not exist")
            return
        position, end = start, None if length is None else start + length
        is_whole, is_first = not position and end is None, True
        interruptions = Interruptions(uri, position, TRIES, self._pause)
        while True:
            response = self._get(uri, position, end, version, is_first=is_first)
            if response is None:
                return
            version, is_first = response["ETag"], False
            stop = position + response["ContentLength"]
            failure = "the connection was closed early"
            with closing(response["Body"]) as body:
                while position < stop:
                    try:
                        block = body.read(min(BLOCK_BYTES, stop - position))
                        if position + len(block) == stop and is_whole:
                            body.read(1)  # botocore verifies the checksum when it reads the end
                    except Exception as error:
                        failure = self._dropped(error, uri)
                        break
                    if not block:
                        break
                    position += len(block)
                    yield block
            if position >= stop:
                return
            interruptions.add(position, failure, stop)
            is_whole = is_whole and not position

    def write(self, uri: str, blocks: Iterable[Block], **headers: Unpack[Headers]) -> None:
        """As the protocol says; at most about 78 GiB (see ``s3_upload.py``)."""
        bucket, key = _split(uri)
        digest = Digest()
        reader = BlockReader(blocks if self._checksums.is_known(bucket) else digest.of(blocks))
        try:
            self._client.upload_fileobj(
                reader, bucket, key, ExtraArgs=_headers(**headers), Config=transfer_config()
            )
        except Exception as error:
            if reader.failure is not None:
                raise reader.failure from None
            raise self._explained(error, uri) from error
        self._require_written(uri, lambda: digest)

    def store(self, path: Path, uri: str, **headers: Unpack[Headers]) -> None:
        bucket, key = _split(uri)
        try:
            self._client.upload_file(
                str(path), bucket, key, ExtraArgs=_headers(**headers), Config=transfer_config()
            )
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}, so {uri} was not written") from error
        except Exception as error:
            raise self._explained(error, uri) from error
        self._require_written(uri, lambda: _digest_of_file(path))
        path.unlink()

    def copy(self, source: str, uri: str, **headers: Unpack[Headers]) -> str | None:
        """Copy within S3, at most 5 GB. The copy is read by this host only if the server neither computes its
        checksum nor verifies those of uploads."""
        (from_bucket, from_key), (bucket, key) = _split(source), _split(uri)
        request = {
            "Bucket": bucket,
            "Key": key,
            "CopySource": {"Bucket": from_bucket, "Key": from_key},
            "MetadataDirective": "REPLACE",
        } | _headers(**headers)
        has_checksums = self._client.meta.config.request_checksum_calculation != "when_required"
        checksum_option = {"ChecksumAlgorithm": "SHA256"} if has_checksums else {}
        with self._calls(source):
            try:
                response = self._client.copy_object(**request, **checksum_option)
            except Exception as error:
                if not checksum_option or status_and_code(error)[0] != 501:
                    raise
                response = self._client.copy_object(**request)  # R2 refused the header in 2022
        checksum = response["CopyObjectResult"].get("ChecksumSHA256")
        if checksum is not None:
            return b64decode(checksum).hex()
        if self._checksums.verifies(self._client, bucket, key):
            return None
        return digest_of(self.read(uri)).sha256

    def create(self, uri: str, data: bytes, **headers: Unpack[Headers]) -> str | None:
        return self._put_if(uri, data, _headers(**headers), None)

    def replace(self, uri: str, data: bytes, version: str, **headers: Unpack[Headers]) -> str | None:
        return self._put_if(uri, data, _headers(**headers), version)

    def now(self, uri: str) -> datetime:
        """The ``Date`` header of an answer, in whole seconds."""
        bucket, key = _split(uri)
        with self._calls(uri):
            response = self._client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
        date = response["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(date).astimezone(timezone.utc)
        except ValueError as error:
            raise StorageError(f"{uri}: the server's responses have no Date header") from error

    def delete(self, uri: str) -> None:
        bucket, key = _split(uri)
        try:
            self._client.delete_object(Bucket=bucket, Key=key)
        except Exception as error:
            if status_and_code(error) != (404, "NoSuchKey"):
                raise self._explained(error, uri) from error

    def delete_folder(self, folder: str) -> None:
        bucket, key_prefix = _split(folder, key_required=False)
        for page in self._pages("list_objects_v2", folder, Bucket=bucket, Prefix=key_prefix):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", ())]
            if not keys:
                continue
            with self._calls(folder):
                response = self._client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            for failed in response.get("Errors", ()):
                raise StorageError(
                    f"{SCHEME}{bucket}/{failed['Key']} could not be deleted: {failed.get('Message')}"
                )

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        bucket, key_prefix = _split(prefix, key_required=False)
        for page in self._pages("list_objects_v2", prefix, Bucket=bucket, Prefix=key_prefix):
            for item in page.get("Contents", ()):
                yield ObjectInfo(
                    uri=f"{SCHEME}{bucket}/{item['Key']}",
                    size=item["Size"],
                    version=item["ETag"],
                    modified=item["LastModified"],
                )

    def folders(self, folder: str) -> Iterator[str]:
        bucket, key_prefix = _split(folder, key_required=False)
        request = {"Bucket": bucket, "Prefix": key_prefix, "Delimiter": "/"}
        for page in self._pages("list_objects_v2", folder, **request):
            for item in page.get("CommonPrefixes", ()):
                yield item["Prefix"][len(key_prefix) : -1]

    def unfinished(self, folder: str) -> Iterator[Unfinished]:
        """Multipart uploads that have not been completed."""
        bucket, key_prefix = _split(folder, key_required=False)
        for page in self._pages("list_multipart_uploads", folder, Bucket=bucket, Prefix=key_prefix):
            for upload in page.get("Uploads", ()):
                uri, handle = f"{SCHEME}{bucket}/{upload['Key']}", upload["UploadId"]
                parts = {"Bucket": bucket, "Key": upload["Key"], "UploadId": handle}
                size = sum(
                    part["Size"]
                    for listing in self._pages("list_parts", uri, **parts)
                    for part in listing.get("Parts", ())
                )
                yield Unfinished(uri=uri, handle=handle, size=size, started=upload["Initiated"])

    def discard(self, unfinished: Unfinished) -> None:
        bucket, key = _split(unfinished.uri)
        try:
            self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=unfinished.handle)
        except Exception as error:
            if status_and_code(error) != (404, "NoSuchUpload"):
                raise self._explained(error, unfinished.uri) from error

    def _get(
        self, uri: str, position: int, end: int | None, version: str | None, *, is_first: bool
    ) -> dict[str, Any] | None:
        """The response to a GET of the bytes ``[position, end)``; None if the object ends before them.

        :param is_first: whether this is the first GET of a read.
        :raises ObjectChangedError: the object no longer has that version.
        """
        bucket, key = _split(uri)
        request: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if position or end is not None:
            # Only if need be: without a range, botocore also verifies the object's checksum.
            request["Range"] = f"bytes={position}-{'' if end is None else end - 1}"
        if version is not None:
            request["IfMatch"] = version
        try:
            response: dict[str, Any] = self._client.get_object(**request)
        except Exception as error:
            status, _ = status_and_code(error)
            if version is not None and (status in (404, 412) or (status == 416 and not is_first)):
                raise ObjectChangedError(f"{uri} was changed or deleted while it was read") from error
            if status == 416:
                return None
            raise self._explained(error, uri) from error
        return response

    def _pages(self, operation: str, uri: str, **request: str) -> Iterator[dict[str, Any]]:
        with self._calls(uri):
            pages = iter(self._client.get_paginator(operation).paginate(**request))
        while True:
            with self._calls(uri):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _put_if(self, uri: str, data: bytes, headers: dict[str, str], version: str | None) -> str | None:
        """Write conditionally; returns the new version, or None if the condition is false."""
        bucket, key = _split(uri)
        new_version = self._conditional.put(bucket, key, data, headers, etag=version)
        if new_version is not None:
            with suppress(ObjectChangedError):  # another writer has replaced it since
                self._require_written(uri, lambda: digest_of([data]), new_version)
        return new_version

    def _require_written(self, uri: str, sent: Callable[[], Digest], version: str | None = None) -> None:
        """Read back what was written, unless the server verifies checksums.

        :param sent: returns the digest of what was sent.
        :raises CorruptObjectError: the stored object differs.
        """
        bucket, key = _split(uri)
        if self._checksums.verifies(self._client, bucket, key):
            return
        expected, stored = sent(), digest_of(self.read(uri, version=version))
        if stored.sha256 != expected.sha256:
            raise CorruptObjectError(
                f"{uri}: {expected} were sent, but {stored} are stored; this server does not verify checksums"
            )

    def _require_bucket(self, bucket: str, uri: str) -> None:
        """Check once that a bucket exists, because a HEAD's 404 does not tell if key or bucket is missing.

        :raises InvalidInputError: the bucket does not exist.
        """
        if bucket in self._known_buckets:
            return
        try:
            self._client.head_bucket(Bucket=bucket)
        except Exception as error:
            if status_and_code(error)[0] == 404:
                raise explain(error, uri, self.aws_conn_id, self._client, missing="NoSuchBucket") from error
        self._known_buckets.add(bucket)

    def _dropped(self, error: Exception, uri: str) -> str:
        """Why a body broke off, if a new request may help; other errors are raised.

        :raises CorruptObjectError: the object's checksum is wrong.
        """
        from botocore.exceptions import BotoCoreError, FlexibleChecksumError
        from urllib3.exceptions import HTTPError

        if isinstance(error, FlexibleChecksumError):
            raise CorruptObjectError(f"{uri}: {error}") from error
        if isinstance(error, (BotoCoreError, HTTPError, OSError)):
            return f"{type(error).__name__}: {error}"
        raise error

    def _pause(self, tries: int) -> None:
        time.sleep(self._backoff_s * 2 ** (tries - 1))

    def _explained(self, error: Exception, uri: str) -> Exception:
        return explain(error, uri, self.aws_conn_id, self._cached_client)

    @contextmanager
    def _calls(self, uri: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise self._explained(error, uri) from error


def _split(uri: str, *, key_required: bool = True) -> tuple[str, str]:
    """Bucket and key. ``urlsplit`` would not do: ``?``, ``#`` and ``%`` are ordinary characters of keys."""
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket or (key_required and not key):
        raise InvalidInputError(f"{uri!r} is not the URI of an S3 object; use s3://bucket/key")
    return bucket, key


def _digest_of_file(path: Path) -> Digest:
    try:
        return digest_of(blocks_of(path))
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}, so it could not be verified") from error


def _headers(
    content_type: str = "application/octet-stream",
    cache_control: str | None = None,
    content_disposition: str | None = None,
) -> dict[str, str]:
    # Without ChecksumAlgorithm, because botocore adds CRC32 itself, unless the connection's config_kwargs
    # (request_checksum_calculation) say that this server does not support it.
    headers = {"ContentType": content_type}
    if cache_control is not None:
        headers["CacheControl"] = cache_control
    if content_disposition is not None:
        headers["ContentDisposition"] = content_disposition
    return headers
