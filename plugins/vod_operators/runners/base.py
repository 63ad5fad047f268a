"""What the operators ask of whatever runs a media tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

Position = Callable[[], object]
"""How far the command is; what counts is that it changes."""

Line = Callable[[str], None]
"""Takes one line of the tool's stdout, without its end."""

ENVIRONMENT: Mapping[str, str] = {"SVT_LOG": "1"}
"""What every tool is told besides its task's own environment: SVT-AV1 writes its settings to stderr, whatever
ffmpeg's log level, and would push out what a decoder says of damage. Errors it still tells."""

STDERR_LINES = 40
"""How many of the last lines of stderr an error carries."""


class Runner(Protocol):
    """Runs one command at a time in a folder, and ends it when its task ends, however that ends."""

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        on_line: Line | None = None,
        position: Position | None = None,
        limit_s: float | None = None,
    ) -> list[str]:
        """Run the command to its end.

        :param folder: what the command's relative file names are relative to.
        :param on_line: called with each line of stdout as it comes.
        :param position: how far the command is, if its lines say so. Without it, what it writes counts.
        :param limit_s: seconds that it may take.
        :return: the last lines of stderr: what a tool that succeeded still warned of.
        :raises ToolError: it ended with another code than 0.
        :raises ToolKilledError: a signal ended it.
        :raises ToolStalledError: it got no further for too long, so it was stopped.
        :raises ToolOverdueError: its time was up, so it was stopped.
        :raises InvalidInputError: the tool is not there or cannot be executed.
        """

    def kill(self) -> None:
        """End the command that is running, if any, with all it started. Safe from a signal handler."""


def output(runner: Runner, argv: Sequence[str], folder: Path, *, limit_s: float | None = None) -> list[str]:
    """The lines that a command prints."""
    lines: list[str] = []
    runner.run(argv, folder=folder, on_line=lines.append, limit_s=limit_s)
    return lines
