"""The Airflow of `make up`: a hundred calls at once, and each component killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support.clips import numbered_clip
from support.presets import write_preset
from support.published import check_published
from support.real_airflow import wait_until
from support.tools import ROOT

pytestmark = pytest.mark.fleet

RUNS = "/api/v2/dags/vod_transcode/dagRuns"
ABSENT, VIDEOS, ASKED = 60, 8, 5
"""Runs of sources that are not there, which end at once; videos; and how often each of these is asked for."""


class Local:
    """``scripts/local_airflow.py`` with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = os.environ | {
            "VOD_HOME": str(home),
            "VOD_PRESETS_DIR": str(write_preset(home.parent / "presets")),
        }

    def __call__(self, action: str) -> subprocess.CompletedProcess[str]:
        script = [sys.executable, str(ROOT / "scripts" / "local_airflow.py"), action]
        return subprocess.run(script, env=self.env, capture_output=True, text=True)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "running.json").read_text())
        return found

    def component(self, name: str) -> dict[str, Any]:
        (found,) = [item for item in self.state()["components"] if item["name"] == name]
        return found

    def restarts(self) -> dict[str, int]:
        return {item["name"]: item["restarts"] for item in self.state()["components"] if item["restarts"]}

    def client(self) -> httpx.Client:
        url = self.state()["url"]
        password = json.loads((self.home / "passwords.json").read_text())["admin"]
        body = {"username": "admin", "password": password}
        answer = httpx.post(f"{url}/auth/token", json=body, timeout=60, trust_env=False)
        token = answer.raise_for_status().json()["access_token"]
        return httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=300,
            trust_env=False,
            limits=httpx.Limits(max_connections=None),
        )

    def processes(self) -> list[psutil.Process]:
        """All that work for it, also those that changed their session and their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if str(self.home) in " ".join([*process.cmdline(), *process.environ().values()]):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with tempfile.TemporaryDirectory(prefix="vod-local-") as folder:
        local = Local(Path(folder) / "home")
        try:
            started = local("up")
            assert started.returncode == 0, started.stderr
            yield local
        finally:
            assert local("down").returncode == 0
            assert local.processes() == []


def ended(http: httpx.Client, runs: list[str]) -> dict[str, str]:
    """Waits for all of them; run -> state."""
    states: dict[str, str] = {}

    def over() -> bool:
        for run in runs:
            if states.get(run) not in ("success", "failed"):
                states[run] = http.get(f"{RUNS}/{run}").raise_for_status().json()["state"]
        return set(states.values()) <= {"success", "failed"}

    wait_until(over, timeout_s=1800, what="all runs", every_s=2)
    return states


def test_a_hundred_calls_at_once(local: Local, report: Callable[..., None]) -> None:
    clip = numbered_clip(1).as_uri()
    asked = [(f"absent-{n}", "file:///nowhere/film.mp4") for n in range(ABSENT)]
    asked += [(f"video-{n}", clip) for n in range(VIDEOS)] * ASKED
    with local.client() as http, ThreadPoolExecutor(len(asked)) as pool:
        together = threading.Barrier(len(asked))

        def ask(video_id: str, source: str) -> int:
            conf = {"video_id": video_id, "source": source, "preset": "tiny"}
            together.wait()
            body = {"dag_run_id": video_id, "logical_date": None, "conf": conf}
            return http.post(RUNS, json=body).status_code

        codes = Counter(pool.map(lambda one: ask(*one), asked))
        assert codes == {200: ABSENT + VIDEOS, 409: VIDEOS * (ASKED - 1)}
        states = ended(http, sorted({video_id for video_id, _ in asked}))
    report(calls=len(asked), codes=codes, states=Counter(states.values()), restarts=local.restarts())
    assert {run for run, state in states.items() if state == "success"} == {
        f"video-{n}" for n in range(VIDEOS)
    }
    for n in range(VIDEOS):
        check_published(local.home / "storage" / "results" / f"video-{n}", frames=25)
    assert local.restarts() == {}


def test_whatever_is_killed_comes_back(local: Local, report: Callable[..., None]) -> None:
    names = ["scheduler", "dag-processor", "api-server", "postgres"]
    before = local.restarts()
    for name in names:
        psutil.Process(local.component(name)["pid"]).kill()
        wait_until(
            lambda: local.restarts().get(name, 0) > before.get(name, 0),  # noqa: B023
            timeout_s=60,
            what=name,
        )
    wait_until(lambda: local("status").returncode == 0, timeout_s=180, what="all of it", every_s=2)
    told = (local.home / "logs" / "supervisor.log").read_text()
    assert all(f" {name} started again" in told for name in names), told
    with local.client() as http:
        conf = {"video_id": "after", "source": numbered_clip(1).as_uri(), "preset": "tiny"}
        http.post(RUNS, json={"dag_run_id": "after", "logical_date": None, "conf": conf}).raise_for_status()
        assert ended(http, ["after"]) == {"after": "success"}
    report(restarts=local.restarts())


def test_nothing_is_left_of_one_whose_supervisor_and_database_were_killed(local: Local) -> None:
    earlier = {item["name"]: psutil.Process(item["pid"]) for item in local.state()["components"]}
    for name in ("supervisor", "postgres"):
        earlier[name].kill()
    again = local("up")
    assert again.returncode == 0, again.stderr
    assert "only in part" in again.stderr
    assert not [process for process in earlier.values() if process.is_running()]
    assert local.restarts() == {}
    with local.client() as http:
        assert http.get(f"{RUNS}/after").raise_for_status().json()["state"] == "success"
