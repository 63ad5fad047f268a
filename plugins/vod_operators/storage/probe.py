"""Whether a store keeps the promise that all ownership rests on: conditional writes."""

from __future__ import annotations

import os
import uuid
from functools import lru_cache

from vod_operators.errors import InvalidInputError
from vod_operators.storage.base import Storage
from vod_operators.storage.keys import probe_key
from vod_operators.storage.stores import storage_for


def require_conditional_writes(root_uri: str, aws_conn_id: str) -> None:
    """Ask the store, once in a process.

    :param root_uri: where objects may be made, for a moment.
    :raises InvalidInputError: it takes writes whose condition does not hold.
    """
    _require(root_uri, aws_conn_id, os.getpid())


@lru_cache(maxsize=8)
def _require(root_uri: str, aws_conn_id: str, process: int) -> None:
    uri = probe_key(root_uri, uuid.uuid4().hex)
    ignored = _ignored(storage_for(uri, aws_conn_id), uri)
    if ignored:
        raise InvalidInputError(
            f"{root_uri}: this store ignores {ignored}, so two runs could own one video, and a late one "
            "overwrite a newer result; use a store with conditional writes, or set "
            "VOD_ACCEPT_UNSAFE_STORE=true and see to it yourself that no video has two runs at a time"
        )


def _ignored(storage: Storage, uri: str) -> str | None:
    try:
        first = storage.create(uri, b"first")
        if first is None or storage.create(uri, b"second") is not None:
            return "If-None-Match"
        if (
            storage.replace(uri, b"third", first) is None
            or storage.replace(uri, b"fourth", first) is not None
        ):
            return "If-Match"
    finally:
        storage.delete(uri)
    return None
