"""A results store with a temp store beside it: a folder, and S3."""

from __future__ import annotations

from pathlib import Path

import pytest
from videos import Place

from tools import configure
from vod_operators.storage.keys import ResultKeys
from vod_operators.storage.stores import storage_for


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The stores of this package's settings, both empty."""
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
