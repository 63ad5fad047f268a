"""Removes secrets from URLs (``user:password@``, signed queries) for messages and logs."""

from __future__ import annotations

import logging
import re

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(:\d*)?")


def redact(uri: str) -> str:
    """The URI without user, password, query and fragment; ``file://`` and ``s3://`` URIs unchanged."""
    scheme, separator, location = uri.partition("://")
    if scheme.lower() in ("file", "s3") or not separator:
        return uri
    public, *hidden = re.split(r"[?#]", location, maxsplit=1)
    authority, slash, path = public.partition("/")
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):
        # The password has an unencoded "/", "?" or "#", so what looks like a port is a part of it.
        return f"{scheme}://..."
    return f"{scheme}://{host}{slash}{path}{'?...' if hidden else ''}"


class RedactedUrls(logging.Filter):
    """Redacts URLs in log records: httpx logs each request's URL at INFO, which Airflow's task logs show."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(redact(a) if "://" in (a := str(x)) else x for x in record.args)
        return True
