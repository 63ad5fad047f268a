"""Hostile requests: each is refused with its reason; none reaches what no setting names, or tells of it.

``make test-hostile``. By the form of the DAG, and by the first and the last of its tasks; a few by the whole
DAG. Two decoys are watched: a server on loopback, and a file. Names are looked up in a table, so no packet
leaves this host.
"""

from __future__ import annotations

import copy
import ctypes
import json
import os
import re
import select
import socket
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostile.requests import MARKER, Conf, Places, hostile_requests
from support.cms import Cms
from support.dag_runs import Run
from support.settings import configure
from support.tools import CLIP, ROOT

pytestmark = pytest.mark.hostile

NOWHERE = Places(0, "http://127.0.0.1:0", Path("/decoy"), Path("/folder"), Path("/folder/clip.mp4"))
IN_OPEN_OR_ACCESS = 0x20 | 0x1

NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "loopback.test": ["127.0.0.1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "half.test": ["8.8.8.8", "127.0.0.1"],
}

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def names_of_cases(tmp: Path) -> list[str]:
    places = replace(NOWHERE, folder=tmp, decoy=tmp / "decoy", clip=tmp / "clip.mp4")
    return [name for name, _ in hostile_requests(places)]


class Decoys:
    """A server that answers with the marker, and a file that has it; both know who comes."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        decoys = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                decoys.requests.append(f"{self.command} {self.path}")
                body = f"{MARKER}\n".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def get_request(self) -> Any:
                decoys.requests.append("a connection")
                return super().get_request()

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.file = folder / "decoy.srt"
        self.file.write_text(f"{MARKER}\n")
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(self._watch, os.fsencode(self.file), IN_OPEN_OR_ACCESS) >= 0

    def touched(self) -> list[str]:
        """What came to either of them since it was asked last."""
        found, self.requests = self.requests, []
        if select.select([self._watch], [], [], 0)[0]:
            os.read(self._watch, 1 << 16)
            found.append("the file was opened")
        return found

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        os.close(self._watch)


@pytest.fixture
def decoys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoys]:
    decoys = Decoys(tmp_path_factory.mktemp("elsewhere"))
    yield decoys
    decoys.close()


@pytest.fixture
def redirector() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            there = self.path.removeprefix("/to/") if self.path.startswith("/to/") else self.path
            self.send_header("Location", there)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = str(host)
        if name in NAMES:
            return [(0, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in NAMES[name]]
        if name != "8.8.8.8" and re.fullmatch(r"[0-9a-fx.:]+", name):
            return real(host, port, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def places(
    stores: Path, decoys: Decoys, redirector: str, cms: Cms, monkeypatch: pytest.MonkeyPatch
) -> Places:
    folder = stores / "originals"
    folder.mkdir()
    clip = folder / "clip.mp4"
    clip.write_bytes(CLIP.read_bytes())
    named = ["public", folder.as_uri(), "s3://named", redirector]
    configure(
        monkeypatch,
        source_allow=json.dumps(named),
        callback_allow=json.dumps(["public", cms.url]),
        request_conn_ids='["media"]',
        video_id_pattern="(?!teamb-).*",
    )
    return Places(decoys.server.server_port, redirector, decoys.file, folder, clip)


def good(places: Places, cms: Cms) -> Conf:
    return {
        "video_id": "film",
        "source": places.clip.as_uri(),
        "preset": "h264_small",
        "callback_url": cms.url,
    }


def contents(folder: Path) -> str:
    """Of all that a run has left in the stores."""
    files = [path for name in ("tmp", "results") for path in (folder / name).rglob("*") if path.is_file()]
    return "".join(path.read_bytes().decode("utf-8", "replace") for path in files)


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return names_of_cases(tmp_path_factory.mktemp("names"))


def test_there_are_enough(cases: list[str]) -> None:
    assert len(set(cases)) == len(cases) >= 150


PATIENCE_S = 60


def refusal(conf: Conf, log: Callable[..., None]) -> tuple[str, str]:
    """Who refuses a request, and what is told of it: the reason, XCom and whatever else the tasks leave."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.exceptions import AirflowFailException, ParamValidationError

    from vod_operators.operators.prepare import VodPrepareOperator
    from vod_operators.operators.release import VodReleaseOperator
    from vod_operators.operators.retry import FAILURE_KEY, VodRetryPolicy

    params = copy.deepcopy(DAGS.setdefault("bag", DagBag(ROOT / "dags")).dags["vod_transcode"].params)
    try:
        params.update(conf)
        asked = params.validate()
    except ParamValidationError as error:
        return "the form", str(error).splitlines()[0]
    given = {
        "video_id": str(asked["video_id"]),
        "source": str(asked["source"]),
        "preset": str(asked["preset"]),
        "chunk_seconds": str(asked["chunk_seconds"] or ""),
        "subtitles": json.dumps(asked["subtitles"]),
        "source_conn_id": str(asked["source_conn_id"] or ""),
    }
    called = {name: str(asked[name] or "") for name in ("callback_url", "callback_conn_id")}
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        task_id="prepare",
        map_index=-1,
        rendered_map_index=None,
        log_url="http://airflow/log",
        xcom_push=lambda key, value: pushed.__setitem__(key, value),
        xcom_pull=lambda **_: [pushed.get(FAILURE_KEY)],
        task=None,
        get_task_states=lambda **_: {"run": {"prepare": "failed"}},
    )
    run = SimpleNamespace(dag_id="vod_transcode", run_id="run", clear_number=0)
    context: Any = {
        "dag_run": run,
        "ti": ti,
        "dag": SimpleNamespace(task_ids=["prepare"]),
        "task": SimpleNamespace(retries=6),
    }
    try:
        VodPrepareOperator(task_id="prepare", **given, **called).execute(context)
    except Exception as error:
        decision = VodRetryPolicy().evaluate(error, 1, 6, context)
        log("".join(traceback.format_exception(error)))
        with pytest.raises(AirflowFailException) as end:
            VodReleaseOperator(task_id="release", video_id=given["video_id"], **called).execute(context)
        return decision.action.name, f"{decision.reason}\n{pushed}\n{end.value}"
    return "nobody", ""


DAGS: dict[str, Any] = {}


def test_each_is_refused_and_reaches_nothing(
    airflow_db: None,
    stores: Path,
    places: Places,
    decoys: Decoys,
    cms: Cms,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong, counts = [], Counter[str]()
    for name, fields in hostile_requests(places):
        cms.requests.clear()
        caplog.clear()
        capfd.readouterr()
        begun, log = time.monotonic(), list[str]()
        who, said = refusal(good(places, cms) | fields, log.append)
        counts[who] += 1
        outputs = {
            "the reason": said,
            "the log": caplog.text + "".join(log) + capfd.readouterr().out,
            "the callback": b"".join(request.body for request in cms.requests).decode(),
            "the stores": contents(stores),
        }
        found = [f"the marker is in {place}" for place, text in outputs.items() if MARKER in text]
        reason = said.partition("\n")[0]
        if who == "nobody":
            found.append("it was taken")
        if who not in ("the form", "FAIL"):
            found.append(f"not refused for good, but {who}: {said}")
        if who == "FAIL" and not FIELD.match(reason):
            found.append(f"no field in {reason!r}")
        if CONTROL.search(reason) or "Traceback" in said:
            found.append(f"not one line that can be shown: {reason!r}")
        if time.monotonic() - begun > PATIENCE_S:
            found.append("it took too long")
        if touched := decoys.touched():
            found.append(f"it reached {touched}")
        wrong += [f"{name}: {problem}" for problem in found]
    assert not wrong, "\n".join(wrong)
    assert counts["the form"] > 30 and counts["FAIL"] > 100, counts


FIELD = re.compile(r"(source|subtitles|callback_url|video_id|preset|chunk_seconds|\w+_conn_id)\b")


def test_some_by_the_whole_dag(
    run_dag: Callable[..., Run],
    stores: Path,
    places: Places,
    decoys: Decoys,
    cms: Cms,
    capfd: pytest.CaptureFixture[str],
) -> None:
    requests = dict(hostile_requests(places))
    for name in (
        "source at localhost",
        "source behind a redirect",
        "source behind a link",
        "source a template in a URI",
        "subtitles in a file",
        "subtitles that are no subtitles",
        "subtitles that are bad times",
        "callback at 2130706433",
        "callback_conn_id 'aws_default'",
    ):
        cms.requests.clear()
        run = run_dag(**good(places, cms) | requests[name])
        assert run.state == "failed" and list(run.errors) == ["prepare", "release"], name
        told = b"".join(request.body for request in cms.requests).decode()
        log = capfd.readouterr().out + run.log
        for text in (told, log, json.dumps(run.results, default=str), str(run.errors), contents(stores)):
            assert MARKER not in text, name
        assert not list((stores / "results").rglob("*"))
    assert decoys.touched() == []


def test_a_refusal_is_the_same_whether_it_exists(
    run_dag: Callable[..., Run], stores: Path, places: Places, decoys: Decoys, cms: Cms
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
    pairs = {
        decoys.file.as_uri(): decoys.file.with_name("none.srt").as_uri(),
        f"http://127.0.0.1:{places.port}/x": f"http://127.0.0.1:{free}/x",
        f"http://loopback.test:{places.port}/x": f"http://nothing.test:{places.port}/x",
        (stores / "results").as_uri(): (stores / "nothing").as_uri(),
    }
    for there, not_there in pairs.items():
        for field in ("source", "subtitles"):
            refusals = set()
            for uri in (there, not_there):
                value: Any = uri if field == "source" else [{"uri": uri, "language": "en"}]
                run = run_dag(**good(places, cms) | {field: value})
                refusals.add(str(run.errors["prepare"]).replace(uri, "URI"))
            assert len(refusals) == 1, refusals
    assert decoys.touched() == []


def test_they_are_reached_when_a_setting_names_them(
    run_dag: Callable[..., Run], places: Places, decoys: Decoys, cms: Cms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the decoys would prove nothing. What is read is not told even then."""
    url = f"http://127.0.0.1:{places.port}/x.srt"
    named = ["public", places.folder.as_uri(), decoys.file.as_uri(), f"127.0.0.1:{places.port}"]
    configure(
        monkeypatch, source_allow=json.dumps(named), callback_allow=json.dumps([f"127.0.0.1:{places.port}"])
    )
    for uri in (url, decoys.file.as_uri()):
        run = run_dag(
            **good(places, cms) | {"callback_url": None, "subtitles": [{"uri": uri, "language": "en"}]}
        )
        assert decoys.touched(), uri
        assert "line 1: it is neither SubRip, WebVTT nor ASS" in str(run.errors["prepare"])
        assert MARKER not in str(run.errors) + run.log
    run = run_dag(**good(places, cms) | {"callback_url": url, "source": (places.folder / "none").as_uri()})
    assert any("POST" in request for request in decoys.touched())


def test_a_good_request_is_published(
    run_dag: Callable[..., Run], stores: Path, places: Places, decoys: Decoys, cms: Cms
) -> None:
    text = places.folder / "good.srt"
    text.write_text("1\n00:00:01,000 --> 00:00:02,000\nHi\n")
    files = [{"uri": text.as_uri(), "language": "en", "name": "Two\u2028lines\u202e\x85\ufffe"}]
    run = run_dag(**good(places, cms) | {"subtitles": files})
    assert run.state == "success" and cms.events() == ["started", "done"]
    (told,) = (t for t in run.results["publish"][0]["renditions"] if t["kind"] == "text")
    assert told["title"] == "Two lines"
    playlist = (stores / "results" / "film" / "index.m3u8").read_text("utf-8")
    assert 'NAME="Two lines"' in playlist
    assert decoys.touched() == []
