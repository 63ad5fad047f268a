"""Buttons on tasks, which lead to the video's page. Airflow's API server asks for them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from vod_operators.pipeline import MANAGE, PUBLISH, STEPS
from vod_operators.storage.keys import is_video_id

OPERATORS = {
    "analyse": "VodAnalyseOperator",
    "audio": "VodEncodeAudioOperator",
    "choose": "VodChooseOperator",
    "correct": "VodCorrectChunkOperator",
    "manage": "VodManageOperator",
    "pictures": "VodPicturesOperator",
    "prepare": "VodPrepareOperator",
    "publish": "VodPublishOperator",
    "release": "VodReleaseOperator",
    "segment": "VodSegmentHlsOperator",
    "split": "VodSplitOperator",
    "text": "VodSegmentTextOperator",
    "transcode": "VodTranscodeChunkOperator",
}
"""Step -> class of its operator, in the module of the step's name."""


def _operator(step: str) -> Any:
    """An operator, as far as Airflow looks at it: by module and name. Importing them takes 1.5 s."""
    return type(OPERATORS[step], (), {"__module__": f"vod_operators.operators.{step}"})


def page_of(video_id: str) -> str:
    """Path of the video's page in Airflow's UI."""
    base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    return f"{base}/plugin/videos/{video_id}"


def _video_of(ti_key: Any) -> str | None:
    """The video that a task's run works on; None if the run does not tell."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(DagRun.conf).where(DagRun.dag_id == ti_key.dag_id, DagRun.run_id == ti_key.run_id)
    with create_session() as session:
        asked = session.scalar(query)
    video_id = asked.get("video_id") if isinstance(asked, dict) else None
    return video_id if isinstance(video_id, str) and is_video_id(video_id) else None


class VideoLink(BaseOperatorLink):
    """Leads to the page of the run's video."""

    name = "Video"
    operators = [_operator(step) for step in (*STEPS, MANAGE)]  # noqa: RUF012  (the type that Airflow declares)

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Path of the page; empty if the run names no video."""
        video_id = _video_of(ti_key)
        return page_of(video_id) if video_id else ""


class PlayLink(BaseOperatorLink):
    """Leads to the page of the run's video, where it begins to play."""

    name = "Play"
    operators = [_operator(PUBLISH)]  # noqa: RUF012

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Path of the page; empty if the run names no video."""
        video_id = _video_of(ti_key)
        return f"{page_of(video_id)}?play" if video_id else ""
