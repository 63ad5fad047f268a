"""A real Airflow on this machine, in one folder: LocalExecutor, PostgreSQL, results in a local folder.

``up`` starts the components as background processes and waits until the DAG can be triggered. ``demo``
submits a clip over REST, ``down`` ends all processes, and ``status`` lists them. All files are in
``.airflow/`` (or ``VOD_HOME``). Call it through the ``Makefile``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import psutil

import local_postgres
from local_api import Api
from local_demo import CLIP, check_order, demo
from local_processes import (
    POSTGRES,
    STATE,
    Component,
    components_of,
    family,
    only_one,
    read_state,
    start,
    stop,
    write_state,
)
from local_settings import (
    BIN,
    DAGS,
    DATABASE,
    HOME,
    ROOT,
    Trouble,
    cpus,
    environment,
    free_ports,
    local_folder,
    password,
    say,
)
from vod_operators.errors import VodError
from vod_operators.pipeline import DAG_ID
from vod_operators.settings import get_settings

START_TIMEOUT_S = 180


def wait_for(step: str, ready: Callable[[], bool], components: list[Component], started: float) -> None:
    """Poll until ``ready`` returns true; on a terminal, show the elapsed time.

    :param started: monotonic time from which ``START_TIMEOUT_S`` counts.
    :raises Trouble: a component died, or the time is up.
    """
    moving = sys.stderr.isatty()
    while not ready():
        for component in components:
            if not component.alive():
                tail = component.log.read_text(errors="replace").strip().splitlines()[-15:]
                say("\n".join(f"  {line}" for line in tail))
                raise Trouble(f"{component.name} ended while starting; its log: {component.log}")
        if time.monotonic() - started > START_TIMEOUT_S:
            raise Trouble(f"{step}: not ready after {START_TIMEOUT_S} s; the logs: {HOME / 'logs'}")
        if moving:
            sys.stderr.write(f"\r\033[K{step} ... {time.monotonic() - started:.0f} s")
            sys.stderr.flush()
        time.sleep(0.25)
    if moving:
        sys.stderr.write("\r\033[K")


def migrate(env: dict[str, str]) -> None:
    """Create or upgrade the database, once for each Airflow version."""
    record = DATABASE / "migrated"
    version = importlib.metadata.version("apache-airflow")
    if record.exists() and record.read_text() == version:
        return
    say("preparing Airflow's database (once, about 10 s)")
    log = HOME / "logs" / "migrate.log"
    with log.open("wb") as output:
        status = subprocess.run(
            [BIN / "airflow", "db", "migrate"], env=env, cwd=HOME, stdout=output, stderr=subprocess.STDOUT
        ).returncode
    if status:
        say(log.read_text(errors="replace")[-2000:])
        raise Trouble(f"airflow db migrate failed; its log: {log}")
    record.write_text(version)


def up() -> dict[str, Any]:
    """Start Airflow unless it runs already; returns the state, as written to ``running.json``."""
    with only_one():
        state = read_state()
        components = components_of(state)
        if components and all(c.alive() for c in components) and Api(state["url"]).healthy():
            say(f"already running: {state['url']}")
            return state
        if family(components):
            ended = [c.name for c in components if not c.alive()]
            say(f"Airflow runs only in part ({', '.join(ended) or 'not healthy'}); starting it anew")
            stop(components)
            STATE.unlink(missing_ok=True)
        return start_all()


def start_all() -> dict[str, Any]:
    """Start every component; returns the state, as written to ``running.json``.

    :raises Trouble: a component cannot be started. Those that were started are stopped again.
    """
    _require_settings()
    started, started_at = time.monotonic(), datetime.now(timezone.utc)
    (HOME / "logs").mkdir(exist_ok=True)
    ports = free_ports({"Airflow": 8080, "the edge": 8090, "the log server": 8793})
    url, edge_url, _ = (f"http://127.0.0.1:{port}" for port in ports.values())
    env = environment(url, local_postgres.url(DATABASE), edge_url, ports["the log server"])
    results = local_folder(env["VOD_RESULTS_URI"])
    state = _state(url, edge_url, env)
    password()
    components: list[Component] = []

    def launch(name: str, argv: list[str]) -> None:
        components.append(start(name, argv, env))
        state["components"].append(vars(components[-1]))
        write_state(state)

    try:
        script = Path(__file__).with_name
        launch(POSTGRES, [sys.executable, str(script("local_postgres.py")), str(DATABASE)])
        wait_for("starting PostgreSQL", lambda: local_postgres.accepts(DATABASE), components, started)
        migrate(env)
        say("starting Airflow")
        airflow, loopback = str(BIN / "airflow"), ["--host", "127.0.0.1", "--port"]
        launch("api-server", [airflow, "api-server", "--workers", "1", *loopback, str(ports["Airflow"])])
        # The scheduler's log server would listen on all interfaces; the one below listens on loopback only.
        launch("scheduler", [airflow, "scheduler", "--skip-serve-logs"])
        launch("dag-processor", [airflow, "dag-processor"])
        if results and state["edge_here"]:
            launch("edge", [*_edge_command(results), *loopback, str(ports["the edge"])])
        api = Api(url)
        wait_for("starting Airflow", api.healthy, components, started)
        api.log_in()
        # At least two slots: one task uses the CPU time that another leaves idle, at its start and end.
        api.ensure_pool(env["VOD_TRANSCODE_POOL"], max(2, cpus() // 2))
        # Started late, because nobody reads logs yet and it would slow down the other components.
        logs = [sys.executable, "-m", "uvicorn", "--factory", "airflow.utils.serve_logs.log_server:get_app"]
        launch("log-server", [*logs, "--log-level", "warning", *loopback, str(ports["the log server"])])
        wait_for(f"reading the DAG {DAG_ID}", lambda: api.dag_ready(started_at), components, started)
        launch("supervisor", [sys.executable, str(script("local_supervisor.py"))])
    except BaseException:
        stop(components)
        STATE.unlink(missing_ok=True)
        raise
    say(f"Airflow is ready after {time.monotonic() - started:.0f} s")
    return state


def _edge_command(results: Path) -> list[str]:
    results.mkdir(parents=True, exist_ok=True)
    return [sys.executable, str(ROOT / "scripts" / "edge_server.py"), "--root", str(results)]


def _require_settings() -> None:
    if not DAGS.is_dir():
        raise Trouble(f"no DAGs folder: {DAGS}")
    try:
        get_settings()
    except (VodError, ValueError) as error:
        raise Trouble(str(error)) from None


def _state(url: str, edge_url: str, env: dict[str, str]) -> dict[str, Any]:
    """The state before any component is started."""
    edges = json.loads(env["VOD_EDGES"])
    return {
        "booted": psutil.boot_time(),
        "url": url,
        "edges": edges,
        # With another edge, or with results that are not on this machine, our edge has nothing to serve.
        "edge_here": local_folder(env["VOD_RESULTS_URI"]) is not None and edges == [edge_url],
        "results": env["VOD_RESULTS_URI"],
        "settings": {name: value for name, value in env.items() if name.startswith("VOD_")},
        "components": [],
    }


def down() -> None:
    with only_one():
        components = components_of(read_state())
        if not family(components):
            STATE.unlink(missing_ok=True)
            say("nothing is running")
            return
        stop(components)
        STATE.unlink(missing_ok=True)
        say("stopped")


def status() -> int:
    state = read_state()
    components = components_of(state)
    if not components:
        say("not running")
        return 1
    for component in components:
        say(
            f"{component.name:14} {'running' if component.alive() else 'GONE':8} "
            f"pid {component.pid:<8} restarts {component.restarts:<4} {component.log}"
        )
    healthy = Api(state["url"]).healthy()
    say(f"{state['url']} is {'healthy' if healthy else 'NOT healthy'}")
    return 0 if healthy and all(c.alive() for c in components) else 1


def print_login(state: dict[str, Any]) -> None:
    print(f"Airflow:  {state['url']}   user admin, password {password()}")
    print(f"          it keeps running, what dies is started again ({HOME / 'logs' / 'supervisor.log'});")
    print("          stop it with: make down")
    print("for `vod submit` and curl, to paste:")
    login = {"URL": state["url"], "USER": "admin", "PASSWORD": password()}
    for name, value in login.items():
        print(f"export VOD_AIRFLOW_{name}={shlex.quote(value)}")


def print_page(state: dict[str, Any], video_id: str) -> None:
    """The last lines of the demo: where the video is seen, and how to get in."""
    print(f"\nThe video plays on its page; log in as admin, password {password()}:")
    print(f"{state['url']}/plugin/videos/{video_id}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("up", "down", "status"):
        actions.add_parser(name)
    ask = actions.add_parser("demo")
    variable = os.environ.get
    ask.add_argument(
        "--video", default=variable("VIDEO") or CLIP, help="file or URI (default: $VIDEO or a clip)"
    )
    ask.add_argument(
        "--preset", default=variable("PRESET") or "h264_small", help="(default: $PRESET or h264_small)"
    )
    ask.add_argument("--out", default=variable("OUT") or "", help="folder for a copy (default: $OUT or none)")
    options = parser.parse_args()
    # SIGTERM is handled like Ctrl-C, so that a start that is under way is undone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.action == "demo":
            order = check_order(options.video, options.preset, options.out)
            state = up()
            code = demo(order, state)
            print_login(state)
            if code == 0:
                print_page(state, order.video_id)
            return code
        if options.action == "status":
            return status()
        if options.action == "down":
            down()
            return 0
        print_login(up())
        return 0
    except Trouble as trouble:
        say(f"error: {trouble}")
        return 1
    except httpx.HTTPError as error:
        say(f"error: Airflow stopped answering ({error!r}); its logs: {HOME / 'logs'}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; `make down` stops Airflow if it is running")
        return 130


if __name__ == "__main__":
    sys.exit(main())
