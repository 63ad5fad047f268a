"""A private, real Airflow: PostgreSQL, API server, scheduler with LocalExecutor, DAG processor.

Each is kept running by ``unit.py``.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

import local_postgres
from local_settings import MAX_OVERFLOW
from support.tools import ROOT
from vod_operators.pipeline import DAG_ID

UNIT = Path(__file__).with_name("unit.py")
USER, PASSWORD = "admin", "faults"

HEARTBEAT_TIMEOUT_S = 20
"""After which Airflow takes a task for lost; 300 by default."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A task instance, as the REST API tells it."""

    id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    pid: int | None

    @property
    def name(self) -> str:
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


@dataclass(frozen=True, kw_only=True)
class Work:
    """The processes of one running task."""

    task_uuid: str
    worker: psutil.Process
    """LocalExecutor's process, which is the task's supervisor while it has one."""
    task: psutil.Process
    tools: tuple[psutil.Process, ...]


class RealAirflow:
    """A context manager.

    :param database: a migrated cluster, which is copied.
    :param settings: ``VOD_*`` variables and others of the components' environment.
    """

    def __init__(self, home: Path, database: Path, *, parallelism: int = 2, **settings: str) -> None:
        self.home, self.database = home, home / "postgres"
        self._template, self._settings = database, settings
        self._parallelism = parallelism
        self.units: dict[str, subprocess.Popen[bytes]] = {}
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    # --- life -------------------------------------------------------------------------------

    def __enter__(self) -> RealAirflow:
        (self.home / "logs").mkdir(parents=True)
        # With its owner, who is another where this runs as root.
        subprocess.run(["cp", "-a", self._template, self.database], check=True)
        passwords = self.home / "passwords.json"
        passwords.write_text(json.dumps({USER: PASSWORD}))
        try:
            self._start("postgres", postgres(self.database))
            wait_until(lambda: local_postgres.accepts(self.database), timeout_s=60, what="PostgreSQL")
            airflow = [sys.executable, "-m", "airflow"]
            serve = [*airflow, "api-server", "--workers", "1", "--host", "127.0.0.1", "--port"]
            self._start("api-server", [*serve, self.url.rpartition(":")[2]])
            self._start("scheduler", [*airflow, "scheduler", "--skip-serve-logs"])
            self._start("dag-processor", [*airflow, "dag-processor"])
            wait_until(self._ready, timeout_s=240, what="Airflow to start", every_s=1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        database = self.units.pop("postgres", None)
        for unit in self.units.values():
            unit.terminate()
        for unit in self.units.values():
            unit.wait(60)
        if database is not None:
            database.terminate()
            database.wait(60)
        self._http.close()

    def _start(self, name: str, argv: list[str]) -> None:
        with (self.home / "logs" / f"{name}.log").open("wb") as log:
            self.units[name] = subprocess.Popen(
                [sys.executable, str(UNIT), *argv],
                env=self.environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def environment(self) -> dict[str, str]:
        """Of the components; also for Airflow's command line."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW") or name.startswith("AIRFLOW_CONN_")
        }
        keys = self.home / "keys.json"
        if not keys.exists():
            made = {"fernet": base64.urlsafe_b64encode(os.urandom(32)).decode()}
            made |= {name: secrets.token_urlsafe(64) for name in ("api", "jwt")}
            keys.write_text(json.dumps(made))
        key = json.loads(keys.read_text())
        sections = {
            "CORE": {
                "DAGS_FOLDER": ROOT / "dags",
                "PLUGINS_FOLDER": ROOT / "plugins",
                "EXECUTOR": "LocalExecutor",
                "LOAD_EXAMPLES": False,
                "DAGS_ARE_PAUSED_AT_CREATION": False,
                "LAZY_LOAD_PLUGINS": False,  # this and two below for speed, as in local_settings.py
                "PARALLELISM": self._parallelism,
                "MAX_ACTIVE_RUNS_PER_DAG": 64,
                "HOSTNAME_CALLABLE": "local_settings.hostname",
                "FERNET_KEY": key["fernet"],
                "EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
                "SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
                "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": self.home / "passwords.json",
            },
            "DATABASE": {
                "SQL_ALCHEMY_CONN": local_postgres.url(self.database),
                "SQL_ALCHEMY_MAX_OVERFLOW": MAX_OVERFLOW,
            },
            "API": {"BASE_URL": self.url, "SECRET_KEY": key["api"]},
            "API_AUTH": {"JWT_SECRET": key["jwt"]},
            # What is lost is to be found in seconds, not in minutes.
            "SCHEDULER": {
                "SCHEDULER_IDLE_SLEEP_TIME": 0.2,
                "SCHEDULER_HEARTBEAT_SEC": 2,
                "SCHEDULER_HEALTH_CHECK_THRESHOLD": 15,
                "ORPHANED_TASKS_CHECK_INTERVAL": 5,
                "TASK_INSTANCE_HEARTBEAT_TIMEOUT": HEARTBEAT_TIMEOUT_S,
                "TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 3,
            },
            "WORKERS": {"MIN_HEARTBEAT_INTERVAL": 1},
            "DAG_PROCESSOR": {"REFRESH_INTERVAL": 30, "MIN_FILE_PROCESS_INTERVAL": 120},
            "USAGE_DATA_COLLECTION": {"ENABLED": False},
        }
        options = {
            f"AIRFLOW__{section}__{name}": str(value)
            for section, values in sections.items()
            for name, value in values.items()
        }
        return (
            inherited
            | options
            | {
                "AIRFLOW_HOME": str(self.home),
                # The plugins of this tree win over whatever is installed.
                "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT / "scripts")]),
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
                "PYTHONUNBUFFERED": "1",
                "NO_PROXY": "127.0.0.1,localhost",
                "no_proxy": "127.0.0.1,localhost",
            }
            | self._settings
        )

    def _ready(self) -> bool:
        with suppress(httpx.HTTPError, ValueError, KeyError):
            health = self._http.get("/api/v2/monitor/health").json()
            if any(health[part]["status"] != "healthy" for part in ("metadatabase", "scheduler")):
                return False
            self.log_in()
            return self._http.get(f"/api/v2/dags/{DAG_ID}/details").status_code == 200
        return False

    # --- REST -------------------------------------------------------------------------------

    def log_in(self) -> None:
        answer = self._http.post("/auth/token", json={"username": USER, "password": PASSWORD})
        token = answer.raise_for_status().json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: Any = None, *, patience_s: float = 0) -> httpx.Response:
        """One call; with patience, again while the server is away or fails."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                answer = self._http.request(method, f"/api/v2{path}", json=body)
                if answer.status_code < 500 or time.monotonic() > deadline:
                    return answer
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(1)

    def submit(
        self, conf: dict[str, Any], run_id: str | None = None, *, patience_s: float = 0
    ) -> httpx.Response:
        body = {"logical_date": None, "conf": conf} | ({"dag_run_id": run_id} if run_id else {})
        return self.call("POST", f"/dags/{DAG_ID}/dagRuns", body, patience_s=patience_s)

    def clear(self, run_id: str) -> None:
        body = {"dry_run": False, "only_failed": False}
        self.call("POST", f"/dags/{DAG_ID}/dagRuns/{run_id}/clear", body).raise_for_status()

    def state(self, run_id: str) -> str:
        answer = self.call("GET", f"/dags/{DAG_ID}/dagRuns/{run_id}", patience_s=60)
        return str(answer.raise_for_status().json()["state"])

    def instances(self, run_id: str) -> list[Instance]:
        path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances?limit=100"
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", f"{path}&offset={len(found)}", patience_s=60).raise_for_status().json()
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                break
        return [Instance(**{name: item[name] for name in Instance.__annotations__}) for item in found]

    def wait(self, run_id: str, *, timeout_s: float, meanwhile: Callable[[], None] | None = None) -> str:
        """The state that the run ends in."""
        state = ""

        def over() -> bool:
            nonlocal state
            if meanwhile is not None:
                meanwhile()
            state = self.state(run_id)
            return state in ("success", "failed")

        try:
            wait_until(over, timeout_s=timeout_s, what=f"run {run_id} to end", every_s=1)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe(run_id)}") from None
        return state

    def reason(self, run_id: str) -> str:
        """Why a run failed, as ``vod submit`` tells it."""
        from vod_operators.cli.submit import Airflow, RunName

        with Airflow(url=self.url, user=USER, password=PASSWORD, token=None) as airflow:
            return airflow.reason(RunName(DAG_ID, run_id))

    def describe(self, run_id: str) -> str:
        """Every task that did not go well, and the processes: for a failed assertion."""
        lines = [
            f"  {item.name}: {item.state}, try {item.try_number}"
            for item in self.instances(run_id)
            if item.state != "success" or item.try_number > 1
        ]
        return "\n".join([*lines, *(f"  {p.pid} {_title(p)}" for p in self.processes())])

    # --- processes --------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """All below the units: orphans too, because a unit adopts them."""
        found = []
        for unit in self.units.values():
            with suppress(psutil.Error):
                found += psutil.Process(unit.pid).children(recursive=True)
        return [process for process in found if _alive(process)]

    def main_process(self, name: str) -> psutil.Process | None:
        """A component's own, the one that its unit watches."""
        lines = (self.home / "logs" / f"{name}.log").read_text(errors="replace").splitlines()
        started = [line for line in lines if line.startswith("--- unit: started ")]
        with suppress(psutil.Error, IndexError):
            process = psutil.Process(int(started[-1].rpartition(" ")[2]))
            return process if _alive(process) else None
        return None

    def restarts(self, name: str) -> int:
        log = (self.home / "logs" / f"{name}.log").read_text(errors="replace")
        return log.count("--- unit: started ") - 1

    def work(self) -> list[Work]:
        """What LocalExecutor's workers do at this moment."""
        found = []
        scheduler = self.main_process("scheduler")
        for worker in _children(scheduler):
            if "LocalExecutor" not in _title(worker) or "<idle>" in _title(worker):
                continue
            for task in _children(worker):
                title = _title(task)
                if title.startswith("airflow worker -- "):
                    uuid = title.removeprefix("airflow worker -- ").strip()
                    tools = tuple(_children(task))
                    found.append(Work(task_uuid=uuid, worker=worker, task=task, tools=tools))
        return found

    def media_tools(self) -> list[psutil.Process]:
        """Every ffmpeg, ffprobe and packager of this Airflow."""
        return [p for p in self.processes() if any(t in _title(p) for t in ("ffmpeg", "ffprobe", "packager"))]

    def orphans(self) -> list[str]:
        """What nobody waits for: children of a scheduler's unit that are not its main process."""
        unit, main = psutil.Process(self.units["scheduler"].pid), self.main_process("scheduler")
        return [
            f"{child.pid} {_title(child)}"
            for child in _children(unit)
            if main is None or child.pid != main.pid
        ]


def wait_until(done: Callable[[], bool], *, timeout_s: float, what: str, every_s: float = 0.2) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s for {what}"
        time.sleep(every_s)


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _children(process: psutil.Process | None) -> list[psutil.Process]:
    if process is None:
        return []
    with suppress(psutil.Error):
        return [child for child in process.children() if _alive(child)]
    return []


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def postgres(folder: Path) -> list[str]:
    """The command of a server whose data and socket lie in a folder."""
    return [sys.executable, local_postgres.__file__, str(folder)]
