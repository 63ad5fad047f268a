"""The compose file, started by a real engine: a CMS asks, a transcoder is killed, viewers watch.

``make test-compose``. It needs Docker with the compose plugin, the images of ``.env`` (those that cannot be
pulled: ``tests/compose/stand-ins/make.sh``), npm and a Chromium. ``COMPOSE_KEEP=1`` leaves it running.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urljoin

import httpx
import m3u8
import pytest

from compose.stack import AIRFLOW, EDGE, S3, Stack, docker, encodes, wait
from support.cms import snippet_of_the_page
from support.tools import generate

pytestmark = pytest.mark.compose

CLIPS = 4
FILM = "film"
VIDEOS = [FILM, *(f"clip-{number}" for number in range(CLIPS))]


@dataclass
class Callbacks:
    """A CMS that listens where the containers reach it, and nowhere else."""

    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def events(self, video_id: str) -> list[dict[str, Any]]:
        told = (json.loads(body) for _, body in list(self.requests))
        return [event for event in told if event["video_id"] == video_id]


@pytest.fixture(scope="module")
def callbacks(stack: Stack) -> Iterator[Callbacks]:
    callbacks = Callbacks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            callbacks.requests.append((dict(self.headers.items()), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((stack.gateway(), 0), Handler)
    callbacks.url = f"http://{server.server_address[0]}:{server.server_port}/vod"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield callbacks
    server.shutdown()


@pytest.fixture(scope="module")
def originals(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Video id -> URI of what the CMS has uploaded."""
    client = stack.uploads()
    folder, found = tmp_path_factory.mktemp("originals"), {}
    for video_id in VIDEOS:
        # The film is busy enough that a chunk is killed in its middle.
        size, seconds = ("640x360", 48) if video_id == FILM else ("320x180", 8)
        clip = generate(
            folder / f"{video_id}.mp4",
            *("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={seconds},noise=alls=20:allf=t"),
            *("-f", "lavfi", "-i", f"sine=440:r=48000:d={seconds}"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"),
        )
        client.upload_file(str(clip), "vod-originals", clip.name)
        found[video_id] = f"s3://vod-originals/{clip.name}"
    return found


@pytest.fixture(scope="module")
def published(stack: Stack, callbacks: Callbacks, originals: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Five videos, with a transcoder killed in mid-chunk and the other restarted. Video id -> run."""
    for video_id in VIDEOS:
        conf = {
            "video_id": video_id,
            "source": originals[video_id],
            "preset": "h264_small",
            "chunk_seconds": 24,
            "callback_url": callbacks.url,
        }
        stack.api(
            "POST",
            "dags/vod_transcode/dagRuns",
            {"dag_run_id": f"cms.{video_id}", "logical_date": None, "conf": conf},
        )

    def busy() -> tuple[str, dict[str, Any]] | None:
        """A transcoder that encodes the film, and the task that it does."""
        for task in stack.tasks(f"cms.{FILM}"):
            if task["task_id"] == "transcode" and task["state"] == "running":
                for container in stack.containers("transcoder"):
                    if container_id(container).startswith(task["hostname"] or "none") and encodes(container):
                        return container, task
        return None

    victim, task = wait("a chunk is being encoded", busy, every_s=0.2)
    killed_at = datetime.now(timezone.utc)
    docker("kill", "--signal", "KILL", victim)
    (other,) = stack.containers("transcoder")
    docker("restart", "--time", "60", other)
    docker("start", victim)
    assert len(stack.containers("transcoder")) == 2

    def ended() -> dict[str, dict[str, Any]] | None:
        runs = {v: stack.api("GET", f"dags/vod_transcode/dagRuns/cms.{v}") for v in VIDEOS}
        return runs if all(run["state"] in ("success", "failed") for run in runs.values()) else None

    runs = wait("all runs have ended", ended, every_s=3)
    runs[FILM]["killed"] = task | {"at": killed_at}
    return runs


def container_id(name: str) -> str:
    return docker("inspect", "--format", "{{.Id}}", name).strip()


def test_the_file_is_valid() -> None:
    assert "vod-airflow" in Stack().compose("config", "--images")


def test_nothing_is_published_beyond_this_machine(stack: Stack) -> None:
    bound = [
        binding["HostIp"]
        for name in stack.states()
        for bindings in json.loads(docker("inspect", name))[0]["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    ]
    assert bound and set(bound) == {"127.0.0.1"}


def test_nobody_is_root_and_nothing_secret_is_in_an_environment(stack: Stack) -> None:
    password = stack.secret("postgres_password")
    for name in stack.states():
        inspected = docker("inspect", name)
        assert password not in inspected
        (container,) = json.loads(inspected)
        assert container["HostConfig"]["CapDrop"] == ["ALL"] and not container["HostConfig"]["Privileged"]
        assert container["Config"]["User"] not in ("", "0", "root"), name


def test_all_five_are_published_though_a_transcoder_was_killed(
    stack: Stack, published: dict[str, dict[str, Any]]
) -> None:
    assert {video: run["state"] for video, run in published.items()} == dict.fromkeys(VIDEOS, "success")
    killed = published[FILM]["killed"]
    (again,) = [
        task
        for task in stack.tasks(f"cms.{FILM}")
        if (task["task_id"], task["map_index"]) == ("transcode", killed["map_index"])
    ]
    assert killed["try_number"] == 1 and again["try_number"] == 2 and again["state"] == "success"
    begun = datetime.fromisoformat(again["start_date"].replace("Z", "+00:00"))
    print(f"another host began {(begun - killed['at']).total_seconds():.1f} s after the kill")


def test_every_webhook_arrived_signed(
    stack: Stack, published: dict[str, dict[str, Any]], callbacks: Callbacks
) -> None:
    secret, verified = stack.secret("callback_secret"), snippet_of_the_page()
    for headers, body in callbacks.requests:
        # However long ago: it was in time when it came, and the test has taken a while since.
        assert verified(body, headers["X-Vod-Signature"], secret, 86_400)
        assert not verified(body + b" ", headers["X-Vod-Signature"], secret, 86_400)
    for video_id in VIDEOS:
        events = callbacks.events(video_id)
        assert {event["event"] for event in events} == {"started", "done"}
        assert len({event["event_id"] for event in events}) == 2
        assert events[-1]["result"]["playlist"] == f"s3://vod-results/{video_id}/index.m3u8"


def test_the_edge_is_a_cache(published: dict[str, dict[str, Any]]) -> None:
    url = f"{EDGE}/{FILM}/index.m3u8"
    with httpx.Client(headers={"Origin": "https://player.example"}) as viewer:
        master = viewer.get(url)
        assert master.headers["content-type"] == "application/vnd.apple.mpegurl"
        assert master.headers["cache-control"] == "public, max-age=2"
        assert master.headers["access-control-allow-origin"] == "*"
        assert master.headers["content-encoding"] == "gzip"
        media_url = urljoin(url, m3u8.loads(master.text).playlists[0].uri)
        media = viewer.get(media_url)
        assert media.headers["cache-control"] == "public, max-age=31536000, immutable"
        segment_url = urljoin(media_url, m3u8.loads(media.text).segments[1].uri)

        first, second = viewer.get(segment_url), viewer.get(segment_url)
        assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
        assert first.content == second.content and first.headers["content-type"] == "video/iso.segment"
        assert second.headers["cache-control"] == "public, max-age=31536000, immutable"

        part = viewer.get(segment_url, headers={"Range": "bytes=1000-1999"})
        assert (part.status_code, part.headers["x-cache"]) == (206, "HIT")
        assert part.headers["content-range"] == f"bytes 1000-1999/{len(first.content)}"
        assert part.content == first.content[1000:2000]

        assert viewer.options(url).status_code == 204
        assert viewer.get(f"{EDGE}/{FILM}/").status_code == 404
        assert viewer.put(url, content=b"mine").status_code == 404
        missing = viewer.get(f"{EDGE}/{FILM}/none.m3u8")
        assert (missing.status_code, missing.text) == (404, "not found\n")
        assert missing.headers["access-control-allow-origin"] == "*"
    raw = subprocess.run(
        ["curl", "-s", "-H", "Accept-Encoding: gzip", url], capture_output=True, check=True
    ).stdout
    assert gzip.decompress(raw) == master.content


def test_it_plays_in_chromium_through_the_edge(published: dict[str, dict[str, Any]], watch: Any) -> None:
    session = watch("hls.js", f"{EDGE}/clip-0/index.m3u8")
    session.play()
    state = session.play_to_the_end()
    session.screenshot()
    assert state["at"] == pytest.approx(8, abs=0.1)


def test_all_comes_back_after_a_restart(stack: Stack, published: dict[str, Any]) -> None:
    """As on a reboot: nothing is lost, nothing is made anew."""
    before = stack.secret("passwords.json")
    stack.compose("restart", "--timeout", "60")
    stack.wait_until_healthy()
    assert stack.secret("passwords.json") == before
    stack.log_in()
    assert stack.api("GET", f"dags/vod_transcode/dagRuns/cms.{FILM}")["state"] == "success"
    assert httpx.get(f"{EDGE}/{FILM}/index.m3u8").status_code == 200


# --- who may do what ------------------------------------------------------------------------


def inside(stack: Stack, service: str, code: str) -> str:
    """What Python prints in a service's container."""
    return stack.compose("exec", "-T", service, "python", "-c", code)


REACH = """
import socket
for host, port in %s:
    try:
        socket.create_connection((host, port), 3).close()
        print(host, port)
    except OSError:
        pass
"""


def test_a_worker_reaches_no_database_and_no_filer(stack: Stack, published: dict[str, Any]) -> None:
    doors = [("postgres", 5432), ("s3", 8888), ("s3", 9333), ("s3", 8080), ("s3", 18888), ("edge", 8080)]
    reached = inside(stack, "worker", REACH % [*doors, ("s3", 8333), ("redis", 6379), ("api-server", 8080)])
    assert reached.splitlines() == ["s3 8333", "redis 6379", "api-server 8080"]


def test_a_worker_has_no_secret_but_the_brokers(stack: Stack, published: dict[str, Any]) -> None:
    found = inside(stack, "worker", "import os; print(*sorted(os.listdir('/var/lib/vod/secrets')))")
    assert found.split() == ["broker_url", "result_backend"]
    code = "from vod_operators.runners.sandbox import walls; print(walls('auto'))"
    standing = inside(stack, "transcoder", code)
    assert "network (seccomp)" in standing


def test_uploads_open_nothing_but_originals(stack: Stack, originals: dict[str, str]) -> None:
    from botocore.exceptions import ClientError

    client = stack.uploads()
    for bucket in ("vod-results", "vod-tmp", "vod-uploads"):
        with pytest.raises(ClientError):
            client.put_object(Bucket=bucket, Key="film/index.m3u8", Body=b"mine")
    with pytest.raises(ClientError):
        client.create_bucket(Bucket="mine")


@pytest.mark.parametrize(("user", "may"), [("guest", False), ("editor", True), ("admin", True)])
def test_who_may_trigger(stack: Stack, published: dict[str, Any], user: str, may: bool) -> None:
    """Airflow's roles: a viewer looks on, a user triggers. The source does not exist: nothing is encoded."""
    headers = {"Authorization": f"Bearer {stack.token_of(user)}"}
    runs = f"{AIRFLOW}/api/v2/dags/vod_transcode/dagRuns"
    assert httpx.get(runs, headers=headers, timeout=60).status_code == 200
    conf = {"video_id": f"by-{user}", "source": "s3://vod-originals/none.mp4"}
    body = {"dag_run_id": f"by-{user}", "logical_date": None, "conf": conf}
    assert httpx.post(runs, json=body, headers=headers, timeout=60).status_code == (200 if may else 403)
    body = {"dry_run": False, "only_failed": True}
    cleared = httpx.post(f"{runs}/cms.{FILM}/clear", json=body, headers=headers, timeout=60)
    assert cleared.status_code in ((200, 409, 422) if may else (403,))
    changed = httpx.patch(
        f"{AIRFLOW}/api/v2/dags/vod_janitor", json={"is_paused": True}, headers=headers, timeout=60
    )
    assert changed.status_code == (200 if may else 403)
    secret = httpx.get(f"{AIRFLOW}/api/v2/connections", headers=headers, timeout=60)
    assert secret.status_code == (200 if user == "admin" else 403)


def test_a_rollback_is_for_who_has_the_store(stack: Stack, published: dict[str, Any]) -> None:
    """``vod rollback`` asks Airflow for nothing but its connection: no role of the API reaches it."""
    anonymous = httpx.put(f"{S3}/vod-results/{FILM}/index.m3u8", content=b"mine", timeout=60)
    assert anonymous.status_code == 403
    assert httpx.get(f"{EDGE}/{FILM}/index.m3u8").text.startswith("#EXTM3U")


# --- the edge under slow and greedy clients -----------------------------------------------------


def test_slow_clients_hold_up_nobody(published: dict[str, Any]) -> None:
    import socket

    slow = [socket.create_connection(("127.0.0.1", 18090), 10) for _ in range(200)]
    try:
        for client in slow:
            client.sendall(b"GET /film/index.m3u8 HTTP/1.1\r\nHost: a\r\nX: ")
        for _ in range(20):
            assert httpx.get(f"{EDGE}/{FILM}/index.m3u8", timeout=10).status_code == 200
    finally:
        for client in slow:
            client.close()


def test_many_ranges_are_one_answer(published: dict[str, Any]) -> None:
    """A request for a thousand overlapping ranges must not be answered a thousandfold."""
    url = f"{EDGE}/{FILM}/index.m3u8"
    media = urljoin(url, m3u8.loads(httpx.get(url).text).playlists[0].uri)
    segment = urljoin(media, m3u8.loads(httpx.get(media).text).segments[0].uri)
    size = len(httpx.get(segment).content)
    ranges = ",".join(f"{n}-" for n in range(1000))
    with httpx.stream("GET", segment, headers={"Range": f"bytes={ranges}"}, timeout=30) as answer:
        sent = sum(len(block) for block in answer.iter_raw())
    assert answer.status_code in (200, 206, 416) and sent <= 2 * size


def test_a_callback_that_is_sent_again_is_not_new(
    stack: Stack, published: dict[str, Any], callbacks: Callbacks
) -> None:
    """The same request to the byte, later: refused by its time, and known to a CMS by its event id."""
    secret, verified = stack.secret("callback_secret"), snippet_of_the_page()
    headers, body = callbacks.requests[0]
    assert verified(body, headers["X-Vod-Signature"], secret, 86_400)
    assert not verified(body, headers["X-Vod-Signature"], secret, -1)
    seen = [json.loads(body)["event_id"] for _, body in callbacks.requests]
    assert json.loads(body)["event_id"] in seen
