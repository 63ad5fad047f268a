"""The runners, for tests that ask the same of each; imported by the tasks that those tests start, too."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import psutil

from support.docker_engine import IMAGE, connect
from support.tools import FFMPEG
from vod_operators.runners.base import Runner
from vod_operators.runners.containers import Container
from vod_operators.runners.docker import DockerRunner
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.sandbox import Sandbox

PATIENCE_S = 30
"""How long to wait for what must happen; nothing is measured by it."""


def make(kind: str, stall_timeout_s: float = 120, memory: str | None = None) -> Runner:
    if kind == "local":
        # Python's own files, for the commands that tests make up.
        paths = [Path(sys.prefix), Path(sys.base_prefix)]
        return LocalRunner(stall_timeout_s, sandbox=Sandbox("auto", paths))
    container = Container(image=IMAGE, memory=memory, labels={"task": "test"})
    return DockerRunner(connect, container, stall_timeout_s)


def python(kind: str, code: str, *arguments: str) -> list[str]:
    return [sys.executable if kind == "local" else "python3", "-c", code, *arguments]


def ffmpeg(kind: str) -> str:
    return FFMPEG if kind == "local" else "ffmpeg"


def processes(token: str) -> list[psutil.Process]:
    """The media commands that name ``token``; a container's are processes of this machine, too."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if any(token in word for word in line) and "ours" not in line:
                found.append(process)
    return found


def gone(token: str) -> bool:
    """Waits for them to end."""
    until = time.monotonic() + PATIENCE_S
    while processes(token):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def main() -> None:
    """A task: ``kinds.py ours KIND FOLDER COMMAND...``; the command's lines are its own."""
    _, _, kind, folder, *argv = sys.argv
    make(kind).run(argv, folder=Path(folder), on_line=lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
