"""Hosts that lack something: room on the work disk, room in the store, memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.stage import media_digests
from faults.steps import start
from support.clips import numbered_clip
from support.published import check_published
from support.steps import Steps
from support.tools import FFMPEG

CHUNKS = 3

MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'
"""In a name space of its own: no root needed, and gone with the process."""


def small_disk(folder: Path, size: str) -> list[str]:
    """A command that runs the one behind it with that folder on a disk of that size."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = ["unshare", "-Urm", "sh", "-c", MOUNTED, "sh", size, str(folder)]
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("this host lets nobody mount a tmpfs in a name space of its own")
    return prefix


PERMANENT = {"InvalidInputError", "ClaimedError", "LostWorkError"}


def assert_may_get_better(found: dict[str, object]) -> None:
    """It failed, and in a way that the DAG tries again."""
    assert found["error"] is not None, "it was done in spite of that"
    kinds = found.get("kinds")
    assert isinstance(kinds, list) and not PERMANENT & set(kinds), found


@pytest.mark.parametrize("size", ["4k", "8k"])
def test_a_full_work_disk_is_tried_again(
    size: str, stage: Path, configure_stage: Callable[..., None]
) -> None:
    asked = {"video_id": "clip", "source": numbered_clip(CHUNKS).as_uri()}
    configure_stage(results_uri=(stage / "results").as_uri())
    work = stage / "small"
    first = start(before=small_disk(work, size), settings={"VOD_WORK_DIR": str(work)}, **asked).result()
    assert_may_get_better(first)
    assert not (stage / "results" / "clip" / "index.m3u8").exists()
    assert start(**asked).result()["error"] is None
    check_published(stage / "results" / "clip", frames=CHUNKS * 25)


@pytest.mark.parametrize("store", ["tmp", "results"])
def test_a_full_store_is_tried_again(store: str, stage: Path, configure_stage: Callable[..., None]) -> None:
    """In a process whose mount nobody else sees; afterwards there is room."""
    asked = {"video_id": "clip", "source": numbered_clip(CHUNKS).as_uri()}
    full = start(before=small_disk(stage / store, "48k"), **asked).result()
    assert_may_get_better(full)
    assert start(**asked).result()["error"] is None
    check_published(stage / "results" / "clip", frames=CHUNKS * 25)


OUT_OF_MEMORY = """\
[vf#0:0 @ 0x1] pthread_create() failed: Resource temporarily unavailable
[vf#0:0 @ 0x1] Terminating thread with return code -11 (Resource temporarily unavailable)
[vost#0:0/libx264 @ 0x2] Could not open encoder before EOF
[vost#0:0/libx264 @ 0x2] Task finished with error code: -22 (Invalid argument)
[dec:h264 @ 0x3] Error submitting packet to decoder: Cannot allocate memory
"""
"""What ffmpeg says, and exits with 245 (-EAGAIN) or 244 (-ENOMEM), on a host that has no more."""


@pytest.mark.parametrize("where", ["framecrc", "chunk.nut"], ids=["prepare", "transcode"])
def test_a_host_without_memory_is_not_a_broken_source(
    where: str, stage: Path, home: Path, configure_stage: Callable[..., None]
) -> None:
    """One ffmpeg that cannot start its threads: that step is tried again, and no picture is lost."""
    tool, once = home / "ffmpeg", home / "failed"
    (home / "stderr").write_text(OUT_OF_MEMORY)
    tool.write_text(
        f"""#!/bin/sh
case "$*" in *"{where}"*)
  if [ ! -e '{once}' ]; then : > '{once}'; cat '{home}/stderr' >&2; exit 245; fi;;
esac
exec {FFMPEG} "$@"
"""
    )
    tool.chmod(0o755)
    configure_stage(ffmpeg=str(tool), sandbox="off")
    steps = Steps(video_id="clip", source=numbered_clip(CHUNKS).as_uri(), tries=2)
    steps.run()
    assert once.exists(), "ffmpeg was not called so"
    check_published(stage / "results" / "clip", frames=CHUNKS * 25)
    assert len(steps.retried) == 1, steps.retried


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space")
@pytest.mark.parametrize("spare_mb", [8, 64, 256])
def test_too_little_memory_is_tried_again(spare_mb: int, stage: Path) -> None:
    """The limit holds for Python and for the tools that it starts."""
    asked = {"video_id": "clip", "source": numbered_clip(CHUNKS).as_uri()}
    limit = address_space() + (spare_mb << 20)
    first = start(memory_bytes=limit, **asked).result()
    if first["error"] is not None:
        assert_may_get_better(first)
    assert start(**asked).result()["error"] is None
    check_published(stage / "results" / "clip", frames=CHUNKS * 25)


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space")
def test_too_little_memory_damages_nothing(
    stage: Path, configure_stage: Callable[..., None], report: Callable[..., None]
) -> None:
    """An encode that lacks memory fails, or makes what it would have made: never black, never less."""
    asked = {"video_id": "clip", "source": numbered_clip(CHUNKS).as_uri()}
    assert start(**asked).result()["error"] is None
    wanted = media_digests(stage / "results" / "clip")
    for name in ("tmp", "results"):
        shutil.rmtree(stage / name)
    assert start(until="split", **asked).result()["error"] is None
    shutil.copytree(stage / "tmp", stage / "split")
    problems, outcomes = [], Counter[str]()
    least = address_space()
    for spare_mb in range(0, 1000, 50):
        for name in ("tmp", "results"):
            shutil.rmtree(stage / name, ignore_errors=True)
        shutil.copytree(stage / "split", stage / "tmp")
        limit = least + (spare_mb << 20)
        child = start(memory_bytes=limit, limited_from="transcode", until="transcode", **asked)
        try:
            found = child.result(hangs_after=b"in thread started")
        except subprocess.TimeoutExpired as late:
            # CPython waits for ever for a thread that had no memory to begin (``Thread.start``); in Airflow
            # the task's ``execution_timeout`` kills it, as this has just been.
            assert b"in thread started" in (late.stderr or b""), late.stderr
            found = {"error": "hung", "kinds": ()}
        outcomes[str(found["error"])] += 1
        if found["error"] is not None and PERMANENT & set(found.get("kinds", ())):
            problems.append(f"{spare_mb} MB: {found['error']}: {found['message'][:300]}")
        again = start(**asked).result()
        assert again["error"] is None, again
        video = json.loads((stage / "results" / "clip" / "video.json").read_text("utf-8"))
        if media_digests(stage / "results" / "clip") != wanted or video["source"]["damage"]:
            problems.append(f"{spare_mb} MB: other pictures; damage told: {video['source']['damage']}")
    report(outcomes=outcomes, problems=len(problems))
    assert not problems, "\n".join(problems)


def address_space() -> int:
    """What a child of ours has taken when its steps begin, about."""
    code = (
        "import vod_operators.operators.publish, vod_operators.operators.release;"
        "print(open('/proc/self/statm').read().split()[0])"
    )
    env = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * os.sysconf("SC_PAGE_SIZE")
