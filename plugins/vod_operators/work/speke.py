"""Asks a key server (SPEKE v2.0) over HTTPS."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from vod_operators import __version__
from vod_operators.errors import InvalidInputError, StorageError
from vod_operators.storage.redact import RedactedUrls, redact

TIMEOUT_S = 30
MAX_ANSWER_BYTES = 1 << 20
"""Far more than the answer for five keys with all that players are told."""

LATER = (408, 425, 429)
"""Client errors after which the task is tried again, as after those of the server."""

# httpx logs whole URLs, and that of a key server may hold a token.
logging.getLogger("httpx").addFilter(RedactedUrls())


def ask(url: str, headers: Mapping[str, str], document: bytes) -> bytes:
    """The server's answer to a CPIX document. No message quotes the document, the answer or a header.

    :raises InvalidInputError: the URL is not safe for keys, or the server refuses.
    :raises StorageError: the server cannot be reached, or says that it may answer later.
    """
    import httpx  # here, because the DAG file is parsed again for every task

    _require_safe(url)
    own = {
        "Content-Type": "application/xml",
        "X-Speke-Version": "2.0",
        "X-Speke-User-Agent": f"vod-operators/{__version__}",
    }
    where = f"the key server {redact(url.partition('?')[0])}"
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, follow_redirects=False) as client,
            client.stream("POST", url, content=document, headers={**headers, **own}) as response,
        ):
            status, version = response.status_code, response.headers.get("X-Speke-Version", "2.0")
            answer = b""
            for block in response.iter_bytes():
                answer += block
                if len(answer) > MAX_ANSWER_BYTES:
                    raise InvalidInputError(f"{where} answers with more than {MAX_ANSWER_BYTES} bytes")
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise InvalidInputError("the key server's address is no URL") from None
    except httpx.HTTPError as error:  # its text may quote the URL
        raise StorageError(f"{where} does not answer: {type(error).__name__}") from None
    if status >= 500 or status in LATER:
        raise StorageError(f"{where} answers HTTP {status}")
    if status != 200:
        raise InvalidInputError(f"{where} refuses: HTTP {status}")
    if not version.startswith("2."):
        raise InvalidInputError(f"{where} answers by another version of SPEKE than 2")
    return answer


def _require_safe(url: str) -> None:
    """:raises InvalidInputError: keys would travel in the clear."""
    parts = urlsplit(url)
    try:
        is_here = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = parts.hostname == "localhost"
    if parts.scheme != "https" and not is_here:
        raise InvalidInputError("the key server's address must begin with https://, because it sends keys")
