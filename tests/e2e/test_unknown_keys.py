"""A key of ``conf`` that a DAG does not know is refused by the DAG's first task, in Airflow itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from support.cms import Cms
from support.settings import configure
from support.tools import CLIP, ROOT

DAY = datetime(2026, 11, 25, tzinfo=timezone.utc)
ASKED = {"video_id": "typo", "source": CLIP.as_uri()}

Try = Callable[..., tuple[str, dict[str, str]]]


@pytest.fixture
def try_dag(airflow_db: None, stores: Path, monkeypatch: pytest.MonkeyPatch) -> Try:
    """Runs a DAG; returns the run's state, and the error of each task that failed."""
    (stores / "in").mkdir()
    configure(monkeypatch, ingest_uri=(stores / "in").as_uri())
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "dags")
    assert bag.import_errors == {}

    def run(dag_id: str, **arguments: Any) -> tuple[str, dict[str, str]]:
        dag, errors = bag.dags[dag_id], dict[str, str]()

        def failed(context: Any) -> None:
            errors[context["ti"].task_id] = str(context["exception"])

        for task in dag.tasks:
            task.on_failure_callback = [failed]
        return str(dag.test(**arguments).state), errors

    return run


@pytest.mark.parametrize(
    ("dag_id", "task", "conf", "key", "nearest"),
    [
        ("vod_transcode", "prepare", ASKED, "pre_set", "preset"),
        ("vod_transcode_bulk", "prepare", ASKED, "subtitle", "subtitles"),
        ("vod_reencode", "ask", {"preset": "h264", "videos": []}, "video", "videos"),
        ("vod_ingest", "ask", {}, "dryrun", "dry_run"),
        ("vod_janitor", "clean", {}, "grace_hour", "grace_hours"),
        ("vod_scrub", "read", {}, "part", "parts"),
        ("vod_manage", "manage", {"video_id": "typo"}, "confirmed", "confirm"),
    ],
)
def test_each_dag_refuses_it(
    try_dag: Try, stores: Path, dag_id: str, task: str, conf: dict[str, Any], key: str, nearest: str
) -> None:
    dated = {"logical_date": DAY} if dag_id == "vod_ingest" else {}
    state, errors = try_dag(dag_id, run_conf=conf | {key: True}, **dated)
    assert state == "failed"
    assert errors[task] == f"conf: there is no field {key!r}; did you mean {nearest!r}?"
    assert not (stores / "results").exists() and not (stores / "tmp" / "typo").exists()


def test_a_cms_is_told(try_dag: Try, cms: Cms) -> None:
    try_dag("vod_transcode", run_conf=ASKED | {"pre_set": "h264_small", "callback_url": cms.url})
    assert cms.events() == ["failed"]
    failure = cms.requests[0].json()["failure"]
    assert failure["step"] == "prepare"
    assert failure["reason"] == "conf: there is no field 'pre_set'; did you mean 'preset'?"


@pytest.mark.parametrize("conf", [None, {}, {"preset": "h264", "dry_run": True}, {"openlineage": {"a": "b"}}])
def test_scheduled_and_backfilled_runs_go_on(try_dag: Try, conf: dict[str, Any] | None) -> None:
    """A backfill's ``conf`` is what ``--dag-run-conf`` says, or nothing."""
    assert try_dag("vod_ingest", run_conf=conf, logical_date=DAY) == ("success", {})
    assert try_dag("vod_janitor", run_conf=conf if conf is None else {}) == ("success", {})
