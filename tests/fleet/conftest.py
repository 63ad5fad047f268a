"""A real Airflow with many videos: the fault suite's, but in no hurry to take a slow task for lost."""

from __future__ import annotations

import pytest

from faults.conftest import StartAirflow, diary, home, migrated, report  # noqa: F401  (fixtures)
from faults.conftest import airflow as impatient  # noqa: F401
from faults.real_airflow import RealAirflow


@pytest.fixture
def airflow(impatient: StartAirflow) -> StartAirflow:  # noqa: F811
    def start(*, parallelism: int, **settings: str) -> RealAirflow:
        patience = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300"}
        return impatient(parallelism=parallelism, **(patience | settings))

    return start
