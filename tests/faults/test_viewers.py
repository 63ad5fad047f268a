"""Someone watches while a video is published again and again: never a 404, never a mix of versions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import m3u8
import pytest

from support.airflows import StartAirflow
from support.clips import numbered_clip
from support.presets import LADDER, write_preset
from support.s3_servers import S3Bucket
from support.steps import Steps

CHUNKS = 2


class Viewer(threading.Thread):
    """Reads the stable playlist and all that it leads to, over and over."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        super().__init__(daemon=True)
        self._client, self._bucket, self._prefix = client, bucket, prefix
        self.rounds = 0
        self.files = 0
        self.versions: set[str] = set()
        self.problems: list[str] = []
        self.ended = threading.Event()
        self._etags: dict[str, str] = {}

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self._watch()
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")
            self.rounds += 1

    def _get(self, path: str) -> str:
        found = self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}/{path}")  # raises on a 404
        data = found["Body"].read()
        if "/" in path and self._etags.setdefault(path, found["ETag"]) != found["ETag"]:
            raise AssertionError(f"{path} was written again")
        self.files += 1
        return data.decode() if path.endswith(".m3u8") else ""

    def _watch(self) -> None:
        master = m3u8.loads(self._get("index.m3u8"))
        listed = [*master.playlists, *master.iframe_playlists, *(item for item in master.media if item.uri)]
        versions = {item.uri.partition("/")[0] for item in listed}
        if len(versions) != 1:
            raise AssertionError(f"versions mixed: {versions}")
        self.versions |= versions
        for item in listed:
            media = m3u8.loads(self._get(item.uri))
            below = item.uri.rpartition("/")[0]
            names = [segment.uri for segment in media.segments]
            names += [part.uri for part in media.segment_map if part]
            for name in dict.fromkeys(names):
                self._get(f"{below}/{name}")


def watch_republications(
    count: int,
    publish: Callable[[str], None],
    bucket: S3Bucket,
    presets: Path,
    report: Callable[..., None],
    viewers: int = 2,
) -> None:
    """:param publish: makes the video ``clip`` with the preset ``tiny`` as it is now; takes a run id."""
    publish("first")
    watching = [Viewer(bucket.client, bucket.name, "results/clip") for _ in range(viewers)]
    for viewer in watching:
        viewer.start()
    for number in range(count):
        # Each time another quality: another version of the same source.
        rungs = [
            {"name": "half", "width": 64, "height": 36, "crf": 20 + number % 25,
             "max_bitrate_bps": 600_000, "buffer_bits": 600_000},
        ]  # fmt: skip
        write_preset(presets, "tiny", ladders=[LADDER | {"rungs": rungs}])
        publish(f"again-{number}")
    last = {viewer: viewer.rounds + 2 for viewer in watching}
    while any(viewer.rounds < wanted for viewer, wanted in last.items()):
        viewer.join(0.05)
    for viewer in watching:
        viewer.ended.set()
        viewer.join(60)
    problems = [problem for viewer in watching for problem in viewer.problems]
    report(
        republished=count,
        rounds=[viewer.rounds for viewer in watching],
        files=[viewer.files for viewer in watching],
        versions_seen=[len(viewer.versions) for viewer in watching],
        problems=len(problems),
    )
    assert not problems, "\n".join(problems[:10])
    assert all(len(viewer.versions) > 1 for viewer in watching)


def test_a_viewer_never_sees_a_404_or_a_mix(
    stage: Path,
    s3_settings: dict[str, str],
    s3_bucket: S3Bucket,
    configure_stage: Callable[..., None],
    report: Callable[..., None],
) -> None:
    configure_stage(**s3_settings)

    def publish(run_id: str) -> None:
        Steps(run_id=run_id, video_id="clip", source=numbered_clip(CHUNKS).as_uri()).run()

    watch_republications(3, publish, s3_bucket, stage / "presets", report)


@pytest.mark.faults
def test_twenty_republications_by_runs(
    airflow: StartAirflow,
    home: Path,
    s3_settings: dict[str, str],
    s3_bucket: S3Bucket,
    report: Callable[..., None],
) -> None:
    running = airflow(**s3_settings)

    def publish(run_id: str) -> None:
        conf = {"video_id": "clip", "source": numbered_clip(CHUNKS).as_uri(), "preset": "tiny"}
        running.submit(conf | {"chunk_seconds": 1}, run_id, patience_s=60).raise_for_status()
        assert running.wait(run_id, timeout_s=600) == "success", running.describe(run_id)

    watch_republications(20, publish, s3_bucket, home / "presets", report)
