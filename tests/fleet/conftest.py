"""A real Airflow with many videos: the fault suite's."""

from __future__ import annotations

from faults.conftest import airflow, diary, home, report  # noqa: F401  (fixtures)
