"""Sources on web servers: ``http://`` and ``https://`` URIs, read-only."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import responses
from pathlib import Path

import httpx

from vod_operators.errors import (
    InvalidInputError,
    NotAllowedError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageError,
)
from vod_operators.storage.allow import AllowList
from vod_operators.storage.base import Interruptions, ObjectInfo
from vod_operators.storage.guard import Credentials, GuardedTransport
from vod_operators.storage.redact import RedactedUrls, redact

SCHEMES = ("http://", "https://")

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
MAX_REDIRECTS = 5
TRIES = 4
"""Requests without an answer, and broken connections within one block, before giving up."""

_MISSING = (404, 410)
_DENIED = (401, 403, 407)
_PASSING = (408, 425, 429)
"""Client errors that mean "try later", as all 5xx do."""

_NEVER = datetime.fromtimestamp(0, tz=timezone.utc)


class HttpSource:
    """Implements :class:`vod_operators.storage.base.ReadableStorage` on a web server.

    :param allow: which servers may be reached, also by redirects; None for any, on the command line, where
        users read with their own rights.
    :param credentials: sent only to the server that they are for.
    :param backoff_s: first pause between attempts, doubled each time.
    """

    def __init__(
        self,
        allow: AllowList | None = None,
        credentials: Credentials | None = None,
        *,
        backoff_s: float = 0.5,
    ) -> None:
        self._allow = allow
        self._credentials = credentials
        self._backoff_s = backoff_s
        self._cached_client: httpx.Client | None = None
        self._making = threading.Lock()

    def stat(self, uri: str) -> ObjectInfo | None:
        """The object's facts. Without a Last-Modified header, ``modified`` is the epoch.

        :raises InvalidInputError: access is denied, or the server does not tell the size.
        """
        try:
            with closing(self._open("HEAD", uri, {}, tries=1)) as response:
                if response.status_code in _MISSING:
                    return None
                size = _content_length(response)
                if response.status_code == 200 and size:
                    return _info(uri, response, size)
        except (InvalidInputError, StorageError):
            # Signed URLs often deny HEAD, and some servers do not support it, so GET decides.
            pass
        with closing(self._open("GET", uri, {"Range": "bytes=0-0"})) as response:
            if response.status_code in _MISSING:
                return None
            size = _content_length(response) if response.status_code == 200 else _content_range(response)[1]
            if size is None:
                raise InvalidInputError(
                    f"{redact(uri)}: the server does not send the size; it must send Content-Length"
                )
            return _info(uri, response, size)

    def local_path(self, uri: str) -> Path | None:
        return None

    def read(
        self, uri: str, *, start: int = 0, length: int | None = None, version: str | None = None
    ) -> Iterator[bytes]:
        """As the protocol says. If a server has no ranges, bytes before ``start`` are fetched and skipped.

        :raises StorageError: the server fails; or the connection broke, and the server sends neither ETag nor
            Last-Modified, so that a resumed read could mix two versions.
        """
        position, end = start, None if length is None else start + length
        pin: _Pin | None = None
        interruptions = Interruptions(redact(uri), position, TRIES, self._pause)
        while True:
            headers = pin.headers() if pin else {}
            if position or end is not None:
                headers["Range"] = f"bytes={position}-{'' if end is None else max(end - 1, position)}"
            failure = "the connection was closed early"
            with closing(self._open("GET", uri, headers)) as response:
                _require_found(response, uri, pin)
                if response.status_code == 416 and pin is None:
                    return  # starts at or behind the end
                offset, total = _body_range(response, uri, position)
                pin = _pinned(pin, response, uri, total, version)
                total = pin.total if total is None else total
                stop = min((value for value in (end, total) if value is not None), default=None)
                if stop is not None and position >= stop:
                    return
                try:
                    for block in response.iter_raw():
                        data = block[max(position - offset, 0) :]
                        offset += len(block)
                        if stop is not None:
                            data = data[: stop - position]
                        if data:
                            position += len(data)
                            yield data
                        if position == stop:
                            return
                    if total is None:
                        return  # a chunked body has ended properly, so this was the object's end
                except httpx.TransportError as error:
                    failure = _reason(error)
            if not pin.usable:
                raise StorageError(
                    f"{redact(uri)} broke off at byte {position} ({failure}) and cannot be resumed: the "
                    "server gives neither ETag nor Last-Modified"
                )
            interruptions.add(position, failure)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Web servers have no listings.

        :raises InvalidInputError: always.
        """
        raise InvalidInputError(f"{redact(prefix)} cannot be listed; use an s3:// or file:// folder")

    @property
    def _client(self) -> httpx.Client:
        with self._making:
            if self._cached_client is None:
                allow, credentials = self._allow, self._credentials
                self._cached_client = httpx.Client(
                    transport=GuardedTransport(allow, credentials) if allow is not None else None,
                    follow_redirects=True,
                    max_redirects=MAX_REDIRECTS,
                    timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                    # Bytes and ranges of a compressed body are not those of the file.
                    headers={"Accept-Encoding": "identity", "User-Agent": "vod_operators"},
                )
            return self._cached_client

    def _open(self, method: str, uri: str, headers: dict[str, str], *, tries: int = TRIES) -> httpx.Response:
        """An answer with status 200, 206, 404, 410 or 416, its body unread; the caller closes it."""
        for attempt in range(1, tries + 1):
            if attempt > 1:
                self._pause(attempt - 1)
            try:
                response = self._client.send(
                    self._client.build_request(method, uri, headers=headers), stream=True
                )
            except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                # "from None", because the cause may quote the URL.
                raise InvalidInputError(
                    f"{redact(uri)}: {type(error).__name__}; it must lead to an http:// or https:// URL "
                    f"in at most {MAX_REDIRECTS} redirects"
                ) from None
            except NotAllowedError:
                # The redirect's target stays out of the message: the server chose it, and it may be internal.
                setting = self._allow.setting if self._allow else ""
                raise NotAllowedError(
                    f"it redirects to a server that {setting} does not allow ({redact(uri)})"
                ) from None
            except httpx.RequestError as error:
                failure = _reason(error)
                continue
            status = response.status_code
            if status in (200, 206, 416, *_MISSING):
                encoding = response.headers.get("Content-Encoding", "").lower()
                coding = re.search("gzip|deflate|br|zstd|compress", encoding)
                if coding is not None and method == "GET":
                    response.close()
                    raise InvalidInputError(
                        f"{redact(uri)}: the server compresses it ({coding[0]}) though it was asked not to; "
                        "serve the file as it is"
                    )
                return response
            response.close()
            if status in _DENIED:
                raise InvalidInputError(
                    f"{redact(uri)}: access was denied ({_status(status)}); check the "
                    "credentials or the signature and its expiry"
                )
            if status < 500 and status not in _PASSING:
                raise InvalidInputError(
                    f"{redact(uri)}: the server answered {_status(status)} to a {method}; "
                    "give a URL that answers 200"
                )
            failure = _status(status)
        raise StorageError(f"{redact(uri)}: failed {tries} times ({failure})")

    def _pause(self, tries: int) -> None:
        time.sleep(self._backoff_s * 2 ** (tries - 1))


@dataclass(frozen=True, kw_only=True)
class _Pin:
    """Identifies the version that a read began with."""

    etag: str | None
    modified: str | None
    total: int | None

    def is_of(self, version: str) -> bool:
        """Whether this may be the version that ``stat`` returned. Missing headers do not count against it,
        because some servers send fewer headers on GET than on HEAD."""
        times = re.fullmatch(r'([^"]+)/(\d+)', version)
        if version == self.etag or times is None:
            return self.etag in (version, None)
        return (self.modified or "unknown") == times[1] and self.total in (int(times[2]), None)

    @property
    def usable(self) -> bool:
        return bool(self.etag or self.modified)

    def headers(self) -> dict[str, str]:
        # RFC 9110 13.1.5: a weak ETag never matches in If-Range, so the server would send the whole object.
        if self.etag and not self.etag.startswith("W/"):
            return {"If-Range": self.etag}
        return {"If-Range": self.modified} if self.modified and not self.etag else {}

    def holds_for(self, response: httpx.Response, total: int | None) -> bool:
        if response.status_code == 416 or (total != self.total and None not in (total, self.total)):
            return False
        etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        if self.etag:
            # A 206 answer to If-Range implies that the ETag is unchanged.
            is_conditional = response.status_code == 206 and bool(self.headers())
            return etag == self.etag or (etag is None and is_conditional)
        return modified == self.modified or (modified is None and response.status_code == 206)


def _require_found(response: httpx.Response, uri: str, pin: _Pin | None) -> None:
    if response.status_code not in _MISSING:
        return
    if pin:
        raise ObjectChangedError(f"{redact(uri)} was deleted while it was read")
    raise ObjectNotFoundError(f"{redact(uri)} does not exist ({response.status_code})")


def _pinned(
    pin: _Pin | None, response: httpx.Response, uri: str, total: int | None, version: str | None
) -> _Pin:
    """The pin of a read, made from its first response.

    :raises ObjectChangedError: the response is of another version than the pin, or than ``version``.
    """
    if pin is None:
        etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        pin = _Pin(etag=etag, modified=modified, total=total)
        if version is not None and not pin.is_of(version):
            raise ObjectChangedError(f"{redact(uri)} has changed since it was looked at")
    elif not pin.holds_for(response, total):
        raise ObjectChangedError(f"{redact(uri)} was changed while it was read")
    return pin


logging.getLogger("httpx").addFilter(RedactedUrls())


def _reason(error: httpx.RequestError) -> str:
    """The error in words. Only network errors are quoted, because others may quote the server's answer."""
    words = isinstance(error, (httpx.NetworkError, httpx.TimeoutException))
    return f"{type(error).__name__}: {error}" if words else type(error).__name__


def _status(code: int) -> str:
    """A status code with its standard phrase instead of the server's."""
    return f"{code} {responses[code]}" if code in responses else str(code)


def _content_length(response: httpx.Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() and "Transfer-Encoding" not in response.headers else None


def _content_range(response: httpx.Response) -> tuple[int | None, int | None]:
    """First byte and total size from the Content-Range of a 206 or 416; None for what it does not say."""
    match = re.fullmatch(
        r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "").strip(), re.IGNORECASE
    )
    if not match:
        return None, None
    start, total = match.groups()
    return int(start) if start else None, int(total) if total != "*" else None


def _body_range(response: httpx.Response, uri: str, position: int) -> tuple[int, int | None]:
    """Offset of the body's first byte in the object, and the object's size if it is known.

    :raises InvalidInputError: a truncated body could not be detected.
    :raises StorageError: the server sends another range than requested.
    """
    if response.status_code == 200:
        total = _content_length(response)
        if total is None and "Transfer-Encoding" not in response.headers:
            raise InvalidInputError(
                f"{redact(uri)}: the server sends neither Content-Length nor chunks, so a truncated file "
                "would go unnoticed; it must send Content-Length"
            )
        return 0, total
    start, total = _content_range(response)
    if response.status_code == 206 and start != position:
        raise StorageError(f"{redact(uri)}: requested bytes from {position}, got bytes from {start}")
    return position, total


def _info(uri: str, response: httpx.Response, size: int) -> ObjectInfo:
    modified = response.headers.get("Last-Modified")
    try:
        last_modified = parsedate_to_datetime(modified).astimezone(timezone.utc) if modified else _NEVER
    except ValueError:
        last_modified = _NEVER
    version = response.headers.get("ETag") or f"{modified or 'unknown'}/{size}"
    return ObjectInfo(uri=uri, size=size, version=version, modified=last_modified)
