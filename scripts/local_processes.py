"""The local Airflow's processes: starts them detached, records them, and finds and ends all of them."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from local_settings import HOME, MARKER, Trouble

STATE = HOME / "running.json"

POSTGRES = "postgres"
"""The component that is stopped after all others, because they use it."""

LEADERS_GRACE_S = 4
"""An idle scheduler ends its workers in about 3 s; a busy one would wait until its tasks end."""

TASKS_GRACE_S = 6
"""Airflow gives a task 5 s between SIGTERM, which calls its `on_kill`, and SIGKILL."""

POSTGRES_GRACE_S = 10


@dataclass(frozen=True, kw_only=True)
class Component:
    """A background process of the local Airflow; it leads a session of its own."""

    name: str
    pid: int
    created: float
    argv: list[str] = field(default_factory=list)
    restarts: int = 0

    @property
    def log(self) -> Path:
        return HOME / "logs" / f"{self.name}.log"

    def alive(self) -> bool:
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            # Another process may have the pid by now.
            return abs(process.create_time() - self.created) < 1 and process.status() != psutil.STATUS_ZOMBIE
        return False


def read_state() -> dict[str, Any]:
    """What `up` recorded about the Airflow that it started; empty if there is none."""
    try:
        state: dict[str, Any] = json.loads(STATE.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    # After a reboot the recorded pids mean nothing.
    return state if abs(state["booted"] - psutil.boot_time()) < 60 else {}


def write_state(state: dict[str, Any]) -> None:
    part = STATE.with_suffix(".part")
    part.write_text(json.dumps(state, indent=2))
    part.replace(STATE)


def components_of(state: dict[str, Any]) -> list[Component]:
    return [Component(**item) for item in state.get("components", [])]


@contextmanager
def only_one() -> Iterator[None]:
    """A lock, so that two simultaneous `make` start one Airflow and not two."""
    HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (HOME / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start(name: str, argv: list[str], env: Mapping[str, str], restarts: int = 0) -> Component:
    """Start a component; a restarted one appends to its log."""
    log = HOME / "logs" / f"{name}.log"
    with log.open("ab" if restarts else "wb") as output:
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=HOME,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    created = psutil.Process(process.pid).create_time()
    return Component(name=name, pid=process.pid, created=created, argv=argv, restarts=restarts)


def family(components: list[Component], mark: str | None = str(HOME)) -> list[psutil.Process]:
    """All living processes of the local Airflow: those of a component's session, or marked, or below these.

    There are three criteria, because each can fail: a tool may lead its own session, a killed parent leaves
    orphans, and Airflow's processes overwrite their environment with their title.

    :param mark: value of ``MARKER``; None to ignore it.
    """
    earliest = min((component.created for component in components), default=float("inf"))
    sessions = {component.pid for component in components}
    processes: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            in_session = process.create_time() > earliest - 1 and os.getsid(process.pid) in sessions
            if in_session or (mark and process.environ().get(MARKER) == mark):
                for member in [process, *process.children(recursive=True)]:
                    processes[member.pid] = member
    return list(processes.values())


def stop(components: list[Component]) -> None:
    """End all processes of the local Airflow, gracefully at first, and the database last.

    :raises Trouble: a process survived.
    """
    leaders = {component.pid for component in components}
    postgres = {component.pid for component in components if component.name == POSTGRES}

    def others() -> list[psutil.Process]:
        # PostgreSQL's backends leave its session, but end with it.
        return [member for member in family(components) if not postgres & {member.pid, _parent(member)}]

    _end([member for member in others() if member.pid in leaders], LEADERS_GRACE_S)
    _end(others(), TASKS_GRACE_S)
    kill(others)
    _end([member for member in family(components) if member.pid in postgres], POSTGRES_GRACE_S, signal.SIGINT)
    members = kill(lambda: family(components))
    if members:
        raise Trouble(f"still running: {', '.join(str(member.pid) for member in members)}")


def kill(members: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    """Kill processes with SIGKILL; returns those that survived."""
    for _ in range(5):
        # Searched again each time, because a dying process may have started another one.
        processes = members()
        if not processes:
            break
        for member in processes:
            with suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(processes, timeout=2)
    return members()


def _end(processes: list[psutil.Process], grace_s: int, how: signal.Signals = signal.SIGTERM) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(how)
    psutil.wait_procs(processes, timeout=grace_s)


def _parent(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return process.ppid()
    return 0
