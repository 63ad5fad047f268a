"""The local Airflow's processes: start them detached, find every one again, end them all."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from local_settings import HOME, MARKER, Trouble

LEADERS_GRACE_S = 4
"""An idle scheduler ends its workers in about 3 s; a busy one would wait for as long as its tasks run."""

TASKS_GRACE_S = 6
"""Airflow gives a task 5 s between SIGTERM, which calls its `on_kill`, and SIGKILL."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A process started here; it leads a session of its own."""

    name: str
    pid: int
    created: float

    @property
    def log(self) -> Path:
        return HOME / "logs" / f"{self.name}.log"

    def alive(self) -> bool:
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            # The number may be another's by now.
            return abs(process.create_time() - self.created) < 1 and process.status() != psutil.STATUS_ZOMBIE
        return False


def start(name: str, argv: list[str], env: dict[str, str]) -> Component:
    log = HOME / "logs" / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=HOME,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Component(name=name, pid=process.pid, created=psutil.Process(process.pid).create_time())


def family(components: list[Component]) -> list[psutil.Process]:
    """Every living process of ours: of a component's session, or below it, or with our mark.

    Three signs, because each can be missing: a tool may lead its own session, a killed parent
    leaves orphans, and Airflow's processes overwrite their environment with their title.
    """
    earliest = min((component.created for component in components), default=float("inf"))
    sessions = {component.pid for component in components}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            in_session = process.create_time() > earliest - 1 and os.getsid(process.pid) in sessions
            if in_session or process.environ().get(MARKER) == str(HOME):
                for member in [process, *process.children(recursive=True)]:
                    found[member.pid] = member
    return list(found.values())


def stop(components: list[Component]) -> None:
    """Ends all that was started here, kindly first.

    :raises Trouble: something survived.
    """
    leaders = {component.pid for component in components}
    members = family(components)
    _end([member for member in members if member.pid in leaders], LEADERS_GRACE_S)
    _end(family(components), TASKS_GRACE_S)
    for _ in range(5):
        # Looked for anew: a dying one may have started another.
        members = family(components)
        if not members:
            return
        for member in members:
            with suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(members, timeout=2)
    raise Trouble(f"still running: {', '.join(str(member.pid) for member in members)}")


def _end(processes: list[psutil.Process], grace_s: int) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs(processes, timeout=grace_s)
