"""The local Airflow's PostgreSQL: a socket only, not as root, back after a kill; refusals say why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import create_engine, text

import local_postgres
from local_settings import Trouble


@contextmanager
def server(folder: Path) -> Iterator[psutil.Process]:
    """Running and taking connections; it is told to end at the end, if it has not."""
    process = psutil.Popen([sys.executable, local_postgres.__file__, str(folder)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not local_postgres.accepts(folder):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
        process.wait(30)


def run(folder: Path, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(local_postgres.url(folder))
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


def open_ports(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections("inet"))
    except psutil.NoSuchProcess:  # some of its workers live for moments
        return []


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # In a URL these have a meaning.
    return tmp_path_factory.mktemp("50% of &?") / "data"


def test_a_kill_loses_nothing_and_a_stranger_with_its_number_does_not_matter(folder: Path) -> None:
    with server(folder) as first:
        assert first.uids().effective != 0
        assert not any(open_ports(process) for process in [first, *first.children()])
        assert folder.stat().st_mode & 0o077 == 0
        run(folder, "CREATE TABLE films (id int)")
        run(folder, "INSERT INTO films VALUES (7)")
        first.kill()
        first.wait()
    pid_file = folder / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    # Of the server's own user, or it would be taken for nobody who matters.
    stranger = subprocess.Popen([*local_postgres._as_user(), "sleep", "600"])
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        with server(folder):
            assert run(folder, "SELECT id FROM films") == [(7,)]
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    # In order: nothing is left to recover.
    assert not pid_file.exists()


def test_a_running_server_is_not_taken_for_a_stranger(folder: Path) -> None:
    with server(folder):
        second = subprocess.run(
            [sys.executable, local_postgres.__file__, str(folder)], capture_output=True, text=True
        )
        assert second.returncode and "postmaster.pid" in second.stderr
        assert run(folder, "SELECT 1") == [(1,)]


def test_an_interrupted_creation_begins_anew(folder: Path) -> None:
    part = folder.with_name("data.part")
    (part / "base").mkdir(parents=True)
    with server(folder):
        assert run(folder, "SELECT 1") == [(1,)]
    assert not part.exists()


def test_a_path_may_be_too_long_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    folder = tmp_path / ("long" * 30) / "data"
    folder.parent.mkdir()
    with server(folder):
        assert run(folder, "SELECT 1") == [(1,)]
    private = local_postgres.sockets(folder)
    assert private.stat().st_mode & 0o077 == 0 and os.listdir(private) == []
    private.chmod(0o755)
    with pytest.raises(Trouble, match="another user"):
        local_postgres.sockets(folder)


def test_what_cannot_run_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Trouble, match="comma"):
        local_postgres.create(tmp_path / "a,b")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry])
    with pytest.raises(Trouble, match="wheels for Linux"):
        local_postgres.create(tmp_path / "data")
    assert os.listdir(tmp_path) == ["data.part"]
