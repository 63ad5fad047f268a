"""The list of the page *Videos*, of many videos: how long an answer takes, with each kind of store."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.ends import s3_server

VIDEOS = 10_000
NAMES = ("rebuild", "first", "later", "changed", "write")
"""What is measured: the index rebuilt; a process's first list, later ones, one after a publication; a row's
write."""
AT_WORK, FAILED = 20, 200
QUERIES: tuple[dict[str, Any], ...] = (
    {},
    {"search": "film-99"},
    {"sort": "duration_s", "offset": VIDEOS - 100, "limit": 100},
    {"state": "failed", "preset": "h264"},
)


def measure(folder: Path, repeat: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of a process's first answer, of later ones, of rebuilding and of a write, by store."""
    os.environ |= {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow' / 'airflow.db'}",
    }
    (folder / "airflow").mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    _add_runs()
    say(f"publishing {VIDEOS} videos in folders")
    stores = {f"VOD_{name}_URI": (folder / "stores" / name).as_uri() for name in ("TEMP", "RESULTS")}
    found = {"file": _measured(stores, repeat)}
    with s3_server() as (_, settings):
        say(f"publishing {VIDEOS} videos in S3")
        found["s3"] = _measured(settings, repeat)
    return found


def table(found: dict[str, Any]) -> list[str]:
    """Lines for people: seconds, and those of CPU time."""
    lines = ["store  " + "".join(f"{name:>18}" for name in NAMES)]
    for kind, times in found.items():
        cells = (f"{times[name]['s']:.3f} ({times[name]['cpu_s']:.3f})" for name in NAMES)
        lines.append(f"{kind:5}  " + "".join(f"{cell:>18}" for cell in cells))
    return lines


def _measured(environment: dict[str, str], repeat: int) -> dict[str, Any]:
    from airflow.utils.session import create_session

    from vod_operators.page.videos import list_videos
    from vod_operators.settings import get_settings
    from vod_operators.work.index import Index, Row
    from vod_operators.work.worker import open_stores

    os.environ |= environment
    get_settings.cache_clear()
    settings = get_settings()
    temp, results = open_stores(settings)

    def publish(number: int) -> None:
        video = _video(number)
        path = f"{settings.results_uri}/{video.video_id}/video.json"
        results.write(path, [video.model_dump_json().encode()])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(VIDEOS)))

    def timed(what: Callable[[], object]) -> tuple[float, float]:
        """Seconds, and seconds of this process's CPU time, which other work on the machine does not raise."""
        wall, cpu = time.monotonic(), time.process_time()
        what()
        return time.monotonic() - wall, time.process_time() - cpu

    def ask(index: Index, **asked: Any) -> str:
        with create_session() as session:
            return list_videos(session, index, **asked).model_dump_json()

    rebuild = Index(temp, settings.temp_uri).rebuild
    found = {name: [] for name in NAMES} | {
        "rebuild": [timed(partial(rebuild, results, settings.results_uri))]
    }
    ask(Index(temp, settings.temp_uri))  # SQLAlchemy compiles the queries
    for number in range(repeat):
        index = Index(temp, settings.temp_uri)
        found["first"].append(timed(partial(ask, index)))
        found["later"] += [timed(partial(ask, index, **asked)) for asked in QUERIES]
        row = Row.of(_video(number))
        found["write"].append(timed(partial(Index(temp, settings.temp_uri).put, row)))
        found["changed"].append(timed(partial(ask, index)))
    return {
        name: {"s": median(wall for wall, _ in times), "cpu_s": median(cpu for _, cpu in times)}
        for name, times in found.items()
    }


def _video(number: int) -> Any:
    from vod_operators.work.result import RenditionResult, SourceFacts, Timings, VideoResult

    version = f"v-{number:012x}-{number % 2**24:06x}"
    track = {"kind": "video", "codecs": "avc1.640028", "width": 1920, "height": 1080, "frame_rate": "25"}
    track |= {"captions": (), "channels": None, "loudness": None, "language": None, "title": None}
    track |= {"default": False, "forced": False, "duration_s": 3600, "frames": 90_000, "segments": 600}
    track |= {"size_bytes": 10**9, "average_bps": 4_000_000, "peak_bps": 8_000_000}
    source = {"name": f"Film {number} - a name of the usual length.mov", "fingerprint": "0" * 12}
    source |= {"container": "mov", "size_bytes": 10**10, "duration_s": 3600.0, "bitrate_bps": 10**7}
    source |= {"video_codec": "prores", "width": 1920, "height": 1080, "frame_rate": "25", "audio_tracks": 2}
    source |= {"text_tracks": 0, "skipped": (), "normalised": (), "damage": ()}
    at = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=number)
    return VideoResult(
        video_id=f"film-{number}",
        version=version,
        preset="h264" if number % 3 else "hevc",
        preset_fingerprint="0" * 12,
        playlist_urls=(),
        duration_s=3600.0 + number,
        frames=90_000,
        frame_rate="25",  # type: ignore[arg-type]
        chunks=30,
        source=SourceFacts.model_validate(source),
        renditions=tuple(RenditionResult.model_validate(track | {"name": f"{n}p"}) for n in range(8)),
        poster=f"{version}/pictures/poster.jpg",
        storyboard=None,
        timings=Timings(started_at=at, published_at=at, wall_s=1.0, encode_s=1.0),
        made_by={},
    )


def _add_runs() -> None:
    """A run of each video in Airflow's database, most of which succeeded."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    with create_session() as session:
        session.execute(DagRun.__table__.delete())
        for number in range(VIDEOS):
            at = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=number)
            run = DagRun(
                dag_id="vod_transcode",
                run_id=f"vod.film-{number}.h264",
                run_type=DagRunType.MANUAL,
                conf={"video_id": f"film-{number}", "source": f"s3://films/{number}.mov", "preset": "h264"},
                run_after=at,
                start_date=at,
            )
            last = number >= VIDEOS - AT_WORK - FAILED
            run._state = "success" if not last else "running" if number >= VIDEOS - AT_WORK else "failed"
            run.end_date = None if run._state == "running" else at + timedelta(days=400 if last else 0)
            session.add(run)
