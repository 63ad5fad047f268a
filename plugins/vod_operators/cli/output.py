"""What both commands show: how far they are while they work, and the result at the end."""

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

LINE_EVERY_PERCENT = 10

RESULT_KEYS = ("video_id", "playlist", "playlist_urls", "renditions", "frames", "duration_s")


def step_label(task_id: str, rendered: str | None) -> str:
    """What a task works on: ``chunk 3/9 · 2:00-3:00``; its id while it has no other name than its number."""
    return rendered if rendered and not rendered.isdecimal() else task_id


class ProgressBar:
    """How far all of it is, and what is being worked on: a bar on a terminal, elsewhere some lines.

    :param stream: where it goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.is_moving = stream.isatty()
        self._stream = stream
        self._told = 0
        self._bar = tqdm(
            total=100,
            file=stream,
            disable=not self.is_moving,
            bar_format="{desc:<34.34} {percentage:3.0f}% |{bar}| {elapsed}",
        )

    def show(self, label: str, percent: float) -> None:
        """Move the bar to ``percent``, 0 to 100; in a log write a line for each ``LINE_EVERY_PERCENT``."""
        if self.is_moving:
            self._bar.set_description_str(label, refresh=False)
            self._bar.n = percent
            self._bar.refresh()
        elif percent >= self._told + LINE_EVERY_PERCENT:
            self._told = int(percent // LINE_EVERY_PERCENT * LINE_EVERY_PERCENT)
            print(f"{percent:3.0f}% {label}", file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the bar as it is, and its line."""
        self._bar.close()


def print_result(result: Mapping[str, Any], *, wall_s: float, as_json: bool) -> None:
    """The content of ``video.json`` as one JSON object, or as the playlist's locations."""
    if as_json:
        print(json.dumps({key: result[key] for key in RESULT_KEYS} | {"wall_s": round(wall_s, 3)}))
    else:
        print("\n".join([result["playlist"], *result["playlist_urls"]]))
