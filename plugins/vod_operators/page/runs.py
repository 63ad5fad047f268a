"""The runs of videos, as Airflow's database has them. Each function makes a fixed number of queries."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from vod_operators.pipeline import (
    BULK_DAG_ID,
    DAG_ID,
    ESTIMATE_KEY,
    MANAGE_DAG_ID,
    OPTIONAL,
    PREPARE,
    RELEASE,
    SPLIT,
    WEIGHTS,
    percent_done,
)
from vod_operators.storage.redact import redact

ENCODING_DAGS = (DAG_ID, BULK_DAG_ID)
VIDEO_DAGS = (*ENCODING_DAGS, MANAGE_DAG_ID)
"""DAGs whose runs are of one video, which their ``conf`` names."""

MAX_FAILED = 5000
"""Failed runs that the list looks at, the newest ones: those of a bad month."""

MAX_RUNS = 50
"""Runs that are shown of one video."""

PROGRESS_KEY, CPU_KEY, FAILURE_KEY = "progress", "cpu_s", "failure"
"""What tasks leave in their state store (the first two) and in XCom."""

UNKNOWN_REASON = "it is not known why; the logs of its tasks may tell"

RunName = tuple[str, str]
"""DAG id and run id."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """A run of a video."""

    dag_id: str
    run_id: str
    state: str
    video_id: str | None
    preset: str | None
    title: str
    """File name of the source, if the run names one."""
    action: str | None
    """Of a run of ``vod_manage``."""
    asked_at: datetime | None
    begun_at: datetime | None
    ended_at: datetime | None
    by: str | None
    is_estimate: bool = False
    """Whether it only estimates, and so is none of the runs that make the video."""
    note: str | None = None

    @property
    def name(self) -> RunName:
        """DAG id and run id."""
        return self.dag_id, self.run_id

    def ended_before(self, at: datetime | None) -> bool:
        """Whether it ended before a time; no if it is at work, or there is no such time."""
        return at is not None and self.ended_at is not None and self.ended_at < at


def _columns() -> tuple[Any, ...]:
    # Parts of ``conf`` instead of the whole, which may be long.
    return (
        DagRun.dag_id,
        DagRun.run_id,
        DagRun._state,
        *(DagRun.conf[name].as_string() for name in ("video_id", "preset", "source", "action", "estimate")),
        DagRun.run_after,
        DagRun.start_date,
        DagRun.end_date,
        DagRun.triggering_user_name,
    )


def _facts(row: Sequence[Any]) -> RunFacts:
    dag_id, run_id, state, video_id, preset, source, action, dry, *more = row
    asked_at, begun_at, ended_at, by, *note = more
    return RunFacts(
        dag_id=dag_id,
        run_id=run_id,
        state=state or "queued",
        video_id=video_id,
        preset=preset,
        title=file_name(source or ""),
        action=action,
        asked_at=asked_at,
        begun_at=begun_at,
        ended_at=ended_at,
        by=by,
        is_estimate=dry in ("true", "1"),  # as PostgreSQL and SQLite have it
        note=note[0] if note else None,
    )


def file_name(uri: str) -> str:
    """The last part of a URI's path, without a secret of its query."""
    return PurePosixPath(unquote(redact(uri).partition("://")[2].removesuffix("?..."))).name


def unpublished(session: Session) -> dict[str, RunFacts]:
    """Of each video with a run that is queued, running or failed: that run.

    Of several, the running, queued or failed one, in this order, and the newest of these. Failed runs that
    ended before the video was deleted are left out.
    """
    at_work = select(*_columns()).where(
        DagRun.dag_id.in_(ENCODING_DAGS), DagRun._state.in_(("queued", "running"))
    )
    failed = (
        select(*_columns())
        .where(DagRun.dag_id.in_(ENCODING_DAGS), DagRun._state == "failed")
        .order_by(DagRun.id.desc())
        .limit(MAX_FAILED)
    )
    deleted_at = _deleted_at(session)
    found: dict[str, RunFacts] = {}
    for row in session.execute(failed).all()[::-1]:
        run = _facts(row)
        if run.video_id and not run.is_estimate and not run.ended_before(deleted_at.get(run.video_id)):
            found[run.video_id] = run
    for row in session.execute(at_work.order_by(DagRun._state, DagRun.id)).all():  # queued before running
        run = _facts(row)
        if run.video_id and not run.is_estimate:
            found[run.video_id] = run
    return found


def _deleted_at(session: Session) -> dict[str, datetime]:
    """When each video was last deleted."""
    deleted = session.execute(
        select(DagRun.conf["video_id"].as_string(), DagRun.end_date)
        .where(
            DagRun.dag_id == MANAGE_DAG_ID,
            DagRun._state == "success",
            DagRun.conf["action"].as_string() == "delete",
        )
        .order_by(DagRun.end_date)
    )
    return dict(deleted.all())


def succeeded(session: Session, video_ids: Collection[str]) -> dict[str, RunFacts]:
    """Of each video: its newest encoding run that succeeded; for any number of videos, two queries.

    Runs that ended before the video was deleted are left out.
    """
    if not video_ids:
        return {}
    deleted_at = _deleted_at(session)
    rows = session.execute(
        select(*_columns())
        .where(
            DagRun.dag_id.in_(ENCODING_DAGS),
            DagRun._state == "success",
            DagRun.conf["video_id"].as_string().in_(video_ids),
        )
        .order_by(DagRun.id)
    )
    runs = [_facts(row) for row in rows.all()]
    return {
        run.video_id: run
        for run in runs
        if run.video_id and not run.is_estimate and not run.ended_before(deleted_at.get(run.video_id))
    }


def unpublished_of(runs: Sequence[RunFacts]) -> RunFacts | None:
    """Of one video's encoding runs: the one whose state it has in the list; None if all succeeded.

    :param runs: the newest first.
    """
    for state in ("running", "queued", "failed"):
        if run := next((run for run in runs if run.state == state), None):
            return run
    return None


def since_deleted(runs: Sequence[RunFacts]) -> list[RunFacts]:
    """The encoding runs of a video that are at work or ended after it was last deleted, in the same order."""
    deletions = [run for run in runs if run.action == "delete" and run.state == "success"]
    deleted_at = max((run.ended_at for run in deletions if run.ended_at), default=None)
    encoding = [run for run in runs if run.dag_id in ENCODING_DAGS and not run.is_estimate]
    return [run for run in encoding if not run.ended_before(deleted_at)]


def runs_of(session: Session, video_id: str) -> list[RunFacts]:
    """The runs of a video, the newest first."""
    rows = session.execute(
        select(*_columns(), DagRunNote.content)
        .outerjoin(DagRunNote, DagRunNote.dag_run_id == DagRun.id)
        .where(DagRun.dag_id.in_(VIDEO_DAGS), DagRun.conf["video_id"].as_string() == video_id)
        .order_by(DagRun.id.desc())
        .limit(MAX_RUNS)
    )
    return [_facts(row) for row in rows.all()]


def run_of(session: Session, dag_id: str, run_id: str) -> RunFacts | None:
    """A run; None if there is none."""
    row = session.execute(
        select(*_columns()).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    ).one_or_none()
    return _facts(row) if row else None


def conf_of(session: Session, run: RunName) -> dict[str, Any]:
    """What a run was asked for."""
    return session.scalar(select(DagRun.conf).where(DagRun.dag_id == run[0], DagRun.run_id == run[1])) or {}


def percents(session: Session, runs: Collection[RunName]) -> dict[RunName, float]:
    """How much of each run is done, in percent; for any number of runs, two queries."""
    if not runs:
        return {}
    parts: dict[RunName, dict[str, list[float]]] = {name: {} for name in runs}
    counted = session.execute(
        select(
            TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.state, func.count()
        )
        .where(tuple_(TaskInstance.dag_id, TaskInstance.run_id).in_(runs), TaskInstance.task_id.in_(WEIGHTS))
        .group_by(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.state)
    )
    for dag_id, run_id, task_id, state, count in counted:
        # A mapped task may have fewer instances since its run was cleared.
        if state == "removed" or (state == "skipped" and task_id in OPTIONAL):
            continue
        done = [float(state in ("success", "skipped"))] * count
        parts[dag_id, run_id].setdefault(task_id, []).extend(done)
    running = session.execute(
        select(
            TaskStateStoreModel.dag_id,
            TaskStateStoreModel.run_id,
            TaskStateStoreModel.task_id,
            TaskStateStoreModel.value,
        )
        .join(
            TaskInstance,
            and_(
                *(
                    getattr(TaskStateStoreModel, name) == getattr(TaskInstance, name)
                    for name in ("dag_id", "run_id", "task_id", "map_index")
                )
            ),
        )
        .where(
            tuple_(TaskStateStoreModel.dag_id, TaskStateStoreModel.run_id).in_(runs),
            TaskStateStoreModel.key == PROGRESS_KEY,
            TaskInstance.state == "running",
        )
    )
    for dag_id, run_id, task_id, value in running:
        if task_id in (known := parts[dag_id, run_id]) and 0.0 in known[task_id]:
            known[task_id][known[task_id].index(0.0)] = percent_of(value) / 100
    return {name: round(percent_done(part), 1) for name, part in parts.items()}


def percent_of(value: Any) -> float:
    """The percentage in a task's state store."""
    content = decoded(value)
    return float(content.get("percent", 0)) if isinstance(content, dict) else 0.0


def reasons(session: Session, runs: Collection[RunName]) -> dict[RunName, str]:
    """Why each run failed, in one line; for any number of runs, one query."""
    if not runs:
        return {}
    left = session.execute(
        select(XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.value).where(
            tuple_(XComModel.dag_id, XComModel.run_id).in_(runs), XComModel.key == FAILURE_KEY
        )
    )
    found: dict[RunName, list[tuple[str, Any]]] = {name: [] for name in runs}
    for dag_id, run_id, task_id, value in left:
        found[dag_id, run_id].append((task_id, value))
    return {name: reason_in(failures) for name, failures in found.items()}


def reason_in(failures: Iterable[tuple[str, Any]]) -> str:
    """Why a run failed, by what its tasks left in XCom.

    :param failures: task id and value.
    """
    known = []
    for task_id, value in failures:
        content = decoded(value)
        if not isinstance(content, dict):
            continue
        if task_id == RELEASE:  # it has chosen already
            return _sentence(content)
        known.append(content)
    # ``release`` was killed, or has not run yet. The first failure is the likely cause of the others.
    first = min(known, key=lambda left: (not left["by_itself"], str(left["failure"].get("at"))), default=None)
    return _sentence(first["failure"]) if first else UNKNOWN_REASON


def _sentence(failure: Mapping[str, Any]) -> str:
    return f"{failure.get('item') or failure['step']}: {failure['reason']}"


def decoded(value: Any) -> Any:
    """A JSON value of XCom or of the state store, which are stored as text.

    A deployment may keep large ones elsewhere. Airflow's database then has only their place, a text, or a
    mark, an object of other keys; the page does not know them.
    """
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


@dataclass(frozen=True, kw_only=True)
class InstanceFacts:
    """A task of a run."""

    task_id: str
    map_index: int
    state: str | None
    label: str | None
    begun_at: datetime | None
    ended_at: datetime | None
    tries: int
    host: str | None
    pool: str


@dataclass(frozen=True, kw_only=True)
class RunTasks:
    """The tasks of one run, and what they have left."""

    instances: list[InstanceFacts]
    progress: dict[tuple[str, int], float]
    """Task id and map index -> percent."""
    cpu_s: float | None
    """Sum of those that are known."""
    cpus: dict[tuple[str, int], float]
    """Task id and map index -> CPU seconds."""
    labels: list[str]
    """Of the chunks, by map index."""
    failures: list[tuple[str, Any]]
    """Task id -> what it left in XCom."""
    estimate: dict[str, Any] | None
    """What ``prepare`` estimated."""


def tasks_of(session: Session, dag_id: str, run_id: str) -> RunTasks:
    """The tasks of a run; three queries."""
    instances = session.execute(
        select(
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.state,
            TaskInstance._rendered_map_index,
            TaskInstance.start_date,
            TaskInstance.end_date,
            TaskInstance.try_number,
            TaskInstance.hostname,
            TaskInstance.pool,
        )
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        .order_by(TaskInstance.task_id, TaskInstance.map_index)
    )
    states = session.execute(
        select(
            TaskStateStoreModel.task_id,
            TaskStateStoreModel.map_index,
            TaskStateStoreModel.key,
            TaskStateStoreModel.value,
        ).where(
            TaskStateStoreModel.dag_id == dag_id,
            TaskStateStoreModel.run_id == run_id,
            TaskStateStoreModel.key.in_((PROGRESS_KEY, CPU_KEY)),
        )
    ).all()
    xcoms = session.execute(
        select(XComModel.task_id, XComModel.key, XComModel.value).where(
            XComModel.dag_id == dag_id,
            XComModel.run_id == run_id,
            or_(
                XComModel.key == FAILURE_KEY,
                and_(XComModel.task_id == SPLIT, XComModel.key == "return_value"),
                and_(XComModel.task_id == PREPARE, XComModel.key == ESTIMATE_KEY),
            ),
        )
    ).all()
    told = {(task, index): decoded(value) for task, index, key, value in states if key == CPU_KEY}
    cpus = {task: value for task, value in told.items() if isinstance(value, int | float)}
    chunks: Any = next((decoded(value) for _, key, value in xcoms if key == "return_value"), [])
    estimated = next((decoded(value) for _, key, value in xcoms if key == ESTIMATE_KEY), None)
    return RunTasks(
        instances=[
            InstanceFacts(
                task_id=task_id,
                map_index=map_index,
                state=state,
                label=label,
                begun_at=begun_at,
                ended_at=ended_at,
                tries=tries,
                host=host or None,
                pool=pool,
            )
            for task_id, map_index, state, label, begun_at, ended_at, tries, host, pool in instances
        ],
        progress={
            (task, index): percent_of(value) for task, index, key, value in states if key == PROGRESS_KEY
        },
        cpu_s=round(sum(cpus.values()), 1) if cpus else None,
        cpus=cpus,
        labels=[str(chunk["label"]) for chunk in chunks] if isinstance(chunks, list) else [],
        failures=[(task_id, value) for task_id, key, value in xcoms if key == FAILURE_KEY],
        estimate=estimated if isinstance(estimated, dict) else None,
    )
