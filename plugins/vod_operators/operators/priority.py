"""Which task gets the next free slot: two lanes, and within each lane first come, first served.

Airflow's scheduler starts the task with the largest ``priority_weight``, then with the earliest logical date
(runs requested over REST have none, those from the UI's form have one), then with the lowest map index, then
by the order of run ids. So the order is put into the weight alone, and no two runs whose weights one process
computes are equal.

The weight counts down with the time at which the run was requested. A chunk counts as requested ``PACE``
later than the chunk before it. So a clip behind a film gets the next free slot, and runs of equal age take
turns. No stream of clips keeps a film waiting forever: a clip that comes ``PACE`` later is behind the film's
next chunk. All other steps come before any chunk of their lane, because they are short, and begin or finish a
video.

::

    2^31 - 1   steps of vod_transcode requested at the beginning of 2026; less 8 for each second later
    - 2^23     chunk 0 of vod_transcode; less 2^13 for each chunk, of which there are 2^10 at most
    - 2^27     the same of vod_transcode_bulk, as if requested half a year later

Airflow's database stores 32 bits. They last until the middle of 2042; all later requests count as equal.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.task.priority_strategy import PriorityWeightStrategy

from vod_operators.pipeline import BULK_DAG_ID, DAG_ID, MAX_MAP_LENGTH

if TYPE_CHECKING:
    from airflow.models import TaskInstance

    from vod_operators.settings import VodSettings

MAX_ACTIVE_RUNS = 100
"""Of the first lane. Above it a run waits for another one to end, whatever its tasks' weights. It is limited
because each run costs the scheduler some milliseconds a loop."""

TOP = 2**31 - 1
BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)
UNITS_PER_S = 8
PACE = 1024 * UNITS_PER_S
"""17 minutes: longer than a host of two cores takes for a chunk of nine renditions (7 to 13 minutes)."""
CHUNKS = MAX_MAP_LENGTH * PACE
BULK = 2**27
LAST = 2**32 - 1 - BULK - 2 * CHUNKS
"""The latest time, in units, whose lowest weight still fits into 32 bits."""

REMEMBERED = 1000
"""Runs whose time a process caches, because a run's tasks are created and expanded one after the other."""


class FirstCome(PriorityWeightStrategy):
    """The task's own weight less the time at which its run was requested. Registered by the plugin."""

    pace = 0
    """Subtracted once for each lower map index."""

    def get_weight(self, ti: TaskInstance) -> int:
        """The weight of a task instance; Airflow asks when it creates, expands or clears one."""
        assert ti.task is not None
        return ti.task.priority_weight - self._came(ti) - self.pace * max(0, ti.map_index)

    def _came(self, ti: TaskInstance) -> int:
        run = (ti.dag_id, ti.run_id)
        with _LOCK:
            known = _TIMES.get(run)
            if known is None:
                known = self._recorded(ti)
            if known is None:
                # Later than the previous run, whatever the clock says, so that no two are equal.
                known = min(LAST, max(_now(), _newest.get(ti.dag_id, 0) + 1))
                _newest[ti.dag_id] = known
            _TIMES[run] = known
            _TIMES.move_to_end(run)
            if len(_TIMES) > REMEMBERED:
                _TIMES.popitem(last=False)
        return known

    def _recorded(self, ti: TaskInstance) -> int | None:
        """The run's time, from the weight that any process stored for the task; None if there is none."""
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
        return came if 0 <= came <= LAST else None  # an earlier release stored other weights


class TakingTurns(FirstCome):
    """As ``FirstCome``; each mapped instance counts ``PACE`` later than the last. The plugin registers it."""

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
    """The DAG's name for people."""
    max_active_runs: int
    pool: str
    """Pool of the encoding tasks."""
    weight: int
    """Weight of the other tasks of a run requested at ``BEGINNING``."""

    @property
    def task_args(self) -> dict[str, Any]:
        """``default_args`` of its tasks."""
        return {"weight_rule": _name(FirstCome), "priority_weight": self.weight}

    @property
    def encoding_args(self) -> dict[str, Any]:
        """Further arguments of its encoding tasks."""
        return {"pool": self.pool, "weight_rule": _name(TakingTurns), "priority_weight": self.weight - CHUNKS}


def _name(strategy: type[FirstCome]) -> str:
    """A strategy's import path. A task names it so, because Airflow 3.3 serializes a mapped task's object as
    its repr."""
    return f"{strategy.__module__}.{strategy.__qualname__}"


def lanes(settings: VodSettings) -> tuple[Lane, Lane]:
    """The lane of people and the CMS, and that of ingest, whose tasks all come after those of the first."""
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
