"""Keep one command running, as systemd would: ``python unit.py [--once] COMMAND...``.

When the command's process dies, whatever it left behind is killed (``KillMode=control-group``) and it is
started again a second later. Every orphan below becomes a child of this process (the kernel's "child
subreaper"), so nothing that the command ever started can hide from it, whatever session or title it took.

SIGTERM ends all of it; so does the death of whoever started this. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
RESTART_S = 1.0
PATIENCE_S = 5.0
"""Between SIGTERM and SIGKILL, when all is to end."""

ended = False


def end(*_: object) -> None:
    global ended
    ended = True


def descendants() -> list[int]:
    """Every process below this one."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                status = (folder / "stat").read_text("utf-8", "replace")
                parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    below, found = {os.getpid()}, True
    while found:
        found = {pid for pid, parent in parents.items() if parent in below} - below
        below |= found
    return sorted(below - {os.getpid()})


def reap() -> set[int]:
    """The children that are over."""
    over = set()
    with suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            over.add(pid)
    return over


def kill_rest(patience_s: float) -> None:
    """SIGTERM, and SIGKILL after some time."""
    deadline = time.monotonic() + patience_s
    asked: set[int] = set()
    while below := descendants():
        for pid in below:
            with suppress(ProcessLookupError):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                elif pid not in asked:
                    os.kill(pid, signal.SIGTERM)
                    asked.add(pid)
        reap()
        time.sleep(0.05)


def main(argv: list[str]) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while not ended:
        main_process = subprocess.Popen(argv, start_new_session=True)
        print(f"--- unit: started {main_process.pid}", flush=True)
        while not ended and main_process.pid not in reap():
            time.sleep(0.05)
        # A main process that was killed: the rest is killed without ado, as a host's crash would.
        kill_rest(PATIENCE_S if ended else 0.0)
        deadline = time.monotonic() + RESTART_S
        while not ended and time.monotonic() < deadline:
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1:])
