"""Opens the two stores that the settings name."""

from __future__ import annotations

from dataclasses import dataclass

from vod_operators.settings import VodSettings
from vod_operators.storage.base import Storage
from vod_operators.storage.stores import storage_for


@dataclass(frozen=True)
class Stores:
    """The two stores of a deployment."""

    temp: Storage
    """Holds intermediate files."""
    results: Storage
    """Holds published files."""

    @classmethod
    def of(cls, settings: VodSettings) -> Stores:
        """The stores at ``VOD_TEMP_URI`` and ``VOD_RESULTS_URI``."""

        def store(uri: str) -> Storage:
            return storage_for(uri, settings.aws_conn_id, accept_unsafe=settings.accept_unsafe_store)

        return cls(temp=store(settings.temp_uri), results=store(settings.results_uri))
