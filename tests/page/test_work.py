"""A run at work: steps, chunks, when it will be done, and why it failed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from fastapi.testclient import TestClient

from support.page import NOON, Runs
from vod_operators.page.models import Chunk
from vod_operators.page.work import AFTERWARDS, estimate, step_state


def work(client: TestClient, run_id: str, dag_id: str = "vod_transcode") -> dict[str, Any]:
    answer = client.get(f"/vod/api/runs/{dag_id}/{run_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def a_run_of_six_chunks(runs: Runs) -> str:
    """Two chunks are done, one at its second try; one runs, one waits for a try, two were not begun."""
    now = datetime.now(timezone.utc)
    begun = now - timedelta(minutes=10)
    run_id = runs.add("film", "running", at=begun)
    runs.task(run_id, "prepare", "success", begun=begun, seconds=5, cpu_s=2.5)
    runs.task(run_id, "split", "success", begun=begun + timedelta(seconds=6), seconds=4)
    labels = [{"chunk": n, "label": f"chunk {n + 1}/6"} for n in range(6)]
    runs.xcom(run_id, "split", "return_value", labels)
    chunk = {"begun": begun + timedelta(seconds=20), "cpu_s": 200.0}
    runs.task(run_id, "transcode", "success", index=0, seconds=100, host="red", label="chunk 1/6", **chunk)
    runs.task(run_id, "transcode", "success", index=1, seconds=140, host="blue", tries=2, **chunk)
    running = {"begun": now - timedelta(seconds=60), "percent": 50.0, "host": "red"}
    runs.task(run_id, "transcode", "running", index=2, **running)
    runs.task(run_id, "transcode", "up_for_retry", index=3, begun=begun, seconds=9, tries=1, percent=70)
    runs.task(run_id, "transcode", "scheduled", index=4, tries=0)
    runs.task(run_id, "transcode", None, index=5, tries=0)
    runs.task(run_id, "segment", None)
    runs.task(run_id, "publish", None)
    return run_id


def test_a_run_at_work(viewer: TestClient, runs: Runs) -> None:
    found = work(viewer, a_run_of_six_chunks(runs))
    assert (found["video_id"], found["state"], found["reason"], found["waits_for"]) == (
        "film",
        "running",
        None,
        None,
    )
    assert found["cpu_s"] == 402.5
    assert found["percent"] == pytest.approx(2 + 3 + 80 * 2.5 / 6, abs=0.1)
    steps = {step["step"]: step for step in found["steps"]}
    assert list(steps) == ["prepare", "split", "transcode", "segment", "publish"]
    states = [step["state"] for step in found["steps"]]
    assert states == ["done", "done", "running", "waiting", "waiting"]
    assert (steps["prepare"]["wall_s"], steps["prepare"]["tries"]) == (5, 1)
    assert steps["transcode"]["ended_at"] is None and steps["transcode"]["tries"] == 2
    assert steps["transcode"]["wall_s"] > 500 and steps["publish"]["wall_s"] is None
    chunks = found["chunks"]
    assert [chunk["state"] for chunk in chunks] == ["done", "done", "running", "retried", "queued", "queued"]
    assert [chunk["percent"] for chunk in chunks] == [100, 100, 50, None, None, None]
    assert [chunk["host"] for chunk in chunks] == ["red", "blue", "red", None, None, None]
    assert [chunk["label"] for chunk in chunks] == [f"chunk {n}/6" for n in range(1, 7)]
    assert chunks[0]["wall_s"] == 100 and chunks[1]["tries"] == 2 and chunks[3]["wall_s"] is None
    # 100, 140 and 60 / 50 % make 120 s a chunk; 3.5 chunks are left for one slot
    assert found["eta_s"] == pytest.approx(120 * 3.5 + AFTERWARDS * 120 * 6, rel=0.05)
    assert 0 < found["eta_error_s"] < found["eta_s"]


def test_queries_do_not_grow_with_the_chunks(viewer: TestClient, runs: Runs) -> None:
    from airflow import settings
    from sqlalchemy import event

    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    run_id = a_run_of_six_chunks(runs)
    work(viewer, run_id)  # Airflow asks some things once in each process
    event.listen(settings.engine, "after_cursor_execute", note)
    try:
        work(viewer, run_id)
        few = sum(statement.startswith("SELECT") for statement in statements)
        for index in range(6, 206):
            runs.task(run_id, "transcode", "running", index=index, begun=NOON, percent=1.0)
        statements.clear()
        assert len(work(viewer, run_id)["chunks"]) == 206
        assert sum(statement.startswith("SELECT") for statement in statements) == few
    finally:
        event.remove(settings.engine, "after_cursor_execute", note)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("queued", "a free worker for transcode"),
        ("scheduled", "a free slot of the pool default_pool for transcode"),
        ("up_for_retry", "the next try of transcode"),
        (None, "Airflow's scheduler"),
        ("running", None),
    ],
)
def test_what_it_waits_for(viewer: TestClient, runs: Runs, state: str | None, words: str | None) -> None:
    run_id = runs.add("film", "running")
    runs.task(run_id, "transcode", state, index=0)
    assert work(viewer, run_id)["waits_for"] == words


def test_it_waits_for_steps_that_the_page_names(viewer: TestClient, runs: Runs) -> None:
    run_id = runs.add("film", "running")
    runs.task(run_id, "analyse", None)
    runs.task(run_id, "parts", "queued")  # feeds ``analyse``
    assert work(viewer, run_id)["waits_for"] == "Airflow's scheduler"
    runs.task(run_id, "split", "queued")
    assert work(viewer, run_id)["waits_for"] == "a free worker for split"


def test_a_queued_run_waits_for_others(viewer: TestClient, runs: Runs) -> None:
    found = work(viewer, runs.add("film", "queued"))
    assert found["waits_for"] == "one of the active runs of vod_transcode to end"
    assert (found["chunks"], found["eta_s"], found["percent"], found["begun_at"]) == ([], None, None, None)


def test_a_failed_run(viewer: TestClient, runs: Runs) -> None:
    run_id = runs.add("film", "failed")
    for index, state in enumerate(["success", "failed", "upstream_failed"]):
        runs.task(run_id, "transcode", state, index=index, begun=NOON, seconds=10)
    runs.task(run_id, "publish", "upstream_failed")
    failure = {
        "code": "host",
        "retry": "later",
        "step": "transcode",
        "item": "chunk 2/3",
        "reason": "no memory",
    }
    runs.xcom(run_id, "release", "failure", failure)
    found = work(viewer, run_id)
    assert (found["state"], found["reason"], found["eta_s"]) == ("failed", "chunk 2/3: no memory", None)
    assert [chunk["state"] for chunk in found["chunks"]] == ["done", "failed", "queued"]
    states = {step["step"]: step["state"] for step in found["steps"]}
    assert states == {"transcode": "failed", "publish": "skipped", "release": "failed"}


def test_values_that_are_kept_elsewhere_are_not_known(viewer: TestClient, runs: Runs) -> None:
    """As with an XCom backend in object storage."""
    run_id = runs.add("film", "failed")
    runs.task(run_id, "transcode", "failed", index=0, label="chunk 1/1")
    runs.xcom(run_id, "split", "return_value", "s3://xcoms/split.json")
    runs.xcom(run_id, "release", "failure", "s3://xcoms/release.json")
    found = work(viewer, run_id)
    assert found["chunks"][0]["label"] == "chunk 1/1" and "logs" in found["reason"]


def test_a_run_that_manages_a_video(viewer: TestClient, runs: Runs) -> None:
    run_id = runs.add("film", "running", dag_id="vod_manage", action="verify")
    runs.task(run_id, "manage", "running", dag_id="vod_manage", begun=NOON)
    found = work(viewer, run_id, "vod_manage")
    assert ([step["step"] for step in found["steps"]], found["percent"]) == (["manage"], None)


@pytest.mark.parametrize("path", ["vod_transcode/nothing", "vod_janitor/a-run", "other_dag/a-run"])
def test_no_such_run(viewer: TestClient, runs: Runs, path: str) -> None:
    runs.add("film", "running", dag_id="other_dag", run_id="a-run")
    assert viewer.get(f"/vod/api/runs/{path}").status_code == 404


def chunk(state: Any, wall_s: float | None = None, percent: float | None = None) -> Chunk:
    return Chunk(index=0, label="", state=state, percent=percent, host=None, tries=1, wall_s=wall_s)


def test_estimates() -> None:
    assert estimate([]) is None
    assert estimate([chunk("queued")] * 3) is None  # nothing tells how long one takes
    assert estimate([chunk("done", 100)] * 3) is None  # nothing is left
    assert estimate([chunk("running", 10, 2.0)]) is None  # too little to tell
    afterwards = AFTERWARDS * 100 * 4 / 2
    seconds, error = estimate(
        [chunk("done", 100), chunk("running", 50, 50), chunk("running", 20, 20), chunk("queued")]
    )
    # 0.5 + 0.8 + 1 chunks of 100 s for two slots
    assert seconds == pytest.approx(115 + afterwards, abs=0.1)
    assert error == pytest.approx(afterwards / 2, abs=0.1)  # all take the same
    _, wider = estimate([chunk("done", 60), chunk("done", 140), chunk("running", 1, 1), chunk("queued")])
    assert wider > error
    # a chunk that was found again does not tell how long one takes
    slow, _ = estimate([chunk("done", 1), chunk("done", 100), chunk("queued")])
    assert slow > 100


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ([None], "waiting"),
        (["success", "success"], "done"),
        (["skipped"], "skipped"),
        (["success", "skipped"], "done"),
        (["success", None], "queued"),
        (["scheduled", None], "queued"),
        (["success", "up_for_retry", "queued"], "retrying"),
        (["running", "up_for_retry"], "running"),
        (["running", "failed"], "failed"),
        (["upstream_failed"], "skipped"),
    ],
)
def test_states_of_steps(states: list[str | None], state: str) -> None:
    assert step_state(states) == state


def test_removed_chunks_count_for_nothing(viewer: TestClient, runs: Runs) -> None:
    """A run that was cleared may have fewer chunks than before."""
    run_id = runs.add("film", "running")
    runs.task(run_id, "transcode", "success", index=0)
    runs.task(run_id, "transcode", "removed", index=1)
    (video,) = viewer.get("/vod/api/videos").json()["videos"]
    assert video["percent"] == work(viewer, run_id)["percent"] == 80


def test_an_estimate_is_corrected_while_it_runs(viewer: TestClient, runs: Runs) -> None:
    run_id = a_run_of_six_chunks(runs)
    assert work(viewer, run_id)["estimate"] is None
    spread = {"low": 300.0, "likely": 600.0, "high": 1200.0}
    chunked = {"cpu_s": 600.0, "busy_s": 600.0, "bytes_out": 9e6}
    chunked |= {"cpu_error": 0.5, "busy_error": 0.5, "bytes_error": 0.3}
    told = {"wall_s": spread, "cpu_s": spread, "bytes_out": spread, "money": None}
    told |= {"workers": 1, "chunks": 6, "runs": 3, "rates": {}, "words": "about 10:00"}
    runs.xcom(run_id, "prepare", "estimate", told | {"chunked": chunked})
    found = work(viewer, run_id)
    estimate = found["estimate"]
    assert (estimate["runs"], estimate["money"]) == (3, None)
    assert estimate["words"].startswith("about 10:00 (5:00 to 20:00) with 1 worker")
    # 100 s a chunk were estimated; 100, 140 and 60 / 50 % are 120, and three chunks are believed.
    assert 690 < estimate["wall_s"]["likely"] < 720
    # 200 s of CPU time in each of the two that are done.
    assert 1100 < estimate["cpu_s"]["likely"] < 1200
    assert estimate["bytes_out"] == spread
    assert estimate["wall_s"]["high"] - estimate["wall_s"]["low"] < spread["high"] - spread["low"]
    assert found["eta_s"] == pytest.approx(120 * 3.5 + AFTERWARDS * 120 * 6, rel=0.06)


def test_an_estimate_that_cannot_be_read_is_not_known(viewer: TestClient, runs: Runs) -> None:
    run_id = a_run_of_six_chunks(runs)
    runs.xcom(run_id, "prepare", "estimate", {"of": "another version"})
    found = work(viewer, run_id)
    assert found["estimate"] is None and found["eta_s"] is not None
