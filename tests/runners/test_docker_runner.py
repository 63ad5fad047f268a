"""What is the Docker runner's own: what a container may, what is left of it, and what the engine lacks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kinds import ffmpeg, make, python

from support.docker_engine import IMAGE, connect, containers
from vod_operators.errors import EngineError, InvalidInputError, ToolKilledError
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.retry import kind_of
from vod_operators.runners import docker
from vod_operators.runners.base import MAX_PRINTED_CHARS, ToolLimits, output
from vod_operators.runners.containers import Container, create, reap
from vod_operators.runners.docker import DockerRunner, _Lines, _returncode, _sum_of_counts
from vod_operators.runners.local import LocalRunner
from vod_operators.settings import get_settings

# --- without an engine ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "lines"),
    [
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a", b"b\nc"], ["ab", "c"]),
        ([b"caf\xc3", b"\xa9\n"], ["café"]),
        ([b"a\xffb\n", b"\xc3"], ["a\ufffdb", "\ufffd"]),
        ([b"a\r", b"\nb\rc\n"], ["a", "b", "c"]),
        ([b"\n\n"], ["", ""]),
        ([], []),
    ],
)
def test_lines_are_found_in_blocks(blocks: list[bytes], lines: list[str]) -> None:
    reader = _Lines(MAX_PRINTED_CHARS)
    found = [line for block in blocks for line in reader.feed(block)]
    assert found + reader.feed(b"", is_last=True) == lines


@pytest.mark.parametrize(("said", "means"), [(0, 0), (1, 1), (69, 69), (137, -9), (139, -11), (244, 244)])
def test_an_exit_code_is_a_signal_or_not(said: int, means: int) -> None:
    assert _returncode(said) == means


def test_what_is_counted_is_the_command_and_its_children() -> None:
    """Process 9 is the look itself: another session."""
    text = "\n".join(
        [
            "/proc/1/stat:1 (sh) S 0 1 1 0 -1",
            "/proc/7/stat:7 (a) b) R 1 1 1 0 -1",
            "/proc/9/stat:9 (grep) R 0 9 9 0 -1",
            "/proc/1/io:rchar: 100",
            "/proc/1/io:wchar: 1",
            "/proc/7/io:rchar: 5000",
            "/proc/7/io:wchar: 20",
            "/proc/7/io:syscr: 9",
            "/proc/9/io:rchar: 77",
            "/proc/9/io:wchar: 77",
        ]
    )
    assert _sum_of_counts(text) == (5100, 21)
    assert _sum_of_counts("") is None


def test_an_engine_that_is_not_there_is_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOD_DOCKER_IMAGE", IMAGE)
    monkeypatch.setenv("VOD_DOCKER_URL", f"unix://{tmp_path}/no.sock")
    get_settings.cache_clear()
    try:
        runner = VodBaseOperator(task_id="a", run_in="docker").worker.runner
        with pytest.raises(EngineError, match=r"engine cannot be reached.*VOD_DOCKER_URL") as error:
            runner.run(["true"], folder=tmp_path)
    finally:
        get_settings.cache_clear()
    assert kind_of(error.value) == "temporary"


class Engine:
    """Knows one container, which ends at once."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def start(self, name: str) -> None:
        pass

    def wait(self, name: str) -> None:
        pass

    def inspect_container(self, name: str) -> dict[str, Any]:
        return {"State": {"ExitCode": 0, "OOMKilled": False}}

    def containers(self, **_: Any) -> list[Any]:
        return []

    def remove_container(self, name: str, **_: Any) -> None:
        self.removed.append(name)


class Attached:
    def __init__(self, api: Engine, name: str) -> None:
        pass

    def lines(self) -> Iterator[tuple[bool, str]]:
        return iter(())

    def end(self) -> None:
        pass


def test_a_container_is_removed_although_cleaning_up_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(watch: docker.Watch) -> None:
        threading.Thread.join(watch)
        raise TimeoutError

    monkeypatch.setattr(docker, "_Attached", Attached)
    monkeypatch.setattr(docker, "create", lambda *_: "vod-1")
    monkeypatch.setattr(docker.Watch, "end", interrupt)
    monkeypatch.setattr(docker.Watch, "run", lambda watch: None)
    engine = Engine()
    with pytest.raises(TimeoutError):
        DockerRunner(lambda: engine, Container(image=IMAGE, labels={})).run(["true"], folder=tmp_path)
    assert engine.removed == ["vod-1"]


def test_where_tools_run_is_a_setting_that_an_operator_may_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOD_RUNNER", "docker")
    monkeypatch.setenv("VOD_DOCKER_IMAGE", "media@sha256:0")
    get_settings.cache_clear()
    try:
        assert isinstance(VodBaseOperator(task_id="a").worker.runner, DockerRunner)
        assert isinstance(VodBaseOperator(task_id="a", run_in="local").worker.runner, LocalRunner)
        monkeypatch.delenv("VOD_DOCKER_IMAGE")
        get_settings.cache_clear()
        with pytest.raises(InvalidInputError, match=r"VOD_DOCKER_IMAGE: .*needs the name of an image"):
            get_settings()
        monkeypatch.delenv("VOD_RUNNER")
        get_settings.cache_clear()
        assert isinstance(VodBaseOperator(task_id="a").worker.runner, LocalRunner)
        with pytest.raises(InvalidInputError, match="VOD_DOCKER_IMAGE must name"):
            _ = VodBaseOperator(task_id="a", run_in="docker").worker.runner
    finally:
        get_settings.cache_clear()


# --- with one ---------------------------------------------------------------------------------


def runner(**wanted: Any) -> DockerRunner:
    return DockerRunner(connect, Container(**{"image": IMAGE, "labels": {"task": "test"}} | wanted))


@pytest.mark.docker
def test_a_container_may_do_nothing_but_work_in_its_folder(tmp_path: Path) -> None:
    work, store = tmp_path / "work", tmp_path / "store"
    work.mkdir()
    store.mkdir()
    (store / "source.mp4").write_text("a source")
    (store / "another.mp4").write_text("not ours")
    (work / "source").symlink_to(store / "source.mp4")
    script = """
touch mine && echo writes its folder
touch /x 2>/dev/null || echo not the root
touch /tmp/x 2>/dev/null || echo not /tmp
(echo y > source) 2>/dev/null || echo not the source
ls "$1"
grep -E '^(Uid|Gid|NoNewPrivs|CapEff|CapBnd):' /proc/self/status | tr -s '\\t' ' '
ls /sys/class/net
"""
    said = output(make("docker"), ["sh", "-c", script, "sh", str(store)], work)
    uid, gid = os.getuid(), os.getgid()
    assert said == [
        "writes its folder",
        "not the root",
        "not /tmp",
        "not the source",
        "source.mp4",  # and nothing else of the store
        f"Uid: {uid} {uid} {uid} {uid}",
        f"Gid: {gid} {gid} {gid} {gid}",
        "CapEff: 0000000000000000",
        "CapBnd: 0000000000000000",
        "NoNewPrivs: 1",
        "lo",
    ]


@pytest.mark.docker
def test_limits_and_labels_are_what_was_asked_for(tmp_path: Path) -> None:
    api = connect()
    wanted = Container(image=IMAGE, cpus=1.5, memory="64m", labels={"dag": "vod_transcode", "map_index": "3"})
    name = create(api, wanted, ["true"], tmp_path, ToolLimits(output_bytes=1 << 20))
    try:
        made = api.inspect_container(name)
    finally:
        api.remove_container(name)
    host, labels = made["HostConfig"], made["Config"]["Labels"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (1_500_000_000, 64 << 20, 64 << 20)
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
    assert host["LogConfig"]["Type"] == "none"
    assert {"Name": "fsize", "Soft": 1 << 20, "Hard": 1 << 20} in host["Ulimits"]
    assert (labels["vod-operators.dag"], labels["vod-operators.map_index"]) == ("vod_transcode", "3")
    assert labels["vod-operators.process"].startswith(f"{os.getpid()} ")


@pytest.mark.docker
def test_a_command_out_of_memory_was_killed(tmp_path: Path) -> None:
    with pytest.raises(ToolKilledError, match=r"used up its memory: 48m \(VOD_DOCKER_MEMORY\)") as error:
        make("docker", memory="48m").run(
            python("docker", "x = b'x' * (200 << 20); print(len(x))"), folder=tmp_path
        )
    assert error.value.returncode == -9
    assert containers() == []


@pytest.mark.docker
def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"has no image 'no/such:1'.*docker pull no/such:1") as error:
        runner(image="no/such:1").run(["true"], folder=tmp_path)
    assert kind_of(error.value) == "permanent"


@pytest.mark.docker
def test_a_folder_that_the_engine_does_not_see(tmp_path: Path) -> None:
    (tmp_path / "source").symlink_to("/no/such/film.mp4")
    with pytest.raises(InvalidInputError, match=r"does not see .*same path for the engine"):
        make("docker").run(["true"], folder=tmp_path)
    assert containers() == []


@pytest.mark.docker
def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="VOD_DOCKER_GPUS=1: this Docker engine offers no GPU"):
        runner(gpus="1").run(["true"], folder=tmp_path)
    assert containers() == []


@pytest.mark.docker
def test_containers_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    """The dead one's guard is stopped too, as by an engine that lost the pipe."""
    api = connect()
    dead = subprocess.run(
        [
            sys.executable,
            "-c",
            "from pathlib import Path; from kinds import *\n"
            "from vod_operators.runners.base import ToolLimits\n"
            "from vod_operators.runners.containers import create\n"
            "wanted = Container(image=IMAGE, labels={})\n"
            "name = create(connect(), wanted, ['sleep', '600'], Path('/'), ToolLimits())\n"
            "connect().start(name); print(name)",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    alive = create(api, Container(image=IMAGE, labels={}), ["sleep", "600"], Path("/"), ToolLimits())
    try:
        assert set(containers()) == {dead, alive}
        reap(api)
        assert containers() == [alive]
    finally:
        api.remove_container(alive, force=True)


@pytest.mark.docker
def test_a_container_that_does_not_heed_the_pipe_is_killed_by_the_engine(tmp_path: Path) -> None:
    """A hostile tool ends its guard, which runs as the same user."""
    code = """
import os, signal, time
for pid in filter(str.isdigit, os.listdir("/proc")):
    if pid not in ("1", str(os.getpid())):
        os.kill(int(pid), signal.SIGKILL)
print("begun", flush=True)
time.sleep(600)
"""
    task = make("docker")
    begun: list[float] = []

    def on_line(_: str) -> None:
        begun.append(time.monotonic())
        task.kill()

    with pytest.raises(ToolKilledError):
        task.run(python("docker", code), folder=tmp_path, on_line=on_line)
    assert begun and containers() == []


@pytest.mark.docker
def test_the_same_command_makes_the_same_bytes(tmp_path: Path) -> None:
    """One ffmpeg at one path, as a process and in a container."""
    made = []
    argv = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=128x72:d=1", "-c:v", "libx264", "-threads", "1"]
    argv += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "out.mp4"]
    for kind in ("local", "docker"):
        folder = tmp_path / kind
        folder.mkdir()
        make(kind).run([ffmpeg(kind), *argv], folder=folder)
        made.append((folder / "out.mp4").read_bytes())
    assert made[0] == made[1] and len(made[0]) > 1000
