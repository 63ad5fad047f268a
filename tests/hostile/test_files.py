"""Hostile files: each is refused with its reason or published whole, within bounds, and none gets through.

``make test-hostile``. Steps of the real DAG, one after another, in this process; tools as in production.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from hostile.files import GOOD, MARKER, hostile_files, hostile_subtitles
from support.presets import write_preset
from support.settings import configure
from support.steps import Steps
from support.tools import generate
from vod_operators.errors import VodError
from vod_operators.operators.retry import kind_of, reason_of

pytestmark = pytest.mark.hostile

PATIENCE_S = 60
MEMORY_BYTES = 1_000_000_000
DISK_TIMES = 10
DISK_FLOOR = 100_000_000
"""Beyond ten times the source: what a clip of some kB becomes before a limit stops it."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return dict(hostile_files(tmp_path_factory.mktemp("hostile")))


@pytest.fixture
def place(stores: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    configure(monkeypatch, presets_dir=str(write_preset(stores / "presets")))
    return stores


class Disk(threading.Thread):
    """Watches how many bytes lie in a folder at most."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder, self._ended, self.peak = folder, threading.Event(), 0

    def run(self) -> None:
        while not self._ended.wait(0.1):
            self.peak = max(self.peak, used(self._folder))

    def end(self) -> int:
        self._ended.set()
        self.join()
        return max(self.peak, used(self._folder))


def used(folder: Path) -> int:
    total = 0
    for root, _, found in os.walk(folder):
        for name in found:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
    return total


class TooLongError(BaseException):
    pass


@contextlib.contextmanager
def alarm(seconds: int) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(place: Path, name: str, **asked: Any) -> BaseException | None:
    """What the steps died of, if they did, having kept within their bounds."""
    size = Path(unquote(asked["source"].removeprefix("file://"))).stat().st_size if "source" in asked else 0
    for part in ("tmp", "results", "work"):
        (place / part).mkdir(exist_ok=True)
    disk = Disk(place)
    disk.start()
    error: BaseException | None = None
    try:
        with alarm(PATIENCE_S):
            Steps(video_id="hostile", tries=2, **asked).run()
    except TooLongError:
        raise AssertionError(f"{name}: not done after {PATIENCE_S} s") from None
    except Exception as failure:
        error = failure
    finally:
        peak = disk.end()
    assert peak <= DISK_TIMES * size + DISK_FLOOR, f"{name}: {peak / 1e6:.0f} MB on disk"
    return error


def check_refusal(name: str, error: BaseException) -> str:
    """It says why, to a person, in one line, and nothing of what is in the file."""
    reason = reason_of(error)
    assert isinstance(error, VodError), f"{name}: {type(error).__name__}: {error}"
    assert kind_of(error) != "temporary", f"{name}: it would be tried for ten minutes: {reason}"
    assert "Traceback" not in str(error) and MARKER not in reason.split(" (file:")[0], f"{name}: {reason}"
    assert not CONTROL.search(reason), f"{name}: {reason!r}"
    return reason


def check_published(place: Path, name: str) -> None:
    """It can be played, and nothing that was injected is a line, an element or an attribute of its own."""
    results = place / "results" / "hostile"
    for path in results.rglob("*"):
        if path.suffix in (".m3u8", ".mpd", ".json", ".vtt"):
            text = path.read_text("utf-8")
            # In a cue U+2028 is a letter like any other, and a line that begins with # a line that is read.
            found = [sign for sign in CONTROL.findall(text) if path.suffix != ".vtt" or sign < " "]
            assert not found, f"{name}: {path.name} has {found!r}"
            if path.suffix == ".m3u8":
                assert f"#EXT-X-{MARKER}" not in [line.split(":")[0] for line in text.splitlines()], path
            if path.suffix == ".mpd":
                assert not [e for e in ElementTree.fromstring(text).iter() if MARKER in e.tag]
    assert (results / "index.m3u8").exists()


def test_hostile_files(files: dict[str, Path], place: Path) -> None:
    """All in one test, because making them costs more than most of them do; every failure is told."""
    assert len(files) >= 120
    problems, said = [], []
    for name, path in files.items():
        begin = time.monotonic()
        try:
            error = outcome(place, name, source=path.as_uri())
            if error is None:
                check_published(place, name)
            told = "published" if error is None else check_refusal(name, error)
            said.append(f"{name!a}: {time.monotonic() - begin:.1f} s: {told}")
        except AssertionError as problem:
            problems.append(f"{name!a}: {problem}")
            said.append(f"{name!a}: PROBLEM {problem}")
        for part in ("tmp", "results", "work"):
            remove(place / part)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    said.append(f"largest tool: {largest / 1e6:.0f} MB")
    report(said)
    assert largest <= MEMORY_BYTES
    assert not problems, "\n".join(problems)


def test_hostile_subtitles(place: Path, tmp_path: Path) -> None:
    clip = generate(tmp_path / "clip.mp4", *GOOD["mp4"])
    problems, said = [], []
    for name, data in hostile_subtitles():
        file = tmp_path / name
        file.write_bytes(data)
        subtitles = [{"uri": file.as_uri(), "language": "en"}]
        begin = time.monotonic()
        try:
            error = outcome(place, name, source=clip.as_uri(), subtitles=subtitles)
            if error is None:
                check_published(place, name)
            told = "published" if error is None else check_refusal(name, error)
            said.append(f"{name}: {time.monotonic() - begin:.1f} s: {told}")
        except AssertionError as problem:
            problems.append(f"{name}: {problem}")
            said.append(f"{name}: PROBLEM {problem}")
        for part in ("tmp", "results", "work"):
            remove(place / part)
    report(said)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cmov.mp4", "its index is compressed"),
        ("3000-tracks.mp4", r"it has 3000 streams; the limit is 64 \(VOD_MAX_STREAMS\)"),
        ("100000x100000.y4m", r"has 100000x100000 = 10000000000 pixels; the limit is \d+ \(VOD_MAX_PIXELS\)"),
        ("64-channels-48000.wav", "its sound has 64 channels; expected 1 to 24"),
        ("tfdt-broken.mp4", "a fragment says that it begins"),
        ("timescale-0-all.mp4", "timescale of 0"),
    ],
)
def test_it_says_what_is_wrong(name: str, reason: str, files: dict[str, Path], place: Path) -> None:
    error = outcome(place, name, source=files[name].as_uri())
    assert error is not None and re.search(reason, check_refusal(name, error)), error


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def report(lines: list[str]) -> None:
    if path := os.environ.get("HOSTILE_REPORT"):
        with open(path, "a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
