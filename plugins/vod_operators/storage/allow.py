"""The deployment's lists of what a request may have read, and where it may have callbacks sent.

All access to a request's URI passes these lists (``requested.py`` for reads, ``guard.py`` for each connection
to a web server), so no step can forget the check. They do not restrict the deployment's own stores.

An entry allows everything that it is a prefix of:

======================================  ==================================================================
``public``                              http and https, wherever the host has public addresses only
``file:///srv/originals``               a file or a folder with all below it
``s3://originals``, ``s3://b/team-a``   a bucket, or what lies below a prefix of it
``https://host:8443/path``              this scheme, host, port and path, and all below that path
``media.internal``, ``10.0.0.7:8080``   a host, at any port or at one; by either scheme
======================================  ==================================================================

A host that an entry names may have private addresses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from vod_operators.errors import InvalidInputError, NotAllowedError
from vod_operators.storage.addresses import Address, canonical_host, is_public, literal, resolve
from vod_operators.storage.local import decoded_path, uri_of_path
from vod_operators.storage.redact import redact

if TYPE_CHECKING:
    import httpx

PUBLIC = "public"

PORTS = {"http": 80, "https": 443}

MAX_URI = 2048

_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Characters that no URI has, and that would garble the log line in which they appear."""


@dataclass(frozen=True)
class Endpoint:
    """The target of a request to a web server."""

    host: str
    """In its canonical spelling."""
    addresses: tuple[Address, ...]
    """Checked addresses; connect to no others."""


@dataclass(frozen=True)
class _Web:
    schemes: tuple[str, ...]
    host: str
    port: int | None
    """None for any."""
    path: str
    """Without a final slash."""

    def covers(self, url: httpx.URL) -> bool:
        port = PORTS.get(url.scheme) if url.port is None else url.port
        return (
            url.scheme in self.schemes
            and host_of(url) == self.host
            and self.port in (None, port)
            and _is_below(url.raw_path.decode("ascii").partition("?")[0], self.path)
        )


@dataclass(frozen=True)
class AllowList:
    """The places that one setting opens to requests.

    :param setting: its name, for messages.
    :param entries: as in the module's docstring.
    """

    setting: str
    entries: tuple[str, ...]

    @cached_property
    def _web(self) -> list[_Web]:
        return [web for entry in self.entries if (web := _web_of(entry)) is not None]

    def require(self, uri: str, field: str) -> str:
        """Check a URI; returns the URI to read, in which a file's symbolic links are resolved.

        Nothing is read and no connection is made, but a host's name is resolved.

        :param field: of the request, for messages.
        :raises NotAllowedError: the list does not allow the URI.
        :raises InvalidInputError: it is no URI.
        :raises StorageError: the name servers do not answer.
        """
        if len(uri) > MAX_URI:
            raise InvalidInputError(f"{field}: it has {len(uri)} characters; a URI may have {MAX_URI}")
        if _CONTROLS.search(uri):
            raise InvalidInputError(f"{field}: it contains control characters; encode them (%0A)")
        scheme = uri.partition("://")[0].lower() if "://" in uri else ""
        try:
            if uri.startswith("file://"):
                return self._require_file(uri)
            if uri.startswith("s3://"):
                self._require_bucket(uri)
            elif scheme in PORTS:
                self._require_web(uri)
        except NotAllowedError as error:
            raise NotAllowedError(f"{field}: {error} ({redact(uri)})") from None
        except InvalidInputError as error:
            raise InvalidInputError(f"{field}: {error}") from None
        return uri

    def endpoint(self, url: httpx.URL) -> Endpoint:
        """The host and the addresses that a request to this URL may be sent to.

        :raises NotAllowedError: the list does not allow the URL.
        :raises StorageError: the name servers do not answer.
        """
        host = host_of(url)
        if any(web.covers(url) for web in self._web):
            return Endpoint(host, tuple(resolve(host)))
        is_public_allowed = PUBLIC in self.entries
        addresses = tuple(resolve(host)) if is_public_allowed else ()
        # A host without an address gets the same message, or requests could probe a private network's names.
        if not addresses or not all(map(is_public, addresses)):
            no_public_address = ", and has no public address" if is_public_allowed else ""
            raise NotAllowedError(f"its host is not named in {self.setting}{no_public_address}")
        return Endpoint(host, addresses)

    def _require_web(self, uri: str) -> None:
        import httpx  # here, because the DAG file is parsed again for every task

        try:
            # The client parses the URL with the same parser, so check and request agree about the host.
            url = httpx.URL(uri)
        except httpx.InvalidURL:
            raise InvalidInputError("it is not a URL; use https://host/path") from None
        if not url.host:
            raise InvalidInputError("it names no host; use https://host/path")
        self.endpoint(url)

    def _require_bucket(self, uri: str) -> None:
        # An S3 gateway in front of folders may resolve "." and ".." as in a path.
        is_plain = not {".", ".."} & set(uri.split("/"))
        buckets = [entry.rstrip("/") for entry in self.entries if entry.startswith("s3://")]
        if not is_plain or not any(_is_below(uri, bucket) for bucket in buckets):
            raise NotAllowedError(f"it is not in a bucket or prefix that {self.setting} names")

    def _require_file(self, uri: str) -> str:
        path = decoded_path(uri)
        named = [decoded_path(entry) for entry in self.entries if entry.startswith("file://")]
        folders = [(folder, os.path.realpath(folder)) for folder in named]
        # The literal path is checked first, so that paths elsewhere are not even looked up.
        if any(_is_inside(path, spelling) for spellings in folders for spelling in spellings):
            real = os.path.realpath(path)
            if any(_is_inside(real, folder) for _, folder in folders):
                return uri_of_path(real + ("/" if path.endswith("/") else ""))
        raise NotAllowedError(f"it is not in a folder that {self.setting} names")


def check_entries(entries: Sequence[str]) -> tuple[str, ...]:
    """Check the entries of a list; returns them.

    :raises ValueError: an entry has none of the forms in the module's docstring.
    """
    for entry in entries:
        if entry == PUBLIC:
            continue
        scheme, is_uri, path = entry.partition("://")
        if scheme == "file" and is_uri:
            try:
                decoded_path(entry)
            except InvalidInputError as error:
                raise ValueError(str(error)) from None
        elif scheme == "s3" and is_uri:
            if not path.partition("/")[0]:
                raise ValueError(f"{entry!r} names no bucket; use s3://bucket or s3://bucket/prefix")
        elif _web_of(entry) is None:
            raise ValueError(
                f"{entry!r} is not usable; use public, file:///folder, s3://bucket/prefix, "
                "https://host/path, host or host:port"
            )
    return tuple(entries)


def base_covers(base: str, url: httpx.URL) -> bool:
    """Whether a URL has the scheme, host and port of a base URL, and its path or one below it."""
    web = _web_of(base)
    return web is not None and web.covers(url)


def host_of(url: httpx.URL) -> str:
    """The canonical host of a URL."""
    return canonical_host(url.raw_host.decode("ascii"))


def _web_of(entry: str) -> _Web | None:
    """An entry that is a host or an http(s) URL, parsed; None for any other entry."""
    scheme, is_uri, _ = entry.partition("://")
    if entry == PUBLIC or (is_uri and scheme not in PORTS) or re.search(r"[\s@?#\\]", entry):
        return None
    if not is_uri and literal(entry) is not None:
        return _Web(tuple(PORTS), canonical_host(entry), None, "")
    try:
        parts = urlsplit(entry if is_uri else f"//{entry}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or (not is_uri and parts.path):
        return None
    host = canonical_host(parts.hostname)
    if literal(host) is None and not re.fullmatch(r"[a-z0-9_][a-z0-9._-]*", host):
        return None
    if is_uri:
        return _Web((scheme,), host, port or PORTS[scheme], parts.path.rstrip("/"))
    return _Web(tuple(PORTS), host, port, "")


def _is_below(place: str, base: str) -> bool:
    """Whether a path or key is the base or below it, however a server treats dots and percent-encoding."""
    if not base:
        return True
    if place != base and not place.startswith(f"{base}/"):
        return False
    segments = unquote(place[len(base) :])
    return "\\" not in segments and not {".", ".."} & set(segments.split("/"))


def _is_inside(path: str, folder: str) -> bool:
    folder = folder.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")
