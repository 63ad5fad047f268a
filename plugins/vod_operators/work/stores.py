"""The two stores of a deployment."""

from __future__ import annotations

from dataclasses import dataclass

from vod_operators.settings import VodSettings
from vod_operators.storage.base import Storage
from vod_operators.storage.stores import storage_for


@dataclass(frozen=True)
class Stores:
    """Where work and results are."""

    temp: Storage
    """Of intermediate files."""
    results: Storage
    """Of published files."""

    @classmethod
    def of(cls, settings: VodSettings) -> Stores:
        """As the deployment says."""

        def store(uri: str) -> Storage:
            return storage_for(uri, settings.aws_conn_id, accept_unsafe=settings.accept_unsafe_store)

        return cls(temp=store(settings.temp_uri), results=store(settings.results_uri))
