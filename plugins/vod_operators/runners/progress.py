"""ffmpeg's ``-progress`` lines -> how far and how fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

REPORT_EVERY_S = 5.0
"""Least time between two reports: each is a call to Airflow's API."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a command has come."""

    percent: float
    """0 to 100 of the planned output."""
    speed: float
    """Seconds of media encoded per second; 0 until known."""


class ProgressReader:
    """Calls ``report`` from the lines of ``ffmpeg -progress``, at most every ``REPORT_EVERY_S``.

    :param seconds: length of the planned output.
    """

    def __init__(self, seconds: float, report: Callable[[Progress], None]) -> None:
        self._seconds, self._report = seconds, report
        self._percent = self._speed = 0.0
        self._out_time = ""
        self._reported = float("-inf")

    def __call__(self, line: str) -> None:
        """Take one line of stdout."""
        key, _, value = line.partition("=")
        if key == "out_time_us":
            self._out_time = value
            if value.lstrip("-").isdigit() and self._seconds > 0:
                self._percent = min(100.0, max(0.0, int(value) / 10_000 / self._seconds))
        elif key == "speed":
            self._speed = _number(value.strip().rstrip("x"))
        elif key == "progress" and (value == "end" or time.monotonic() - self._reported >= REPORT_EVERY_S):
            self._reported = time.monotonic()
            self._report(Progress(percent=100.0 if value == "end" else self._percent, speed=self._speed))

    def position(self) -> str:
        """The output time that ffmpeg last printed, verbatim. A stalled ffmpeg repeats its last lines."""
        return self._out_time


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
