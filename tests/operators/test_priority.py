"""Who gets the next free slot: worked out by the scheduler's own query, on its own database."""

from __future__ import annotations

from typing import Any

import pytest

from tools import ROOT
from vod_operators.operators.priority import MAX_MAP_LENGTH, lanes
from vod_operators.settings import get_settings


@pytest.fixture(scope="module")
def dags(airflow_db: None) -> dict[str, Any]:
    """As the scheduler has them: through their serialized form, which names the strategy."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    bag = DagBag(ROOT / "dags")
    assert bag.import_errors == {}
    return {
        dag_id: DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[dag_id]))
        for dag_id in ("vod_transcode", "vod_transcode_bulk")
    }


def weight(dags: dict[str, Any], dag_id: str, task_id: str, map_index: int = -1) -> int:
    from airflow.models.taskinstance import TaskInstance

    task = dags[dag_id].get_task(task_id)
    found = TaskInstance(task=task, run_id="run", map_index=map_index, dag_version_id=None).priority_weight
    assert found is not None
    return found


ENCODING = ("transcode", "audio")


def test_of_two_videos_the_one_with_fewer_chunks_is_next(dags: dict[str, Any]) -> None:
    film, clip = weight(dags, "vod_transcode", "transcode", 2), weight(dags, "vod_transcode", "transcode", 0)
    assert clip == film + 2
    assert weight(dags, "vod_transcode", "audio", 0) == clip


@pytest.mark.parametrize("dag_id", ["vod_transcode", "vod_transcode_bulk"])
def test_what_begins_or_ends_a_video_comes_before_any_chunk(dags: dict[str, Any], dag_id: str) -> None:
    first_chunk = weight(dags, dag_id, "transcode", 0)
    for task in dags[dag_id].tasks:
        if task.task_id not in ENCODING:
            assert weight(dags, dag_id, task.task_id, MAX_MAP_LENGTH - 1) > first_chunk, task.task_id


def test_the_last_of_the_first_lane_comes_before_the_first_of_the_other(dags: dict[str, Any]) -> None:
    last = weight(dags, "vod_transcode", "transcode", MAX_MAP_LENGTH - 1)
    others = dags["vod_transcode_bulk"].tasks
    assert last > max(weight(dags, "vod_transcode_bulk", task.task_id) for task in others)
    assert weight(dags, "vod_transcode_bulk", "transcode", MAX_MAP_LENGTH - 1) > 0


def test_a_bulk_of_runs_does_not_take_the_places_of_others(dags: dict[str, Any]) -> None:
    usual, bulk = lanes(get_settings())
    assert dags["vod_transcode"].max_active_runs == usual.max_active_runs == 100
    assert dags["vod_transcode_bulk"].max_active_runs == bulk.max_active_runs == 4
    assert {t.task_id: t.pool for t in dags["vod_transcode_bulk"].tasks}["transcode"] == "default_pool"
