"""Polls a running command from a thread, and kills it if it stalls, runs too long or writes too much."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from vod_operators.errors import ToolError, ToolOutputError, ToolOverdueError, ToolStalledError
from vod_operators.runners.base import Position, ToolLimits, failed

Moved = tuple[int, int]
"""Bytes read and written by the command and all that it started."""


class Watch(threading.Thread):
    """Kills a command that stalls, is overdue or writes too much, and records which it was.

    :param kill: kills the command.
    :param moved: returns the bytes that it has read and written so far; None if they cannot be seen.
    :param position: see ``Runner.run``.
    :param stall_timeout_s: longest time without progress. Progress is bytes read, and bytes written or, with
        a position, its change. Reading counts, because a chunk may begin with minutes of pictures that are
        decoded only as references of later ones.
    :param limits: of the run: its time, and the bytes that it may write to files and pipes together.
    :param look_every_s: longest poll interval; short timeouts are polled more often.
    """

    def __init__(
        self,
        *,
        kill: Callable[[], None],
        moved: Callable[[], Moved | None],
        position: Position | None,
        stall_timeout_s: float,
        limits: ToolLimits,
        look_every_s: float,
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self._error: Callable[[Sequence[str], int, str], ToolError] | None = None
        self._kill, self._moved, self._position = kill, moved, position
        self._stall_timeout_s, self._limits = stall_timeout_s, limits
        self._every_s = min(look_every_s, stall_timeout_s / 4, (limits.seconds or float("inf")) / 4)
        self._ended = threading.Event()

    def end(self) -> None:
        """Stop watching: the command has ended."""
        self._ended.set()
        self.join()

    def failure(self, argv: Sequence[str], returncode: int, stderr_tail: str) -> ToolError:
        """The error of the command, which has failed or was killed."""
        if self._error is not None:
            return self._error(argv, returncode, stderr_tail)
        return failed(argv, returncode, stderr_tail, self._limits)

    def run(self) -> None:
        last_signs: object = None
        idle_s = spent_s = 0.0
        # Count polls instead of reading a clock: time while this process was stopped itself must not count.
        while not self._ended.wait(self._every_s):
            moved = self._moved()
            signs = self._signs(moved)
            idle_s = idle_s + self._every_s if signs == last_signs is not None else 0.0
            spent_s += self._every_s
            last_signs = signs
            seconds, output_bytes = self._limits.seconds, self._limits.output_bytes
            if idle_s >= self._stall_timeout_s:
                self._error = partial(ToolStalledError, idle_s=idle_s)
            elif seconds is not None and spent_s >= seconds:
                self._error = partial(ToolOverdueError, limit_s=spent_s)
            elif moved and output_bytes is not None and moved[1] > output_bytes:
                self._error = partial(ToolOutputError, limit_bytes=output_bytes)
            else:
                continue
            self._kill()
            return

    def _signs(self, moved: Moved | None) -> object:
        """A value that changes while the command makes progress; None if that cannot be seen."""
        if self._position is not None:
            return (moved and moved[0], self._position())
        return moved
