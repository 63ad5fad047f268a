"""Many clips at once, asked for without a retry: all are published, in the order in which they came.

One transcoder joins when a quarter is published, one is killed when half is. ``COMPOSE_CLIPS=200`` takes
an hour on two cores; ``COMPOSE_REPORT=file`` keeps the figures.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.stack import AIRFLOW, EDGE, Stack, docker, wait
from support.tools import generate

pytestmark = pytest.mark.compose

CLIPS = int(os.environ.get("COMPOSE_CLIPS", "24"))
TWICE = CLIPS // 4
"""So many are asked for twice, in the same moment."""

AHEAD = 16
"""How many places a clip may be encoded before its turn: so many runs are worked on while it is prepared."""

GROWTH = 1.2
"""Memory of the last quarter of the time, against that of the second."""

WATCHED = ("api-server", "scheduler", "dag-processor")


@dataclass
class Burst:
    statuses: Counter[int]
    answered_s: float
    runs: list[dict[str, Any]]
    """In the order in which they came."""
    memory: dict[str, list[float]] = field(default_factory=dict)
    """MiB by service, in the order of time."""
    seconds: float = 0


def name(number: int) -> str:
    """Not in the order in which they are asked for, so that names decide nothing."""
    return f"burst-{number * 7919 % 1009:04d}"


@pytest.fixture(scope="module")
def burst(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Burst:
    clip = generate(
        tmp_path_factory.mktemp("burst") / "burst.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=128x72:r=25:d=2", "-f", "lavfi", "-i", "sine=440:r=48000:d=2"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"),
    )
    stack.uploads().upload_file(str(clip), "vod-originals", clip.name)
    numbers = [*range(CLIPS), *range(TWICE)]

    def ask(number: int) -> int:
        conf = {"video_id": name(number), "source": f"s3://vod-originals/{clip.name}", "preset": "h264_small"}
        body = {"dag_run_id": f"cms.{name(number)}", "logical_date": None, "conf": conf}
        headers = {"Authorization": f"Bearer {stack.token}"}
        url = f"{AIRFLOW}/api/v2/dags/vod_transcode/dagRuns"
        return httpx.post(url, json=body, headers=headers, timeout=300).status_code

    begin = time.monotonic()
    with ThreadPoolExecutor(len(numbers)) as pool:
        statuses = Counter(pool.map(ask, numbers))
    found = Burst(statuses=statuses, answered_s=round(time.monotonic() - begin, 1), runs=[])

    wait("a quarter is published", lambda: _published(stack, found) >= CLIPS // 4, 3600, every_s=15)
    stack.knobs["TRANSCODERS"] = "3"  # as docs/compose.md says it
    stack.compose("up", "--detach", "--no-build")
    wait("a third transcoder", lambda: len(stack.containers("transcoder")) == 3, every_s=3)
    wait("half is published", lambda: _published(stack, found) >= CLIPS // 2, 3600, every_s=15)
    docker("kill", "--signal", "KILL", stack.containers("transcoder")[0])
    wait("all have ended", lambda: _ended(stack, found) == CLIPS, 3600, every_s=15)
    found.seconds = round(time.monotonic() - begin)
    return found


def _look(stack: Stack, burst: Burst) -> Counter[str]:
    stack.log_in()
    listed = []
    for offset in range(0, CLIPS, 100):
        path = "dags/vod_transcode/dagRuns?run_id_pattern=cms.burst-%25&order_by=run_after"
        listed += stack.api("GET", f"{path}&limit=100&offset={offset}")["dag_runs"]
    burst.runs = listed
    for service in WATCHED:
        for container in stack.containers(service):
            used = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", container).split()[0]
            burst.memory.setdefault(service, []).append(_mib(used))
    return Counter(run["state"] for run in listed)


def _mib(text: str) -> float:
    number = float(text.rstrip("KMGiB"))
    return number * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[text[-3:]]


def _published(stack: Stack, burst: Burst) -> int:
    return _look(stack, burst)["success"]


def _ended(stack: Stack, burst: Burst) -> int:
    states = _look(stack, burst)
    return states["success"] + states["failed"]


def test_every_call_is_answered(burst: Burst) -> None:
    assert burst.statuses == {200: CLIPS, 409: TWICE}


def test_all_are_published(burst: Burst) -> None:
    assert Counter(run["state"] for run in burst.runs) == {"success": CLIPS}
    for number in range(0, CLIPS, max(1, CLIPS // 10)):
        assert httpx.get(f"{EDGE}/{name(number)}/index.m3u8", timeout=60).status_code == 200


def test_first_come_first_served(stack: Stack, burst: Burst) -> None:
    begun: dict[str, str] = {}
    path = "dags/vod_transcode/dagRuns/~/taskInstances?task_id=transcode&order_by=start_date"
    for offset in range(0, 2 * CLIPS, 100):
        for task in stack.api("GET", f"{path}&limit=100&offset={offset}")["task_instances"]:
            if task["try_number"] == 1:  # the killed transcoder's one began again
                begun[task["dag_run_id"]] = task["start_date"]
    came = [run["dag_run_id"] for run in burst.runs if run["dag_run_id"] in begun]
    served = sorted(came, key=begun.__getitem__)
    moved = [served.index(run) - place for place, run in enumerate(came)]
    _report(burst, moved)
    assert len(came) >= CLIPS - 2
    assert min(moved) >= -AHEAD and max(moved) <= AHEAD


@pytest.mark.skipif(CLIPS < 100, reason="too short for memory to tell: COMPOSE_CLIPS=200")
def test_memory_is_flat(burst: Burst) -> None:
    for service, used in burst.memory.items():
        quarter = len(used) // 4
        early, late = used[quarter : 2 * quarter], used[-quarter:]
        assert statistics.median(late) <= GROWTH * statistics.median(early), (service, used)


def _report(burst: Burst, moved: list[int]) -> None:
    if path := os.environ.get("COMPOSE_REPORT"):
        told = {
            "clips": CLIPS,
            "statuses": burst.statuses,
            "answered_s": burst.answered_s,
            "seconds": burst.seconds,
            "places_moved": {"first": min(moved), "last": max(moved)},
            "memory_mib": burst.memory,
        }
        Path(path).write_text(json.dumps(told), "utf-8")
