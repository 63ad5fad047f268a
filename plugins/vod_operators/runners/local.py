"""Run a media tool as a process of this host."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO

from vod_operators.errors import (
    InvalidInputError,
    ToolError,
    ToolKilledError,
    ToolOverdueError,
    ToolStalledError,
)
from vod_operators.runners.base import ENVIRONMENT, STDERR_LINES, Line, Position
from vod_operators.runners.watch import Moved, Watch

_PASSING = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""The host is out of processes, memory or files: no fault of the tool's, and better in a moment."""

LOOK_EVERY_S = 2.0
"""How often it is looked whether a command gets on."""

_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec nothing may import or take a lock.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent(parent: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)


_GUARD = 'read -r done || kill -s KILL -- "-$0"'
"""Waits at a pipe from this process, whose end is an empty read: then nobody is left to end the command."""


class LocalRunner:
    """A child process in a process group of its own, which the kernel kills if this one dies.

    What the child has started itself gets no such signal, so a guard ends the whole group: a command
    may be somebody's wrapper script.

    ``run`` must be called from a thread that lives as long as the command: Linux sends the
    parent-death signal when the thread that started the child ends.

    :param stall_timeout_s: see ``Watch``.
    :param inherited: descriptors of open files that commands get as well.
    """

    def __init__(self, stall_timeout_s: float = 120, inherited: Collection[int] = ()) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._inherited = inherited
        self._process: subprocess.Popen[str] | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        on_line: Line | None = None,
        position: Position | None = None,
        limit_s: float | None = None,
    ) -> list[str]:
        """See ``Runner.run``."""
        parent = os.getpid()
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=folder,
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                pass_fds=self._inherited,
                preexec_fn=lambda: _die_with_parent(parent),
            )
        except OSError as error:
            if error.errno in _PASSING:
                raise
            raise InvalidInputError(
                f"{argv[0]} cannot be run: {error.strerror}; check VOD_FFMPEG, VOD_FFPROBE, "
                "VOD_PACKAGER or reinstall the package"
            ) from error
        self._process = process
        try:
            guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, str(process.pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self.kill()
            process.communicate()
            raise
        tail: deque[str] = deque(maxlen=STDERR_LINES)
        assert process.stdout is not None and process.stderr is not None
        # Its own thread, because a tool that fills one pipe while we read the other would wait for ever.
        errors = threading.Thread(target=tail.extend, args=(_lines(process.stderr),), daemon=True)
        errors.start()
        watch = Watch(
            kill=self.kill,
            moved=lambda: _bytes_moved(process.pid),
            position=position,
            stall_timeout_s=self._stall_timeout_s,
            limit_s=limit_s,
            look_every_s=LOOK_EVERY_S,
        )
        watch.start()
        try:
            for line in _lines(process.stdout):
                if on_line is not None:
                    on_line(line)
            returncode = process.wait()
        finally:
            self.kill()
            process.wait()
            watch.end()
            guard.communicate(b"done\n")
            errors.join()
            process.stdout.close()
            process.stderr.close()
            self._process = None
        if returncode and watch.stalled_s is not None:
            raise ToolStalledError(argv, returncode, "\n".join(tail), idle_s=watch.stalled_s)
        if returncode and watch.overdue_s is not None:
            raise ToolOverdueError(argv, returncode, "\n".join(tail), limit_s=watch.overdue_s)
        if returncode:
            kind = ToolKilledError if returncode < 0 else ToolError
            raise kind(argv, returncode, "\n".join(tail))
        return list(tail)

    def kill(self) -> None:
        """See ``Runner.kill``."""
        # Only the signal: ``run`` reaps, and may be holding the lock that waiting takes.
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _bytes_moved(session: int) -> Moved | None:
    """What the processes of a session have moved; None if the host does not say."""
    read = written = 0
    found = False
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # Behind the name, which may hold anything: state, parent, group, session.
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            counts = dict(line.split(": ") for line in (process / "io").read_text().splitlines())
        except (OSError, IndexError, ValueError):
            continue  # it has just ended, or it is not ours
        read, written, found = read + int(counts["rchar"]), written + int(counts["wchar"]), True
    return (read, written) if found else None


def _lines(stream: IO[str]) -> Iterator[str]:
    return (line.rstrip("\n") for line in stream)
