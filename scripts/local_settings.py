"""Settings of the local Airflow: folders, ports, keys, and the environment of its processes.

It needs only the standard library, because Airflow's components import :func:`hostname` from here.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("VOD_HOME") or ROOT / ".airflow").expanduser().resolve()
DAGS = Path(os.environ.get("VOD_DAGS_DIR") or ROOT / "dags").expanduser().resolve()
BIN = Path(sys.executable).parent
DATABASE = HOME / "postgres"
ORIGINALS = HOME / "originals"
"""Links to the files that the demo is called with, or copies; kept, so that they can be encoded again."""
UPLOADS = HOME / "uploads"
"""What is uploaded on the page."""
CLIPS = ROOT / "tests" / "media"
POOL = "vod_transcode"
MARKER = "VOD_LOCAL_AIRFLOW"
"""Environment variable that all processes of the local Airflow inherit; its value is HOME."""
MAX_OVERFLOW = 200
"""Connections to the database that a process may open beyond its pool of 5.

A REST call keeps its connection while it waits for a thread, and a thread waits 30 s for a connection. With
Airflow's default of 10 a burst blocks itself and is answered 500."""


class Trouble(Exception):
    """An error that the user can act on; printed as one line."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def free_ports(preferred: dict[str, int]) -> dict[str, int]:
    """A port for each name: the preferred one, or the next free one, which is then printed.

    :raises Trouble: none of 200 ports is free.
    """
    ports: dict[str, int] = {}
    for name, preferred_port in preferred.items():
        for port in range(preferred_port, preferred_port + 200):
            if port not in ports.values() and _is_free(port):
                break
        else:
            raise Trouble(f"no free port for {name} from {preferred_port} on")
        if port != preferred_port:
            say(f"port {preferred_port} is taken; {name} uses {port}")
        ports[name] = port
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that an earlier server's connections in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def private_file(path: Path, make: Callable[[], str]) -> str:
    """The text of a file that only its owner may read; it is created if it does not exist."""
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(make())
    return path.read_text()


def make_keys() -> str:
    return json.dumps(
        {
            "fernet": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "api": secrets.token_urlsafe(64),
            "jwt": secrets.token_urlsafe(64),
        }
    )


def local_folder(uri: str) -> Path | None:
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


AIRFLOW_SETTINGS = {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    # Operators are imported before tasks are forked, not in each of them.
    "AIRFLOW__CORE__LAZY_LOAD_PLUGINS": "False",
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "local_settings.hostname",
    # The two others are for trying what Airflow lets them see and do; their passwords are in the same file.
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,editor:user,viewer:viewer",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(HOME / "passwords.json"),
    # A step starts about one idle loop of the scheduler after the step before. Each loop takes 20 to 40 ms
    # from the CPUs that also encode: 6 % of one CPU at 0.5 s, 11 % at 0.25 s.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.35",
    # If a task's last socket closes before its process ends, the supervisor waits for the next heartbeat.
    # That happens after a quarter of all tasks, and takes 5 s by default.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    # Parsing all files takes half a CPU second. New and changed files are parsed without this delay.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}
"""Settings that are the same for each start."""


def environment(api_url: str, database_url: str, edge_url: str, log_port: int) -> dict[str, str]:
    """The environment of the components and their tasks.

    The user's ``VOD_*`` override the defaults, and connections and variables (``AIRFLOW_CONN_*``,
    ``AIRFLOW_VAR_*``) are kept. Other ``AIRFLOW*`` settings are dropped, so that a shell that is set up for a
    production Airflow does not redirect this one to it.
    """
    keys = json.loads(private_file(HOME / "keys.json", make_keys))
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") or name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_"))
    }
    storage = HOME / "storage"
    defaults = {
        "VOD_TEMP_URI": (storage / "tmp").as_uri(),
        "VOD_RESULTS_URI": (storage / "results").as_uri(),
        "VOD_UPLOADS_URI": UPLOADS.as_uri(),
        "VOD_WORK_DIR": str(HOME / "work"),
        "VOD_TRANSCODE_POOL": POOL,
        "VOD_EDGES": json.dumps([edge_url]),
        # Of this machine's files, requests may read only the sample clips and the demo's originals.
        "VOD_SOURCE_ALLOW": json.dumps(["public", ORIGINALS.as_uri(), CLIPS.as_uri()]),
    }
    env |= {name: value for name, value in defaults.items() if not env.get(name)}
    if local_folder(env["VOD_RESULTS_URI"]) is None and not os.environ.get("VOD_EDGES"):
        env["VOD_EDGES"] = "[]"  # our edge can only serve a local folder
    # The components talk to each other on this machine without the environment's proxies.
    no_proxy = ",".join(filter(None, [env.get("NO_PROXY") or env.get("no_proxy"), "127.0.0.1,localhost"]))
    return env | {
        MARKER: str(HOME),
        "PATH": f"{BIN}{os.pathsep}{env.get('PATH', os.defpath)}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "scripts"), env.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        **AIRFLOW_SETTINGS,
        "AIRFLOW__CORE__PARALLELISM": str(max(4, 2 * cpus())),
        "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api_url}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": str(MAX_OVERFLOW),
        "AIRFLOW__API__BASE_URL": api_url,
        "AIRFLOW__API__SECRET_KEY": keys["api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_port),
    }


def cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def password() -> str:
    """The admin's password, generated once."""
    text = private_file(HOME / "passwords.json", lambda: json.dumps({"admin": secrets.token_urlsafe(9)}))
    return str(json.loads(text)["admin"])


def hostname() -> str:
    """This host's name for Airflow. It is an address, because a laptop's own name often does not resolve."""
    return "127.0.0.1"
