"""A DAG that follows: runs when videos have been published, and is told which. Copy it to your DAGs folder.

Airflow may put several updates into one run, so it goes through all of them. A video may come again: it was
asked for again, or has a new version.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import Asset, dag, task

log = logging.getLogger(__name__)

PUBLISHED = Asset("vod://published/videos")


@dag(dag_id="after_publish", schedule=[PUBLISHED], tags=["vod"])
def after_publish() -> None:
    @task
    def tell(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        videos = [event.extra for event in triggering_asset_events[PUBLISHED]]
        for video in videos:
            log.info("%s can be played at %s", video["video_id"], video["playlist_urls"] or video["playlist"])
        return videos

    tell()


after_publish()
