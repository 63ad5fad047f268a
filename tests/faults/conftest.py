"""What the fault tests share: a stage for steps without a scheduler, stores behind a bad network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from faults.s3_proxy import S3Proxy
from support.presets import write_preset
from support.s3_servers import S3Bucket, s3_connection
from support.settings import configure


@pytest.fixture
def configure_stage(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets ``VOD_*`` for the steps of this test and their children: ``configure_stage(VOD_X=...)``."""

    def change(**settings: str) -> None:
        configure(monkeypatch, **{name.removeprefix("VOD_").lower(): text for name, text in settings.items()})

    return change


@pytest.fixture
def stage(stores: Path, configure_stage: Callable[..., None]) -> Path:
    """A folder with local stores and the preset ``tiny``, for steps without a scheduler."""
    configure_stage(presets_dir=str(write_preset(stores / "presets")))
    return stores


@pytest.fixture
def proxy(s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """Before the bucket's server; a connection of the bucket's name leads through it."""
    with closing(S3Proxy(int(s3_bucket.endpoint.rpartition(":")[2]))) as proxy:
        # A name of its own, because clients are kept by it.
        name = s3_bucket.name.replace("-", "_")
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", s3_connection(proxy.endpoint))
        yield proxy


@pytest.fixture
def s3_settings(s3_bucket: S3Bucket, proxy: S3Proxy) -> dict[str, str]:
    return {
        "VOD_AWS_CONN_ID": s3_bucket.name.replace("-", "_"),
        "VOD_TEMP_URI": f"{s3_bucket.uri}/tmp",
        "VOD_RESULTS_URI": f"{s3_bucket.uri}/results",
    }
