"""A local Airflow of the bench's own, as `make up` starts it, and what its runs say of themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from vod_operators.pipeline import DAG_ID

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task instance that has ended; times in seconds since the epoch."""

    task_id: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """One DAG run that has ended well."""

    triggered: float
    tasks: tuple[Task, ...]
    first_encode: float
    steps: tuple[dict[str, Any], ...]
    """What the tasks and their media commands took: CPU, memory, bytes."""
    airflow_cpu_s: float
    """Of the components of Airflow and of all tasks' own processes, without media commands."""

    def of(self, task_id: str) -> list[Task]:
        return sorted((task for task in self.tasks if task.task_id == task_id), key=lambda task: task.start)

    @property
    def published(self) -> float:
        """Seconds from the request to the end of ``publish``."""
        return self.of("publish")[0].end - self.triggered

    @property
    def head(self) -> float:
        """Seconds from the request until the first encode begins, its packets at hand."""
        return self.first_encode - self.triggered

    @property
    def tail(self) -> float:
        """Seconds from the end of the last encode to the end of ``publish``."""
        encodes = self.of("transcode") + self.of("audio")
        return self.of("publish")[0].end - max(task.end for task in encodes)

    @property
    def media_cpu_s(self) -> float:
        """Of all media commands."""
        return sum(step["tools_cpu_s"] for step in self.steps)


class Stack:
    """The running Airflow."""

    def __init__(self, home: Path, state: dict[str, Any]) -> None:
        self.home = home
        self.state = state
        self._http = httpx.Client(base_url=state["url"], timeout=60, trust_env=False)
        password = json.loads((home / "passwords.json").read_text())["admin"]
        answer = self._http.post("/auth/token", json={"username": "admin", "password": password})
        self._http.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"

    def run(self, video_id: str, source: str, preset: str, chunk_seconds: int | None = None) -> Run:
        """Trigger one video over REST, and wait until its run has ended.

        :raises RuntimeError: it failed.
        """
        log = self.home / "steps.jsonl"
        log.unlink(missing_ok=True)
        before = self.airflow_cpu_s()
        conf = {"video_id": video_id, "source": source, "preset": preset, "chunk_seconds": chunk_seconds}
        triggered = time.time()
        answer = self._http.post(f"/api/v2/dags/{DAG_ID}/dagRuns", json={"logical_date": None, "conf": conf})
        run = f"/api/v2/dags/{DAG_ID}/dagRuns/{answer.raise_for_status().json()['dag_run_id']}"
        while (state := self._http.get(run).raise_for_status().json()["state"]) in ("queued", "running"):
            time.sleep(1)
        if state != "success":
            raise RuntimeError(f"{video_id}: the run ended as {state}; the logs: {self.home / 'logs'}")
        notes = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        steps = tuple(note for note in notes if "step" in note)
        own = self.airflow_cpu_s() - before - sum(step["tools_cpu_s"] for step in steps)
        return Run(
            triggered=triggered,
            first_encode=min(note["encode_at"] for note in notes if "encode_at" in note),
            tasks=tuple(self._tasks(run)),
            steps=steps,
            airflow_cpu_s=own,
        )

    def set_slots(self, slots: int) -> None:
        """Of the pool of encoding tasks."""
        name = self.state["settings"]["VOD_TRANSCODE_POOL"]
        whole = {"pool": name, "slots": slots, "include_deferred": False}
        self._http.patch(f"/api/v2/pools/{name}", json=whole).raise_for_status()

    def _tasks(self, run: str) -> Iterator[Task]:
        offset = 0
        while True:
            page = self._http.get(f"{run}/taskInstances", params={"limit": 100, "offset": offset})
            instances = page.raise_for_status().json()["task_instances"]
            for instance in instances:
                if instance["start_date"] is None:
                    continue
                yield Task(
                    task_id=instance["task_id"],
                    start=_seconds(instance["start_date"]),
                    end=_seconds(instance["end_date"]),
                )
            if len(instances) < 100:
                return
            offset += 100

    def airflow_cpu_s(self) -> float:
        """CPU seconds of all components so far, with all tasks and tools that have ended."""
        total = 0.0
        for item in self.state["components"]:
            try:
                family = [psutil.Process(item["pid"])]
                family += family[0].children(recursive=True)
            except psutil.NoSuchProcess:
                continue
            for process in family:
                try:
                    times = process.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def results(self, video_id: str) -> Path:
        """Where the video was published."""
        return self.home / "storage" / "results" / video_id

    def forget(self, video_id: str) -> None:
        """Remove all that was made of a video."""
        for place in ("results", "tmp"):
            shutil.rmtree(self.home / "storage" / place / video_id, ignore_errors=True)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@contextmanager
def airflow(home: Path, **settings: str) -> Iterator[Stack]:
    """The Airflow of `make up`, in a folder of its own; ``settings`` are more of its environment."""
    home.mkdir(parents=True, exist_ok=True)
    env = os.environ | {
        "VOD_HOME": str(home),
        "VOD_DAGS_DIR": str(ROOT / "bench" / "dags"),
        # The sources lie beside the Airflows.
        "VOD_SOURCE_ALLOW": json.dumps([home.parent.as_uri(), "s3://bench"]),
        "BENCH_LOG": str(home / "steps.jsonl"),
        "BENCH_RECORDINGS": str(home / "recordings"),
        **settings,
    }
    script = [sys.executable, str(ROOT / "scripts" / "local_airflow.py")]
    subprocess.run([*script, "up"], env=env, check=True, stdout=subprocess.DEVNULL)
    try:
        yield Stack(home, json.loads((home / "running.json").read_text()))
    finally:
        subprocess.run([*script, "down"], env=env, check=True, stdout=subprocess.DEVNULL)
