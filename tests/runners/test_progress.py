"""Progress, from what ffmpeg prints."""

from __future__ import annotations

import pytest

from vod_operators.runners import progress
from vod_operators.runners.progress import Progress, ProgressReader


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def feed(reader: ProgressReader, out_time_us: str, speed: str, state: str = "continue") -> None:
    for line in [f"out_time_us={out_time_us}", "bitrate=N/A", f"speed={speed}", f"progress={state}"]:
        reader(line)


def test_percent_and_speed_at_most_every_five_seconds(clock: Clock) -> None:
    reports: list[Progress] = []
    reader = ProgressReader(20, reports.append)
    feed(reader, "5000000", "1.25x")
    clock.now += 4.9
    feed(reader, "6000000", "1.5x")
    clock.now += 0.2
    feed(reader, "7000000", " 2x")
    assert reports == [Progress(percent=25, speed=1.25), Progress(percent=35, speed=2)]


def test_the_end_is_always_told(clock: Clock) -> None:
    reports: list[Progress] = []
    reader = ProgressReader(20, reports.append)
    feed(reader, "1000000", "1x")
    feed(reader, "19990000", "1x", "end")
    assert reports == [Progress(percent=5, speed=1), Progress(percent=100, speed=1)]


@pytest.mark.parametrize(
    ("out_time_us", "percent"), [("N/A", 0), ("-40000", 0), ("99000000", 100), ("", 0), ("1.5", 0)]
)
def test_what_is_no_time_or_beyond_the_plan(clock: Clock, out_time_us: str, percent: float) -> None:
    reports: list[Progress] = []
    feed(ProgressReader(20, reports.append), out_time_us, "N/A")
    assert reports == [Progress(percent=percent, speed=0)]


def test_nothing_to_make(clock: Clock) -> None:
    reports: list[Progress] = []
    feed(ProgressReader(0, reports.append), "1", "1x")
    assert reports == [Progress(percent=0, speed=1)]
