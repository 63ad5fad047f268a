"""``vod verify``: compares all published files of a video with their checksums, and repairs damaged ones."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from contextlib import closing
from pathlib import Path

from vod_operators.cli.interrupt import raise_on_signals
from vod_operators.cli.main import settings_of
from vod_operators.cli.output import ProgressBar
from vod_operators.cli.run import admit, private_airflow, run
from vod_operators.errors import InvalidInputError
from vod_operators.settings import get_settings
from vod_operators.storage.keys import ResultKeys, check_video_id
from vod_operators.work.verification import Verification, repair_request, verify
from vod_operators.work.worker import open_stores


def main(args: argparse.Namespace) -> int:
    """Verify, and repair with ``--repair``. Returns 0: undamaged or repaired; 1: damaged."""
    check_video_id(args.video_id)
    settings_of(args)
    begin = time.monotonic()
    if args.repair:
        raise_on_signals()
        # Before anything is read, because a store's connection is looked up in Airflow.
        with private_airflow() as home:
            verification = _verify_and_print(args)
            repaired = _repair(args.video_id, verification, home) if verification.damage else None
    else:
        verification, repaired = _verify_and_print(args), None
    report = {"video_id": args.video_id} | verification.report()
    if repaired:
        report["repaired"] = repaired
        if not args.json:
            print(f"{args.video_id} {repaired}: repaired; all files match their checksums")
    if args.json:
        print(json.dumps(report | {"wall_s": round(time.monotonic() - begin, 3)}))
    return int(bool(verification.damage) and not args.repair)


def _verify_and_print(args: argparse.Namespace) -> Verification:
    verification = _verify(args.video_id)
    if not args.json:
        _print(args.video_id, verification)
    return verification


def _verify(video_id: str) -> Verification:
    settings = get_settings()
    keys = ResultKeys(results_uri=settings.results_uri, video_id=video_id)
    _, results = open_stores(settings)
    # Airflow logs to stdout while it looks up a connection, and stdout is for the result.
    with contextlib.redirect_stdout(sys.stderr), closing(ProgressBar(sys.stderr)) as bar:
        return verify(results, keys, progress=lambda percent: bar.show(video_id, percent))


def _repair(video_id: str, verification: Verification, home: Path) -> str:
    """Run the DAG with the video's original request; returns the new version.

    :raises InvalidInputError: as ``repair_request``; or the video is still damaged.
    """
    settings = get_settings()
    request = repair_request(open_stores(settings)[0], settings, video_id, verification)
    admit(request)
    version: str = run(request, home)["version"]
    second = _verify(video_id)
    if second.damage:
        raise InvalidInputError(f"video_id: {video_id} is still damaged: {second.damage[0]}")
    return version


def _print(video_id: str, verification: Verification) -> None:
    for item in verification.damage:
        print(f"damaged: {item}")
    count = f"{verification.objects} files, {verification.size_bytes} bytes"
    outcome = f"{len(verification.damage)} damaged" if verification.damage else "all match their checksums"
    print(f"{video_id} {verification.version}: {count}: {outcome}")
