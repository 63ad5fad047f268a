"""What a request may make a worker read, and whom it may make it call: the lists of the deployment.

A request's URI is used only through these (``requested.py`` for what is read, ``guard.py`` for each
connection to a web server), so no step can forget to ask. The deployment's own stores are not restricted by
them.

Entries of a list, each a beginning of what is allowed:

======================================  ==================================================================
``public``                              http and https, wherever the host has public addresses only
``file:///srv/originals``               a file or a folder with all below it
``s3://originals``, ``s3://b/team-a``   a bucket, or what lies below a prefix of it
``https://host:8443/path``              this scheme, host, port and path, and all below that path
``media.internal``, ``10.0.0.7:8080``   a host, at any port or at one; by either scheme
======================================  ==================================================================

A host that is named may have private addresses.
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
"""What no URI has, and what would change how the line that it stands in is read."""


@dataclass(frozen=True)
class Endpoint:
    """Where a request to a web server goes."""

    host: str
    """Canonical."""
    addresses: tuple[Address, ...]
    """All of them checked; connect to no other."""
    is_named: bool
    """Whether the list names the host."""


@dataclass(frozen=True)
class _Web:
    schemes: tuple[str, ...]
    host: str
    port: int | None
    """None: any."""
    path: str
    """Without a slash at its end."""

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
    """The places that one setting opens.

    :param setting: its name, for messages.
    :param entries: see above.
    """

    setting: str
    entries: tuple[str, ...]

    @cached_property
    def _public(self) -> bool:
        return PUBLIC in self.entries

    @cached_property
    def _web(self) -> list[_Web]:
        return [web for entry in self.entries if (web := _web_of(entry)) is not None]

    @cached_property
    def _buckets(self) -> list[str]:
        return [entry.rstrip("/") for entry in self.entries if entry.startswith("s3://")]

    @cached_property
    def _folders(self) -> list[str]:
        return [decoded_path(entry) for entry in self.entries if entry.startswith("file://")]

    def require(self, uri: str, field: str) -> str:
        """The URI to read instead, which is the same but for a file's: that one has no symbolic links.

        Nothing is read, and no connection made; a host's name is looked up.

        :param field: of the request, for messages.
        :raises NotAllowedError: it is not on the list.
        :raises InvalidInputError: it is no URI.
        :raises StorageError: the name servers do not answer.
        """
        if len(uri) > MAX_URI:
            raise InvalidInputError(f"{field}: it has {len(uri)} characters; a URI may have {MAX_URI}")
        if _CONTROLS.search(uri):
            raise InvalidInputError(f"{field}: it has control characters in it; encode them (%0A)")
        scheme = uri.partition("://")[0].lower() if "://" in uri else ""
        try:
            if scheme == "file" and uri.startswith("file://"):
                return self._require_file(uri)
            if scheme == "s3" and uri.startswith("s3://"):
                self._require_bucket(uri)
            elif scheme in PORTS:
                self._require_web(uri)
        except NotAllowedError as error:
            raise NotAllowedError(f"{field}: {error} ({redact(uri)})") from None
        except InvalidInputError as error:
            raise InvalidInputError(f"{field}: {error}") from None
        return uri

    def endpoint(self, url: httpx.URL) -> Endpoint:
        """Where a request to this URL may be sent.

        :raises NotAllowedError: nowhere.
        :raises StorageError: the name servers do not answer.
        """
        host = host_of(url)
        if any(web.covers(url) for web in self._web):
            return Endpoint(host, tuple(resolve(host)), is_named=True)
        addresses = tuple(resolve(host)) if self._public else ()
        # No address at all is refused in the same words, else names of a private network could be tried.
        if not addresses or not all(map(is_public, addresses)):
            also = ", and has no public address" if self._public else ""
            raise NotAllowedError(f"its host is not named in {self.setting}{also}")
        return Endpoint(host, addresses, is_named=False)

    def _require_web(self, uri: str) -> None:
        import httpx  # here, because the DAG file is parsed again for every task

        try:
            # What will be asked for is parsed by the same parser, so they cannot differ on which host it is.
            url = httpx.URL(uri)
        except httpx.InvalidURL:
            raise InvalidInputError("it is not a URL; use https://host/path") from None
        if not url.host:
            raise InvalidInputError("it names no host; use https://host/path")
        self.endpoint(url)

    def _require_bucket(self, uri: str) -> None:
        # A gateway in front of folders may take these for what they are in a path.
        is_plain = not {".", ".."} & set(uri.split("/"))
        if not is_plain or not any(_is_below(uri, bucket) for bucket in self._buckets):
            raise NotAllowedError(f"it lies in no bucket or prefix that {self.setting} names")

    def _require_file(self, uri: str) -> str:
        path = decoded_path(uri)
        named = [(folder, os.path.realpath(folder)) for folder in self._folders]
        # As it is written first: what lies elsewhere is not even looked at.
        if any(_is_inside(path, spelling) for both in named for spelling in both):
            real = os.path.realpath(path)
            if any(_is_inside(real, folder) for _, folder in named):
                return uri_of_path(real + ("/" if path.endswith("/") else ""))
        raise NotAllowedError(f"it lies in no folder that {self.setting} names")


def check_entries(entries: Sequence[str]) -> tuple[str, ...]:
    """The entries themselves.

    :raises ValueError: one is of no form that is known.
    """
    for entry in entries:
        if entry == PUBLIC:
            continue
        scheme, is_uri, rest = entry.partition("://")
        if scheme == "file" and is_uri:
            try:
                decoded_path(entry)
            except InvalidInputError as error:
                raise ValueError(str(error)) from None
        elif scheme == "s3" and is_uri:
            if not rest.partition("/")[0]:
                raise ValueError(f"{entry!r} names no bucket; use s3://bucket or s3://bucket/prefix")
        elif _web_of(entry) is None:
            raise ValueError(
                f"{entry!r} is not usable; use public, file:///folder, s3://bucket/prefix, "
                "https://host/path, host or host:port"
            )
    return tuple(entries)


def base_covers(base: str, url: httpx.URL) -> bool:
    """Whether a URL lies at or below a base URL: the same scheme, host and port, and its path."""
    web = _web_of(base)
    return web is not None and web.covers(url)


def host_of(url: httpx.URL) -> str:
    """Canonical."""
    return canonical_host(url.raw_host.decode("ascii"))


def _web_of(entry: str) -> _Web | None:
    """An entry that is a host or an http(s) URL; None if it is something else."""
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
    """Whether a path or key is at the base or below it, whatever a server makes of dots and encodings."""
    if not base:
        return True
    if place != base and not place.startswith(f"{base}/"):
        return False
    rest = unquote(place[len(base) :])
    return "\\" not in rest and not {".", ".."} & set(rest.split("/"))


def _is_inside(path: str, folder: str) -> bool:
    folder = folder.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")
