"""Run a media tool as a process of this host."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path

from vod_operators.errors import InvalidInputError
from vod_operators.processes import end_with
from vod_operators.runners.base import (
    COMPLAINT_CHARS,
    ENVIRONMENT,
    MAX_PRINTED_CHARS,
    STDERR_LINES,
    Line,
    Position,
    ToolLimits,
    lines_of,
)
from vod_operators.runners.sandbox import Enclosure, Sandbox
from vod_operators.runners.watch import Moved, Watch

_PASSING = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""The host is out of processes, memory or descriptors: not the tool's fault, and soon over."""

LOOK_EVERY_S = 2.0
"""Poll interval."""

_INHERITED = ("PATH", "LANG", "LANGUAGE")
"""Variables that a tool inherits from the worker, besides ``LC_...``. The others may hold secrets."""


def environment(folder: Path) -> dict[str, str]:
    """Environment variables of a tool that runs in ``folder``."""
    inherited = {
        name: os.environ[name] for name in os.environ if name in _INHERITED or name.startswith("LC_")
    }
    return {**inherited, "TMPDIR": str(folder), **ENVIRONMENT}


def _begin(parent: int, enclosure: Enclosure, rlimits: Sequence[tuple[int, int]]) -> None:
    """Run between fork and exec: die with the parent, then put up the walls, then set the limits."""
    end_with(parent)
    enclosure.enter()
    # Limits are set last: this process is a copy of its parent and may already exceed them.
    for number, limit in rlimits:
        resource.setrlimit(number, (limit, limit))


def _narrowed(limits: ToolLimits) -> list[tuple[int, int]]:
    """The kernel limits to set, none above this process's own hard limit."""
    narrowed = []
    for number, limit in limits.rlimits():
        hard = resource.getrlimit(number)[1]
        narrowed.append((number, limit if hard == resource.RLIM_INFINITY else min(limit, hard)))
    return narrowed


_GUARD = 'read -r done || kill -s KILL -- "-$0"'
"""Reads a pipe from this process. If the pipe closes without ``done``, this process is dead: the guard then
kills the command's process group."""


class LocalRunner:
    """Runs each command as a child in a process group of its own; the kernel kills it if this process dies.

    Processes that the child has started get no such signal, and a command may be a wrapper script. So a guard
    kills the whole group.

    ``run`` must be called from a thread that lives as long as the command: Linux sends the
    parent-death signal when the thread that started the child ends.

    :param stall_timeout_s: see ``Watch``.
    :param inherited: descriptors of open files that commands inherit.
    :param sandbox: the walls around commands.
    """

    def __init__(
        self, stall_timeout_s: float = 120, inherited: Collection[int] = (), sandbox: Sandbox | None = None
    ) -> None:
        self.limits = ToolLimits()
        self._stall_timeout_s = stall_timeout_s
        self._inherited = inherited
        self._sandbox = sandbox or Sandbox()
        self._process: subprocess.Popen[str] | None = None
        self._cpu_s = 0.0

    @property
    def cpu_s(self) -> float:
        """See ``Runner.cpu_s``."""
        return self._cpu_s

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        on_line: Line | None = None,
        position: Position | None = None,
        limit_s: float | None = None,
        output_bytes: int | None = None,
    ) -> list[str]:
        """See ``Runner.run``."""
        limits = self.limits.of_run(limit_s, output_bytes)
        process = self._start(argv, folder, limits)
        self._process = process
        guard = self._start_guard(process)
        tail: deque[str] = deque(maxlen=STDERR_LINES)
        assert process.stdout is not None and process.stderr is not None
        # Read in a thread: a tool that fills one pipe while we read the other would block for ever.
        errors = threading.Thread(
            target=tail.extend, args=(lines_of(process.stderr, COMPLAINT_CHARS),), daemon=True
        )
        errors.start()
        watch = Watch(
            kill=self.kill,
            moved=lambda: _bytes_moved(process.pid),
            position=position,
            stall_timeout_s=self._stall_timeout_s,
            limits=limits,
            look_every_s=LOOK_EVERY_S,
        )
        watch.start()
        try:
            for line in lines_of(process.stdout, MAX_PRINTED_CHARS):
                if on_line is not None:
                    on_line(line)
            returncode = self._wait(process)
        finally:
            self.kill()
            self._wait(process)
            watch.end()
            guard.communicate(b"done\n")
            errors.join()
            process.stdout.close()
            process.stderr.close()
            self._process = None
        if returncode:
            raise watch.failure(argv, returncode, "\n".join(tail))
        return list(tail)

    def _start(self, argv: Sequence[str], folder: Path, limits: ToolLimits) -> subprocess.Popen[str]:
        parent, rlimits = os.getpid(), _narrowed(limits)
        try:
            with self._sandbox.around(argv[0], folder) as enclosure:
                return subprocess.Popen(
                    list(argv),
                    cwd=folder,
                    env=environment(folder),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                    pass_fds=self._inherited,
                    preexec_fn=lambda: _begin(parent, enclosure, rlimits),
                )
        except subprocess.SubprocessError as error:
            raise InvalidInputError(
                f"the kernel refuses to sandbox {argv[0]} (VOD_SANDBOX): {error}"
            ) from error
        except OSError as error:
            if error.errno in _PASSING:
                raise
            raise InvalidInputError(
                f"{argv[0]} cannot be run: {error.strerror}; check VOD_FFMPEG, VOD_FFPROBE, "
                "VOD_PACKAGER or reinstall the package"
            ) from error

    def _start_guard(self, process: subprocess.Popen[str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, str(process.pid)],
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self.kill()
            process.communicate()
            raise

    def _wait(self, process: subprocess.Popen[str]) -> int:
        """Wait for the command's end; returns its exit code, and adds its CPU time."""
        if process.returncode is None:
            # As ``Popen.wait``, which does not tell the CPU time. It includes that of processes that the
            # command has waited for.
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except ChildProcessError:  # a signal's handler raised just after it was reaped
                return process.wait()
            process.returncode = os.waitstatus_to_exitcode(status)
            self._cpu_s += usage.ru_utime + usage.ru_stime
        return process.returncode

    def kill(self) -> None:
        """See ``Runner.kill``."""
        # Do not wait here: ``run`` reaps the child, and may hold the lock that waiting takes.
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _bytes_moved(session: int) -> Moved | None:
    """Bytes read and written by the processes of a session; None if the host does not tell."""
    read_bytes = written_bytes = 0
    is_visible = False
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may contain anything: state, parent, group, session.
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            counts = dict(line.split(": ") for line in (process / "io").read_text().splitlines())
        except (OSError, IndexError, ValueError):
            continue  # it has just ended, or is another user's
        read_bytes += int(counts["rchar"])
        written_bytes += int(counts["wchar"])
        is_visible = True
    return (read_bytes, written_bytes) if is_visible else None
