"""An S3 server for the tests, and buckets in it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.settings import allow_sources

# In a process of its own, so that tests can measure their memory. moto checks a condition and then
# writes; S3 does both in one step, hence the lock around what changes objects. And S3 refuses a body that is
# not what its checksum says, where moto takes it.
_MOTO = """
import base64, binascii, io, sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
app, lock = server._server.app, threading.Lock()
def one_change_at_a_time(environ, start_response):
    if environ["REQUEST_METHOD"] in ("PUT", "DELETE"):
        crc = environ.get("HTTP_X_AMZ_CHECKSUM_CRC32")
        if crc and environ.get("CONTENT_LENGTH"):
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            if base64.b64decode(crc) != binascii.crc32(body).to_bytes(4, "big"):
                start_response("400 Bad Request", [("Content-Type", "application/xml")])
                return [b"<Error><Code>BadDigest</Code><Message>CRC32 differs</Message></Error>"]
        with lock:
            return app(environ, start_response)
    return app(environ, start_response)
server._server.app = one_change_at_a_time
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # ends with the tests, however they end
"""

S3_SERVER = "TEST_S3_SERVER"
"""``http://KEY:SECRET@127.0.0.1:PORT`` of a server for the tests to use instead of moto."""


def s3_connection(endpoint: str, **extra: Any) -> str:
    """The JSON of an Airflow connection to an S3 server, for ``AIRFLOW_CONN_...``."""
    server = urlsplit(os.environ.get(S3_SERVER, ""))
    return json.dumps(
        {
            "conn_type": "aws",
            "login": server.username or "test",
            "password": server.password or "test",
            "extra": {"endpoint_url": endpoint, "region_name": "us-east-1", **extra},
        }
    )


def s3_client(endpoint: str) -> Any:
    import boto3
    from botocore.config import Config

    connection = json.loads(s3_connection(endpoint))
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=connection["login"],
        aws_secret_access_key=connection["password"],
        config=Config(s3={"addressing_style": "path"}),
    )


@dataclass(frozen=True, kw_only=True)
class MotoServer:
    endpoint: str
    conn_id: str
    """Airflow connection to it, defined in the environment (child processes have it too)."""
    client: Any
    """A plain boto3 client, to look behind the code under test."""


@dataclass(frozen=True, kw_only=True)
class S3Bucket(MotoServer):
    name: str
    uri: str
    """``s3://NAME``"""


@pytest.fixture(scope="session")
def moto_server() -> Iterator[MotoServer]:
    """An S3 server on a free port of the loopback interface, or the one that ``S3_SERVER`` names."""
    if named := os.environ.get(S3_SERVER):
        endpoint = f"http://{named.rpartition('@')[2]}"
        os.environ["AIRFLOW_CONN_VOD_TEST_S3"] = s3_connection(endpoint)
        yield MotoServer(endpoint=endpoint, conn_id="vod_test_s3", client=s3_client(endpoint))
        return
    process = subprocess.Popen(
        [sys.executable, "-c", _MOTO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    import boto3  # noqa: F401, while the server starts

    assert process.stdin and process.stdout
    try:
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        os.environ["AIRFLOW_CONN_VOD_TEST_S3"] = s3_connection(endpoint)
        yield MotoServer(endpoint=endpoint, conn_id="vod_test_s3", client=s3_client(endpoint))
    finally:
        process.stdin.close()
        process.wait()


@pytest.fixture
def s3_bucket(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> S3Bucket:
    """An empty bucket, which requests may read."""
    name = f"vod-{uuid.uuid4().hex[:12]}"
    moto_server.client.create_bucket(Bucket=name)
    allow_sources(monkeypatch, f"s3://{name}")
    return S3Bucket(
        endpoint=moto_server.endpoint,
        conn_id=moto_server.conn_id,
        client=moto_server.client,
        name=name,
        uri=f"s3://{name}",
    )


@pytest.fixture
def odd_s3(s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Starts a server with oddities before the bucket's; it, and the id of a connection to it."""
    from support.odd_s3 import OddServer

    with contextlib.ExitStack() as stack:

        def start(*oddities: str) -> tuple[OddServer, str]:
            server = stack.enter_context(contextlib.closing(OddServer(s3_bucket.endpoint, oddities)))
            conn_id = f"odd_{uuid.uuid4().hex[:8]}"
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", s3_connection(server.endpoint))
            return server, conn_id

        yield start
