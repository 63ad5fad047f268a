"""Real Airflows on demand, with a diary of what they encode."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import local_postgres
from support.diary import Diary
from support.presets import write_preset
from support.real_airflow import RealAirflow, postgres, wait_until

StartAirflow = Callable[..., RealAirflow]

REPORT = os.environ.get("FAULTS_REPORT")
"""File that gets one JSON line of counts from each case."""


@pytest.fixture
def report(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """``report(kills=12, ...)``: the counts of a case, for people and for ``FAULTS_REPORT``."""

    def tell(**counts: object) -> None:
        line = json.dumps({"case": request.node.nodeid} | counts, default=str)
        with capsys.disabled():
            print(f"\n{line}", flush=True)
        if REPORT:
            with open(REPORT, "a") as file:
                print(line, file=file)

    return tell


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for an Airflow: short, because sockets live in it; kept if ``FAULTS_KEEP`` is set."""
    folder = Path(tempfile.mkdtemp(prefix="vod-faults-"))
    yield folder
    if not os.environ.get("FAULTS_KEEP"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def diary(home: Path) -> Diary:
    return Diary(home / "tools", speed=1.5)


@pytest.fixture(scope="session")
def migrated() -> Iterator[Path]:
    """A PostgreSQL cluster with Airflow's empty tables, not running."""
    with tempfile.TemporaryDirectory(prefix="vod-faults-") as folder:
        database = Path(folder) / "postgres"
        server = subprocess.Popen(postgres(database), stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: local_postgres.accepts(database), timeout_s=60, what="PostgreSQL")
            env = os.environ | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": local_postgres.url(database)}
            migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
            subprocess.run(migrate, env=env, check=True, capture_output=True)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)
        yield database


@pytest.fixture
def airflow(migrated: Path, home: Path, diary: Diary) -> Iterator[StartAirflow]:
    """``airflow(VOD_...=...)`` starts one, on local stores unless the settings say otherwise."""
    with ExitStack() as stack:

        def start(*, parallelism: int = 2, **settings: str) -> RealAirflow:
            usual = {
                "VOD_TEMP_URI": (home / "tmp").as_uri(),
                "VOD_RESULTS_URI": (home / "results").as_uri(),
                "VOD_WORK_DIR": str(home / "work"),
                "VOD_PRESETS_DIR": str(write_preset(home / "presets")),
                "VOD_FFMPEG": str(diary.tool),
                "VOD_SANDBOX": "off",  # the diary lies beside it
            }
            made = RealAirflow(home / "airflow", migrated, parallelism=parallelism, **(usual | settings))
            return stack.enter_context(made)

        yield start
