"""The list of videos: the index of published ones, joined with the runs at work and the failed ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy.orm import Session

from vod_operators.page.models import Counts, VideoList, VideoRow, VideoState
from vod_operators.page.runs import RunFacts, percents, reasons, succeeded, unpublished
from vod_operators.settings import VodSettings
from vod_operators.storage.keys import is_video_id
from vod_operators.work.index import Index, Row
from vod_operators.work.worker import open_stores

Sort = Literal[
    "updated_at",
    "-updated_at",
    "video_id",
    "-video_id",
    "duration_s",
    "-duration_s",
    "state",
    "-state",
    "preset",
    "-preset",
]

NEVER = datetime.min.replace(tzinfo=timezone.utc)

_STATES: dict[str, VideoState] = {"queued": "queued", "running": "encoding", "failed": "failed"}
"""Airflow's state of a run -> the video's."""

_ORDER = get_args(VideoState)


def index_of(settings: VodSettings) -> Index:
    """The deployment's index; one for each process, so that it reads only shards that changed."""
    return _index(settings, os.getpid())


@lru_cache(maxsize=4)
def _index(settings: VodSettings, process: int) -> Index:
    return Index(open_stores(settings)[0], settings.temp_uri)


def list_videos(
    session: Session,
    index: Index,
    *,
    search: str = "",
    state: VideoState | None = None,
    preset: str | None = None,
    sort: Sort = "-updated_at",
    offset: int = 0,
    limit: int = 50,
) -> VideoList:
    """A page of the list.

    :param search: part of the id or of the title, whatever its case.
    :raises StorageError: the store of the index failed.
    """
    runs = unpublished(session)
    published = {row.video_id: row for row in index.rows()}
    entries = [
        entry_of(published.get(name), runs.get(name)) for name in {*published, *runs} if is_video_id(name)
    ]
    presets = sorted({entry.preset for entry in entries if entry.preset})
    words = search.casefold()
    matching = [
        entry
        for entry in entries
        if (preset is None or entry.preset == preset)
        and (words in entry.video_id.casefold() or words in entry.title.casefold())
    ]
    counts = Counter[str](entry.state for entry in matching)
    if state is not None:
        matching = [entry for entry in matching if entry.state == state]
    matching.sort(key=attrgetter("video_id"))
    matching.sort(key=_SORTABLE[sort.removeprefix("-")], reverse=sort.startswith("-"))
    rows = with_run_facts(session, [shown(entry) for entry in matching[offset : offset + limit]])
    return VideoList(videos=rows, total=len(matching), counts=Counts(**counts), presets=presets)


class Entry(NamedTuple):
    """A video, as far as the list is filtered and sorted by it; there may be ten thousand."""

    video_id: str
    title: str
    state: VideoState
    duration_s: float | None
    preset: str | None
    updated_at: datetime
    row: Row | None
    """What is published of it."""
    run: RunFacts | None
    """The run whose state it has; None if it is published."""


_SORTABLE: dict[str, Callable[[Entry], Any]] = {
    "updated_at": attrgetter("updated_at"),
    "video_id": attrgetter("video_id"),
    "duration_s": lambda entry: entry.duration_s or -1.0,
    "preset": lambda entry: entry.preset or "",
    "state": lambda entry: _ORDER.index(entry.state),
}
"""Field -> what is compared. What is not known comes first."""


def entry_of(row: Row | None, run: RunFacts | None) -> Entry:
    """A video of which at least one is known.

    :param row: None if no version of it is published.
    :param run: the one at work, or the newest failed one; None if there is none.
    """
    if run is not None and not (
        row is not None and run.state == "failed" and (run.ended_at or NEVER) < row.updated_at
    ):
        return Entry(
            video_id=run.video_id or "",
            title=run.title or (row.title if row else ""),
            state=_STATES[run.state],
            duration_s=row.duration_s if row else None,
            preset=run.preset or (row.preset if row else None),
            updated_at=(run.ended_at if run.state == "failed" else run.begun_at) or run.asked_at or NEVER,
            row=row,
            run=run,
        )
    assert row is not None
    return Entry(row.video_id, row.title, "published", row.duration_s, row.preset, row.updated_at, row, None)


def shown(entry: Entry) -> VideoRow:
    """The video's row in the list, without what only its run's tasks know."""
    asked = entry.run or entry.row
    return VideoRow(
        video_id=entry.video_id,
        title=entry.title,
        state=entry.state,
        duration_s=entry.duration_s,
        preset=entry.preset,
        updated_at=entry.updated_at,
        poster=entry.row.poster if entry.row else None,
        version=entry.row.version if entry.row else None,
        by=asked.by if asked else None,
        dag_id=asked.dag_id if asked else None,
        run_id=asked.run_id if asked else None,
    )


def with_run_facts(session: Session, rows: list[VideoRow]) -> list[VideoRow]:
    """The rows with the percentage of running and the reason of failed runs; at most five queries.

    After a rollback or a rebuild the index does not know a video's run: then it is the newest that succeeded.
    """

    def runs(state: str) -> list[tuple[str, str]]:
        return [(row.dag_id, row.run_id) for row in rows if row.state == state and row.dag_id and row.run_id]

    done, why = percents(session, runs("encoding")), reasons(session, runs("failed"))
    without = [row.video_id for row in rows if row.state == "published" and row.run_id is None]
    newest = succeeded(session, without)

    def completed(row: VideoRow) -> VideoRow:
        name = (row.dag_id or "", row.run_id or "")
        if row.state == "encoding":
            return row.model_copy(update={"percent": done.get(name)})
        if row.state == "failed":
            return row.model_copy(update={"reason": why.get(name)})
        if row.run_id is None and (run := newest.get(row.video_id)):
            return row.model_copy(update={"dag_id": run.dag_id, "run_id": run.run_id, "by": run.by})
        return row

    return [completed(row) for row in rows]
