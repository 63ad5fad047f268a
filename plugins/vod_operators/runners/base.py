"""What the operators ask of whatever runs a media tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

Line = Callable[[str], None]
"""Takes one line of the tool's stdout, without its end."""

STDERR_LINES = 40
"""How many of the last lines of stderr an error carries."""


class Runner(Protocol):
    """Runs one command at a time in a folder, and ends it when its task ends, however that ends."""

    def run(self, argv: Sequence[str], *, folder: Path, on_line: Line | None = None) -> list[str]:
        """Run the command to its end.

        :param folder: what the command's relative file names are relative to.
        :param on_line: called with each line of stdout as it comes.
        :return: the last lines of stderr: what a tool that succeeded still warned of.
        :raises ToolError: it ended with another code than 0.
        :raises ToolKilledError: a signal ended it.
        :raises InvalidInputError: the tool is not there or cannot be executed.
        """

    def kill(self) -> None:
        """End the command that is running, if any, with all it started. Safe from a signal handler."""
