"""Notes on runs: which video it is, and what came of it.

Airflow's scheduler calls this; or its API server, if somebody marks a run by hand.

A note that a person has written is left alone.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from airflow.listeners import hookimpl

from vod_operators.pipeline import (
    BULK_DAG_ID,
    DAG_ID,
    ESTIMATE_KEY,
    MANAGE,
    MANAGE_DAG_ID,
    OUTCOME_KEY,
    PREPARE,
    RELEASE,
)

FAILURE_KEY = "failure"
"""XCom of ``RELEASE`` and of a failed ``MANAGE``; of the latter, inside of what the retry policy left."""

MAX_CHARS = 1000
"""Airflow's limit of a note."""

BY_HAND = "manually"
"""In Airflow's message about a run that somebody has marked."""


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """Note which video it is."""
    _note(dag_run, "")


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """Note that it is published, or what was done to it."""
    if BY_HAND in msg:
        _note(dag_run, "marked as done by hand")
    elif dag_run.dag_id == MANAGE_DAG_ID:
        _note(dag_run, _xcom(dag_run, MANAGE, OUTCOME_KEY) or "done")
    elif (dag_run.conf or {}).get("estimate"):
        found = _xcom(dag_run, PREPARE, ESTIMATE_KEY)
        _note(dag_run, f"estimate: {found['words']}" if isinstance(found, dict) else "estimated")
    else:
        _note(dag_run, "published")


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """Note why it failed."""
    if BY_HAND in msg:
        _note(dag_run, "stopped by hand")
    elif dag_run.dag_id == MANAGE_DAG_ID:
        failure = _xcom(dag_run, MANAGE, FAILURE_KEY)
        reason = failure.get("failure", {}).get("reason") if isinstance(failure, dict) else None
        _note(dag_run, reason or _xcom(dag_run, MANAGE, OUTCOME_KEY) or "failed; its log says why")
    elif isinstance(failure := _xcom(dag_run, RELEASE, FAILURE_KEY), dict):
        if failure.get("code") == "cancelled":  # the teardown has run since
            _note(dag_run, "stopped by hand")
            return
        step = failure.get("item") or failure.get("step")
        _note(dag_run, f"{step} failed: {failure.get('reason')}")
    else:
        _note(dag_run, "failed; the logs of its tasks say why")


def _note(dag_run: Any, outcome: str) -> None:
    """Set the note of a run of ours, unless a person wrote it."""
    from vod_operators.storage.keys import is_video_id  # here, because every task imports this file

    if dag_run.dag_id not in (DAG_ID, BULK_DAG_ID, MANAGE_DAG_ID):
        return
    asked = dag_run.conf or {}
    video_id, what = asked.get("video_id"), asked.get("preset") or asked.get("action")
    if not (isinstance(video_id, str) and is_video_id(video_id)):
        return
    note = f"{video_id} · {what}" if isinstance(what, str) else video_id
    note = (f"{note} · {outcome}" if outcome else note)[:MAX_CHARS]
    present = dag_run.dag_run_note
    if present is None:
        _insert(dag_run, note)
    elif present.user_id is None:
        present.content = note


def _insert(dag_run: Any, note: str) -> None:
    """Insert a run's first note, unless a person writes one at the same time.

    In a savepoint, because the scheduler's transaction must not fail with it.
    """
    from airflow.models.dagrun import DagRunNote
    from sqlalchemy import insert
    from sqlalchemy.exc import IntegrityError
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    connection = (
        session.connection()
    )  # the session's own savepoints count as commits, which the scheduler forbids
    with suppress(IntegrityError), connection.begin_nested():
        connection.execute(insert(DagRunNote).values(dag_run_id=dag_run.id, content=note))
    session.expire(dag_run, ["dag_run_note"])


def _xcom(dag_run: Any, task_id: str, key: str) -> Any:
    """A task's XCom; None if there is none."""
    from airflow.models.xcom import XComModel
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return None
    query = XComModel.get_many(
        run_id=dag_run.run_id, key=key, task_ids=task_id, dag_ids=dag_run.dag_id, limit=1
    )
    row = session.scalar(query)
    return XComModel.deserialize_value(row) if row else None
