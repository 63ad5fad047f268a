"""Secrets of a request: reads those in Airflow connections, and masks those in URLs."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from vod_operators.errors import InvalidInputError, NotAllowedError
from vod_operators.settings import VodSettings
from vod_operators.storage.guard import Credentials

MIN_SECRET = 6
"""Shortest value of a query that is masked; masking ``1`` would make logs unreadable."""

_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)


def is_empty(text: str) -> bool:
    """Whether a templated field is empty; Airflow renders None as ``"None"``."""
    return text in ("", "None")


def credentials_of(settings: VodSettings, conn_id: str, field: str) -> Credentials | None:
    """A connection's credentials for its web server; None without a connection.

    They are sent only to the connection's host (with its scheme, port and path, if set): user and password as
    HTTP Basic, and each string of the extra as a header, as in Airflow's own HTTP hook.

    :param conn_id: as the request names it.
    :param field: of the request, for messages.
    :raises NotAllowedError: the deployment does not let requests name the connection.
    :raises InvalidInputError: the connection does not exist, or is no HTTP connection with a host.
    """
    if is_empty(conn_id):
        return None
    return _read(settings, conn_id, field)[1]


def callback_of(settings: VodSettings, url: str, conn_id: str) -> tuple[str, Credentials | None]:
    """The URL of a callback, which is the connection's if the request has none, and its credentials.

    :raises InvalidInputError: as ``credentials_of``.
    """
    if is_empty(conn_id):
        return url, None
    own_url, credentials = _read(settings, conn_id, "callback_conn_id")
    return own_url if is_empty(url) else url, credentials


def _read(settings: VodSettings, conn_id: str, field: str) -> tuple[str, Credentials]:
    """The connection's URL and credentials, masked in logs."""
    from airflow.sdk import Connection  # here, because the DAG file is parsed again for every task
    from airflow.sdk.exceptions import AirflowNotFoundException
    from airflow.sdk.log import mask_secret

    if conn_id not in settings.request_conn_ids:
        raise NotAllowedError(
            f"{field}: requests may not name this Airflow connection; VOD_REQUEST_CONN_IDS lists those that "
            "they may"
        )
    try:
        connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        raise InvalidInputError(f"{field}: there is no Airflow connection {conn_id!r}") from None
    try:
        url, headers = http_connection(connection)
    except InvalidInputError:
        raise InvalidInputError(
            f"{field}: the Airflow connection {conn_id!r} must be of type HTTP and name a host"
        ) from None
    for value in headers.values():
        mask_secret(value)
    hide_secrets(url)
    return url, Credentials(url.partition("?")[0], tuple(sorted(headers.items())))


def http_connection(connection: Any) -> tuple[str, dict[str, str]]:
    """The URL and the headers of an HTTP connection: user and password as HTTP Basic, and each string of the
    extra as a header.

    :raises InvalidInputError: it is no HTTP connection with a host.
    """
    url = _url_of(connection)
    if connection.conn_type != "http" or url is None:
        raise InvalidInputError("it must be of type HTTP and name a host")
    headers = {
        name: value
        for name, value in connection.extra_dejson.items()
        if isinstance(value, str)
        and re.fullmatch(r"[A-Za-z0-9-]+", name)
        and value.isascii()
        and value.isprintable()
    }
    if connection.login or connection.password:
        pair = f"{connection.login or ''}:{connection.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return url, headers


def hide_secrets(value: Any) -> None:
    """Have Airflow mask user, password and query values of URLs in logs and rendered fields.

    :param value: a text that contains URLs, or a list.
    """
    text = value if isinstance(value, str) else json.dumps(value, default=str) if value else ""
    for secret in secrets_in(text):
        from airflow.sdk.log import mask_secret

        mask_secret(secret)


def secrets_in(text: str) -> set[str]:
    """Passwords (or users without one) and query values of the URLs in a text, both encoded and decoded."""
    found: set[str] = set()
    for url in _URL.findall(text):
        try:
            parts = urlsplit(url)
            userinfo, _, _ = parts.netloc.rpartition("@")
        except ValueError:
            continue
        values = [userinfo.partition(":")[2] or userinfo]
        values += [field.partition("=")[2] for field in re.split("[&;]", parts.query)]
        found |= {
            spelling for value in values for spelling in (value, unquote(value)) if len(value) >= MIN_SECRET
        }
    return found


def _url_of(connection: Any) -> str | None:
    """The URL of a connection, which has it in four fields or whole in ``host``; None if it is no HTTP URL.

    For instance ``https://host:port/path?query``.
    """
    host = connection.host or ""
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    scheme, _, rest = host.partition("://")
    authority, slash, path = rest.partition("/")
    if not authority or "@" in authority or scheme not in ("http", "https"):
        return None
    if connection.port and not re.search(r":\d+$", authority):
        authority = f"{authority}:{connection.port}"
    return f"{scheme}://{authority}{slash}{path}"
