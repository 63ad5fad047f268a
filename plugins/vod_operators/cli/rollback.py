"""``vod rollback``: point a video's stable playlist to an earlier version."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
from typing import Any

from vod_operators import processes
from vod_operators.cli.main import settings_of
from vod_operators.errors import NoSuchVideoError
from vod_operators.storage import claim
from vod_operators.storage.keys import ResultKeys, check_video_id, claim_key
from vod_operators.work.stable import Version, roll_back, versions
from vod_operators.work.worker import open_stores

CLAIM_S = 300
"""Longer than it takes to list a version's files and to write the stable objects."""


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
    check_video_id(args.video_id)
    settings = settings_of(args)
    temp, results = open_stores(settings)
    keys = ResultKeys(results_uri=settings.results_uri, video_id=args.video_id)
    present = versions(results, keys)
    if not present:  # checked first, so that no claim is written for a video that does not exist
        raise NoSuchVideoError(keys.video_id, keys.results_uri)
    if args.list:
        return keys, present
    uri = claim_key(settings.temp_uri, args.video_id)
    owner = f"vod rollback, process {os.getpid()} on {socket.gethostname()}"
    holder = claim.process_holder(processes.number(os.getpid()))
    held = claim.hold(temp, uri, owner=owner, ttl_s=CLAIM_S, brief=True, holder=holder)
    try:
        roll_back(results, keys, args.to, still_owner=lambda: claim.check(temp, uri, held))
    finally:
        claim.release(temp, uri, owner=owner)
    return keys, versions(results, keys)


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
