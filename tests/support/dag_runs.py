"""Runs of the real DAG in this process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.tools import ROOT


@dataclass
class Run:
    """One run of the DAG."""

    state: str
    errors: dict[str, BaseException] = field(default_factory=dict)
    """Task id -> what its last try died of."""
    results: dict[str, list[Any]] = field(default_factory=dict)
    """Task id -> what its instances returned."""
    started: list[str] = field(default_factory=list)
    """Task id of each instance for which a process would start."""
    log: str = ""


@pytest.fixture(scope="session")
def airflow_db() -> None:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture
def run_dag(airflow_db: None, stores: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., Run]:
    def run(*, retries: int | None = None, **conf: Any) -> Run:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(ROOT / "dags")
        assert bag.import_errors == {}
        dag, outcome = bag.dags["vod_transcode"], Run(state="")

        def done(context: Any) -> None:
            outcome.results.setdefault(context["ti"].task_id, []).append(
                context["ti"].xcom_pull(task_ids=context["ti"].task_id, map_indexes=context["ti"].map_index)
            )

        def failed(context: Any) -> None:
            outcome.errors[context["ti"].task_id] = context["exception"]

        def started(context: Any) -> None:
            outcome.started.append(context["ti"].task_id)

        for task in dag.tasks:
            task.on_execute_callback = [started]
            task.on_success_callback, task.on_failure_callback = [done], [failed]
            if retries is not None:
                task.retries = retries
        caplog.clear()
        outcome.state = str(dag.test(run_conf=conf).state)
        outcome.log = caplog.text
        return outcome

    return run
