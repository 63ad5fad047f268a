"""Processes of Linux: which one this is, whether one has ended, and that children end with their parent."""

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
    """Where process numbers mean the same: boot and namespaces. Empty if the kernel does not say.

    The namespace of time is part of it because it shifts when processes are said to have started.
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
    """A process of this host: its number and its start in ticks since boot, for numbers are used again.

    :raises OSError: there is none, or the kernel does not say.
    """
    return f"{pid} {_stat(pid)[19]}"


def is_dead(process: str) -> bool:
    """Whether the process that ``number`` named on this host is known to have ended, all threads of it."""
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
        # A main thread that has ended is a zombie while other threads go on.
        return stat[0] in "ZX" and len(os.listdir(f"/proc/{int(pid)}/task")) <= 1
    except (OSError, ValueError, IndexError):
        return False


def _stat(pid: int) -> list[str]:
    """The process's state, parent, group ... behind the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent's thread that started it ends.

    :param parent: the parent's number; if that has ended by now, this process ends here.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)


def adopt_orphans() -> None:
    """From now on children of this process's dead children become its own, so it can wait for them."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def await_children(timeout_s: float) -> bool:
    """Wait until this process has no children. Whether it has none."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.01)
        except ChildProcessError:
            return True
