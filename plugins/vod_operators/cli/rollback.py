"""``vod rollback``: point a video's stable playlist to an earlier version."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from typing import Any

from vod_operators.cli.main import settings_of
from vod_operators.cli.manager import manager_of
from vod_operators.errors import NoSuchVideoError
from vod_operators.storage.keys import ResultKeys
from vod_operators.work.stable import Version, versions


def main(args: argparse.Namespace) -> int:
    """Roll back, or only list; print the versions and mark the current one. Returns 0."""
    # Airflow logs to stdout while it looks up a connection, and stdout is for the result.
    with contextlib.redirect_stdout(sys.stderr):
        keys, history = _roll_back_or_list(args)
    if args.json:
        described = [_described(version) for version in history]
        print(json.dumps({"video_id": args.video_id, "playlist": keys.playlist, "versions": described}))
    else:
        for version in history:
            print(_line(version))
    return 0


def _roll_back_or_list(args: argparse.Namespace) -> tuple[ResultKeys, list[Version]]:
    manager = manager_of(settings_of(args), "vod rollback")
    keys = manager.keys(args.video_id)
    if not args.list:
        manager.roll_back(args.video_id, args.to)
    present = versions(manager.results, keys)
    if not present:
        raise NoSuchVideoError(keys.video_id, keys.results_uri)
    return keys, present


def _described(version: Version) -> dict[str, Any]:
    return {
        "version": version.name,
        "shown": version.is_shown,
        "since": version.since.isoformat() if version.since else None,
        "preset": version.result.preset,
        "source": version.result.source.name,
    }


def _line(version: Version) -> str:
    since = f"{version.since:%Y-%m-%d %H:%M:%S}" if version.since else "never shown"
    mark = "*" if version.is_shown else " "
    return f"{mark} {version.name}  {since:19}  {version.result.preset}  {version.result.source.name}"
