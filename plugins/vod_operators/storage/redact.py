"""URLs of sources carry secrets (``user:password@``, signed queries); messages and logs must not."""

from __future__ import annotations

import logging
import re

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(:\d*)?")


def redact(uri: str) -> str:
    """The URI without user, password, query and fragment; ``file://`` and ``s3://`` as they are."""
    scheme, separator, rest = uri.partition("://")
    if scheme.lower() in ("file", "s3") or not separator:
        return uri
    shown, *hidden = re.split(r"[?#]", rest, maxsplit=1)
    authority, slash, path = shown.partition("/")
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):
        # An unencoded "/", "?" or "#" in the password: what looks like a port is a piece of it.
        return f"{scheme}://..."
    return f"{scheme}://{host}{slash}{path}{'?...' if hidden else ''}"


class RedactedUrls(logging.Filter):
    """httpx logs each request with its whole URL at INFO, the level of Airflow's task logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(redact(a) if "://" in (a := str(x)) else x for x in record.args)
        return True
