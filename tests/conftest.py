"""What all tests share: an Airflow home of their own, an S3 server, and the real DAG.

Airflow reads its configuration when it is first imported, so the environment is set here, before any
test module is.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tools import ROOT, Run, allow_sources, configure

_HOME = Path(tempfile.mkdtemp(prefix="vod-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

_FOLDERS = [ROOT / "tests", Path(tempfile.gettempdir())]
if "EXACT_CLIPS" in os.environ:
    _FOLDERS.append(Path(os.environ["EXACT_CLIPS"]).absolute())

for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AWS_", "VOD_"))]:
    del os.environ[_name]  # a developer's own deployment and credentials are not under test
os.environ.update(
    {
        "AIRFLOW_HOME": str(_HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME / 'airflow.db'}",
        # Without credentials botocore would look for an instance role over the network.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(_HOME / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(_HOME / "no-aws-credentials"),
        "NO_PROXY": "127.0.0.1,localhost",
        # What the tests' requests name: clips, what tests make, servers of theirs. Buckets are added.
        "VOD_SOURCE_ALLOW": json.dumps(["public", "127.0.0.1", *(folder.as_uri() for folder in _FOLDERS)]),
        "VOD_CALLBACK_ALLOW": json.dumps(["public", "127.0.0.1"]),
    }
)

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
    from odd_s3 import OddServer

    with contextlib.ExitStack() as stack:

        def start(*oddities: str) -> tuple[OddServer, str]:
            server = stack.enter_context(contextlib.closing(OddServer(s3_bucket.endpoint, oddities)))
            conn_id = f"odd_{uuid.uuid4().hex[:8]}"
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", s3_connection(server.endpoint))
            return server, conn_id

        yield start


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stores of this package's settings, both empty: folders, and in S3."""
    from videos import Place
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


@dataclass(frozen=True, kw_only=True)
class CmsRequest:
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Cms:
    """A CMS that records what it is told, and answers as a test wants."""

    def __init__(self) -> None:
        self.requests: list[CmsRequest] = []
        self.answers: list[int | str] = []
        """One for each request: a status, ``drop``, ``silence``, ``trickle``, ``endless body``; then 200."""
        self.url = ""
        self.closing = threading.Event()

    def events(self) -> list[str]:
        return [request.json()["event"] for request in self.requests]


@pytest.fixture
def cms() -> Iterator[Cms]:
    cms = Cms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            cms.requests.append(CmsRequest(headers=dict(self.headers.items()), body=body))
            answer = cms.answers.pop(0) if cms.answers else 200
            if isinstance(answer, int):
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif answer == "silence":
                cms.closing.wait(30)
            elif answer == "trickle":
                self._repeat(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n")
            elif answer == "endless body":
                self._repeat(b"HTTP/1.1 200 OK\r\n\r\n", b"more")
            self.close_connection = True

        def _repeat(self, first: bytes, then: bytes) -> None:
            with contextlib.suppress(OSError):
                self.wfile.write(first)
                while not cms.closing.wait(0.1):
                    self.wfile.write(then)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cms.url = f"http://127.0.0.1:{server.server_port}/vod"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield cms
    cms.closing.set()
    server.shutdown()
    server.server_close()


# --- the DAG --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def airflow_db() -> None:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


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


@pytest.fixture
def run_dag(airflow_db: None, stores: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., Run]:
    def run(*, retries: int | None = None, **conf: Any) -> Run:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(ROOT / "dags")
        assert bag.import_errors == {}
        dag, outcome = bag.dags["vod_transcode"], Run(state="")

        def done(context: Any) -> None:
            outcome.results.setdefault(context["ti"].task_id, []).append(
                context["ti"].xcom_pull(task_ids=context["ti"].task_id, map_indexes=context["ti"].map_index)
            )

        def failed(context: Any) -> None:
            outcome.errors[context["ti"].task_id] = context["exception"]

        for task in dag.tasks:
            task.on_success_callback, task.on_failure_callback = [done], [failed]
            if retries is not None:
                task.retries = retries
        caplog.clear()
        outcome.state = str(dag.test(run_conf=conf).state)
        outcome.log = caplog.text
        return outcome

    return run
