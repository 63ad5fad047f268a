"""A whole video on servers that do with conditions and checksums what some do.

``TEST_S3_SERVER=http://KEY:SECRET@127.0.0.1:PORT`` runs ``test_a_whole_video`` on a real one instead of moto,
with ``TEST_S3_UNSAFE=true`` also where it does not honour conditions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.stage import check_workspace, download
from support.clips import numbered_clip
from support.odd_s3 import OddServer
from support.published import Published, check_published
from support.s3_servers import S3Bucket
from support.steps import Steps

pytestmark = pytest.mark.faults

CHUNKS = 2

Report = Callable[..., None]


def _publish(bucket: S3Bucket, folder: Path) -> None:
    """The video, the same once more, and a longer one in its place."""
    source = numbered_clip(CHUNKS).as_uri()
    Steps(video_id="clip", source=source, run_id="first").run()
    Steps(video_id="clip", source=source, run_id="again").run()
    check_published(download(bucket.client, bucket.name, "results/clip", folder / "got"), frames=CHUNKS * 25)
    Steps(video_id="clip", source=numbered_clip(CHUNKS + 1).as_uri(), run_id="longer").run()
    longer = Published(download(bucket.client, bucket.name, "results/clip", folder / "longer"))
    longer.check_pictures(range((CHUNKS + 1) * 25), "25")
    check_workspace(bucket)
    pages = bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    assert not [key for key in keys if "_probe-" in key]


def test_a_whole_video(
    stage: Path, s3_bucket: S3Bucket, configure_stage: Callable[..., None], report: Report
) -> None:
    is_unsafe = os.environ.get("TEST_S3_UNSAFE", "false")
    configure_stage(**_settings(s3_bucket.conn_id, s3_bucket), VOD_ACCEPT_UNSAFE_STORE=is_unsafe)
    _publish(s3_bucket, stage)
    report(server=s3_bucket.client.meta.endpoint_url)


@pytest.mark.parametrize(
    ("oddities", "is_unsafe"),
    [
        (["refuses quoted", "ignores checksums"], False),
        (["ignores If-Match", "ignores If-None-Match", "ignores checksums"], True),
        (["refuses If-Match", "refuses If-None-Match"], True),
    ],
    ids=["as Ceph RGW 16", "as s3rver", "without conditional writes"],
)
def test_a_whole_video_on_an_odd_server(
    oddities: list[str],
    is_unsafe: bool,
    stage: Path,
    s3_bucket: S3Bucket,
    odd_s3: Callable[..., tuple[OddServer, str]],
    configure_stage: Callable[..., None],
) -> None:
    _, conn_id = odd_s3(*oddities)
    settings = _settings(conn_id, s3_bucket)
    configure_stage(**settings, VOD_ACCEPT_UNSAFE_STORE=str(is_unsafe).lower())
    _publish(s3_bucket, stage)


def _settings(conn_id: str, bucket: S3Bucket) -> dict[str, str]:
    return {
        "VOD_AWS_CONN_ID": conn_id,
        "VOD_TEMP_URI": f"{bucket.uri}/tmp",
        "VOD_RESULTS_URI": f"{bucket.uri}/results",
    }
