"""``vod delete``: removes all files of a video."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys

from vod_operators.cli.main import settings_of
from vod_operators.cli.manager import manager_of
from vod_operators.errors import InvalidInputError


def main(args: argparse.Namespace) -> int:
    """Delete the video, and print what was removed. Returns 0."""
    if not args.yes:
        raise InvalidInputError(
            f"--yes: nothing is deleted without it; with it, all versions and intermediate files of "
            f"{args.video_id} are, and nothing brings them back"
        )
    # Airflow logs to stdout while it looks up a connection, and stdout is for the result.
    with contextlib.redirect_stdout(sys.stderr):
        removed = manager_of(settings_of(args), "vod delete").delete(args.video_id, args.video_id)
    if args.json:
        print(json.dumps({"video_id": args.video_id, **removed.as_dict()}))
    else:
        print(f"{args.video_id}: removed: {removed}")
    return 0
