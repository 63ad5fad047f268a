"""``vod estimate``: what a video will take, before the start. Claims nothing and writes nothing."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from functools import partial

from vod_operators.cli.interrupt import raise_on_signals
from vod_operators.cli.list import table
from vod_operators.cli.main import settings_of
from vod_operators.cli.run import admit, private_airflow
from vod_operators.errors import InvalidInputError
from vod_operators.media.cost import Estimate, Range
from vod_operators.media.models import clock
from vod_operators.media.presets.catalog import load_preset
from vod_operators.settings import get_settings
from vod_operators.storage.requested import RequestedStorage, find_source
from vod_operators.work.estimate import estimate_plan
from vod_operators.work.planning import Request, parse_chunk_seconds, plan_source
from vod_operators.work.worker import Worker


def main(args: argparse.Namespace) -> int:
    """Print the estimate as a table, or as one JSON object. Returns 0.

    :raises InvalidInputError: the source cannot be transcoded, or does not declare its length.
    """
    raise_on_signals()
    settings_of(args)
    admit({"source": args.source})
    # Airflow logs to stdout while it looks up a connection, and stdout is for the result.
    with private_airflow(), contextlib.redirect_stdout(sys.stderr):
        found = _estimate(args)
    if args.json:
        print(json.dumps({"source": args.source, "preset": args.preset} | found.told()))
    else:
        print("\n".join(_lines(args, found)))
    return 0


def _estimate(args: argparse.Namespace) -> Estimate:
    from vod_operators.operators.tool_runner import new_runner  # here, because it imports Airflow

    settings = get_settings()
    on_host = settings.runner == "local"
    worker = Worker(settings, partial(new_runner, settings, runs_on_host=on_host), runs_on_host=on_host)
    storage = RequestedStorage("source", settings.sources, settings.aws_conn_id)
    request = Request(
        video_id=args.video_id,
        source=args.source,
        preset_name=args.preset,
        preset=load_preset(args.preset, settings.presets_dir),
        chunk_seconds=parse_chunk_seconds(str(args.chunk_seconds or "")),
        subtitles=(),
        roles={},
        source_conn_id="",
    )
    plan, sample = plan_source(worker, storage, find_source(storage, args.source), request, ())
    found = estimate_plan(worker, plan, sample, workers=args.workers)
    if found is None:
        raise InvalidInputError("source: it does not declare its length, so it cannot be estimated")
    return found


def _lines(args: argparse.Namespace, found: Estimate) -> list[str]:
    rows: list[tuple[str, ...]] = [("", "LOW", "LIKELY", "HIGH")]

    def row(name: str, amount: Range, form: str) -> None:
        values = (amount.low, amount.likely, amount.high)
        rows.append((name, *(clock(value) if form == "clock" else format(value, form) for value in values)))

    row("wall time", found.wall_s, "clock")
    row("CPU hours", found.cpu_s.times(1 / 3600), ".3g")
    row("MB out", found.bytes_out.times(1e-6), ".3g")
    if found.money is not None and found.money.compute is not None:
        row("computing", found.money.compute, ".3g")
    if found.money is not None and found.money.storage_month is not None:
        row("storage, a month", found.money.storage_month, ".3g")
    basis = f"by {found.runs} earlier runs" if found.runs else "without earlier runs, so the ranges are wide"
    return [f"preset {args.preset}, {found.workers} at a time, {found.chunks} chunks; {basis}", table(rows)]
