"""Documents that several writers change: replaced on condition, so that no writer undoes what another did."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from pydantic import BaseModel

from vod_operators.errors import StorageError
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage

ATTEMPTS = 60
"""Tries to replace a document. Each fails if another writer came first; one writer succeeds in each round."""

MAX_PAUSE_S = 0.5
"""Longest pause between two tries."""


def replace_document(storage: Storage, uri: str, change: Callable[[bool], BaseModel | None]) -> None:
    """Replace a sealed document by what it is to become; tried again if another writer came first.

    :param change: returns the new document, or None to leave the present one. It reads the present one
        itself, and gets whether there is one.
    :raises StorageError: the store failed, or other writers came first each time.
    """
    for pause in pauses():
        # Before the content is read, so that a change between the two fails the write.
        info = storage.stat(uri)
        document = change(info is not None)
        if document is None:
            return
        data = checkpoint.seal(document)
        if info is None:
            written = storage.create(uri, data, content_type="application/json")
        else:
            written = storage.replace(uri, data, info.version, content_type="application/json")
        if written is not None:
            return
        time.sleep(pause)
    raise StorageError(f"{uri}: could not be written, because it changed {ATTEMPTS} times in between")


def pauses() -> Iterator[float]:
    """Seconds to wait after each of ``ATTEMPTS`` tries to replace a document, at random and ever longer."""
    for number in range(ATTEMPTS):
        yield random.uniform(0, min(MAX_PAUSE_S, 0.01 * 2**number))
