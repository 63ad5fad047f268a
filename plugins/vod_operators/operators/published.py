"""What other DAGs can follow: one Airflow asset, updated each time that players are given a video.

One for all videos, not one for each: a DAG names the assets that it waits for when it is parsed, long before
a video's id is known, and Airflow keeps a row and a page for each asset. Which video it was is in the event.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset

PUBLISHED = Asset("vod://published/videos")
"""Without a name of its own: to Airflow, an asset of the same URI and another name is another one."""


def event_facts(result: dict[str, Any]) -> dict[str, Any]:
    """The event's ``extra``: of what ``publish`` returns, all but the long lists."""
    renditions = result["renditions"]
    return {
        name: result[name]
        for name in ("video_id", "version", "preset", "playlist", "playlist_urls", "duration_s", "frames")
    } | {
        "source": result["source"]["name"],
        "renditions": [rendition["name"] for rendition in renditions],
        "size_bytes": sum(rendition["size_bytes"] for rendition in renditions),
    }
