"""``vod run`` as a real process, and real signals to it while its ffmpeg is at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from support.s3_servers import S3Bucket
from support.tools import CLIP, FFMPEG, ROOT
from vod_operators.storage import claim
from vod_operators.storage.keys import claim_key
from vod_operators.storage.local import LocalStorage
from vod_operators.storage.stores import storage_for

PATIENCE_S = 180

ENDLESS = f"{FFMPEG} -v error -nostdin -re -f lavfi -i testsrc -f null -"


@dataclass
class Bench:
    """One video, one deployment, and a tool that works for ever at the first chunk until ``go`` is there."""

    folder: Path
    encoding: str = ENDLESS

    def make_tool(self) -> None:
        tool = self.folder / "ffmpeg"
        tool.write_text(
            f'#!/bin/sh\n[ -e {self.folder}/go ] || case "$*" in *chunk.nut*)'
            f" echo $$ >> {self.folder}/here; {self.encoding};; "
            f'esac\nexec {FFMPEG} "$@"\n'
        )
        tool.chmod(0o755)

    def start(self, settings: dict[str, str] | None = None, **options: object) -> subprocess.Popen[str]:
        environment = (
            os.environ
            | (settings or {})
            | {
                "VOD_FFMPEG": str(self.folder / "ffmpeg"),
                "VOD_SANDBOX": "off",  # the tool writes beside itself
                "TMPDIR": str(self.folder / "TMPDIR"),
                "PYTHONPATH": str(ROOT / "plugins"),
            }
        )
        (self.folder / "TMPDIR").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "vod_operators.cli.main", "run", str(CLIP)]
        command += ["--preset", "h264_small", "--video-id", "film"]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )  # type: ignore[call-overload,no-any-return]

    def await_encode(self, running: subprocess.Popen[str]) -> list[psutil.Process]:
        """All that the run has started, once it encodes."""
        until = time.monotonic() + PATIENCE_S
        while not self.tries():
            assert time.monotonic() < until and running.poll() is None
            time.sleep(0.05)
        family = psutil.Process(running.pid).children(recursive=True)
        assert any("ffmpeg" in process.name() for process in family)
        return family

    def tries(self) -> int:
        """How often the chunk was begun."""
        mark = self.folder / "here"
        return len(mark.read_text().split()) if mark.exists() else 0

    def claim(self) -> claim.Claim | None:
        return claim.read_claim(LocalStorage(), claim_key((self.folder / "TMPDIR/vod/tmp").as_uri(), "film"))

    def left(self) -> set[str]:
        """Of what is meant to go."""
        scratch = {path.name for path in (self.folder / "TMPDIR/vod/work").iterdir()}
        return scratch | {path.name for path in (self.folder / "TMPDIR").iterdir()} - {"vod"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.make_tool()
    yield made


LONG = pytest.mark.faults
"""Each starts ``vod run`` once or twice, and waits until it encodes."""


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=LONG),
        pytest.param(signal.SIGHUP, 129, marks=LONG),
    ],
)
def test_one_signal_ends_the_run_and_all_of_it(bench: Bench, number: signal.Signals, code: int) -> None:
    running = bench.start()
    family = bench.await_encode(running)
    assert bench.claim() is not None

    running.send_signal(number)
    out, err = running.communicate(timeout=5)  # what is promised, and what fails if the chunk is tried again

    assert (running.returncode, out) == (code, "")
    assert err.splitlines()[-1].startswith(f"vod: ended by {number.name}; ")
    assert "run the same command again to continue" in err
    assert [process for process in family if process.is_running()] == []
    assert bench.tries() == 1
    assert bench.left() == set()
    assert bench.claim() is None


@LONG
def test_the_same_command_goes_on(bench: Bench) -> None:
    running = bench.start()
    bench.await_encode(running)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=5)
    split = bench.folder / "TMPDIR/vod/tmp/film"
    (marker,) = split.glob("source-*/split.done.json")
    made = marker.stat().st_mtime_ns

    (bench.folder / "go").touch()
    out, _ = bench.start().communicate(timeout=PATIENCE_S)

    assert Path(out.splitlines()[0].removeprefix("file://")).is_file()
    assert marker.stat().st_mtime_ns == made
    assert bench.left() == set()


@LONG
def test_more_signals_while_it_ends_change_nothing(bench: Bench) -> None:
    """An impatient person at the keyboard: Ctrl-C goes to the whole process group, again and again."""
    running = bench.start(start_new_session=True)
    family = bench.await_encode(running)
    for number in [signal.SIGINT] * 5 + [signal.SIGTERM, signal.SIGHUP] + [signal.SIGINT] * 20:
        if running.poll() is None:
            os.killpg(running.pid, number)
            time.sleep(0.01)
    _, err = running.communicate(timeout=5)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert err.count("vod: ended by SIGINT") == 1
    assert [process for process in family if process.is_running()] == []
    assert bench.left() == set()
    assert bench.claim() is None


@LONG
@pytest.mark.parametrize("after_s", [0.3, 1.5, 3.0])
def test_a_signal_before_the_first_task(bench: Bench, after_s: float) -> None:
    """While Python imports, while the metadata DB is made, while the DAG is read."""
    running = bench.start()
    time.sleep(after_s)
    assert not bench.tries()
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=5)
    assert running.returncode in (143, -signal.SIGTERM)  # the latter: before there was anything to clear up
    assert "Traceback" not in err
    if (bench.folder / "TMPDIR/vod").exists():
        assert bench.left() == set()


@LONG
def test_nohup_is_honoured(bench: Bench) -> None:
    (bench.folder / "go").touch()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = bench.start()
    finally:
        signal.signal(signal.SIGHUP, before)
    while not (bench.folder / "TMPDIR/vod/tmp/film").exists():
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGHUP)
    running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0


@LONG
def test_a_run_whose_process_is_killed_says_so_and_gives_the_video_back(bench: Bench) -> None:
    """As the kernel does when there is no memory."""
    running = bench.start()
    family = bench.await_encode(running)
    (child,) = psutil.Process(running.pid).children()
    child.kill()
    _, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 1
    assert err.splitlines()[-1] == "vod: the run's process was killed by signal 9 (no memory?)"
    assert [process for process in family if process.is_running()] == []
    assert bench.left() == set()
    assert bench.claim() is None


@LONG
def test_killed_hard_it_can_be_started_again_at_once(bench: Bench) -> None:
    """Nobody gave the claim back; that its process is no more is enough."""
    running = bench.start()
    family = bench.await_encode(running)
    running.kill()
    running.communicate()
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
    assert alive == []
    held = bench.claim()
    assert held is not None and bench.left() != set()

    (bench.folder / "go").touch()
    again = bench.start()
    _, err = again.communicate(timeout=PATIENCE_S)

    assert again.returncode == 0, err
    assert bench.left() == set()


@LONG
def test_a_run_that_lives_keeps_its_video(bench: Bench) -> None:
    first = bench.start()
    bench.await_encode(first)
    held = bench.claim()
    second = bench.start()
    _, err = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 1
    assert "this video is being worked on by run 'vod_transcode/" in err
    assert bench.claim() == held
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=5)
    assert first.returncode == 130


@LONG
def test_a_claim_in_s3_is_given_back_within_the_five_seconds(bench: Bench, s3_bucket: S3Bucket) -> None:
    running = bench.start({"VOD_TEMP_URI": f"{s3_bucket.uri}/tmp", "VOD_AWS_CONN_ID": s3_bucket.conn_id})
    bench.await_encode(running)
    storage, uri = storage_for(s3_bucket.uri, s3_bucket.conn_id), claim_key(f"{s3_bucket.uri}/tmp", "film")
    assert claim.is_held(storage, uri)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=5)
    assert running.returncode == 143
    assert not claim.is_held(storage, uri)
