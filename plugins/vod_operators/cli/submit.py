"""``vod submit``: ask a running Airflow for a video over its REST API, once and only once."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx

from vod_operators.cli.main import subtitle_files
from vod_operators.cli.output import WEIGHTS, print_result, progress_bar, step_label
from vod_operators.errors import InvalidInputError, StorageError, VodError
from vod_operators.storage.keys import check_video_id
from vod_operators.storage.redact import redact

DAG_ID = "vod_transcode"
POLL_S = 1.0
PATIENCE_S = 120.0
"""How long an Airflow that does not answer is waited for: a restart of its API server."""


class SubmitError(VodError):
    """Airflow refused the request, or the run failed."""


def main(args: argparse.Namespace) -> int:
    """Submit, and with ``--wait`` follow the run to its end."""
    check_video_id(args.video_id)
    conf = {
        "video_id": args.video_id,
        "source": args.source,
        "preset": args.preset,
        "chunk_seconds": args.chunk_seconds,
        "subtitles": subtitle_files(args.subtitles),
        "callback_url": args.callback_url,
        "source_conn_id": args.source_conn_id,
        "callback_conn_id": args.callback_conn_id,
    }
    conf = {key: value for key, value in conf.items() if value is not None}
    begin = time.monotonic()
    with Airflow(
        url=args.url or os.environ.get("VOD_AIRFLOW_URL", "http://localhost:8080"),
        user=args.user or os.environ.get("VOD_AIRFLOW_USER"),
        password=args.password or os.environ.get("VOD_AIRFLOW_PASSWORD"),
        token=args.token or os.environ.get("VOD_AIRFLOW_TOKEN"),
    ) as airflow:
        run_id = f"vod.{args.video_id}.{args.preset}"
        what = airflow.ask(run_id, conf)
        if not args.wait:
            print(json.dumps({"dag_run_id": run_id, "state": what}) if args.json else f"{run_id}: {what}")
            return 0
        result = _follow(airflow, run_id)
    print_result(result, wall_s=time.monotonic() - begin, as_json=args.json)
    return 0


def _follow(airflow: Airflow, run_id: str) -> dict[str, Any]:
    with progress_bar(sys.stderr) as bar:
        while True:
            state = airflow.run(run_id)["state"]
            label, bar.n = airflow.progress(run_id)
            if state == "success":
                bar.n = 100
            bar.set_description_str(label if state == "running" else state)
            if state in ("success", "failed"):
                break
            time.sleep(POLL_S)
    if state == "failed":
        raise SubmitError(airflow.reason(run_id))
    return airflow.result(run_id)


class Airflow:
    """The few calls of Airflow's REST API v2 that this needs."""

    def __init__(self, *, url: str, user: str | None, password: str | None, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._user, self._password, self._token = user, password, token
        self._client = httpx.Client(timeout=30)
        self._reached = False

    def __enter__(self) -> Airflow:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    # --- calls ------------------------------------------------------------------------------

    def ask(self, run_id: str, conf: dict[str, Any]) -> str:
        """Start the run, or find it: ``started``, ``running``, ``done`` or, if it had failed, ``continued``.

        :raises SubmitError: Airflow refuses the request, or the run was for another source.
        """
        answer = self._call(
            "POST",
            f"/dags/{DAG_ID}/dagRuns",
            {"dag_run_id": run_id, "logical_date": None, "conf": conf},
            ok=(200, 409),
        )
        if answer.status_code == 200:
            return "started"
        found = self.run(run_id)
        if redact(str(found["conf"].get("source"))) != redact(conf["source"]):  # a signature may be another
            raise SubmitError(
                f"video_id: run {run_id} exists for this video and preset, but of the source "
                f"{redact(str(found['conf'].get('source')))}; use another video id, "
                "or delete that run in Airflow to ask anew"
            )
        if found["state"] == "failed":
            # All of it: finished work is found again, and the teardown must run once more.
            self._call("POST", f"{self._path(run_id)}/clear", {"dry_run": False, "only_failed": False})
            return "continued"
        return {"success": "done"}.get(found["state"], "running")

    def run(self, run_id: str) -> dict[str, Any]:
        """The run, as Airflow describes it."""
        found: dict[str, Any] = self._call("GET", self._path(run_id)).json()
        return found

    def progress(self, run_id: str) -> tuple[str, float]:
        """What is being worked on, and how much of all is done, 0 to 99."""
        tasks: dict[str, list[dict[str, Any]]] = {}
        for instance in self._instances(run_id):
            tasks.setdefault(instance["task_id"], []).append(instance)
        done, label = 0.0, "queued"
        for task, weight in WEIGHTS.items():
            instances = tasks.get(task, [])
            for instance in instances:
                state, part = instance["state"], 0.0
                if state in ("success", "skipped"):
                    part = 1.0
                elif state == "running":
                    label = step_label(task, instance["rendered_map_index"])
                    part = self._percent(run_id, instance) / 100 if task in ("transcode", "audio") else 0.0
                done += weight * part / len(instances)
        return label, min(99.0, done)

    def result(self, run_id: str) -> dict[str, Any]:
        """What ``publish`` returned: the content of ``video.json``."""
        path = f"{self._path(run_id)}/taskInstances/publish/xcomEntries/return_value?deserialize=false"
        value = self._call("GET", path).json()["value"]
        found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
        return found

    def reason(self, run_id: str) -> str:
        """Why the run failed: the step, and the last error of its log."""
        failed = [i for i in self._instances(run_id) if i["state"] == "failed"]
        if not failed:
            return f"run {run_id} failed"
        first = min(failed, key=lambda instance: instance["end_date"] or "")
        where = step_label(first["task_id"], first["rendered_map_index"])
        path = (
            f"{self._path(run_id)}/taskInstances/{first['task_id']}/logs/{first['try_number']}"
            f"?full_content=true&map_index={first['map_index']}"
        )
        log = self._call("GET", path, ok=(200, 404))
        details = [
            line["error_detail"][0]["exc_value"]  # the error itself; behind it stand its causes
            for line in (log.json().get("content", []) if log.status_code == 200 else [])
            if isinstance(line, dict) and line.get("error_detail")
        ]
        why = details[-1].splitlines()[0] if details else "see its log in Airflow"
        return f"{where} failed: {why} (run {run_id})"

    # --- wire -------------------------------------------------------------------------------

    def _path(self, run_id: str) -> str:
        return f"/dags/{DAG_ID}/dagRuns/{run_id}"

    def _instances(self, run_id: str) -> Iterator[dict[str, Any]]:
        offset, limit = 0, 100
        while True:
            page = self._call(
                "GET", f"{self._path(run_id)}/taskInstances?limit={limit}&offset={offset}"
            ).json()
            yield from page["task_instances"]
            offset += limit
            if offset >= page["total_entries"]:
                return

    def _percent(self, run_id: str, instance: dict[str, Any]) -> float:
        path = f"{self._path(run_id)}/taskInstances/{instance['task_id']}/state-store/progress"
        answer = self._call("GET", f"{path}?map_index={instance['map_index']}", ok=(200, 404))
        if answer.status_code != 200:
            return 0.0
        value = answer.json()["value"]
        return float((json.loads(value) if isinstance(value, str) else value)["percent"])

    def _call(self, method: str, path: str, body: Any = None, ok: tuple[int, ...] = (200,)) -> httpx.Response:
        """One call, repeated while Airflow is away: every one of them may be made twice.

        :raises SubmitError: Airflow refuses it; the message is Airflow's own.
        :raises StorageError: Airflow did not answer within ``PATIENCE_S``.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                headers = {"Authorization": f"Bearer {self._bearer()}"}
                answer = self._client.request(method, f"{self._url}/api/v2{path}", json=body, headers=headers)
            except httpx.InvalidURL as error:
                raise InvalidInputError(f"url: {self._url!r} is not a URL ({error})") from None
            except httpx.HTTPError as error:
                # A first call that nobody answers is a wrong address, and waiting would not mend it.
                if not self._reached or time.monotonic() > deadline:
                    raise StorageError(f"no Airflow answers at {self._url}: {error}") from None
            else:
                self._reached = True
                if answer.status_code in ok:
                    return answer
                if answer.status_code == 401 and self._user and time.monotonic() < deadline:
                    self._token = None  # expired: ask for another
                    continue
                if answer.status_code < 500 or time.monotonic() > deadline:
                    raise SubmitError(f"Airflow answers {answer.status_code}: {_detail(answer)}")
            time.sleep(POLL_S)

    def _bearer(self) -> str:
        if self._token is None:
            if not self._user or self._password is None:
                raise InvalidInputError(
                    "user: give --user and --password (VOD_AIRFLOW_USER, VOD_AIRFLOW_PASSWORD) "
                    "or --token (VOD_AIRFLOW_TOKEN)"
                )
            answer = self._client.post(
                f"{self._url}/auth/token", json={"username": self._user, "password": self._password}
            )
            if answer.status_code != 201:
                raise SubmitError(f"Airflow at {self._url} does not let {self._user!r} in: {_detail(answer)}")
            self._token = answer.json()["access_token"]
        return self._token


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text[:300] or answer.reason_phrase
    # A refused param comes with its whole schema behind an empty line.
    return detail.split("\n\n")[0] if isinstance(detail, str) else json.dumps(detail)
