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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from vod_operators.errors import InvalidInputError, ToolError, ToolKilledError
from vod_operators.runners.base import STDERR_LINES, Line

_PASSING = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""The host is out of processes, memory or files: no fault of the tool's, and better in a moment."""

_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec nothing may import or take a lock.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent(parent: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)


class LocalRunner:
    """A child process in a process group of its own, which the kernel kills if this one dies.

    ``run`` must be called from a thread that lives as long as the command: Linux sends the
    parent-death signal when the thread that started the child ends.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, argv: Sequence[str], *, folder: Path, on_line: Line | None = None) -> list[str]:
        """See ``Runner.run``."""
        parent = os.getpid()
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
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
        tail: deque[str] = deque(maxlen=STDERR_LINES)
        assert process.stdout is not None and process.stderr is not None
        # Its own thread, because a tool that fills one pipe while we read the other would wait for ever.
        errors = threading.Thread(target=tail.extend, args=(_lines(process.stderr),), daemon=True)
        errors.start()
        try:
            for line in _lines(process.stdout):
                if on_line is not None:
                    on_line(line)
            returncode = process.wait()
        finally:
            self.kill()
            process.wait()
            errors.join()
            process.stdout.close()
            process.stderr.close()
            self._process = None
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


def _lines(stream: IO[str]) -> Iterator[str]:
    return (line.rstrip("\n") for line in stream)
