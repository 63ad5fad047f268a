"""``vod list`` and ``vod show``: what the page's API answers, for a terminal and for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from support.page import NOON, Runs
from support.results import Place, version
from vod_operators.work.index import note_published

ON_DISK = pytest.mark.parametrize("place", ["file"], indirect=True)

Vod = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def url(api_app: FastAPI) -> Iterator[str]:
    """The API server, on a port of this host."""
    server = uvicorn.Server(
        uvicorn.Config(api_app, host="127.0.0.1", port=0, lifespan="off", log_config=None)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def vod(url: str, api_app: FastAPI) -> Vod:
    """Runs a command in a process of its own; its exit code and output."""
    token = api_app.state.tokens["viewer"]
    environment = os.environ | {"VOD_AIRFLOW_URL": url, "VOD_AIRFLOW_TOKEN": token}

    def run(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "vod_operators.cli.main", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def film(place: Place, runs: Runs) -> Place:
    """A published video, and one at work."""
    place.publish(1)
    note_published(place.temp, place.temp_uri, place.publish(2), by="ada")
    runs.add("film", "success", at=NOON)
    runs.task(runs.add("other", "running", at=NOON, by=None), "prepare", "success")
    return place


@ON_DISK
def test_list(vod: Vod, film: Place, viewer: TestClient) -> None:
    code, out, _ = vod("list", "--sort", "video_id")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["VIDEO", "STATE", "LENGTH", "PRESET", "UPDATED", "BY"]
    assert lines[1].split()[:4] == ["film", "published", "0:01", "h264"] and lines[1].endswith("ada")
    assert lines[2] == "other  encoding 2%  -       h264    2026-11-01 12:00  -"
    assert lines[3] == "2 of 2 (1 encoding, 1 published)"
    assert lines[1].index("h264") == lines[2].index("h264") == lines[0].index("PRESET")

    _, out, _ = vod("list", "--json", "--state", "encoding", "--search", "OTH")
    same = viewer.get("/vod/api/videos?state=encoding&search=OTH").json()
    assert json.loads(out) == same and same["total"] == 1
    assert vod("list", "--search", "nothing")[1].splitlines()[1:] == ["0 of 0"]


@ON_DISK
def test_show(vod: Vod, film: Place, viewer: TestClient) -> None:
    code, out, _ = vod("show", "film")
    assert code == 0
    for words in (
        "film  film.mp4\npublished\n0:01, preset h264, " + version(2),
        "TRACK  CODECS  SIZE     kb/s  PEAK  VMAF  1080p  WORST\n"
        "360p   avc1    640x360  0     0     -     -      -\n",
        f"results\n{film.keys.playlist}\n{film.keys.manifest}\n",
        f"*  {version(2)}",
        f"   {version(1)}",
        "vod_transcode  success  2026-11-01T12:00:00",
    ):
        assert words in out
    _, out, _ = vod("show", "film", "--json")
    assert json.loads(out) == viewer.get("/vod/api/videos/film").json()


@ON_DISK
def test_what_can_go_wrong(vod: Vod, film: Place) -> None:
    code, out, err = vod("show", "nothing")
    assert (code, out) == (1, "") and "404" in err and "nothing" in err
    assert "not usable" in vod("show", "../film")[2]
    assert "422" in vod("list", "--sort", "reason")[2]
    assert "403" in vod("list", "--token", "made.up.token")[2]


def test_they_need_no_airflow() -> None:
    """They run on an editor's machine."""
    code = "import sys, vod_operators.cli.list, vod_operators.cli.show; print('airflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
