"""The Airflow asset that other DAGs can follow; it is updated each time that a video is published.

There is one asset for all videos, and the event names the video. An asset for each video would not do: a DAG
names its assets when it is parsed, before a video's id is known, and Airflow keeps a row and a page for each.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset

PUBLISHED = Asset("vod://published/videos")
"""Without a name, because Airflow treats assets with the same URI and different names as different assets."""


def event_facts(result: dict[str, Any]) -> dict[str, Any]:
    """The event's ``extra``: what ``publish`` returned, without the long lists."""
    renditions = result["renditions"]
    return {
        name: result[name]
        for name in ("video_id", "version", "preset", "playlist", "playlist_urls", "duration_s", "frames")
    } | {
        "source": result["source"]["name"],
        "renditions": [rendition["name"] for rendition in renditions],
        "size_bytes": sum(rendition["size_bytes"] for rendition in renditions),
    }
