"""All that a CMS needs, in one file of Python without dependencies: ask, follow, cancel, check a callback.

::

    export VOD_AIRFLOW_URL=http://localhost:8080 VOD_AIRFLOW_USER=admin VOD_AIRFLOW_PASSWORD=...
    python cms_client.py ask film-42 s3://originals/film.mp4 --preset h264 --callback-url http://cms/vod
    python cms_client.py status film-42 --preset h264
    python cms_client.py cancel film-42 --preset h264
    python cms_client.py listen 8000 --secret ...      # prints the callbacks that it can trust

docs/cms.md tells the rules that it follows.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

DAG = "/api/v2/dags/vod_transcode/dagRuns"
PATIENCE_S = 60
"""How long an Airflow that is away is waited for."""


class Refused(Exception):
    """Airflow's answer, for a person: the request is wrong, and would be again."""


class Airflow:
    """The calls of Airflow's REST API that a CMS makes. Each may be repeated at any time."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url, self.user, self.password = url.rstrip("/"), user, password
        self.token = ""

    def ask(self, video_id: str, source: str, preset: str, callback_url: str | None = None) -> str:
        """Start the run, or find it: ``started``, ``queued``, ``running``, ``done``, or ``continued`` if it
        had failed.
        """
        conf = {"video_id": video_id, "source": source, "preset": preset}
        if callback_url:
            conf["callback_url"] = callback_url
        body = {"dag_run_id": run_id(video_id, preset), "logical_date": None, "conf": conf}
        status, answer = self._call("POST", DAG, body)
        if status == 200:
            return "started"
        if status != 409:
            raise Refused(f"{status}: {answer.get('detail')}")
        state = self.status(video_id, preset)["state"]
        if state != "failed":
            return {"success": "done"}.get(state, state)
        self._get("POST", f"{DAG}/{run_id(video_id, preset)}/clear", {"dry_run": False, "only_failed": False})
        return "continued"

    def status(self, video_id: str, preset: str) -> dict[str, Any]:
        """``{"state", "chunks", "chunks_done"}``; the state is queued, running, success or failed."""
        path = f"{DAG}/{run_id(video_id, preset)}"
        state = self._get("GET", path)["state"]
        chunks = f"{path}/taskInstances?task_id=transcode&limit=1"
        return {
            "state": state,
            "chunks": self._get("GET", chunks)["total_entries"],
            "chunks_done": self._get("GET", f"{chunks}&state=success")["total_entries"],
        }

    def cancel(self, video_id: str, preset: str) -> None:
        """Stop the run; its tools end with it, what it had finished is kept. The callback says ``failed``."""
        self._get("PATCH", f"{DAG}/{run_id(video_id, preset)}", {"state": "failed"})

    def _get(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        status, answer = self._call(method, path, body)
        if status >= 300:
            raise Refused(f"{status}: {answer.get('detail')}")
        return answer

    def _call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                if not self.token:
                    login = {"username": self.user, "password": self.password}
                    _, answer = self._send("POST", "/auth/token", login)
                    self.token = answer["access_token"]
                return self._send(method, path, body)
            except urllib.error.HTTPError as error:
                if error.code == 401 and self.token:
                    self.token = ""  # it has expired
                    continue
                if error.code < 500 or time.monotonic() > until:
                    return error.code, json.loads(error.read() or b"{}")
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                if time.monotonic() > until:
                    raise
            time.sleep(1)

    def _send(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"{}")


def run_id(video_id: str, preset: str) -> str:
    """Made of what is asked for, so that asking twice is asking once."""
    return f"vod.{video_id}.{preset}"


def verified(body: bytes, header: str, secret: str, tolerance_s: int = 300) -> bool:
    """Whether a callback is ours and new. body: as received, not parsed; header: X-Vod-Signature."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    sent = parts.get("t", "")
    expected = hmac.new(secret.encode(), sent.encode() + b"." + body, hashlib.sha256).hexdigest()
    same = hmac.compare_digest(expected.encode(), parts.get("v1", "").encode())
    return same and abs(time.time() - int(sent)) <= tolerance_s


def listen(port: int, secret: str) -> None:
    """Print each event once; until a video is done or has failed."""
    seen: set[str] = set()
    over = False

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal over
            body = self.rfile.read(int(self.headers["Content-Length"]))
            ours = verified(body, self.headers.get("X-Vod-Signature", ""), secret)
            self.send_response(204 if ours else 401)
            self.end_headers()
            event = json.loads(body) if ours else {}
            if ours and event["event_id"] not in seen:
                seen.add(event["event_id"])
                print(json.dumps(event), flush=True)
                over = over or event["event"] in ("done", "failed")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("", port), Handler) as server:
        while not over:
            server.handle_request()


def main() -> None:
    parser = argparse.ArgumentParser(description="A CMS in miniature.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("ask", "status", "cancel"):
        command = commands.add_parser(name)
        command.add_argument("video_id")
        if name == "ask":
            command.add_argument("source")
            command.add_argument("--callback-url")
        command.add_argument("--preset", default="h264")
    command = commands.add_parser("listen")
    command.add_argument("port", type=int)
    command.add_argument("--secret", required=True)
    args = parser.parse_args()
    if args.command == "listen":
        listen(args.port, args.secret)
        return
    url, user, password = (os.environ[f"VOD_AIRFLOW_{name}"] for name in ("URL", "USER", "PASSWORD"))
    airflow = Airflow(url, user, password)
    try:
        if args.command == "ask":
            print(airflow.ask(args.video_id, args.source, args.preset, args.callback_url))
        elif args.command == "status":
            print(json.dumps(airflow.status(args.video_id, args.preset)))
        else:
            airflow.cancel(args.video_id, args.preset)
    except Refused as refused:
        raise SystemExit(f"refused: {refused}") from None


if __name__ == "__main__":
    main()
