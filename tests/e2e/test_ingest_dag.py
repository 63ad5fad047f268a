"""The ingest DAG in Airflow itself: runs of the other DAG appear in its database, once each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from support.settings import configure
from support.tools import ROOT
from vod_operators.storage.originals import video_id_of

NEXT_DAY = datetime(2026, 11, 25, tzinfo=timezone.utc)
"""A run of this date takes the day before: its interval is the last one that is over."""


@pytest.fixture
def ingest(airflow_db: None, stores: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs ``vod_ingest`` for a day; returns what its task says."""
    configure(monkeypatch, ingest_uri=(stores / "in").as_uri(), ingest_pattern="{prefix}/%Y/%m/%d/")
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(ROOT / "dags")
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "dags-folder", None)

    def run(day: datetime) -> dict[str, int]:
        done = bag.dags["vod_ingest"].test(logical_date=day)
        assert done.state == "success"
        task = done.get_task_instance("ask")
        report: dict[str, Any] = task.xcom_pull(task_ids="ask")
        found: dict[str, int] = report["sources"]
        return found

    return run


def bulk_runs(video_id: str) -> dict[str, Any]:
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(DagRun).filter(DagRun.dag_id == "vod_transcode_bulk")
        return {run.run_id: (run.state, run.conf) for run in found if f".{video_id}." in run.run_id}


def set_state(run_id: str, state: str) -> None:
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(DagRun).filter(DagRun.run_id == run_id).update({"state": state})


def test_a_run_for_each_original_once(ingest: Callable[..., Any], stores: Path) -> None:
    file = stores / "in" / "2026" / "11" / "24" / "film.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"video")
    video_id = video_id_of(file.as_uri())

    assert ingest(NEXT_DAY) == {"new": 1}
    ((run_id, (state, conf)),) = bulk_runs(video_id).items()
    assert state == "queued"
    assert conf == {"video_id": video_id, "source": file.as_uri(), "preset": "h264"}

    assert ingest(NEXT_DAY) == {"running": 1}
    set_state(run_id, "failed")
    assert ingest(NEXT_DAY) == {"continued": 1}
    assert {name: state for name, (state, _) in bulk_runs(video_id).items()} == {run_id: "queued"}
