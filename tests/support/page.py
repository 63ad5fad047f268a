"""What the page's API shows: rows of the index, and runs in Airflow's database."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from vod_operators.work.index import Row

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)

ROLES = ("viewer", "user", "admin")
"""Users of the API server; each one's password is its role."""

HEADERS = {"X-Requested-With": "vod"}


def a_row(video_id: str, at: datetime = NOON, **facts: Any) -> Row:
    """A published video's row."""
    version = "v-0123456789ab-012345"
    known = {"title": f"{video_id}.mov", "preset": "h264", "duration_s": 60.0, "version": version}
    known |= {"poster": f"{version}/pictures/poster.jpg", "by": "ada", "since": at}
    return Row(video_id=video_id, updated_at=at, **(known | facts))


class Runs:
    """Runs in Airflow's database, made as Airflow's models make them."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.ids: dict[str, int] = {}
        self.tasks: set[tuple[str, str, int]] = set()

    def add(
        self,
        video_id: str,
        state: str,
        *,
        dag_id: str = "vod_transcode",
        run_id: str | None = None,
        at: datetime = NOON,
        minutes: float = 10,
        by: str | None = "ada",
        **conf: Any,
    ) -> str:
        """A run that began at a time, and ended so many minutes later if its state is one of an end."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.types import DagRunType

        source = {"preset": "h264", "source": f"file:///films/{video_id}.mp4"}
        run_id = run_id or f"vod.{video_id}.{at:%Y%m%dT%H%M%S}.{state}"
        run = DagRun(
            dag_id=dag_id,
            run_id=run_id,
            run_type=DagRunType.MANUAL,
            conf={"video_id": video_id} | source | conf,
            run_after=at,
            start_date=None if state == "queued" else at,
            triggering_user_name=by,
        )
        run._state = state
        if state in ("success", "failed"):
            run.end_date = at + timedelta(minutes=minutes)
        self.session.add(run)
        self.session.commit()
        self.ids[run_id] = run.id
        return run_id

    def task(
        self,
        run_id: str,
        task_id: str,
        state: str | None,
        *,
        index: int = -1,
        dag_id: str = "vod_transcode",
        begun: datetime | None = None,
        seconds: float | None = None,
        tries: int = 1,
        label: str | None = None,
        host: str = "",
        percent: float | None = None,
        cpu_s: float | None = None,
    ) -> None:
        """A task of a run; with seconds, it has ended."""
        from airflow.models.task_state_store import TaskStateStoreModel
        from airflow.models.taskinstance import TaskInstance

        row = {
            "id": uuid.uuid4(),
            "dag_id": dag_id,
            "run_id": run_id,
            "task_id": task_id,
            "map_index": index,
            "state": state,
            "start_date": begun,
            "end_date": begun + timedelta(seconds=seconds) if begun and seconds is not None else None,
            "try_number": tries,
            "rendered_map_index": label,
            "hostname": host,
            "pool": "default_pool",
            "pool_slots": 1,
            "max_tries": 6,
            "span_status": "not_started",
        }
        self.session.execute(TaskInstance.__table__.insert().values(**row))
        self.tasks.add((run_id, task_id, index))
        left = {"progress": {"percent": percent, "speed": 1.5}} if percent is not None else {}
        left |= {"cpu_s": cpu_s} if cpu_s is not None else {}
        for key, value in left.items():
            self.session.add(
                TaskStateStoreModel(
                    dag_run_id=self.ids[run_id], dag_id=dag_id, run_id=run_id, task_id=task_id,
                    map_index=index, key=key, value=json.dumps(value),
                )
            )  # fmt: skip
        self.session.commit()

    def xcom(self, run_id: str, task_id: str, key: str, value: Any, *, index: int = -1) -> None:
        """What a task left in XCom."""
        from airflow.models.xcom import XComModel

        if (run_id, task_id, index) not in self.tasks:
            self.task(run_id, task_id, "failed", index=index)
        self.session.add(
            XComModel(
                dag_run_id=self.ids[run_id], dag_id="vod_transcode", run_id=run_id, task_id=task_id,
                map_index=index, key=key, value=json.dumps(value),
            )
        )  # fmt: skip
        self.session.commit()
