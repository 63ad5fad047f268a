"""People and releases stop what is running: nothing goes on in secret, and nothing that was done is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from faults.stage import media_digests
from support.airflows import StartAirflow
from support.clips import numbered_clip
from support.diary import Diary
from support.published import check_published
from support.real_airflow import HEARTBEAT_TIMEOUT_S, RealAirflow, wait_until
from support.stores import owner_of
from vod_operators.pipeline import DAG_ID

pytestmark = pytest.mark.faults

CHUNKS = 12
RUN_TIMEOUT_S = 900


def mark_run_failed(running: RealAirflow, run_id: str) -> None:
    """*Mark as failed* on the run's page."""
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}"
    running.call("PATCH", path, {"state": "failed"}).raise_for_status()


def mark_task_failed(running: RealAirflow, run_id: str) -> None:
    """*Mark as failed* on the page of a chunk that is being encoded."""
    index = _encoding(running, run_id)[0]
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/transcode/{index}"
    running.call("PATCH", path, {"new_state": "failed"}).raise_for_status()


def clear_task(running: RealAirflow, run_id: str) -> None:
    """*Clear* on the page of a chunk that is being encoded."""
    index = _encoding(running, run_id)[0]
    body = {
        "dry_run": False,
        "only_failed": False,
        "only_running": False,
        "dag_run_id": run_id,
        "include_downstream": True,
        "task_ids": [["transcode", index]],
    }
    running.call("POST", f"/dags/{DAG_ID}/clearTaskInstances", body).raise_for_status()


def restart_host(running: RealAirflow, run_id: str) -> None:
    """A release: the scheduler, whose children the workers are, is asked to end, and started again."""
    scheduler = running.main_process("scheduler")
    assert scheduler is not None
    scheduler.terminate()


def _encoding(running: RealAirflow, run_id: str) -> list[int]:
    there = running.instances(run_id)
    return [item.map_index for item in there if item.task_id == "transcode" and item.state == "running"]


def test_what_is_stopped_stops(
    airflow: StartAirflow, home: Path, diary: Diary, report: Callable[..., None]
) -> None:
    running = airflow()
    asked = {"source": numbered_clip(CHUNKS).as_uri(), "preset": "tiny", "chunk_seconds": 1}
    running.submit({"video_id": "calm", **asked}, "calm").raise_for_status()
    assert running.wait("calm", timeout_s=RUN_TIMEOUT_S) == "success"
    wanted = media_digests(home / "results" / "calm")

    for stop, ends_as in (
        (mark_run_failed, "failed"),
        (mark_task_failed, "failed"),
        (clear_task, "success"),
        (restart_host, "success"),
    ):
        run_id = stop.__name__
        diary.forget()
        running.submit({"video_id": run_id, **asked}, run_id).raise_for_status()
        wait_until(
            lambda: diary.total() >= 4 and bool(_encoding(running, run_id)),  # noqa: B023
            timeout_s=RUN_TIMEOUT_S,
            what="encodes",
        )
        at_work = len(_encoding(running, run_id))
        tools = running.media_tools()
        stop(running, run_id)
        if stop is not clear_task and stop is not mark_task_failed:  # there only one of them ends at once
            _, alive = psutil.wait_procs(tools, timeout=2 * HEARTBEAT_TIMEOUT_S)
            assert not alive, alive
        state = running.wait(run_id, timeout_s=RUN_TIMEOUT_S)
        assert state == ends_as, running.describe(run_id)
        assert owner_of(home, run_id) is None
        begun = diary.total()
        if state == "failed":
            assert not (home / "results" / run_id / "index.m3u8").exists()
            assert not running.media_tools()
            running.clear(run_id)
            assert running.wait(run_id, timeout_s=RUN_TIMEOUT_S) == "success", running.describe(run_id)
        check_published(home / "results" / run_id, frames=CHUNKS * 25)
        assert media_digests(home / "results" / run_id) == wanted
        report(stopped_by=run_id, at_work=at_work, encodes_before=begun, encodes=diary.total())
        assert diary.total() <= CHUNKS + at_work + 1  # one may have begun between the look and the stop

    with suppress(AssertionError):
        wait_until(lambda: not running.orphans(), timeout_s=2 * HEARTBEAT_TIMEOUT_S, what="orphans to end")
    assert not running.orphans() and not running.media_tools()
    assert not list((home / "work").glob("*"))
