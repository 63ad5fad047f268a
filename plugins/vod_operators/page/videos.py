"""The list of videos: the index of published ones, joined with the runs at work and the failed ones."""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime, timezone
from functools import lru_cache
from typing import Literal, get_args

from sqlalchemy.orm import Session

from vod_operators.page.models import Counts, VideoList, VideoRow, VideoState
from vod_operators.page.runs import RunFacts, percents, reasons, unpublished
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
    rows = [row_of(published.get(name), runs.get(name)) for name in {*published, *runs} if is_video_id(name)]
    presets = sorted({row.preset for row in rows if row.preset})
    words = search.casefold()
    matching = [
        row
        for row in rows
        if (preset is None or row.preset == preset)
        and (words in row.video_id.casefold() or words in row.title.casefold())
    ]
    counts = Counter[str](row.state for row in matching)
    if state is not None:
        matching = [row for row in matching if row.state == state]
    matching.sort(key=lambda row: row.video_id)
    field = sort.removeprefix("-")
    matching.sort(key=lambda row: _sortable(row, field), reverse=sort.startswith("-"))
    shown = with_run_facts(session, matching[offset : offset + limit])
    return VideoList(videos=shown, total=len(matching), counts=Counts(**counts), presets=presets)


def row_of(row: Row | None, run: RunFacts | None) -> VideoRow:
    """The video's row in the list, without what only its run's tasks know.

    :param row: None if no version of it is published.
    :param run: the one at work, or the newest failed one; None if there is none.
    """
    if (
        run is not None
        and row is not None
        and run.state == "failed"
        and (run.ended_at or NEVER) < row.updated_at
    ):
        run = None
    if run is None:
        assert row is not None
        facts = row.model_dump(exclude={"version"})
        return VideoRow.model_construct(state="published", version=row.version, **facts)
    return VideoRow.model_construct(
        video_id=run.video_id or "",
        title=run.title or (row.title if row else ""),
        state=_STATES[run.state],
        duration_s=row.duration_s if row else None,
        preset=run.preset or (row.preset if row else None),
        updated_at=(run.ended_at if run.state == "failed" else run.begun_at) or run.asked_at or NEVER,
        by=run.by,
        poster=row.poster if row else None,
        version=row.version if row else None,
        dag_id=run.dag_id,
        run_id=run.run_id,
    )


def with_run_facts(session: Session, rows: list[VideoRow]) -> list[VideoRow]:
    """The rows with the percentage of running and the reason of failed runs; at most three queries."""

    def runs(state: str) -> list[tuple[str, str]]:
        return [(row.dag_id, row.run_id) for row in rows if row.state == state and row.dag_id and row.run_id]

    done, why = percents(session, runs("encoding")), reasons(session, runs("failed"))

    def completed(row: VideoRow) -> VideoRow:
        name = (row.dag_id or "", row.run_id or "")
        if row.state == "encoding":
            return row.model_copy(update={"percent": done.get(name)})
        return row.model_copy(update={"reason": why.get(name)}) if row.state == "failed" else row

    return [completed(row) for row in rows]


def _sortable(row: VideoRow, field: str) -> tuple[bool, object]:
    if field == "state":
        return False, get_args(VideoState).index(row.state)
    value = getattr(row, field)
    return value is not None, value
