"""What both commands show: one progress bar while they work, and the result at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

from tqdm import tqdm

WEIGHTS: Mapping[str, int] = {
    "prepare": 2,
    "split": 3,
    "transcode": 80,
    "audio": 4,
    "pictures": 1,
    "segment": 7,
    "text": 1,
    "publish": 2,
}
"""Task -> its share of the bar, in percent; the instances of a mapped one share it."""

RESULT_KEYS = ("video_id", "playlist", "playlist_urls", "renditions", "frames", "duration_s")


def step_label(task_id: str, rendered: str | None) -> str:
    """What a task works on: ``chunk 3/9 · 2:00-3:00``; its id while it has no other name than its number."""
    return rendered if rendered and not rendered.isdecimal() else task_id


def progress_bar(terminal: TextIO) -> tqdm[Any]:
    """A bar from 0 to 100 with what is being worked on."""
    return tqdm(total=100, file=terminal, bar_format="{desc:<34.34} {percentage:3.0f}% |{bar}| {elapsed}")


def print_result(result: Mapping[str, Any], *, wall_s: float, as_json: bool) -> None:
    """The content of ``video.json`` as one JSON object, or as the playlist's locations."""
    if as_json:
        print(json.dumps({key: result[key] for key in RESULT_KEYS} | {"wall_s": round(wall_s, 3)}))
    else:
        print("\n".join([result["playlist"], *result["playlist_urls"]]))
