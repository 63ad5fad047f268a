"""Linux processes: names that identify one, whether it has ended, and children that end with their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
# Loaded here: between fork and exec nothing may import or take a lock.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def host() -> str:
    """The boot and the namespaces within which process ids are unique; empty if the kernel does not say.

    The time namespace is included, because it shifts the start times of processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        spaces = [os.readlink("/proc/self/ns/pid")]
        if os.path.lexists("/proc/self/ns/time"):  # since Linux 5.6
            spaces.append(os.readlink("/proc/self/ns/time"))
    except OSError:
        return ""
    return " ".join([boot, *spaces])


def number(pid: int) -> str:
    """A unique name of a process of this host: its pid and its start in ticks since boot, as pids are reused.

    :raises OSError: there is no such process, or the kernel does not say.
    """
    return f"{pid} {_stat(pid)[19]}"


def is_dead(process: str) -> bool:
    """Whether a process of this host, as ``number`` named it, is known to have ended with all its threads."""
    pid, _, begun = process.partition(" ")
    try:
        os.kill(int(pid), 0)  # /proc may hide the processes of other users
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError):
        pass
    try:
        stat = _stat(int(pid))
        if stat[19] != begun:
            return True
        # If only the main thread has ended, the process looks like a zombie, but other threads go on.
        return stat[0] in "ZX" and len(os.listdir(f"/proc/{int(pid)}/task")) <= 1
    except (OSError, ValueError, IndexError):
        return False


def _stat(pid: int) -> list[str]:
    """The fields of a process after its name, beginning with the state; the name may hold any character."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def end_with(parent: int) -> None:
    """Have the kernel kill this process when the parent's thread that started it ends.

    :param parent: the parent's pid; if the parent has ended already, this process exits.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)


def adopt_orphans() -> None:
    """Make orphaned descendants this process's children from now on, so that it can wait for them."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def await_children(timeout_s: float) -> bool:
    """Wait until this process has no children; returns False if some are left at the timeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.01)
        except ChildProcessError:
            return True
