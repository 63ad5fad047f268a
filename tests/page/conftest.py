"""Airflow's own API app with the plugin in it, and runs in its database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)

ROLES = ("viewer", "user", "admin")

HEADERS = {"X-Requested-With": "vod"}


@pytest.fixture(scope="session")
def api_app(airflow_db: None, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The API server's app, with a user of each role whose password is the role's name."""
    passwords = tmp_path_factory.mktemp("auth") / "passwords.json"
    passwords.write_text(json.dumps({role: role for role in ROLES}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", ",".join(f"{r}:{r}" for r in ROLES))
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
        from airflow.api_fastapi.app import create_app

        app = create_app(apps="core")
        yield_users = TestClient(app)
        # The tokens are signed with a key that Airflow makes up once in each process.
        app.state.tokens = {role: _token(yield_users, role) for role in ROLES}
        return app


def _token(client: TestClient, role: str) -> str:
    answer = client.post("/auth/token", json={"username": role, "password": role})
    return str(answer.raise_for_status().json()["access_token"])


@pytest.fixture
def as_role(api_app: FastAPI, stores: Path) -> Callable[[str], TestClient]:
    """A client with the cookie of a user of that role, which sends the page's header."""

    def client(role: str) -> TestClient:
        return TestClient(api_app, cookies={"_token": api_app.state.tokens[role]}, headers=HEADERS)

    return client


@pytest.fixture
def viewer(as_role: Callable[[str], TestClient]) -> TestClient:
    return as_role("viewer")


class Runs:
    """Runs in Airflow's database, made as Airflow's models make them."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.ids: dict[str, int] = {}
        self.tasks: set[tuple[str, str, int]] = set()

    def add(
        self,
        video_id: str,
        state: str,
        *,
        dag_id: str = "vod_transcode",
        run_id: str | None = None,
        at: datetime = NOON,
        minutes: float = 10,
        by: str | None = "ada",
        **conf: Any,
    ) -> str:
        """A run that began at a time, and ended so many minutes later if its state is one of an end."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.types import DagRunType

        source = {"preset": "h264", "source": f"file:///films/{video_id}.mp4"}
        run_id = run_id or f"vod.{video_id}.{at:%Y%m%dT%H%M%S}.{state}"
        run = DagRun(
            dag_id=dag_id,
            run_id=run_id,
            run_type=DagRunType.MANUAL,
            conf={"video_id": video_id} | source | conf,
            run_after=at,
            start_date=None if state == "queued" else at,
            triggering_user_name=by,
        )
        run._state = state
        if state in ("success", "failed"):
            run.end_date = at + timedelta(minutes=minutes)
        self.session.add(run)
        self.session.commit()
        self.ids[run_id] = run.id
        return run_id

    def task(
        self,
        run_id: str,
        task_id: str,
        state: str | None,
        *,
        index: int = -1,
        dag_id: str = "vod_transcode",
        begun: datetime | None = None,
        seconds: float | None = None,
        tries: int = 1,
        label: str | None = None,
        host: str = "",
        percent: float | None = None,
        cpu_s: float | None = None,
    ) -> None:
        """A task of a run; with seconds, it has ended."""
        import uuid

        from airflow.models.task_state_store import TaskStateStoreModel
        from airflow.models.taskinstance import TaskInstance

        row = {
            "id": uuid.uuid4(),
            "dag_id": dag_id,
            "run_id": run_id,
            "task_id": task_id,
            "map_index": index,
            "state": state,
            "start_date": begun,
            "end_date": begun + timedelta(seconds=seconds) if begun and seconds is not None else None,
            "try_number": tries,
            "rendered_map_index": label,
            "hostname": host,
            "pool": "default_pool",
            "pool_slots": 1,
            "max_tries": 6,
            "span_status": "not_started",
        }
        self.session.execute(TaskInstance.__table__.insert().values(**row))
        self.tasks.add((run_id, task_id, index))
        left = {"progress": {"percent": percent, "speed": 1.5}} if percent is not None else {}
        left |= {"cpu_s": cpu_s} if cpu_s is not None else {}
        for key, value in left.items():
            self.session.add(
                TaskStateStoreModel(
                    dag_run_id=self.ids[run_id], dag_id=dag_id, run_id=run_id, task_id=task_id,
                    map_index=index, key=key, value=json.dumps(value),
                )
            )  # fmt: skip
        self.session.commit()

    def xcom(self, run_id: str, task_id: str, key: str, value: Any, *, index: int = -1) -> None:
        """What a task left in XCom."""
        from airflow.models.xcom import XComModel

        if (run_id, task_id, index) not in self.tasks:
            self.task(run_id, task_id, "failed", index=index)
        self.session.add(
            XComModel(
                dag_run_id=self.ids[run_id], dag_id="vod_transcode", run_id=run_id, task_id=task_id,
                map_index=index, key=key, value=json.dumps(value),
            )
        )  # fmt: skip
        self.session.commit()


@pytest.fixture
def runs(api_app: FastAPI) -> Iterator[Runs]:
    """Runs that are gone after the test."""
    from airflow.models.dagrun import DagRun
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        yield Runs(session)
    with create_session() as session:
        for model in (TaskStateStoreModel, XComModel, TaskInstance, DagRun):
            session.execute(model.__table__.delete())
