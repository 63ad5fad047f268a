"""Who follows: the example DAG on the asset, and the example CMS over REST with signed callbacks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.airflows import StartAirflow
from support.clips import numbered_clip
from support.real_airflow import PASSWORD, USER, wait_until
from support.tools import ROOT

pytestmark = pytest.mark.fleet

SECRET = "between us"
CLIENT = ROOT / "examples" / "cms_client.py"


def test_a_cms_and_a_dag(airflow: StartAirflow, home: Path, report: Callable[..., None]) -> None:
    dags = home / "dags"
    shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "examples" / "after_publish.py", dags)
    running = airflow(
        parallelism=2,
        AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW_CONN_VOD_CALLBACK=json.dumps({"conn_type": "generic", "password": SECRET}),
        VOD_CALLBACK_CONN_ID="vod_callback",
    )
    wait_until(lambda: running.call("GET", "/dags/after_publish/details").is_success, timeout_s=60, what="it")
    login = {"URL": running.url, "USER": USER, "PASSWORD": PASSWORD}
    environment = os.environ | {f"VOD_AIRFLOW_{name}": value for name, value in login.items()}

    def cms(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, str(CLIENT), *args], env=environment, capture_output=True, text=True, check=False
        )
        return (done.stdout + done.stderr).strip()

    clip = numbered_clip(2).as_uri()
    assert "preset" in cms("ask", "film-0", clip, "--preset", "none")
    assert cms("ask", "not an id", clip).startswith("refused: 400: ")
    with Listener() as told:
        assert cms("ask", "film-1", clip, "--preset", "tiny", "--callback-url", told.url) == "started"
        assert cms("ask", "film-1", clip, "--preset", "tiny") in ("queued", "running")
        started, done = told.events()
    assert [started["event"], done["event"]] == ["started", "done"], done.get("failure")
    assert done["result"]["playlist"] == (home / "results" / "film-1" / "index.m3u8").as_uri()
    assert running.wait("vod.film-1.tiny", timeout_s=300) == "success"
    assert json.loads(cms("status", "film-1", "--preset", "tiny")) == {
        "state": "success", "chunks": 1, "chunks_done": 1,
    }  # fmt: skip
    assert cms("ask", "film-1", clip, "--preset", "tiny") == "done"

    # Failed before: the source is not there yet.
    late = home / "late.mp4"
    with Listener() as told:
        cms("ask", "film-2", late.as_uri(), "--preset", "tiny", "--callback-url", told.url)
        (failed,) = told.events()
    assert failed["event"] == "failed" and failed["failure"]["reason"].startswith("source: ")
    assert (failed["failure"]["code"], failed["failure"]["retry"]) == ("source_unusable", "changed")
    assert running.wait("vod.film-2.tiny", timeout_s=300) == "failed"
    shutil.copyfile(numbered_clip(1), late)
    with Listener(told.port) as told:
        assert cms("ask", "film-2", late.as_uri(), "--preset", "tiny") == "continued"
        assert [event["event"] for event in told.events()] == ["started", "done"]

    # Cancelled in mid-work.
    long = numbered_clip(24).as_uri()
    with Listener() as told:
        cms("ask", "film-3", long, "--preset", "tiny", "--callback-url", told.url)
        wait_until(lambda: bool(running.media_tools()), timeout_s=300, what="a tool")
        assert cms("cancel", "film-3", "--preset", "tiny") == ""
        cancelled = told.events()[-1]
    assert cancelled["event"] == "failed"
    failure = cancelled["failure"]
    assert (failure["code"], failure["retry"]) == ("cancelled", "never"), failure
    assert failure["reason"].startswith("the run was cancelled")
    # The task that tells it is the run's last, so the run ends when that task has.
    assert running.wait("vod.film-3.tiny", timeout_s=60) == "failed"
    assert json.loads(cms("status", "film-3", "--preset", "tiny"))["state"] == "failed"
    wait_until(lambda: not running.media_tools(), timeout_s=120, what="its tools to end")
    path = "/dags/vod_transcode/dagRuns/vod.film-3.tiny/taskInstances/release/xcomEntries/failure"
    value = running.call("GET", f"{path}?deserialize=false").json()["value"]
    assert (json.loads(value) if isinstance(value, str) else value) == failure

    # The DAG that follows has been told of both, in one run or two.
    followed: list[dict[str, Any]] = []

    def all_followed() -> bool:
        found = running.call("GET", "/dags/after_publish/dagRuns?state=success").json()["dag_runs"]
        followed.clear()
        for run in found:
            path = (
                f"/dags/after_publish/dagRuns/{run['dag_run_id']}/taskInstances/tell/xcomEntries/return_value"
            )
            value = running.call("GET", f"{path}?deserialize=false").json()["value"]
            followed.extend(json.loads(value) if isinstance(value, str) else value)
        return len(followed) >= 2

    wait_until(all_followed, timeout_s=300, what="the DAG that follows", every_s=2)
    assert sorted(video["video_id"] for video in followed) == ["film-1", "film-2"]
    report(callbacks=5, followed=[video["video_id"] for video in followed])


class Listener:
    """``cms_client.py listen``: prints what is signed, and ends with the outcome."""

    def __init__(self, port: int | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = port or free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Listener:
        self._process = subprocess.Popen(
            [sys.executable, str(CLIENT), "listen", str(self.port), "--secret", SECRET],
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_until(self._answers, timeout_s=30, what="the listener")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def events(self) -> list[dict[str, Any]]:
        """All that came until the outcome did."""
        out, _ = self._process.communicate(timeout=600)
        return [json.loads(line) for line in out.splitlines()]
