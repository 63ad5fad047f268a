"""What the operators ask of whatever runs a media tool."""

from __future__ import annotations

import errno
import re
import resource
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from vod_operators.errors import ToolError, ToolKilledError, ToolMemoryError, ToolOutputError

Position = Callable[[], object]
"""How far the command is; what counts is that it changes."""

Line = Callable[[str], None]
"""Takes one line of the tool's stdout, without its end."""

ENVIRONMENT: Mapping[str, str] = {"SVT_LOG": "1"}
"""SVT-AV1 writes its settings to stderr, whatever ffmpeg's log level, and would push out what a decoder says
of damage. Errors it still tells."""

STDERR_LINES = 40
"""How many of the last lines of stderr an error carries."""

COMPLAINT_CHARS = 1 << 16
"""A longer line of stderr is taken for several: a hostile file may make one that does not end."""

MAX_PRINTED_CHARS = 64 << 20
"""What ``output`` holds at most, and the longest line of stdout. ffprobe prints about 3 kB for a stream."""


@dataclass(frozen=True, kw_only=True)
class ToolLimits:
    """What each run of a tool may take; None for what is not limited."""

    seconds: float | None = None
    output_bytes: int | None = None
    """Written to files and pipes together, and to any one file."""
    memory_bytes: int | None = None
    """Of private memory that can be written (``RLIMIT_DATA``): without files mapped to read."""

    def rlimits(self) -> tuple[tuple[int, int], ...]:
        """Number of each of the kernel's limits, and what to set it to."""
        found = [(resource.RLIMIT_CORE, 0)]
        if self.output_bytes is not None:
            found.append((resource.RLIMIT_FSIZE, self.output_bytes))
        if self.memory_bytes is not None:
            found.append((resource.RLIMIT_DATA, self.memory_bytes))
        return tuple(found)


class Runner(Protocol):
    """Runs one command at a time in a folder, and ends it when its task ends, however that ends."""

    limits: ToolLimits
    """Of each run that says nothing else. May be changed between runs."""

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
        :param position: how far the command is, if its lines say so. Without it, what it writes counts.
        :param limit_s: seconds that it may take, if not those of ``limits``.
        :param output_bytes: what it may write, if not what ``limits`` say.
        :return: the last lines of stderr: what a tool that succeeded still warned of.
        :raises ToolError: it ended with another code than 0.
        :raises ToolKilledError: a signal ended it.
        :raises ToolStalledError: it got no further for too long, so it was stopped.
        :raises ToolOverdueError: its time was up, so it was stopped.
        :raises ToolOutputError: it wrote too much, so it was stopped.
        :raises ToolMemoryError: it asked for more memory than it may have.
        :raises InvalidInputError: the tool is not there or cannot be executed.
        """

    def kill(self) -> None:
        """End the command that is running, if any, with all it started. Safe from a signal handler."""


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
    """A stream's lines without their ends; longer ones in parts."""
    while line := stream.readline(most_chars):
        yield line.rstrip("\n")


_NO_MEMORY = re.compile(r"Cannot allocate memory|Out of memory|std::bad_alloc|malloc of size \d+ failed")
_NO_THREAD = re.compile(r"Resource temporarily unavailable")


def failed(argv: Sequence[str], returncode: int, stderr_tail: str, limits: ToolLimits) -> ToolError:
    """The error of a command that ended by itself, not well.

    A limit is blamed only if it was the narrowest: a host that has no more memory, or a narrower limit of the
    whole task, is another thing, and may get better.
    """
    if limits.output_bytes is not None and (
        returncode in (-signal.SIGXFSZ, 256 - errno.EFBIG) or "File too large" in stderr_tail
    ):
        return ToolOutputError(argv, returncode, stderr_tail, limit_bytes=limits.output_bytes)
    asked = returncode == 256 - errno.ENOMEM or _NO_MEMORY.search(stderr_tail)
    is_ours = resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    if limits.memory_bytes is not None and asked and is_ours and not _NO_THREAD.search(stderr_tail):
        return ToolMemoryError(argv, returncode, stderr_tail, limit_bytes=limits.memory_bytes)
    return (ToolKilledError if returncode < 0 else ToolError)(argv, returncode, stderr_tail)
