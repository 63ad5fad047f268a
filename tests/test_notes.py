"""The notes that Airflow's runs get, and the buttons on their tasks, in Airflow's own database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import text

from vod_operators import links, notes
from vod_operators.links import PlayLink, VideoLink
from vod_operators.work.failure import Failure, LeftFailure

CONF = {"video_id": "film-42", "source": "file:///in/film.mp4", "preset": "h264"}


@pytest.fixture
def session(airflow_db: None) -> Iterator[Any]:
    from airflow.utils.session import create_session

    with create_session() as made:
        made.execute(text("PRAGMA defer_foreign_keys=ON"))  # XComs have no tasks here
        yield made
        made.rollback()


def a_run(session: Any, dag_id: str = "vod_transcode", conf: Any = CONF, **facts: Any) -> Any:
    from airflow.models.dagrun import DagRun
    from airflow.utils.types import DagRunType

    run = DagRun(dag_id=dag_id, run_id="vod.film-42.h264", run_type=DagRunType.MANUAL, conf=conf, **facts)
    session.add(run)
    session.flush()
    return run


def leave(session: Any, run: Any, task_id: str, key: str, value: Any) -> None:
    """An XCom, as the tasks' API stores it."""
    from airflow.models.xcom import XComModel

    session.add(
        XComModel(
            dag_run_id=run.id, dag_id=run.dag_id, run_id=run.run_id, task_id=task_id, map_index=-1,
            key=key, value=value,
        )
    )  # fmt: skip
    session.flush()


FAILURE = Failure.of("source_unusable", step="prepare", reason="source: it does not exist")


def test_a_run_tells_its_video_and_then_what_came_of_it(session: Any) -> None:
    run = a_run(session)
    notes.on_dag_run_running(run, "started")
    assert run.note == "film-42 · h264"
    notes.on_dag_run_success(run, "success")
    assert run.note == "film-42 · h264 · published"
    notes.on_dag_run_running(run, "started")  # it was cleared
    assert run.note == "film-42 · h264"
    session.flush()
    session.expire(run)
    assert (run.note, run.dag_run_note.user_id) == ("film-42 · h264", None)


def test_a_person_writes_a_note_at_the_same_time(session: Any) -> None:
    from airflow.utils.sqlalchemy import prohibit_commit

    run = a_run(session)
    assert run.dag_run_note is None
    row = {"id": run.id, "at": "2026-11-29 12:00:00"}
    columns = "(dag_run_id, content, user_id, created_at, updated_at)"
    session.connection().execute(
        text(f"INSERT INTO dag_run_note {columns} VALUES (:id, 'mine', 'ada', :at, :at)"), row
    )
    with prohibit_commit(session):  # as the scheduler calls it
        notes.on_dag_run_running(run, "started")
    session.flush()
    assert run.note == "mine"


@pytest.mark.parametrize("encode", [lambda value: value, json.dumps])
def test_a_failed_run_tells_why(session: Any, encode: Any) -> None:
    run = a_run(session)
    leave(session, run, "release", "failure", encode(FAILURE.model_dump(mode="json", exclude_none=True)))
    notes.on_dag_run_failed(run, "task_failure")
    assert run.note == "film-42 · h264 · prepare failed: source: it does not exist"


def test_without_a_known_reason_it_says_where_to_look(session: Any) -> None:
    run = a_run(session, conf={"video_id": "film-42"})
    notes.on_dag_run_failed(run, "task_failure")
    assert run.note == "film-42 · failed; the logs of its tasks say why"


def test_a_run_that_somebody_marks_tells_no_old_reason(session: Any) -> None:
    run = a_run(session)
    leave(session, run, "release", "failure", FAILURE.model_dump(mode="json"))  # of before it was cleared
    notes.on_dag_run_failed(run, "Dag Run's state was manually set to `failed`.")
    assert run.note == "film-42 · h264 · stopped by hand"
    notes.on_dag_run_success(run, "Dag Run's state was manually set to `success`.")
    assert run.note == "film-42 · h264 · marked as done by hand"


def test_a_cancelled_run_names_no_step(session: Any) -> None:
    run = a_run(session)
    cancelled = Failure.of("cancelled", step="transcode", item="chunk 1/1", reason="somebody marked it")
    leave(session, run, "release", "failure", cancelled.model_dump(mode="json"))
    notes.on_dag_run_failed(run, "task_failure")
    assert run.note == "film-42 · h264 · stopped by hand"


def test_vod_manage_tells_the_outcome_of_its_action(session: Any) -> None:
    run = a_run(session, "vod_manage", {"video_id": "film-42", "action": "rollback"})
    notes.on_dag_run_running(run, "started")
    assert run.note == "film-42 · rollback"
    leave(session, run, "manage", "outcome", "rolled back to v-1")
    notes.on_dag_run_success(run, "success")
    assert run.note == "film-42 · rollback · rolled back to v-1"
    notes.on_dag_run_failed(run, "task_failure")  # verify fails, and tells its outcome
    assert run.note == "film-42 · rollback · rolled back to v-1"
    left = LeftFailure(task="manage", by_itself=True, failure=FAILURE)
    leave(session, run, "manage", "failure", left.as_xcom())
    notes.on_dag_run_failed(run, "task_failure")
    assert run.note == "film-42 · rollback · source: it does not exist"


def test_a_persons_note_is_left_alone(session: Any) -> None:
    run = a_run(session)
    run.note = ("for the trailer", "editor")
    session.flush()
    notes.on_dag_run_running(run, "started")
    notes.on_dag_run_failed(run, "task_failure")
    assert (run.note, run.dag_run_note.user_id) == ("for the trailer", "editor")


@pytest.mark.parametrize(
    ("dag_id", "conf"),
    [
        ("another_dag", CONF),
        ("vod_janitor", {"dry_run": True}),
        ("vod_transcode", None),
        ("vod_transcode", {"video_id": "../x"}),
        ("vod_transcode", {"video_id": ["film"]}),
    ],
)
def test_other_runs_get_none(session: Any, dag_id: str, conf: Any) -> None:
    run = a_run(session, dag_id, conf)
    for call in (notes.on_dag_run_running, notes.on_dag_run_success, notes.on_dag_run_failed):
        call(run, "task_failure")
    assert run.note is None


def test_a_note_fits_into_airflows_column(session: Any) -> None:
    run = a_run(session)
    long = FAILURE.model_copy(update={"reason": "x" * 5000})
    leave(session, run, "release", "failure", long.model_dump(mode="json"))
    notes.on_dag_run_failed(run, "task_failure")
    assert len(run.note) == 1000


# --- buttons --------------------------------------------------------------------------------


def key_of(run_id: str) -> Any:
    from airflow.models.taskinstancekey import TaskInstanceKey

    return TaskInstanceKey(
        dag_id="vod_transcode", task_id="publish", run_id=run_id, try_number=1, map_index=-1
    )


def test_the_buttons_lead_to_the_runs_video(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.configuration import conf

    run = a_run(session)
    session.commit()
    try:
        for base, path in (("", ""), ("http://host:8080", ""), ("https://host/airflow/", "/airflow")):
            monkeypatch.setattr(conf, "get", lambda *_, base=base, **__: base)
            link = VideoLink().get_link(None, ti_key=key_of(run.run_id))
            assert link == f"{path}/plugin/videos/film-42"
            assert PlayLink().get_link(None, ti_key=key_of(run.run_id)) == f"{link}?play"
        assert VideoLink().get_link(None, ti_key=key_of("another")) == ""
    finally:
        session.delete(run)
        session.commit()


def test_every_operator_that_the_buttons_name_exists() -> None:
    for step, name in links.OPERATORS.items():
        operator = getattr(import_module(f"vod_operators.operators.{step}"), name)
        named = next(o for o in VideoLink.operators if o.__name__ == name)
        assert (operator.__name__, operator.__module__) == (named.__name__, named.__module__)


def test_airflow_puts_them_on_the_tasks_of_a_stored_dag(airflow_db: None) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    from support.tools import ROOT

    bag = DagBag(ROOT / "dags")
    found = {
        f"{dag_id}.{task.task_id}": sorted(link.name for link in task.operator_extra_links)
        for dag_id in ("vod_transcode", "vod_transcode_bulk", "vod_manage", "vod_janitor")
        for task in DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[dag_id])).tasks
    }
    assert found["vod_transcode.publish"] == ["Play", "Video"]
    assert found["vod_transcode_bulk.transcode"] == found["vod_manage.manage"] == ["Video"]
    assert {name for name, buttons in found.items() if not buttons} == {
        "vod_transcode.tracks", "vod_transcode_bulk.tracks", "vod_janitor.clean",
        "vod_transcode.parts", "vod_transcode_bulk.parts",
    }  # fmt: skip


def test_a_run_that_only_estimates_tells_its_estimate(session: Any) -> None:
    run = a_run(session, conf=CONF | {"estimate": True})
    words = "about 0:54 (0:40 to 1:12) with 2 workers, 0.02 CPU hours, 12 MB"
    leave(session, run, "prepare", "estimate", json.dumps({"words": words}))
    notes.on_dag_run_success(run, "success")
    assert run.note == f"film-42 · h264 · estimate: {words}"
    other = CONF | {"video_id": "film-43", "estimate": False}
    plain = a_run(session, dag_id="vod_transcode_bulk", conf=other)
    leave(session, plain, "prepare", "estimate", json.dumps({"words": words}))
    notes.on_dag_run_success(plain, "success")
    assert plain.note == "film-43 · h264 · published"
