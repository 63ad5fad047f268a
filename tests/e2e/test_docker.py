"""The whole job with its media tools in containers gives what it gives without."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from support.docker_engine import ENGINE, IMAGE, containers
from support.settings import configure
from support.tools import generate
from vod_operators.settings import get_settings


def segments(results: Path) -> dict[str, str]:
    """Track and segment -> checksum. (Packager writes the time of day into init segments.)"""
    return {
        "/".join(path.parts[-2:]): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in results.glob("film/v-*/*/*.m4s")
    }


@pytest.mark.docker
def test_the_same_segments_from_containers(
    run_dag, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = generate(
        tmp_path / "clip.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=14", "-f", "lavfi", "-i", "sine=440:r=48000:d=14"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"),
    )
    order = {"video_id": "film", "source": clip.as_uri(), "preset": "h264_small", "chunk_seconds": 6}
    assert run_dag(**order).state == "success"

    configure(
        monkeypatch,
        temp_uri=(tmp_path / "docker" / "tmp").as_uri(),
        results_uri=(tmp_path / "docker" / "results").as_uri(),
        runner="docker",
        docker_image=IMAGE,
        docker_url=ENGINE,
        docker_memory="1g",
        ffmpeg="ffmpeg",
        ffprobe="ffprobe",
        packager="packager",
    )
    assert run_dag(**order).state == "success"
    get_settings.cache_clear()

    local, contained = segments(stores / "results"), segments(tmp_path / "docker" / "results")
    assert len(local) == 9  # two renditions and the sound, 6 + 6 + 2 s
    assert contained == local
    assert containers() == []
