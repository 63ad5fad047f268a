"""URIs find their store, or an answer that helps; secrets of URLs stay secret."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vod_operators.errors import InvalidInputError
from vod_operators.storage.http import HttpSource
from vod_operators.storage.local import LocalStorage
from vod_operators.storage.redact import redact
from vod_operators.storage.s3 import S3Storage
from vod_operators.storage.stores import readable_for, storage_for


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("file:///a/b.mp4", LocalStorage),
        ("s3://bucket/key", S3Storage),
        ("http://host/a.mp4", HttpSource),
        ("HTTPS://host/a.mp4", HttpSource),
    ],
)
def test_each_scheme_has_its_store(uri: str, kind: type) -> None:
    assert type(readable_for(uri, "conn")) is kind
    if kind is HttpSource:
        with pytest.raises(InvalidInputError, match="is read-only; write to an s3:// or file:// URI"):
            storage_for(uri, "conn")
    else:
        assert type(storage_for(uri, "conn")) is kind


def test_clients_are_shared() -> None:
    assert storage_for("s3://a/b", "one") is storage_for("s3://c/d", "one")
    assert storage_for("s3://a/b", "one") is not storage_for("s3://a/b", "two")
    assert readable_for("http://a/b", "one") is readable_for("https://c/d", "two")


def test_an_unknown_scheme_lists_the_known() -> None:
    with pytest.raises(InvalidInputError) as caught:
        storage_for("ftp://user:secret@host/a.mp4?key=secret", "conn")
    message = str(caught.value)
    assert "secret" not in message
    for part in ("ftp://host/a.mp4", "file://", "s3://", "http://", "https://"):
        assert part in message


def test_a_path_is_told_its_uri() -> None:
    with pytest.raises(InvalidInputError, match=r"write file:///a/b%20c.mp4$"):
        storage_for("/a/b c.mp4", "conn")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://host:8443/a/b.mp4", "https://host:8443/a/b.mp4"),
        ("https://user:pw@host/a.mp4", "https://host/a.mp4"),
        ("https://host/a.mp4?X-Amz-Signature=pw#t=3", "https://host/a.mp4?..."),
        ("https://host/@user/a.mp4?mail=a@b", "https://host/@user/a.mp4?..."),
        ("https://u:p@w@[::1]:80/a", "https://[::1]:80/a"),
        ("https://user:p/w@host/a.mp4", "https://..."),
        ("https://user:p?w@host/a.mp4", "https://..."),
        ("s3://bucket/a@b?c#d", "s3://bucket/a@b?c#d"),
        ("file:///a@b?c#d", "file:///a@b?c#d"),
    ],
)
def test_redaction(uri: str, shown: str) -> None:
    assert redact(uri) == shown


def test_importing_the_stores_is_cheap_for_dag_files() -> None:
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import vod_operators.storage.stores; "
        "print({'airflow', 'boto3', 'botocore'} & sys.modules.keys())"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
