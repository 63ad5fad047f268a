"""Which task gets the next free slot: two lanes, and within a lane the video that has had the fewest chunks.

The scheduler starts what has the largest ``priority_weight``, then what has the earliest logical date (runs
asked for over REST have none, those from the UI's form have one), then the lowest map index. So all that
matters is put into the weight: nothing is left to the dates.

A mapped task's weight is its lane's less its map index. So of any two videos, the one that has been given
fewer chunks is next: a clip behind a film gets the next free slot, and equals take turns. All other steps
come before any chunk of their lane: they are short, and they begin a video or finish it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.task.priority_strategy import PriorityWeightStrategy

if TYPE_CHECKING:
    from airflow.models import TaskInstance

    from vod_operators.settings import VodSettings

MAX_MAP_LENGTH = 1024
"""Airflow's default of ``[core] max_map_length``: no weight of a lane reaches down into the next one."""

DAG_ID = "vod_transcode"
BULK_DAG_ID = "vod_transcode_bulk"

MAX_ACTIVE_RUNS = 100
"""Of the first lane. A run that waits for others to end does not begin at the next free slot, whatever its
tasks' weights; each run costs the scheduler some milliseconds a loop."""


class FewestChunksFirst(PriorityWeightStrategy):
    """The task's own weight, less one for each map index before its own. Registered by the plugin."""

    def get_weight(self, ti: TaskInstance) -> int:
        """Asked by the scheduler when it makes or expands a task instance."""
        assert ti.task is not None
        return ti.task.priority_weight - max(0, ti.map_index)


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A DAG for one kind of request."""

    dag_id: str
    name: str
    """For people."""
    max_active_runs: int
    pool: str
    """Of the encoding tasks."""
    encoding_weight: int
    weight: int
    """Of all other tasks."""

    @property
    def task_args(self) -> dict[str, Any]:
        """``default_args`` of its tasks."""
        # By its name: of a mapped task, Airflow 3.3 would serialize the object as its repr.
        rule = f"{FewestChunksFirst.__module__}.{FewestChunksFirst.__qualname__}"
        return {"weight_rule": rule, "priority_weight": self.weight}

    @property
    def encoding_args(self) -> dict[str, Any]:
        """What its encoding tasks have besides."""
        return {"pool": self.pool, "priority_weight": self.encoding_weight}


def lanes(settings: VodSettings) -> tuple[Lane, Lane]:
    """For what people and the CMS ask for, and for ingest; each task of the first before any of the other."""
    return (
        Lane(
            dag_id=DAG_ID,
            name="One video to HLS",
            max_active_runs=MAX_ACTIVE_RUNS,
            pool=settings.transcode_pool,
            encoding_weight=6 * MAX_MAP_LENGTH,
            weight=8 * MAX_MAP_LENGTH,
        ),
        Lane(
            dag_id=BULK_DAG_ID,
            name="The same, behind all others: ingest and re-encoding",
            max_active_runs=settings.bulk_runs,
            pool=settings.bulk_pool or settings.transcode_pool,
            encoding_weight=2 * MAX_MAP_LENGTH,
            weight=4 * MAX_MAP_LENGTH,
        ),
    )
