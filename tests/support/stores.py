"""The stores that a test has, empty: folders, and buckets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.s3_servers import S3Bucket
from support.settings import configure


def owner_of(stores: Path, video_id: str) -> str | None:
    """Who holds the claim of a video whose temp store is the folder ``tmp``."""
    return json.loads((stores / "tmp" / video_id / "claim.json").read_text("utf-8"))["owner"] or None


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temp and results in a folder of the test's own; ``configure`` in a test may move them."""
    configure(
        monkeypatch,
        temp_uri=(tmp_path / "tmp").as_uri(),
        results_uri=(tmp_path / "results").as_uri(),
        work_dir=str(tmp_path / "work"),
    )
    return tmp_path


@pytest.fixture
def bucket(stores: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> S3Bucket:
    """A bucket for sources, which the settings' connection reaches; ``stores`` are folders."""
    monkeypatch.setenv("VOD_AWS_CONN_ID", s3_bucket.conn_id)
    configure(monkeypatch)
    return s3_bucket


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stores of this package's settings, both empty: folders, and in S3."""
    from support.results import Place
    from vod_operators.storage.keys import ResultKeys
    from vod_operators.storage.stores import storage_for

    if request.param == "file":
        root, conn_id = tmp_path.as_uri(), "aws_default"
    else:
        bucket = request.getfixturevalue("s3_bucket")
        root, conn_id = bucket.uri, bucket.conn_id
    temp, results = f"{root}/tmp", f"{root}/results"
    configure(monkeypatch, temp_uri=temp, results_uri=results, aws_conn_id=conn_id)
    return Place(
        temp=storage_for(temp, conn_id),
        temp_uri=temp,
        results=storage_for(results, conn_id),
        keys=ResultKeys(results_uri=results, video_id="film"),
        conn_id=conn_id,
    )
