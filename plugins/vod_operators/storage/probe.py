"""Checks that a store honours conditional writes, on which claims rely."""

from __future__ import annotations

import uuid
from functools import lru_cache

from vod_operators.errors import UnsafeStoreError
from vod_operators.storage.base import Storage
from vod_operators.storage.keys import probe_key
from vod_operators.storage.stores import storage_for


@lru_cache(maxsize=8)
def require_conditional_writes(root_uri: str, aws_conn_id: str) -> None:
    """Try conditional writes in the store, once in each process and its forks.

    :param root_uri: folder in which a test object may be written.
    :raises UnsafeStoreError: the store accepts a write whose condition is false, or refuses one whose
        condition is true.
    """
    uri = probe_key(root_uri, uuid.uuid4().hex)
    fault = _fault(storage_for(uri, aws_conn_id), uri)
    if fault:
        raise UnsafeStoreError(root_uri, fault)


def _fault(storage: Storage, uri: str) -> str:
    """What the store does wrong with conditions, in words; empty if nothing."""
    try:
        version = storage.create(uri, b"first")
        if version is None:
            return "refuses If-None-Match for a key that is free"
        if storage.create(uri, b"second") is not None:
            return "ignores If-None-Match"
        if storage.replace(uri, b"third", version) is None:
            return "refuses If-Match for the ETag that the object has"
        if storage.replace(uri, b"fourth", version) is not None:
            return "ignores If-Match"
    finally:
        storage.delete(uri)
    return ""
