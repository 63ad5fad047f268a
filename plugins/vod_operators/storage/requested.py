"""Reads URIs of requests; each access is checked against the deployment's list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vod_operators.errors import InvalidInputError
from vod_operators.storage.allow import AllowList
from vod_operators.storage.base import ObjectInfo, ReadableStorage
from vod_operators.storage.guard import Credentials
from vod_operators.storage.http import SCHEMES as HTTP_SCHEMES
from vod_operators.storage.local import SCHEME as LOCAL_SCHEME
from vod_operators.storage.redact import redact
from vod_operators.storage.stores import http_source, storage_for


class RequestedStorage:
    """Implements :class:`vod_operators.storage.base.ReadableStorage` for URIs of a request.

    Every method raises ``NotAllowedError`` if the list does not allow the URI. Messages of
    ``InvalidInputError`` begin with the request's field.

    :param field: of the request, for messages.
    :param allow: what may be read.
    :param credentials: for a web server.
    """

    def __init__(
        self, field: str, allow: AllowList, aws_conn_id: str, credentials: Credentials | None = None
    ) -> None:
        self._field = field
        self._allow = allow
        self._aws_conn_id = aws_conn_id
        self._credentials = credentials

    def require(self, uri: str) -> None:
        """Check a URI without reading it.

        :raises InvalidInputError: the URI is not allowed, or cannot be read.
        """
        self._open(uri)

    def stat(self, uri: str) -> ObjectInfo | None:
        with self._naming_field():
            storage, real = self._open(uri)
            info = storage.stat(real)
            return None if info is None else replace(info, uri=uri)

    def local_path(self, uri: str) -> Path | None:
        with self._naming_field():
            storage, real = self._open(uri)
            return storage.local_path(real)

    def read(
        self, uri: str, *, start: int = 0, length: int | None = None, version: str | None = None
    ) -> Iterator[bytes]:
        with self._naming_field():
            storage, real = self._open(uri)
            yield from storage.read(real, start=start, length=length, version=version)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._naming_field():
            storage, real = self._open(prefix)
            for info in storage.list(real):
                yield replace(info, uri=prefix + info.uri.removeprefix(real))

    def _open(self, uri: str) -> tuple[ReadableStorage, str]:
        real = self._allow.require(uri, self._field)
        if uri.lower().startswith(HTTP_SCHEMES):
            return http_source(self._allow, self._credentials), real
        with self._naming_field():
            return storage_for(real, self._aws_conn_id), real

    @contextmanager
    def _naming_field(self) -> Iterator[None]:
        try:
            yield
        except InvalidInputError as error:
            if str(error).startswith(f"{self._field}: "):
                raise
            raise type(error)(f"{self._field}: {error}") from error


def find_source(store: ReadableStorage, uri: str) -> ObjectInfo:
    """The facts of a request's source.

    :param store: reads the source; its messages name the field ``source``.
    :raises InvalidInputError: the source does not exist, is empty, or cannot be read.
    """
    info = store.stat(uri)
    if info is None:
        raise InvalidInputError(f"source: {redact(uri)} does not exist")
    if info.size == 0:
        raise InvalidInputError(f"source: {redact(uri)} is empty (0 bytes)")
    if uri.startswith(LOCAL_SCHEME):
        # Read a byte, because ``stat`` also succeeds for a file that may not be read. Servers deny both.
        for _ in store.read(uri, length=1):
            pass
    return info
