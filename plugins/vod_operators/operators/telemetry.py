"""Metrics through Airflow's StatsD or OpenTelemetry, and a log line for each step.

Airflow puts its prefix before the names: ``airflow.vod.chunks``. The kind of a failure is part of its
metric's name, because plain StatsD drops tags. Airflow's own ``task.scheduled_duration`` tells how long tasks
wait for a slot.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog

METRICS: Mapping[str, tuple[str, str]] = {
    "vod.chunks": ("counter", "chunks encoded; not those that were found again"),
    "vod.media_seconds": ("counter", "seconds of media in those chunks"),
    "vod.encode_seconds": ("counter", "seconds of a worker's time for them"),
    "vod.encode_speed": ("gauge", "times real time, of the last chunk"),
    "vod.published": ("counter", "videos published"),
    "vod.source_bytes": ("counter", "size of their sources"),
    "vod.published_bytes": ("counter", "size of their segments"),
    "vod.time_to_publish": ("timer", "from the run's start to its publication"),
    "vod.damaged": ("counter", "stored objects that were found to be not what they were"),
    "vod.retries": ("counter", "tries that failed and are made again"),
    "vod.failures.permanent": (
        "counter",
        "tries that failed for good: a bad request or source, earlier work that is gone, or a repeatable "
        "failure for the second time",
    ),
    "vod.failures.temporary": (
        "counter",
        "tries that failed for want of a store, the network, memory, disk",
    ),
    "vod.failures.repeatable": ("counter", "tries that failed by a tool's exit code, a wrong output, a bug"),
    "vod.asked": ("counter", "runs asked for by ingest, re-encoding and repair"),
}
"""Name -> kind and meaning. The table in docs/deployment.md is checked against it."""

_LOG = logging.getLogger(__name__)


def count(name: str, number: float = 1, **tags: str) -> None:
    """Add to a counter."""
    _send("counter", name, lambda stats: stats.incr(name, round(number), tags=tags or None))


def gauge(name: str, value: float) -> None:
    """Set a gauge."""
    _send("gauge", name, lambda stats: stats.gauge(name, value))


def timing(name: str, seconds: float) -> None:
    """Send one measured duration."""
    _send("timer", name, lambda stats: stats.timing(name, timedelta(seconds=seconds)))


def log_step(event: str, **facts: Any) -> None:
    """Log a step: in a task's log, a JSON object with these keys and Airflow's own (run, task, try)."""
    structlog.get_logger("vod").info(
        event, **{key: value for key, value in facts.items() if value is not None}
    )


def _send(kind: str, name: str, send: Callable[[Any], None]) -> None:
    assert METRICS[name][0] == kind
    from airflow.sdk.observability import stats

    try:
        send(stats)
    except Exception as error:  # a lost metric must not fail a video
        _LOG.warning("metric %s was not sent: %s", name, error)
