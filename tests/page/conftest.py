"""Airflow's own API app with the plugin in it, and runs in its database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from support.page import HEADERS, ROLES, Runs


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
        client = TestClient(app)
        # The tokens are signed with a key that Airflow makes up once in each process.
        app.state.tokens = {role: _token(client, role) for role in ROLES}
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
