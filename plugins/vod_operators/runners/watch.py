"""Polls a running command from a thread, and kills it if it stalls, runs too long or writes too much."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vod_operators.runners.base import Position

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
    :param limit_s: longest time that it may run.
    :param output_bytes: most bytes that it may write, to files and pipes together.
    :param look_every_s: longest poll interval; short timeouts are polled more often.
    """

    def __init__(
        self,
        *,
        kill: Callable[[], None],
        moved: Callable[[], Moved | None],
        position: Position | None,
        stall_timeout_s: float,
        limit_s: float | None,
        output_bytes: int | None,
        look_every_s: float,
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self.stalled_s: float | None = None
        self.overdue_s: float | None = None
        self.overfull = False
        self._kill, self._moved, self._position = kill, moved, position
        self._stall_timeout_s, self._limit_s, self._output_bytes = stall_timeout_s, limit_s, output_bytes
        self._every_s = min(look_every_s, stall_timeout_s / 4, (limit_s or float("inf")) / 4)
        self._ended = threading.Event()

    def end(self) -> None:
        """Stop watching: the command has ended."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        seen: object = None
        idle_s = spent_s = 0.0
        # Count polls instead of reading a clock: time while this process was stopped itself must not count.
        while not self._ended.wait(self._every_s):
            moved = self._moved()
            now = self._signs(moved)
            idle_s = idle_s + self._every_s if now == seen is not None else 0.0
            spent_s += self._every_s
            seen = now
            if idle_s >= self._stall_timeout_s:
                self.stalled_s = idle_s
            elif self._limit_s is not None and spent_s >= self._limit_s:
                self.overdue_s = spent_s
            elif moved and self._output_bytes is not None and moved[1] > self._output_bytes:
                self.overfull = True
            else:
                continue
            self._kill()
            return

    def _signs(self, moved: Moved | None) -> object:
        """A value that changes while the command makes progress; None if that cannot be seen."""
        if self._position is not None:
            return (moved and moved[0], self._position())
        return moved
