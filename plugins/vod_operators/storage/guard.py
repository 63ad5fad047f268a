"""Connections to web servers on behalf of a request: only to checked addresses, also after redirects.

A name is resolved once for each HTTP request, here, and the connection goes to the addresses that were
checked. So a name server that answers differently a moment later has no effect. The ``Host`` header and the
name in the certificate remain the URL's.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from functools import cached_property
from urllib.request import getproxies, proxy_bypass

import httpx

from vod_operators.errors import StorageError
from vod_operators.storage.allow import PORTS, AllowList, Endpoint, base_covers

MAX_HOSTS = 16
"""Hosts whose connections are kept open: the source's host, and those that it redirects to."""


@dataclass(frozen=True)
class Credentials:
    """Secret headers for one web server.

    :param base_url: they are sent to this URL and all below it, and nowhere else.
    :param headers: name and value of each.
    """

    base_url: str
    headers: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"Credentials({self.base_url!r})"


class GuardedTransport(httpx.BaseTransport):
    """An ``httpx`` transport that sends requests only where the list allows.

    A proxy of the environment (``HTTPS_PROXY`` ...) is used. A proxy resolves names itself, so the check then
    relies on the proxy finding the same addresses.

    Each request raises ``NotAllowedError`` if the list does not allow its URL.

    :param allow: where requests may go.
    :param credentials: added to requests to their server.
    """

    def __init__(self, allow: AllowList, credentials: Credentials | None = None) -> None:
        self._allow = allow
        self._credentials = credentials
        self._transports: dict[tuple[str, str, str | None], httpx.HTTPTransport] = {}
        self._making = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in PORTS:
            raise httpx.UnsupportedProtocol("it is neither http nor https", request=request)
        try:
            endpoint = self._allow.endpoint(request.url)
        except StorageError as error:
            raise httpx.ConnectError(str(error), request=request) from None
        headers = request.headers.copy()
        credentials = self._credentials
        if credentials is not None and base_covers(credentials.base_url, request.url):
            headers.update(dict(credentials.headers))  # not elsewhere, where a redirect may lead
        proxy = _proxy_for(request.url)
        transport = self._transport(request.url.scheme, endpoint.host, proxy)
        if proxy is not None:
            return transport.handle_request(_copy(request, request.url, headers))
        failure = httpx.ConnectError("there is no such host", request=request)
        for address in endpoint.addresses:
            url = request.url.copy_with(host=str(address))
            try:
                return transport.handle_request(_copy(request, url, headers, endpoint))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error if isinstance(error, httpx.ConnectError) else httpx.ConnectError(str(error))
        raise failure

    def close(self) -> None:
        with self._making:
            for transport in self._transports.values():
                transport.close()
            self._transports.clear()

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()

    def _transport(self, scheme: str, host: str, proxy: str | None) -> httpx.HTTPTransport:
        # One for each host, so that a TLS connection that was verified for one name is not reused for another
        # name with the same address.
        with self._making:
            transport = self._transports.get((scheme, host, proxy))
            if transport is None:
                while len(self._transports) >= MAX_HOSTS:
                    self._transports.pop(next(iter(self._transports))).close()
                # Plain HTTP goes without: loading the CA certificates takes longer than a whole callback.
                plain = scheme == "http"
                trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else self._certificates
                transport = httpx.HTTPTransport(verify=trusted, proxy=proxy)
                self._transports[scheme, host, proxy] = transport
            return transport


def _copy(
    request: httpx.Request, url: httpx.URL, headers: httpx.Headers, endpoint: Endpoint | None = None
) -> httpx.Request:
    extensions = dict(request.extensions)
    if endpoint is not None:
        extensions["sni_hostname"] = endpoint.host
    return httpx.Request(request.method, url, headers=headers, stream=request.stream, extensions=extensions)


def _proxy_for(url: httpx.URL) -> str | None:
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(f"{url.host}:{url.port}" if url.port else url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
