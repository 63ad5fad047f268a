"""``vod submit`` at Airflow's own API, in this process: which run it starts, finds, or will not start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from support.tools import ROOT
from vod_operators.cli import submit
from vod_operators.cli.main import main
from vod_operators.cli.submit import Airflow, RunName, SubmitError
from vod_operators.operators.retry import FAILURE_KEY
from vod_operators.settings import get_settings
from vod_operators.storage.originals import video_id_of
from vod_operators.work.failure import Failure

SOURCE = "file:///in/film (1).mp4"
SPELLED = "file:///in/film%20%281%29.mp4"


@pytest.fixture(scope="module")
def client(airflow_db: None) -> Iterator[TestClient]:
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    get_settings.cache_clear()  # the DAGs have them in their params
    with create_session() as session:
        session.merge(DagBundleModel(name="submit"))
    sync_bag_to_db(DagBag(ROOT / "dags"), "submit", None)
    app = create_app(apps="core")
    token = app.state.auth_manager.generate_jwt(SimpleAuthManagerUser(username="admin", role="ADMIN"))
    with TestClient(app, base_url="http://airflow") as made:
        made.headers["Authorization"] = f"Bearer {token}"
        yield made
    purge_cached_app()


@pytest.fixture
def airflow(client: TestClient) -> Iterator[Airflow]:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    def clear() -> None:
        with create_session() as session:
            session.execute(delete(TaskInstance))
            session.execute(delete(DagRun))

    clear()
    token = client.headers["Authorization"].removeprefix("Bearer ")
    with Airflow(url="http://airflow", user=None, password=None, token=token) as made:
        made._client.close()
        made._client = client
        made._client.close = lambda: None  # type: ignore[method-assign]  (it serves all tests)
        yield made
    clear()


def conf(video_id: str = "film", source: str = SOURCE, preset: str = "h264") -> dict[str, Any]:
    return {"video_id": video_id, "source": source, "preset": preset}


def from_the_form(client: TestClient, dag_id: str = "vod_transcode", **asked: str) -> str:
    """As the UI asks: with a logical date, and an id of Airflow's choice."""
    body = {"logical_date": "2026-11-28T12:00:00Z", "conf": conf(**asked)}
    answer = client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["dag_run_id"])


def set_state(run_id: str, state: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(state=state))


def leave_failure(run_id: str, failure: Failure) -> None:
    """What ``release`` does, by the way that an XCom of a task comes into the database."""
    from airflow.models.xcom import XComModel

    value = json.dumps(failure.model_dump(mode="json", exclude_none=True))
    XComModel.set(
        key=FAILURE_KEY,
        value=value,
        dag_id="vod_transcode",
        task_id="release",
        run_id=run_id,
        serialize=False,
    )


def test_a_failed_run_is_told_as_a_cms_is_told_it(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(submit, "Airflow", lambda **_: airflow)
    run, _ = airflow.ask("vod.film.h264", conf())
    assert airflow.reason(run) == "run vod.film.h264 failed; see the logs of its tasks in Airflow"

    failure = Failure.of(
        "source_unusable", step="prepare", reason="source: it does not exist", log_url="http://airflow/log"
    )

    def fail(_: float) -> None:
        leave_failure(run.run_id, failure)
        set_state(run.run_id, "failed")

    monkeypatch.setattr(submit.time, "sleep", fail)
    assert main(["submit", SOURCE, "--video-id", "film", "--wait"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "vod: prepare failed: source: it does not exist (code source_unusable, retry changed; "
        "run vod.film.h264; log: http://airflow/log)"
    )


def test_twice_is_once_in_either_spelling(airflow: Airflow) -> None:
    run = RunName("vod_transcode", "vod.film.h264")
    assert airflow.ask(run.run_id, conf()) == (run, "started")
    assert airflow.ask(run.run_id, conf(source=SPELLED)) == (run, "running")
    set_state(run.run_id, "success")
    assert airflow.ask(run.run_id, conf(source=SPELLED)) == (run, "repeated")
    assert airflow.run(run)["state"] == "queued"


@pytest.mark.parametrize("dag_id", ["vod_transcode", "vod_transcode_bulk"])
@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_of_the_ui_that_makes_the_same_is_found(
    airflow: Airflow, client: TestClient, dag_id: str, state: str
) -> None:
    theirs = from_the_form(client, dag_id, source=SPELLED)
    set_state(theirs, state)
    assert airflow.ask("vod.film.h264", conf()) == (RunName(dag_id, theirs), "running")
    assert client.get("/api/v2/dags/~/dagRuns").json()["total_entries"] == 1
    assert airflow.run(RunName(dag_id, theirs))["state"] == state


def test_a_run_that_is_over_or_of_another_video_is_not(airflow: Airflow, client: TestClient) -> None:
    set_state(from_the_form(client), "success")
    from_the_form(client, "vod_transcode_bulk", video_id="film-2", source="file:///film")
    assert airflow.ask("vod.film.h264", conf()) == (RunName("vod_transcode", "vod.film.h264"), "started")


@pytest.mark.parametrize("other", [{"source": "file:///b/film.mp4"}, {"preset": "hevc"}])
def test_a_video_that_another_request_has_is_refused_with_the_runs_name(
    airflow: Airflow, client: TestClient, other: dict[str, str]
) -> None:
    theirs = from_the_form(client, **other)
    with pytest.raises(
        SubmitError, match=r"video_id: run .* works on this video, with the preset"
    ) as refusal:
        airflow.ask("vod.film.h264", conf())
    assert theirs in str(refusal.value)
    assert client.get("/api/v2/dags/~/dagRuns").json()["total_entries"] == 1


def test_files_of_one_name_are_two_videos(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """From the command line on, without ids."""
    monkeypatch.setattr(submit, "Airflow", lambda **_: airflow)
    made = []
    for folder in ("a", "b", "a/../b"):
        (tmp_path / folder).mkdir(exist_ok=True)
        assert main(["submit", str(tmp_path / folder / "film.mp4"), "--json"]) == 0
        made.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    a, b, again = made
    assert (a["state"], b["state"], again["state"]) == ("started", "started", "running")
    assert a["dag_run_id"] != b["dag_run_id"] == again["dag_run_id"]
    assert b["dag_run_id"] == f"vod.{video_id_of((tmp_path / 'b/film.mp4').as_uri())}.h264"
