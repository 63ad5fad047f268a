"""Output that several commands share: a progress bar, and the result at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

from tqdm import tqdm

LINE_EVERY_PERCENT = 10

RESULT_KEYS = ("video_id", "playlist", "playlist_urls", "renditions", "frames", "duration_s")


def step_label(task_id: str, rendered: str | None) -> str:
    """A task's label, such as ``chunk 3/9 · 2:00-3:00``; its id while Airflow has only rendered a number."""
    return rendered if rendered and not rendered.isdecimal() else task_id


class ProgressBar:
    """Shows the progress of a run and its current step: a bar on a terminal, a few lines elsewhere.

    :param stream: where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self.is_moving = stream.isatty()
        self._stream = stream
        self._printed_percent = 0
        self._bar = tqdm(
            total=100,
            file=stream,
            disable=not self.is_moving,
            bar_format="{desc:<34.34} {percentage:3.0f}% |{bar}| {elapsed}",
        )

    def show(self, label: str, percent: float) -> None:
        """Move the bar to ``percent``, 0 to 100; elsewhere, write a line every ``LINE_EVERY_PERCENT``."""
        if self.is_moving:
            self._bar.set_description_str(label, refresh=False)
            self._bar.n = percent
            self._bar.refresh()
        elif percent >= self._printed_percent + LINE_EVERY_PERCENT:
            self._printed_percent = int(percent // LINE_EVERY_PERCENT * LINE_EVERY_PERCENT)
            print(f"{percent:3.0f}% {label}", file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the bar as it is, and end its line."""
        self._bar.close()


def print_result(result: Mapping[str, Any], *, wall_s: float, as_json: bool) -> None:
    """Print ``RESULT_KEYS`` of a result as one JSON object, or else the playlist's locations."""
    if as_json:
        print(json.dumps({key: result[key] for key in RESULT_KEYS} | {"wall_s": round(wall_s, 3)}))
    else:
        print("\n".join([result["playlist"], *result["playlist_urls"]]))
