"""What a hostile decoder finds on this host: nothing. With real processes, and a listener on loopback."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vod_operators.errors import InvalidInputError, ToolError, ToolMemoryError, ToolOutputError
from vod_operators.runners import sandbox
from vod_operators.runners.base import ToolLimits, output
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.sandbox import Sandbox, walls
from vod_operators.runners.scratch import in_memory

MARKER = "marker-5e1f"

needs_walls = pytest.mark.skipif(bool(walls("auto")[1]), reason=f"this host lacks walls: {walls('auto')[1]}")

DECOY = """\
#!{python}
import json, os, socket, sys, ctypes, subprocess
found = {{"environment": dict(os.environ)}}
def attempt(name, act):
    try:
        found[name] = repr(act())
    except BaseException as error:
        found[name] = type(error).__name__
secret, port, parent = sys.argv[1], int(sys.argv[2]), os.getppid()
attempt("secret", lambda: open(secret).read())
attempt("by a link", lambda: (os.symlink(secret, "link"), open("link").read()))
attempt("folder", lambda: os.listdir(os.path.dirname(secret)))
attempt("parent", lambda: open(f"/proc/{{parent}}/environ").read())
attempt("memory", lambda: open(f"/proc/{{parent}}/mem", "rb").read(1))
attempt("parent's files", lambda: os.listdir(f"/proc/{{parent}}/fd"))
attempt("passwords", lambda: open("/etc/passwd").read())
attempt("write", lambda: open(secret + ".mine", "w").write("x"))
attempt("remove", lambda: os.remove(secret))
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", port), 2))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("listen", lambda: socket.create_server(("127.0.0.1", 0)))
attempt("kill", lambda: os.kill(parent, 0))
attempt("fifo", lambda: os.mkfifo("fifo"))
attempt("run what was written", lambda: (open("tool", "w").write("#!/bin/sh\\n"), os.chmod("tool", 0o755),
                                         subprocess.run(["./tool"], check=True)))
attempt("child", lambda: subprocess.run(["cat", secret], check=True, capture_output=True))
found["io_uring"] = ctypes.CDLL(None).syscall(425, 1, 0)
found["own file"] = open("source").read()
open("written", "w").write("mine")
print(json.dumps(found))
"""


@pytest.fixture
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port of loopback, and who came."""
    guests: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    guests.append(server.accept())
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], guests
        server.shutdown(socket.SHUT_RDWR)


@needs_walls
def test_a_decoy_decoder_gets_nothing(
    tmp_path: Path, listener: tuple[int, list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", MARKER)
    home, work, store = tmp_path / "airflow", tmp_path / "work", tmp_path / "store"
    for folder in (home, work, store):
        folder.mkdir()
    secret = home / "airflow.cfg"
    secret.write_text(MARKER)
    (store / "source.mp4").write_text("the original")
    (work / "source").symlink_to(store / "source.mp4")
    decoy = tmp_path / "ffmpeg"
    decoy.write_text(DECOY.format(python=sys.executable))
    decoy.chmod(0o755)
    port, guests = listener
    lines: list[str] = []
    LocalRunner().run([str(decoy), str(secret), str(port)], folder=work, on_line=lines.append)

    found = json.loads(lines[0])
    assert found.pop("own file") == "the original" and (work / "written").read_text() == "mine"
    told = found.pop("environment")
    assert {name for name in told if not name.startswith("LC_")} <= {
        "PATH",
        "LANG",
        "LANGUAGE",
        "TMPDIR",
        "SVT_LOG",
    }
    assert found.pop("io_uring") == -1
    denied = {"PermissionError", "FileNotFoundError", "CalledProcessError"}
    assert {name: answer for name, answer in found.items() if answer not in denied} == {}
    assert MARKER not in "".join(lines)
    assert guests == [] and secret.read_text() == MARKER and sorted(os.listdir(home)) == ["airflow.cfg"]


def test_what_is_kept_in_memory_can_be_read(tmp_path: Path) -> None:
    with in_memory(tmp_path / "source") as memory:
        (tmp_path / "source").write_text("sparse")
        lines: list[str] = []
        LocalRunner(inherited=[memory]).run(["cat", "source"], folder=tmp_path, on_line=lines.append)
    assert lines == ["sparse"]


@needs_walls
def test_folders_that_the_deployment_names_can_be_read(tmp_path: Path) -> None:
    work, named = tmp_path / "work", tmp_path / "named"
    work.mkdir()
    named.mkdir()
    (named / "file").write_text("named")
    with pytest.raises(ToolError):
        LocalRunner().run(["cat", str(named / "file")], folder=work)
    LocalRunner(sandbox=Sandbox("auto", [named])).run(["cat", str(named / "file")], folder=work)
    LocalRunner(sandbox=Sandbox("off")).run(["cat", str(named / "file")], folder=work)


def test_a_host_without_walls_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "landlock_abi", lambda: 0)
    monkeypatch.setattr(sandbox, "has_seccomp", lambda: False)
    assert walls("auto") == ((), ("files", "network"))
    LocalRunner().run(["true"], folder=tmp_path)
    with pytest.raises(
        InvalidInputError, match="VOD_SANDBOX=require: this host cannot keep media tools from files"
    ):
        LocalRunner(sandbox=Sandbox("require")).run(["true"], folder=tmp_path)


@needs_walls
@pytest.mark.parametrize("abi", [1, 3, 5])
def test_older_kernels_get_the_walls_that_they_know(
    tmp_path: Path, abi: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "landlock_abi", lambda: abi)
    secret = tmp_path / "secret"
    secret.write_text(MARKER)
    work = tmp_path / "work"
    work.mkdir()
    LocalRunner().run(["sh", "-c", "echo a > b && cp b c && mv c d"], folder=work)
    with pytest.raises(ToolError, match="Permission denied"):
        LocalRunner().run(["cat", str(secret)], folder=work)


# --- limits -----------------------------------------------------------------------------------


def limited(**limits: int) -> LocalRunner:
    runner = LocalRunner()
    runner.limits = ToolLimits(**limits)
    return runner


def test_a_file_that_grows_too_large_ends_its_tool(tmp_path: Path) -> None:
    with pytest.raises(ToolOutputError, match=r"dd wrote more than 1 MB.*VOD_TOOL_OUTPUT_FACTOR"):
        limited(output_bytes=1_000_000).run(
            ["dd", "if=/dev/zero", "of=file", "bs=65536", "count=99"], folder=tmp_path
        )
    assert (tmp_path / "file").stat().st_size <= 1_000_000


def test_many_small_files_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vod_operators.runners.local.LOOK_EVERY_S", 0.05)
    endless = (
        "n=0; while :; do n=$((n+1)); dd if=/dev/zero of=f$((n % 9)) bs=100000 count=1 2>/dev/null; done"
    )
    with pytest.raises(ToolOutputError, match="sh wrote more than 1 MB"):
        limited(output_bytes=1_000_000).run(["sh", "-c", endless], folder=tmp_path)


def test_memory_has_an_end(tmp_path: Path) -> None:
    """As ffmpeg says it when an allocation fails."""
    say = "dd: memory exhausted by input buffer"
    with pytest.raises(ToolError, match=say):
        limited(memory_bytes=64_000_000).run(
            ["dd", "if=/dev/zero", "of=a", "bs=300M", "count=1"], folder=tmp_path
        )
    limited(memory_bytes=640_000_000).run(
        ["dd", "if=/dev/zero", "of=a", "bs=300M", "count=1"], folder=tmp_path
    )
    tool = ["sh", "-c", "echo 'Cannot allocate memory' >&2; exit 244"]
    with pytest.raises(ToolMemoryError, match=r"more than 64 MB of memory.*VOD_TOOL_MEMORY_FACTOR"):
        limited(memory_bytes=64_000_000).run(tool, folder=tmp_path)


def test_a_narrower_limit_of_the_task_stays(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vod_operators.runners.local import LocalRunner;"
        "from vod_operators.runners.base import ToolLimits; import resource;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); r = LocalRunner();"
        "r.limits = ToolLimits(output_bytes=1 << 30);"
        "r.run(['sh', '-c', 'ulimit -f'], folder=Path(sys.argv[1]), on_line=print)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=env, capture_output=True, text=True
    )
    assert int(said.stdout) * 512 == 1 << 20, said.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_line_without_an_end_is_read_in_parts(tmp_path: Path) -> None:
    lines: list[str] = []
    LocalRunner().run(["head", "-c", "70000000", "/dev/zero"], folder=tmp_path, on_line=lines.append)
    assert [len(line) for line in lines] == [1 << 26, 70_000_000 - (1 << 26)]
    endless = ["sh", "-c", "head -c 1000000 /dev/zero >&2"]
    assert max(map(len, LocalRunner().run(endless, folder=tmp_path))) == 65_536


def test_what_is_held_has_an_end(tmp_path: Path) -> None:
    with pytest.raises(ToolOutputError, match="yes wrote more than 67 MB"):
        output(LocalRunner(), ["yes"], tmp_path)
