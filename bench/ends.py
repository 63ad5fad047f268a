"""Before the first encode and after the last: real bytes, ready-made chunk files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import boto3
from bench import media
from bench.stack import airflow
from botocore.exceptions import EndpointConnectionError

CHUNK_S = 30
"""Shorter than by default, so that the files are soon made; both ends have more to do by it."""


def measure(
    folder: Path,
    repeat: int,
    minutes: tuple[int, ...],
    preset: str,
    say: Callable[[str], None],
    bucket: Any = None,
    **settings: str,
) -> dict[str, Any]:
    """Seconds of head and tail by minutes of video; what each step reads and writes per byte of output.

    Output is the sum of all renditions.

    :param bucket: of S3, where both stores are; without it they are local folders.
    """
    found: dict[str, Any] = {}
    if bucket is None:
        shutil.rmtree(folder / "ready-made", ignore_errors=True)  # of other code, perhaps
    settings = {
        "VOD_CHUNK_SECONDS": str(CHUNK_S),
        "BENCH_RUNNER": "encodes",
        "BENCH_RECORDINGS": str(folder / "ready-made"),
    } | settings
    with airflow(folder / "ends", **settings) as stack:
        for length in minutes:
            source = media.real(folder, 60 * length)
            uri = source.as_uri()
            if bucket is not None:
                bucket.upload_file(str(source), source.name)
                uri = f"s3://{bucket.name}/{source.name}"
            runs = []
            for n in range(repeat + 1):
                say(f"{length} minutes: {'making chunk files' if n == 0 else f'run {n} of {repeat}'}")
                video = f"m{length}-{n}-{os.getpid()}"
                run = stack.run(video, uri, preset)
                if bucket is None:
                    size = media.size_mb(stack.results(video))
                    stack.forget(video)
                else:
                    objects = bucket.objects.filter(Prefix=f"results/{video}/")
                    size = sum(item.size for item in objects) / 1e6
                    for place in ("tmp", "results"):
                        bucket.objects.filter(Prefix=f"{place}/").delete()
                shutil.rmtree(stack.home / "work", ignore_errors=True)
                if n or repeat == 0:
                    runs.append(run)
            read, written = Counter[str](), Counter[str]()
            for step in runs[-1].steps:
                read[step["step"]] += step["read"]
                written[step["step"]] += step["written"]
            found[str(length)] = {
                "head_s": [run.head for run in runs],
                "tail_s": [run.tail for run in runs],
                "source_mb": source.stat().st_size / 1e6,
                "output_mb": size,
                "read_mb": {step: value / 1e6 for step, value in read.items()},
                "written_mb": {step: value / 1e6 for step, value in written.items()},
                "own_mb": _largest(runs[-1].steps, "own_mb"),
                "own_peak_mb": _largest(runs[-1].steps, "own_peak_mb"),
                "task_s": {
                    name: [task.end - task.start for task in runs[-1].of(name)]
                    for name in ("prepare", "split", "segment", "pictures", "publish")
                },
            }
    return found


@contextmanager
def s3_server() -> Iterator[tuple[Any, dict[str, str]]]:
    """A bucket, and settings, of an S3 server (moto) in a process of its own, with both stores in it.

    The server shares the machine's cores, so its time is part of what is measured.
    """
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "5055"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        login = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        endpoint = "http://127.0.0.1:5055"
        bucket = boto3.resource("s3", endpoint_url=endpoint, region_name="us-east-1", **login).Bucket("bench")
        for _ in range(100):
            try:
                bucket.create()
                break
            except EndpointConnectionError:
                time.sleep(0.2)
        connection = {
            "conn_type": "aws",
            "login": "test",
            "password": "test",
            "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
        }
        yield (
            bucket,
            {
                "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
                "VOD_TEMP_URI": "s3://bench/tmp",
                "VOD_RESULTS_URI": "s3://bench/results",
            },
        )
    finally:
        server.kill()
        server.wait()


def _largest(steps: tuple[dict[str, Any], ...], key: str) -> dict[str, float]:
    names = {step["step"] for step in steps}
    return {name: max(step[key] for step in steps if step["step"] == name) for name in sorted(names)}


def table(found: dict[str, Any]) -> list[str]:
    lines = [f"{'minutes':>8}{'head':>9}{'tail':>9}{'source':>11}{'output':>11}"]
    for length, row in found.items():
        lines.append(
            f"{length:>8}{median(row['head_s']):>7.1f} s{median(row['tail_s']):>7.1f} s"
            f"{row['source_mb']:>8.0f} MB{row['output_mb']:>8.0f} MB"
        )
    length, row = list(found.items())[-1]
    source, output = row["source_mb"], row["output_mb"]
    lines.append(f"at {length} minutes, bytes read and written (encodes are copied, not made):")
    for step, unit, name in (
        ("split", source, "source"),
        ("audio", source, "source"),
        ("transcode", source + output, "source and output"),
        ("segment", output, "output"),
        ("pictures", output, "output"),
        ("publish", output, "output"),
    ):
        read, written = (row[key].get(step, 0) / unit for key in ("read_mb", "written_mb"))
        lines.append(f"{step:>10}{read:>8.3f}{written:>8.3f} a byte of {name}")
    return lines
