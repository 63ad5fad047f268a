"""The interface of whatever runs a media tool: ``Runner``, the limits of a run, and its errors."""

from __future__ import annotations

import errno
import re
import resource
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Protocol

from vod_operators.errors import ToolError, ToolKilledError, ToolMemoryError, ToolOutputError

Position = Callable[[], object]
"""Returns how far the command has come. Only a change of the value matters."""

Line = Callable[[str], None]
"""Takes one line of the tool's stdout, without its end."""

ENVIRONMENT: Mapping[str, str] = {"SVT_LOG": "1"}
"""SVT-AV1 prints errors only. Otherwise it writes its settings to stderr, whatever ffmpeg's log level, and
they push a decoder's messages about damage out of the last lines that are kept."""

STDERR_LINES = 40
"""Last lines of stderr that an error carries."""

COMPLAINT_CHARS = 1 << 16
"""A longer line of stderr is split: a hostile file may provoke one that never ends."""

MAX_PRINTED_CHARS = 64 << 20
"""Most characters that ``output`` holds; also the longest line of stdout. ffprobe prints 3 kB a stream."""


@dataclass(frozen=True, kw_only=True)
class ToolLimits:
    """Resource limits of each run of a tool; None is unlimited."""

    seconds: float | None = None
    output_bytes: int | None = None
    """Most bytes written to files and pipes together; also the largest file (``RLIMIT_FSIZE``)."""
    memory_bytes: int | None = None
    """Most private writable memory (``RLIMIT_DATA``); files mapped for reading do not count."""

    def rlimits(self) -> tuple[tuple[int, int], ...]:
        """``(RLIMIT_..., value)`` of each kernel limit to set. Core dumps are always off."""
        limits = [(resource.RLIMIT_CORE, 0)]
        if self.output_bytes is not None:
            limits.append((resource.RLIMIT_FSIZE, self.output_bytes))
        if self.memory_bytes is not None:
            limits.append((resource.RLIMIT_DATA, self.memory_bytes))
        return tuple(limits)

    def of_run(self, seconds: float | None, output_bytes: int | None) -> ToolLimits:
        """The limits of one run: these, except where the run names its own."""
        return replace(
            self,
            seconds=self.seconds if seconds is None else seconds,
            output_bytes=self.output_bytes if output_bytes is None else output_bytes,
        )


class Runner(Protocol):
    """Runs one command at a time in a folder. When the task ends, however it ends, so does the command."""

    limits: ToolLimits
    """Limits of a run that names none of its own. May be changed between runs."""

    @property
    def cpu_s(self) -> float | None:
        """CPU seconds of all commands that have ended, and of what they started; None: not known."""

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
        """Run the command to its end.

        :param folder: what the command's relative file names are relative to.
        :param on_line: called with each line of stdout as it comes.
        :param position: how far the command has come, if its lines tell. Without it, bytes written count.
        :param limit_s: most seconds that it may run; None: ``limits.seconds``.
        :param output_bytes: most bytes that it may write; None: ``limits.output_bytes``.
        :return: the last lines of stderr: a tool that succeeds may still have warned.
        :raises ToolError: it exited with a code other than 0.
        :raises ToolKilledError: a signal ended it.
        :raises ToolStalledError: it made no progress for too long and was stopped.
        :raises ToolOverdueError: it ran too long and was stopped.
        :raises ToolOutputError: it wrote too much and was stopped.
        :raises ToolMemoryError: it asked for more memory than ``limits`` allow.
        :raises InvalidInputError: the tool is missing or cannot be executed.
        """

    def kill(self) -> None:
        """Kill the running command, if any, with all that it started. Safe in a signal handler."""


def output(runner: Runner, argv: Sequence[str], folder: Path, *, limit_s: float | None = None) -> list[str]:
    """The lines that a command prints.

    :raises ToolOutputError: it prints more than ``MAX_PRINTED_CHARS``.
    """
    lines: list[str] = []
    printed = 0

    def keep(line: str) -> None:
        nonlocal printed
        printed += len(line) + 1
        if printed > MAX_PRINTED_CHARS:
            raise ToolOutputError(argv, -signal.SIGKILL, "", limit_bytes=MAX_PRINTED_CHARS)
        lines.append(line)

    runner.run(argv, folder=folder, on_line=keep, limit_s=limit_s)
    return lines


def lines_of(stream: IO[str], most_chars: int) -> Iterator[str]:
    """A stream's lines without their ends; a line of more than ``most_chars`` comes in parts."""
    while line := stream.readline(most_chars):
        yield line.rstrip("\n")


_NO_MEMORY = re.compile(r"Cannot allocate memory|Out of memory|std::bad_alloc|malloc of size \d+ failed")
_NO_THREAD = re.compile(r"Resource temporarily unavailable")


def failed(argv: Sequence[str], returncode: int, stderr_tail: str, limits: ToolLimits) -> ToolError:
    """The error of a command that failed and was not stopped by its runner.

    ``limits`` are blamed for a lack of memory only if nothing else can be the cause. A limit of the whole
    task (``RLIMIT_AS``) or a host without free memory or threads is another error, and may pass.
    """
    if limits.output_bytes is not None and (
        returncode in (-signal.SIGXFSZ, 256 - errno.EFBIG) or "File too large" in stderr_tail
    ):
        return ToolOutputError(argv, returncode, stderr_tail, limit_bytes=limits.output_bytes)
    is_out_of_memory = returncode == 256 - errno.ENOMEM or _NO_MEMORY.search(stderr_tail)
    is_task_unlimited = resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    if (
        limits.memory_bytes is not None
        and is_out_of_memory
        and is_task_unlimited
        and not _NO_THREAD.search(stderr_tail)
    ):
        return ToolMemoryError(argv, returncode, stderr_tail, limit_bytes=limits.memory_bytes)
    return (ToolKilledError if returncode < 0 else ToolError)(argv, returncode, stderr_tail)
