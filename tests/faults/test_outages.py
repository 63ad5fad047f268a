"""A real Airflow whose S3 is bad and then gone, and one whose database is gone for a minute."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.s3_proxy import S3Proxy
from faults.stage import check_workspace, download
from support.airflows import StartAirflow
from support.clips import numbered_clip
from support.diary import Diary
from support.published import check_no_strays, check_published
from support.s3_servers import S3Bucket

pytestmark = pytest.mark.faults

CHUNKS = 24
OUTAGE_S = float(os.environ.get("FAULTS_OUTAGE_S", "300"))
DATABASE_LOST_S = 60


def test_bad_s3_and_then_none(
    airflow: StartAirflow,
    home: Path,
    diary: Diary,
    proxy: S3Proxy,
    s3_bucket: S3Bucket,
    s3_settings: dict[str, str],
    report: Callable[..., None],
) -> None:
    """A tenth of all requests fails; in the middle of the encodes nothing at all answers for minutes."""
    running = airflow(**s3_settings)
    proxy.share = 0.1
    asked = {"source": numbered_clip(CHUNKS).as_uri(), "preset": "tiny", "chunk_seconds": 1}
    begin, ended_at = time.monotonic(), 0.0
    running.submit({"video_id": "clip", **asked}, "clip").raise_for_status()

    def outage() -> None:
        nonlocal ended_at
        if not ended_at and diary.total() >= CHUNKS // 3:
            ended_at = time.monotonic() + OUTAGE_S
            proxy.cut_off()
        if ended_at and time.monotonic() > ended_at:
            proxy.outage = False

    state = running.wait("clip", timeout_s=OUTAGE_S + 1500, meanwhile=outage)
    proxy.share, proxy.outage = 0.0, False
    tries = {item.name: item.try_number for item in running.instances("clip") if item.try_number > 1}
    report(
        state=state,
        seconds=round(time.monotonic() - begin),
        outage_s=OUTAGE_S,
        requests=proxy.requests,
        encodes=diary.total(),
        retried_tasks=tries,
        objects_checked=check_workspace(s3_bucket),
    )
    assert state == "success", running.reason("clip")
    folder = download(s3_bucket.client, s3_bucket.name, "results/clip", home / "got")
    check_published(folder, frames=CHUNKS * 25)
    check_no_strays(folder)


def test_the_database_is_lost_for_a_minute(
    airflow: StartAirflow, home: Path, diary: Diary, report: Callable[..., None]
) -> None:
    """PostgreSQL stops for a minute, as on a host that hangs: nobody who asks it is answered."""
    running = airflow()
    asked = {"source": numbered_clip(CHUNKS).as_uri(), "preset": "tiny", "chunk_seconds": 1}
    running.submit({"video_id": "clip", **asked}, "clip").raise_for_status()
    begin, lost = time.monotonic(), threading.Event()

    def lose() -> None:
        if diary.total() >= CHUNKS // 3 and not lost.is_set():
            lost.set()
            server = running.main_process("postgres")
            assert server is not None
            processes = [server, *server.children()]
            for process in processes:
                process.suspend()
            time.sleep(DATABASE_LOST_S)
            for process in processes:
                process.resume()

    state = running.wait("clip", timeout_s=1500, meanwhile=lose)
    report(
        state=state,
        seconds=round(time.monotonic() - begin),
        encodes=diary.total(),
        restarts={name: running.restarts(name) for name in running.units},
        retried_tasks={i.name: i.try_number for i in running.instances("clip") if i.try_number > 1},
    )
    assert lost.is_set()
    assert state == "success", running.reason("clip")
    check_published(home / "results" / "clip", frames=CHUNKS * 25)
    # Each host of two slots may lose what it was at; nothing that was finished is done again.
    assert diary.total() <= CHUNKS + 2
