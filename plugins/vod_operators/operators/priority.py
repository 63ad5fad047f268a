"""Which task gets the next free slot: two lanes, and in each the one that came first.

The scheduler starts what has the largest ``priority_weight``, then what has the earliest logical date (runs
asked for over REST have none, those from the UI's form have one), then the lowest map index, and equals in
alphabetical order of their run ids. So all that matters is put into the weight, and no two runs that one
process has taken are equals.

A weight is a time, counted down: when the run was asked for. A chunk counts as asked for ``PACE`` later than
the chunk before it. So a clip behind a film gets the next free slot, equals take turns, and yet no stream of
clips keeps a film waiting for ever: those that come ``PACE`` later are behind its next chunk. All other steps
come before any chunk of their lane: they are short, and they begin a video or finish it.

::

    2^31 - 1   steps of vod_transcode, asked for at the beginning of 2026; less 8 for each second later
    - 2^23     chunk 0 of vod_transcode; less 2^13 for each chunk, of which there are 2^10 at most
    - 2^27     the same of vod_transcode_bulk: as if asked for half a year later

Airflow's database keeps 32 bits. They last until the middle of 2042; all that comes later counts as equal.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.task.priority_strategy import PriorityWeightStrategy

if TYPE_CHECKING:
    from airflow.models import TaskInstance

    from vod_operators.settings import VodSettings

MAX_MAP_LENGTH = 1024
"""Airflow's default of ``[core] max_map_length``."""

DAG_ID = "vod_transcode"
BULK_DAG_ID = "vod_transcode_bulk"

MAX_ACTIVE_RUNS = 100
"""Of the first lane. A run that waits for others to end does not begin at the next free slot, whatever its
tasks' weights; each run costs the scheduler some milliseconds a loop."""

TOP = 2**31 - 1
BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)
UNITS_PER_S = 8
PACE = 1024 * UNITS_PER_S
"""17 minutes: longer than a host of two cores takes for a chunk of nine renditions (7 to 13 minutes)."""
CHUNKS = MAX_MAP_LENGTH * PACE
BULK = 2**27
LAST = 2**32 - 1 - BULK - 2 * CHUNKS
"""The latest time for which the lowest weight still is a number of 32 bits."""

REMEMBERED = 1000
"""Runs whose time a process need not look up: their tasks are made, and expanded, one after the other."""


class FirstCome(PriorityWeightStrategy):
    """The task's own weight, less the time when its run was asked for. Registered by the plugin."""

    pace = 0
    """What is taken off for each map index before its own."""

    def get_weight(self, ti: TaskInstance) -> int:
        """Asked by the scheduler or the API server when it makes or expands a task instance, or clears it."""
        assert ti.task is not None
        return ti.task.priority_weight - self._came(ti) - self.pace * max(0, ti.map_index)

    def _came(self, ti: TaskInstance) -> int:
        run = (ti.dag_id, ti.run_id)
        with _LOCK:
            known = _TIMES.get(run)
            if known is None:
                known = self._recorded(ti)
            if known is None:
                # Later than the one before, whatever the clock says: no two are equal.
                known = min(LAST, max(_now(), _newest.get(ti.dag_id, 0) + 1))
                _newest[ti.dag_id] = known
            _TIMES[run] = known
            _TIMES.move_to_end(run)
            if len(_TIMES) > REMEMBERED:
                _TIMES.popitem(last=False)
        return known

    def _recorded(self, ti: TaskInstance) -> int | None:
        """What another instance of the task, or this one before it was cleared, was given by any process."""
        from airflow.models import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        assert ti.task is not None
        query = select(TaskInstance.map_index, TaskInstance.priority_weight).where(
            TaskInstance.dag_id == ti.dag_id,
            TaskInstance.run_id == ti.run_id,
            TaskInstance.task_id == ti.task_id,
        )
        with create_session(scoped=False) as session:
            found = session.execute(query.limit(1)).first()
        if found is None or found.priority_weight is None:
            return None
        came: int = ti.task.priority_weight - found.priority_weight - self.pace * max(0, found.map_index)
        return came if 0 <= came <= LAST else None  # else an earlier release has made it


class TakingTurns(FirstCome):
    """The same, and each instance ``PACE`` behind the one before it. Registered by the plugin."""

    pace = PACE


_LOCK = threading.Lock()
_TIMES: OrderedDict[tuple[str, str], int] = OrderedDict()
_newest: dict[str, int] = {}


def _now() -> int:
    return int((datetime.now(timezone.utc) - BEGINNING).total_seconds() * UNITS_PER_S)


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A DAG for one kind of request."""

    dag_id: str
    name: str
    """For people."""
    max_active_runs: int
    pool: str
    """Of the encoding tasks."""
    weight: int
    """Of its tasks, but for encoding ones, if they had been asked for at the beginning."""

    @property
    def task_args(self) -> dict[str, Any]:
        """``default_args`` of its tasks."""
        return {"weight_rule": _name(FirstCome), "priority_weight": self.weight}

    @property
    def encoding_args(self) -> dict[str, Any]:
        """What its encoding tasks have besides."""
        return {"pool": self.pool, "weight_rule": _name(TakingTurns), "priority_weight": self.weight - CHUNKS}


def _name(strategy: type[FirstCome]) -> str:
    """By which a task names it: of a mapped task, Airflow 3.3 would serialize the object as its repr."""
    return f"{strategy.__module__}.{strategy.__qualname__}"


def lanes(settings: VodSettings) -> tuple[Lane, Lane]:
    """For what people and the CMS ask for, and for ingest; each task of the first before any of the other."""
    return (
        Lane(
            dag_id=DAG_ID,
            name="One video to HLS",
            max_active_runs=MAX_ACTIVE_RUNS,
            pool=settings.transcode_pool,
            weight=TOP,
        ),
        Lane(
            dag_id=BULK_DAG_ID,
            name="The same, behind all others: ingest and re-encoding",
            max_active_runs=settings.bulk_runs,
            pool=settings.bulk_pool or settings.transcode_pool,
            weight=TOP - BULK,
        ),
    )
