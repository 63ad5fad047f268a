"""The script that passes a platform's notice on to the tasks."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import NamedTuple

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts/evict.sh"

pytestmark = pytest.mark.skipif(which("curl") is None, reason="this machine has no curl")

WORKER = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "print('child', flush=True); __import__('time').sleep(60)"])
def end(*_):
    print("worker", -child.wait(), flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
time.sleep(60)
"""
"""Ends when it gets SIGTERM, and says by which signal its child ended."""


class Notice(NamedTuple):
    """How a platform announces that it takes a machine away."""

    path: str
    header: tuple[str, str]
    """Which a request must have."""
    before: bytes | None
    """None: 404."""
    later: bytes


NOTICES = {
    "aws": Notice(
        "/latest/meta-data/spot/instance-action",
        ("X-aws-ec2-metadata-token", "a-token"),
        None,
        b'{"action": "terminate"}',
    ),
    "gcp": Notice("/computeMetadata/v1/instance/preempted", ("Metadata-Flavor", "Google"), b"FALSE", b"TRUE"),
    "azure": Notice(
        "/metadata/scheduledevents?api-version=2020-07-01",
        ("Metadata", "true"),
        b'{"Events": []}',
        b'{"Events": [{"EventType": "Preempt", "Resources": ["vm"]}]}',
    ),
}


class Metadata:
    """The service that a machine asks about itself."""

    def __init__(self) -> None:
        self.asked = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._send(b"a-token")

            def do_GET(self) -> None:
                notice = next(notice for notice in NOTICES.values() if notice.path == self.path)
                name, value = notice.header
                assert self.headers[name] == value
                service.asked += 1
                self._send(notice.later if service.asked > 2 else notice.before)

            def _send(self, body: bytes | None) -> None:
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    service = Metadata()
    yield service
    service.server.shutdown()
    service.server.server_close()


@pytest.mark.parametrize("platform", NOTICES)
def test_a_notice_reaches_worker_and_tasks(platform: str, metadata: Metadata) -> None:
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "child\n"
        subprocess.run(
            [SCRIPT, platform, str(worker.pid)],
            env={"METADATA": metadata.url, "EVERY_S": "0.1", "PATH": "/usr/bin:/bin", "no_proxy": "*"},
            check=True,
            timeout=30,
        )
        assert metadata.asked == 3
        assert worker.stdout.readline() == "worker 15\n"


def test_it_ends_with_the_worker(metadata: Metadata) -> None:
    with subprocess.Popen(["true"]) as worker:
        pass
    subprocess.run(
        [SCRIPT, "gcp", str(worker.pid)],
        env={"METADATA": metadata.url, "PATH": "/usr/bin:/bin", "no_proxy": "*"},
        check=True,
        timeout=30,
    )
    assert metadata.asked == 1


def test_an_unknown_platform_is_refused() -> None:
    found = subprocess.run([SCRIPT, "ibm", "1"], capture_output=True, text=True, check=False, timeout=30)
    assert (found.returncode, found.stderr) == (2, "evict.sh: ibm: not one of aws, gcp, azure\n")
