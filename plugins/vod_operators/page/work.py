"""A run at work: its steps, its chunks, and when it will be done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone
from statistics import fmean, stdev

from pydantic import ValidationError
from sqlalchemy.orm import Session

from vod_operators.media import forecast
from vod_operators.media.cost import Done, Estimate
from vod_operators.media.forecast import CHUNK_NOISE
from vod_operators.page.models import Chunk, ChunkState, Run, RunEstimate, Step, StepState
from vod_operators.page.runs import (
    ENCODING_DAGS,
    InstanceFacts,
    RunFacts,
    RunTasks,
    reason_in,
    run_of,
    tasks_of,
)
from vod_operators.pipeline import (
    ENCODING,
    MANAGE,
    OPTIONAL,
    PICTURES,
    PUBLISH,
    SEGMENT,
    STEPS,
    TRANSCODE,
    WEIGHTS,
    percent_done,
)

_STATES: dict[str | None, StepState] = {
    None: "waiting",
    "scheduled": "queued",
    "queued": "queued",
    "running": "running",
    "restarting": "running",
    "deferred": "running",
    "up_for_retry": "retrying",
    "up_for_reschedule": "retrying",
    "success": "done",
    "skipped": "skipped",
    "upstream_failed": "skipped",
    "failed": "failed",
}
"""Airflow's state of a task -> ours."""

_FIRST: tuple[StepState, ...] = ("failed", "running", "retrying", "queued")
"""A step that has a task in one of these is in the first of them."""

FOUND_AGAIN = 0.25
"""A finished chunk that took less than this share of the longest one's time was found, not encoded."""

LEAST_PERCENT = 5.0
"""A running chunk tells how long it takes once so much of it is done."""

AFTERWARDS = (WEIGHTS[PICTURES] + WEIGHTS[SEGMENT] + WEIGHTS[PUBLISH]) / WEIGHTS[TRANSCODE]
"""Time of the steps after encoding, as a share of the encoding's."""


def work_of(session: Session, dag_id: str, run_id: str) -> Run | None:
    """A run's work; None if there is no such run. Four queries."""
    run = run_of(session, dag_id, run_id)
    if run is None:
        return None
    tasks, now = tasks_of(session, dag_id, run_id), datetime.now(timezone.utc)
    by_step: dict[str, list[InstanceFacts]] = {}
    for task in tasks.instances:
        if task.state != "removed":
            by_step.setdefault(task.task_id, []).append(task)
    chunks = [_chunk(task, tasks, now) for task in by_step.get(TRANSCODE, []) if task.map_index >= 0]
    is_encoding = dag_id in ENCODING_DAGS
    before = _estimate_of(tasks)
    corrected = before and forecast.corrected(before, _done(chunks, tasks))
    eta = estimate(chunks, corrected) if run.state == "running" else None
    return Run(
        video_id=run.video_id,
        state=run.state,
        percent=_percent(by_step, tasks) if is_encoding and run.state == "running" else None,
        begun_at=run.begun_at,
        ended_at=run.ended_at,
        eta_s=eta[0] if eta else None,
        eta_error_s=eta[1] if eta else None,
        waits_for=_waits_for(run, by_step),
        reason=reason_in(tasks.failures) if run.state == "failed" else None,
        estimate=RunEstimate(
            words=before.in_words(),
            wall_s=corrected.wall_s,
            cpu_s=corrected.cpu_s,
            bytes_out=corrected.bytes_out,
            money=corrected.money,
            runs=before.runs,
        )
        if before and corrected
        else None,
        cpu_s=tasks.cpu_s,
        steps=[
            _step(name, by_step[name], now)
            for name in (STEPS if is_encoding else (MANAGE,))
            if name in by_step and not _is_absent(name, by_step[name])
        ],
        chunks=chunks,
    )


def _is_absent(step: str, tasks: Sequence[InstanceFacts]) -> bool:
    """Whether the preset has no use for a step."""
    return step in OPTIONAL and all(task.state == "skipped" for task in tasks)


def _estimate_of(tasks: RunTasks) -> Estimate | None:
    """What ``prepare`` estimated; None if it has not, or another version of the package did."""
    content = {key: value for key, value in (tasks.estimate or {}).items() if key != "words"}
    try:
        return Estimate.model_validate(content) if content else None
    except ValidationError:
        return None


def _times(chunks: Sequence[Chunk]) -> list[tuple[int, float]]:
    """Index, and the seconds that it took or will take, of each chunk that tells.

    A finished chunk that took much less than the others was found, not encoded.
    """
    times = [(chunk.index, chunk.wall_s) for chunk in chunks if chunk.state == "done" and chunk.wall_s]
    times += [
        (chunk.index, 100 * chunk.wall_s / chunk.percent)
        for chunk in chunks
        if chunk.state == "running" and chunk.wall_s and chunk.percent and chunk.percent >= LEAST_PERCENT
    ]
    longest = max((seconds for _, seconds in times), default=0)
    return [(index, seconds) for index, seconds in times if seconds >= FOUND_AGAIN * longest]


def _done(chunks: Sequence[Chunk], tasks: RunTasks) -> list[Done]:
    """What the chunks tell of the cost of all; they are about equally long."""
    return [
        Done(share=1 / len(chunks), seconds=seconds, cpu_s=tasks.cpus.get((TRANSCODE, index)))
        for index, seconds in _times(chunks)
    ]


def estimate(chunks: Sequence[Chunk], known: Estimate | None = None) -> tuple[float, float] | None:
    """In how many seconds all chunks will be published, and by how much that may be wrong.

    By the time that finished chunks took and running ones will take, the rest of the work, and how many run
    at a time. None if nothing is left, or nothing tells how long a chunk takes.

    :param known: the run's estimate, corrected by the chunks that are done; None if there is none.
    """
    running = [chunk for chunk in chunks if chunk.state == "running"]
    times = [seconds for _, seconds in _times(chunks)]
    left = [1 - (chunk.percent or 0) / 100 for chunk in running]
    left += [1.0 for chunk in chunks if chunk.state in ("queued", "retried")]
    if not left or not (times or known):
        return None
    if known is not None:
        mean = known.chunked.busy_s / len(chunks)
        spread = mean * CHUNK_NOISE
        doubt = known.chunked.busy_error
    else:
        mean = fmean(times)
        spread = stdev(times) if len(times) > 1 else mean / 2
        doubt = 0.0
    slots = max(1, len(running))
    encoding = mean * max(sum(left) / slots, max(left))
    afterwards = AFTERWARDS * mean * len(chunks) / slots
    error = spread * math.sqrt(len(left)) / slots + afterwards / 2 + encoding * doubt
    return round(encoding + afterwards, 1), round(error, 1)


def _chunk(task: InstanceFacts, tasks: RunTasks, now: datetime) -> Chunk:
    state = _chunk_state(task)
    known = tasks.labels[task.map_index] if task.map_index < len(tasks.labels) else None
    percent = {"done": 100.0, "running": tasks.progress.get((TRANSCODE, task.map_index))}
    return Chunk(
        index=task.map_index,
        label=known or task.label or str(task.map_index),
        state=state,
        percent=percent.get(state),
        host=task.host,
        tries=task.tries,
        wall_s=None if state in ("queued", "retried") else _wall_s([task], now),
    )


def _chunk_state(task: InstanceFacts) -> ChunkState:
    state = _STATES.get(task.state, "waiting")
    if state in ("running", "done", "failed"):
        return state
    # Airflow counts a try when it queues the task, so one that is queued for the first time is at 0 or 1.
    again = state == "retrying" or (state == "queued" and task.tries > 1)
    return "retried" if again else "queued"


def _step(name: str, tasks: Sequence[InstanceFacts], now: datetime) -> Step:
    begun = [task.begun_at for task in tasks if task.begun_at]
    ended = [task.ended_at for task in tasks if task.ended_at]
    state = step_state([task.state for task in tasks])
    is_over = state in ("done", "skipped", "failed")
    return Step(
        step=name,
        state=state,
        begun_at=min(begun, default=None),
        ended_at=max(ended, default=None) if is_over else None,
        wall_s=_wall_s(tasks, now) if begun else None,
        tries=max(task.tries for task in tasks),
    )


def step_state(states: Sequence[str | None]) -> StepState:
    """The state of a step, by Airflow's states of its tasks."""
    found = {_STATES.get(state, "waiting") for state in states}
    for state in _FIRST:
        if state in found:
            return state
    if "waiting" in found:
        return "queued" if "done" in found else "waiting"
    return "done" if "done" in found else "skipped"


def _wall_s(tasks: Sequence[InstanceFacts], now: datetime) -> float | None:
    begun = [task.begun_at for task in tasks if task.begun_at]
    if not begun:
        return None
    # A task that runs again keeps the end of its try before.
    is_running = any(_STATES.get(task.state) == "running" for task in tasks)
    end = now if is_running else max((task.ended_at for task in tasks if task.ended_at), default=now)
    return round(max(0.0, (end - min(begun)).total_seconds()), 1)


def _percent(by_step: dict[str, list[InstanceFacts]], tasks: RunTasks) -> float:
    def part(task: InstanceFacts) -> float:
        if task.state in ("success", "skipped"):
            return 1.0
        if task.state != "running" or task.task_id not in ENCODING:
            return 0.0
        return tasks.progress.get((task.task_id, task.map_index), 0.0) / 100

    parts = {
        name: [part(task) for task in found] for name, found in by_step.items() if not _is_absent(name, found)
    }
    return round(percent_done(parts), 1)


def _waits_for(run: RunFacts, by_step: dict[str, list[InstanceFacts]]) -> str | None:
    """What a run waits for while none of its tasks runs, in words; None if one does, or it has ended."""
    if run.state == "queued":
        return f"one of the active runs of {run.dag_id} to end"
    all_tasks = [task for found in by_step.values() for task in found]
    if run.state != "running" or any(_STATES.get(task.state) == "running" for task in all_tasks):
        return None
    steps = [task for step in (*STEPS, MANAGE) for task in by_step.get(step, [])]
    for state, words in (
        ("queued", "a free worker for {step}"),
        ("scheduled", "a free slot of the pool {pool} for {step}"),
        ("up_for_retry", "the next try of {step}"),
    ):
        for task in steps:
            if task.state == state:
                return words.format(step=task.task_id, pool=task.pool)
    return "Airflow's scheduler"
