"""Who gets the next free slot: worked out by the scheduler's own query, on its own database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from support.tools import ROOT
from vod_operators.operators import priority
from vod_operators.operators.priority import BEGINNING, LAST, PACE, UNITS_PER_S, lanes
from vod_operators.pipeline import MAX_MAP_LENGTH
from vod_operators.settings import get_settings

ENCODING = ("analyse", "transcode", "correct", "audio")


@pytest.fixture(scope="module")
def dags(airflow_db: None) -> dict[str, Any]:
    """As the scheduler has them: through their serialized form, which names the strategy."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.session import create_session

    bag = DagBag(ROOT / "dags")
    assert bag.import_errors == {}
    with create_session() as session:
        session.merge(DagBundleModel(name="priority"))
    sync_bag_to_db(bag, "priority", None)
    return {
        dag_id: DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[dag_id]))
        for dag_id in ("vod_transcode", "vod_transcode_bulk")
    }


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock of this process, in seconds since the year's beginning, and forgets what it knew."""

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(priority, "_now", lambda: int(seconds * UNITS_PER_S))
        priority._TIMES.clear()
        priority._newest.clear()

    set_clock(0)
    return set_clock


def weight(dags: dict[str, Any], dag_id: str, task_id: str, map_index: int = -1, run: str = "none") -> int:
    from airflow.models.taskinstance import TaskInstance

    task = dags[dag_id].get_task(task_id)
    found = TaskInstance(task=task, run_id=run, map_index=map_index, dag_version_id=None).priority_weight
    assert found is not None and -(2**31) <= found < 2**31
    return found


def test_what_begins_or_ends_a_video_comes_before_any_chunk(dags: dict[str, Any], at: Any) -> None:
    for dag_id in ("vod_transcode", "vod_transcode_bulk"):
        first_chunk = weight(dags, dag_id, "transcode", 0)
        for task in dags[dag_id].tasks:
            if task.task_id not in ENCODING:
                assert weight(dags, dag_id, task.task_id, MAX_MAP_LENGTH - 1) > first_chunk, task.task_id


def test_the_first_lane_comes_before_the_other(dags: dict[str, Any], at: Any) -> None:
    """Also the last chunk of the longest video, asked for a month later."""
    others = max(weight(dags, "vod_transcode_bulk", task.task_id) for task in dags["vod_transcode"].tasks)
    at(30 * 86_400)
    assert weight(dags, "vod_transcode", "transcode", MAX_MAP_LENGTH - 1, run="later") > others


def test_weights_are_numbers_of_the_database_for_good(dags: dict[str, Any], at: Any) -> None:
    assert BEGINNING + timedelta(seconds=LAST / UNITS_PER_S) > datetime(2042, 6, 1, tzinfo=timezone.utc)
    at(100 * 366 * 86_400)
    last = weight(dags, "vod_transcode_bulk", "transcode", MAX_MAP_LENGTH - 1)  # within 32 bits
    assert last < weight(dags, "vod_transcode_bulk", "transcode", 0)


def test_a_bulk_of_runs_does_not_take_the_places_of_others(dags: dict[str, Any]) -> None:
    usual, bulk = lanes(get_settings())
    assert dags["vod_transcode"].max_active_runs == usual.max_active_runs == 100
    assert dags["vod_transcode_bulk"].max_active_runs == bulk.max_active_runs == 4
    assert {t.task_id: t.pool for t in dags["vod_transcode_bulk"].tasks}["transcode"] == "default_pool"


class Queue:
    """Runs in Airflow's database, made as its API makes them, and what its scheduler would start of them."""

    def __init__(self, dags: dict[str, Any], at: Callable[[float], None]) -> None:
        self._dags, self._at = dags, at
        self.runs: list[str] = []

    def ask(self, run_id: str, *, s: float, dag_id: str = "vod_transcode", is_form: bool = False) -> None:
        """A request at a time: over REST, or from the UI's form, which gives it a logical date."""
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        priority._TIMES.clear()  # another process may be asked
        self._at_keeping_order(s)
        now = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=s)
        with create_session(scoped=False) as session:
            self._dags[dag_id].create_dagrun(
                run_id=run_id,
                logical_date=now if is_form else None,
                data_interval=None,
                run_after=now,
                conf={"video_id": run_id, "source": "file:///film.mp4"},
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.REST_API,
                state=DagRunState.RUNNING,
                session=session,
            )
        self.runs.append(run_id)

    def _at_keeping_order(self, s: float) -> None:
        newest = dict(priority._newest)
        self._at(s)
        priority._newest.update(newest)

    def expand(self, run_id: str, chunks: int, *, s: float, first: int = 0) -> None:
        """What is left of a video's chunks, made by the scheduler at a time, which does not count."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        priority._TIMES.clear()
        self._at(s)
        with create_session(scoped=False) as session:
            one = session.scalars(
                select(TaskInstance).where(TaskInstance.run_id == run_id, TaskInstance.task_id == "transcode")
            ).one()
            task = self._dags[one.dag_id].get_task("transcode")
            for index in range(first, chunks):
                made = TaskInstance(
                    task=task, run_id=run_id, map_index=index, dag_version_id=one.dag_version_id
                )
                made.state = "scheduled"
                session.add(made)

    def order(self, task_id: str = "transcode") -> list[str]:
        """What the scheduler would start, one after the other."""
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import update

        with create_session(scoped=False) as session:
            if task_id != "transcode":
                session.execute(
                    update(TaskInstance)
                    .where(TaskInstance.task_id == task_id, TaskInstance.run_id.in_(self.runs))
                    .values(state="scheduled")
                )
            scheduler = SchedulerJobRunner(job=Job())
            found = scheduler._executable_task_instances_to_queued(max_tis=1000, session=session)
            return [
                ti.run_id if ti.map_index < 0 else f"{ti.run_id}[{ti.map_index}]"
                for ti in found
                if ti.run_id in self.runs
            ]


@pytest.fixture
def queue(dags: dict[str, Any], at: Callable[[float], None]) -> Iterator[Queue]:
    from airflow.models.dagrun import DagRun
    from airflow.models.pool import Pool
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    def clear() -> None:
        with create_session(scoped=False) as session:
            session.execute(delete(TaskInstance))
            session.execute(delete(DagRun))

    clear()
    Pool.create_or_update_pool("default_pool", slots=1000, description="", include_deferred=False)
    yield Queue(dags, at)
    clear()
    Pool.create_or_update_pool("default_pool", slots=128, description="", include_deferred=False)


def test_equal_videos_are_served_as_they_came(queue: Queue) -> None:
    """Not in alphabetical order of their ids, nor those of the form before those of a CMS."""
    names = [f"{uuid.uuid5(uuid.NAMESPACE_DNS, str(n))}" for n in range(12)]
    for number, name in enumerate(names):
        queue.ask(name, s=10 + number, is_form=number % 3 == 2)
    assert names != sorted(names)
    assert queue.order("prepare") == names
    for name in sorted(names):
        queue.expand(name, 1, s=1000)
    assert [turn for turn in queue.order() if turn.endswith("[0]")] == [f"{name}[0]" for name in names]


def test_requests_of_one_moment_are_served_as_they_came(queue: Queue) -> None:
    names = [f"video-{n}" for n in (5, 1, 4, 2, 3, 0)]
    for name in names:
        queue.ask(name, s=10)
    assert queue.order("prepare") == names
    for name in sorted(names):
        queue.expand(name, 2, s=20)
    assert queue.order() == [f"{name}[{chunk}]" for chunk in (0, 1) for name in names]


def test_a_clip_behind_a_film_is_next_and_clips_without_end_do_not_starve_it(queue: Queue) -> None:
    pace_s = PACE / UNITS_PER_S
    queue.ask("film", s=0)
    queue.ask("clip", s=600)
    queue.ask("late", s=2 * pace_s + 1)  # when the film's third chunk has waited for so long
    for name, chunks in (("film", 5), ("clip", 1), ("late", 1)):
        queue.expand(name, chunks, s=3 * pace_s)
    assert queue.order() == ["film[0]", "clip[0]", "film[1]", "film[2]", "late[0]", "film[3]", "film[4]"]


def test_a_cleared_run_keeps_its_place(queue: Queue) -> None:
    """Airflow works weights out again then, perhaps in another process and days later."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    queue.ask("b", s=1)
    queue.expand("b", 3, s=2)
    priority._TIMES.clear()
    queue._at(5000)
    with create_session(scoped=False) as session:
        tis = session.scalars(select(TaskInstance).where(TaskInstance.run_id == "b")).all()
        before = [(ti.task_id, ti.map_index, ti.priority_weight) for ti in tis]
        for ti in tis:
            ti.refresh_from_task(queue._dags[ti.dag_id].get_task(ti.task_id))
        assert [(ti.task_id, ti.map_index, ti.priority_weight) for ti in tis] == before
        assert len(before) > 10
