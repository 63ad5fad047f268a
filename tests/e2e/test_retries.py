"""The retry policy in the real DAG."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.cms import Cms
from support.settings import configure
from support.tools import CLIP, FFMPEG
from vod_operators.operators import retry

ASKED = {"video_id": "again", "source": CLIP.as_uri(), "preset": "h264_small"}


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY_S", 0.01)


def encoder(stores: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """An ffmpeg that counts its encodes of pictures, and does as told before them."""
    tool, count = stores / "ffmpeg", stores / "count"
    count.touch()
    tool.write_text(
        f'#!/bin/sh\ncase "$*" in *chunk.nut*) echo >> {count}; tries=$(wc -l < {count}); {script};; esac\n'
        f'exec {FFMPEG} "$@"\n'
    )
    tool.chmod(0o755)
    configure(monkeypatch, ffmpeg=str(tool), sandbox="off")  # it writes beside itself
    return count


def test_a_chunk_that_fails_twice_in_the_same_way_is_given_up(
    run_dag, stores: Path, monkeypatch: pytest.MonkeyPatch, cms: Cms
) -> None:
    count = encoder(stores, monkeypatch, 'echo "[libx264 @ 0x$$] no" >&2; exit 7')

    run = run_dag(**ASKED, callback_url=cms.url)

    assert run.state == "failed" and len(count.read_text()) == 2
    reason = cms.requests[-1].json()["failure"]["reason"]
    assert reason.startswith(
        "failed twice in the same way, so it is not tried again: ffmpeg failed with exit"
    )


def test_kills_and_full_disks_are_tried_again(
    run_dag, stores: Path, monkeypatch: pytest.MonkeyPatch, cms: Cms
) -> None:
    count = encoder(
        stores,
        monkeypatch,
        '[ $tries = 3 ] || [ $tries = 4 ] && echo "No space left on device" >&2 && exit 1; '
        "[ $tries -gt 4 ] || kill -9 $$",
    )

    run = run_dag(**ASKED, callback_url=cms.url)

    assert run.state == "success" and len(count.read_text()) == 5
    assert cms.events() == ["started", "done"]


def test_a_disk_without_room_is_said_before_the_work(
    run_dag, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    count = encoder(stores, monkeypatch, ":")
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=1_000_000))

    run = run_dag(retries=1, **ASKED)

    assert run.state == "failed" and count.read_text() == ""
    assert "transcode" in run.errors
    assert "has 1.0 MB free, but this step needs" in str(run.errors["transcode"])


def test_a_hung_encoder_is_stopped_and_tried_again(
    run_dag, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = encoder(stores, monkeypatch, "[ $tries -gt 1 ] || kill -STOP $$")
    configure(monkeypatch, stall_timeout_s="3")

    run = run_dag(**ASKED)

    assert run.state == "success" and len(count.read_text()) == 2
    assert list((stores / "work").glob("task-*")) == []
