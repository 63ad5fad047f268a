"""What faults left behind, in results and in the workspace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.s3_servers import S3Bucket


def media_digests(folder: Path) -> dict[str, str]:
    """Segment -> its SHA-256: one thread of x264 writes equal bytes. Init segments tell a time."""
    version = json.loads((folder / "video.json").read_text("utf-8"))["version"]
    return {
        str(path.relative_to(folder / version)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / version).rglob("*"))
        if path.suffix == ".m4s"
    }


def download(client: Any, bucket: str, prefix: str, folder: Path) -> Path:
    """A folder of an S3 store, here."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
        for item in page.get("Contents", ()):
            path = folder / item["Key"].removeprefix(f"{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
    return folder


def check_workspace(bucket: S3Bucket) -> int:
    """Every object that a marker names is what the marker says. How many there are."""
    checked = 0
    pages = bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    for key in keys:
        if not key.endswith(".done.json"):
            continue
        marker = json.loads(bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read())
        for stored in _stored_in(marker):
            place = stored["uri"].removeprefix(f"{bucket.uri}/")
            data = bucket.client.get_object(Bucket=bucket.name, Key=place)["Body"].read()
            assert len(data) == stored["size_bytes"], f"{place}: {len(data)} bytes"
            assert hashlib.sha256(data).hexdigest() == stored["sha256"], f"{place} is corrupt"
            checked += 1
    assert checked, "no marker names an object"
    return checked


def _stored_in(document: Any) -> Iterator[dict[str, Any]]:
    """Every description of an object in a document, wherever it stands."""
    if isinstance(document, dict) and {"uri", "size_bytes", "sha256"} <= document.keys():
        yield document
    elif isinstance(document, dict):
        for item in document.values():
            yield from _stored_in(item)
