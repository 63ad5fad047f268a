"""A real Airflow with many videos: the fault suite's, but in no hurry to take a slow task for lost."""

from __future__ import annotations

import pytest

from support.airflows import StartAirflow
from support.real_airflow import RealAirflow


@pytest.fixture
def airflow(airflow: StartAirflow) -> StartAirflow:
    def start(*, parallelism: int, **settings: str) -> RealAirflow:
        patience = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300"}
        return airflow(parallelism=parallelism, **(patience | settings))

    return start
