"""``vod list``: the videos of a running Airflow, as its page *Videos* lists them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from vod_operators.cli.submit import airflow_of
from vod_operators.media.models import clock

COLUMNS = ("VIDEO", "STATE", "LENGTH", "PRESET", "UPDATED", "BY")


def main(args: argparse.Namespace) -> int:
    """Print a line for each video, or the page's answer as JSON. Returns 0."""
    with airflow_of(args) as airflow:
        names = ("search", "state", "preset", "sort", "offset", "limit")
        answer = airflow.page("/videos", **{name: getattr(args, name) for name in names})
    if args.json:
        print(json.dumps(answer))
        return 0
    print(table([COLUMNS, *(_cells(video) for video in answer["videos"])]))
    counts = ", ".join(f"{number} {state}" for state, number in answer["counts"].items() if number)
    print(f"{len(answer['videos'])} of {answer['total']}{f' ({counts})' if counts else ''}")
    return 0


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows of cells as lines, in columns as wide as their longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def state_words(video: dict[str, Any]) -> str:
    """A video's state, with how far it is."""
    if video["state"] == "encoding" and video["percent"] is not None:
        return f"encoding {video['percent']:.0f}%"
    return str(video["state"])


def _cells(video: dict[str, Any]) -> tuple[str, ...]:
    return (
        video["video_id"],
        state_words(video),
        "-" if video["duration_s"] is None else clock(video["duration_s"]),
        video["preset"] or "-",
        video["updated_at"][:16].replace("T", " "),
        video["by"] or "-",
    )
