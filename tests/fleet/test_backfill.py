"""A week of originals by ``airflow backfill create``, killed half-way and repeated: each published once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.airflows import StartAirflow
from support.clips import numbered_clip
from support.diary import Diary
from support.published import check_published
from support.real_airflow import RealAirflow, wait_until
from vod_operators.storage.originals import video_id_of

pytestmark = pytest.mark.fleet

DAYS, A_DAY = 7, 3


def backfill(running: RealAirflow, *options: str) -> None:
    """Airflow's own command, while all goes on."""
    command = [
        sys.executable, "-m", "airflow", "backfill", "create", "--dag-id", "vod_ingest",
        "--from-date", "2026-10-01", "--to-date", f"2026-10-{DAYS:02}", *options,
    ]  # fmt: skip

    def begun() -> bool:
        done = subprocess.run(
            command, env=running.environment(), cwd=running.home, capture_output=True, text=True
        )
        words = done.stdout[-3000:] + done.stderr[-3000:]
        assert done.returncode == 0 or "AlreadyRunningBackfill" in words, words
        return done.returncode == 0

    # Airflow looks every 30 seconds whether a backfill is complete, and allows no other before.
    wait_until(begun, timeout_s=300, what="the backfill before it is complete", every_s=5)


def runs(running: RealAirflow, dag_id: str, **query: str) -> list[dict[str, Any]]:
    text = "&".join(f"{name}={value}" for name, value in ({"limit": "100"} | query).items())
    answer = running.call("GET", f"/dags/{dag_id}/dagRuns?{text}", patience_s=120).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["dag_runs"]
    return found


def states(running: RealAirflow, dag_id: str, **query: str) -> Counter[str]:
    return Counter(run["state"] for run in runs(running, dag_id, **query))


def asked(running: RealAirflow) -> Counter[str]:
    """What the ingest runs say became of the sources, all of them together."""
    found: Counter[str] = Counter()
    for run in runs(running, "vod_ingest", run_type="backfill"):
        path = f"/dags/vod_ingest/dagRuns/{run['dag_run_id']}/taskInstances/ask/xcomEntries/return_value"
        answer = running.call("GET", f"{path}?deserialize=false")
        if answer.status_code == httpx.codes.NOT_FOUND:
            continue  # at work again: its next try has said nothing yet
        value = answer.raise_for_status().json()["value"]
        found.update((json.loads(value) if isinstance(value, str) else value)["sources"])
    return found


def test_a_week_killed_half_way_and_repeated(
    airflow: StartAirflow, home: Path, diary: Diary, report: Callable[..., None]
) -> None:
    clip, inbox = numbered_clip(1), home / "in"
    sources = [inbox / f"2026/10/{day:02}/video {n}.mp4" for day in range(1, DAYS + 1) for n in range(A_DAY)]
    for path in sources:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clip, path)
        path.with_suffix(".txt").write_text("about it")
    videos = [video_id_of(path.as_uri()) for path in sources]
    running = airflow(
        parallelism=4,
        VOD_INGEST_URI=inbox.as_uri(),
        VOD_INGEST_PATTERN="{prefix}/%Y/%m/%d/",
        VOD_INGEST_PRESET="tiny",
    )

    def published() -> int:
        return sum((home / "results" / video / "index.m3u8").exists() for video in videos)

    for dag_id in ("vod_ingest", "vod_transcode_bulk"):
        known = f"/dags/{dag_id}/details"
        wait_until(lambda: running.call("GET", known).is_success, timeout_s=60, what=dag_id)  # noqa: B023
    backfill(running)
    wait_until(lambda: published() >= len(videos) // 2, timeout_s=1800, what="half of them", every_s=0.5)
    at_the_kill = published()
    at_work = states(running, "vod_transcode_bulk")
    for unit in (
        "scheduler",
        "dag-processor",
        "api-server",
    ):  # with all tasks and tools, as a host's crash would
        process = running.main_process(unit)
        assert process is not None
        process.kill()
    first = asked(running)
    # Every day again, while what was begun before goes on.
    backfill(running, "--reprocess-behavior", "completed")

    def over() -> bool:
        done, ingest = (
            states(running, "vod_transcode_bulk"),
            states(running, "vod_ingest", run_type="backfill"),
        )
        assert not done["failed"] and not ingest["failed"], (done, ingest)
        return done["success"] == len(videos) and ingest["success"] == DAYS

    wait_until(over, timeout_s=1800, what="all of them", every_s=2)
    second = asked(running)
    encodes = diary.total()
    # And once more, when all is done: nothing is asked for.
    backfill(running, "--reprocess-behavior", "completed")
    wait_until(
        lambda: asked(running)["published already"] == len(videos), timeout_s=300, what="the third", every_s=2
    )

    report(
        videos=len(videos),
        published_at_the_kill=at_the_kill,
        runs_at_the_kill=at_work,
        first=first,
        second=second,
        third=asked(running),
        runs=len(runs(running, "vod_transcode_bulk")),
        encodes=encodes,
        encodes_of_the_third=diary.total() - encodes,
    )
    assert first == {"new": len(videos), "not media by its name": len(videos)}
    assert set(second) <= {"published already", "running", "continued", "not media by its name"}
    assert len(runs(running, "vod_transcode_bulk")) == len(videos)
    assert diary.total() == encodes
    assert len(videos) <= encodes <= len(videos) + 4  # one more at most for each that was at work
    for video in videos:
        check_published(home / "results" / video, frames=25)
        assert len(json.loads((home / "results" / video / "video.json").read_text())["history"]) == 1
