"""``vod submit``: starts a video's run in a running Airflow over REST, or finds the one that exists."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx

from vod_operators.cli.main import DEFAULT_PRESET, request
from vod_operators.cli.output import ProgressBar, print_result, step_label
from vod_operators.errors import InvalidInputError, StorageError, VodError
from vod_operators.pipeline import (
    BULK_DAG_ID,
    DAG_ID,
    ENCODING,
    OPTIONAL,
    PUBLISH,
    RELEASE,
    WEIGHTS,
    percent_done,
)
from vod_operators.storage.originals import is_same_source
from vod_operators.storage.redact import redact

PAGE = 100
POLL_S = 1.0
PATIENCE_S = 120.0
"""How long to wait for an Airflow that does not answer: longer than its API server takes to restart."""


class RunName(NamedTuple):
    """Identifies a run of Airflow."""

    dag_id: str
    run_id: str


OVER = {"failed": "continued", "success": "repeated"}
"""State of a run that has ended -> how it is reported when it is submitted again."""


class SubmitError(VodError):
    """Airflow refused the request, or the run failed."""


def main(args: argparse.Namespace) -> int:
    """Submit, and with ``--wait`` follow the run to its end. Returns 0."""
    fields = request(args)
    fields |= {name: getattr(args, name) for name in ("callback_url", "source_conn_id", "callback_conn_id")}
    conf = {name: value for name, value in fields.items() if value is not None}
    begin = time.monotonic()
    with airflow_of(args) as airflow:
        run, state = airflow.ask(f"vod.{args.video_id}.{args.preset}{'.verify' * args.verify}", conf)
        if not args.wait:
            report = {"dag_id": run.dag_id, "dag_run_id": run.run_id, "state": state}
            print(json.dumps(report) if args.json else f"{run.run_id}: {state}")
            return 0
        result = _follow(airflow, run)
    print_result(result, wall_s=time.monotonic() - begin, as_json=args.json)
    return 0


def _follow(airflow: Airflow, run: RunName) -> dict[str, Any]:
    with contextlib.closing(ProgressBar(sys.stderr)) as bar:
        while True:
            state = airflow.run(run)["state"]
            label, percent = airflow.progress(run)
            bar.show(label if state == "running" else state, 100 if state == "success" else percent)
            if state in ("success", "failed"):
                break
            time.sleep(POLL_S)
    if state == "failed":
        raise SubmitError(airflow.reason(run))
    return airflow.result(run)


class Airflow(contextlib.AbstractContextManager["Airflow"]):
    """The calls of Airflow's REST API v2, and of the page's, that the command line needs."""

    def __init__(self, *, url: str, user: str | None, password: str | None, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._user, self._password, self._token = user, password, token
        self._client = httpx.Client(timeout=30)
        self._reached = False

    def __exit__(self, *_: object) -> None:
        self._client.close()

    # --- calls ------------------------------------------------------------------------------

    def ask(self, run_id: str, conf: dict[str, Any]) -> tuple[RunName, str]:
        """Start the run, or find one with the same video, source and preset, whoever started it.

        :return: the run, and ``started`` or ``running``. A run that had ended is cleared: ``continued`` if it
            had failed, ``repeated`` if it had succeeded; it then checks that the result is still complete.
        :raises SubmitError: Airflow refuses the request; or a run works on the video with another source or
            preset; or the run of this id has another source.
        """
        run = RunName(DAG_ID, run_id)
        if at_work := self._at_work(conf["video_id"]):
            for name, other in at_work:
                source, preset = str(other.get("source")), other.get("preset", DEFAULT_PRESET)
                if not is_same_source(source, conf["source"]) or preset != conf["preset"]:
                    raise SubmitError(
                        f"video_id: run {name.run_id} of {name.dag_id} works on this video, with the preset "
                        f"{preset} and the source {redact(source)}; wait for it, or use another video id"
                    )
            return at_work[0][0], "running"
        response = self._call(
            "POST",
            f"/dags/{DAG_ID}/dagRuns",
            {"dag_run_id": run_id, "logical_date": None, "conf": conf},
            ok=(200, 409),
        )
        if response.status_code == 200:
            return run, "started"
        present = self.run(run)
        if not is_same_source(str(present["conf"].get("source")), conf["source"]):
            raise SubmitError(
                f"video_id: run {run_id} exists for this video and preset, but of the source "
                f"{redact(str(present['conf'].get('source')))}; use another video id, "
                "or delete that run in Airflow and submit again"
            )
        if present["state"] not in OVER:
            return run, "running"
        # All tasks are cleared: finished work is found again, and the teardown must run once more.
        self._call("POST", f"{_path(run)}/clear", {"dry_run": False, "only_failed": False})
        return run, OVER[present["state"]]

    def _at_work(self, video_id: str) -> list[tuple[RunName, dict[str, Any]]]:
        """Queued and running runs of a video, in both lanes, each with its ``conf``."""
        runs = []
        for dag_id in (DAG_ID, BULK_DAG_ID):
            # Airflow searches the text anywhere in conf, so the video id is compared below.
            query = f"state=queued&state=running&order_by=run_after&conf_contains=%22{video_id}%22"
            # A deployment may have only one of the lanes, or show only one to this user.
            for run in self._pages(f"/dags/{dag_id}/dagRuns?{query}&", "dag_runs", ok=(200, 403, 404)):
                conf = run["conf"] or {}
                if conf.get("video_id") == video_id:
                    runs.append((RunName(dag_id, run["dag_run_id"]), conf))
        return runs

    def run(self, run: RunName) -> dict[str, Any]:
        """Airflow's description of the run."""
        description: dict[str, Any] = self._call("GET", _path(run)).json()
        return description

    def progress(self, run: RunName) -> tuple[str, float]:
        """A label of the current step, and the whole run's progress in percent, 0 to 99."""
        tasks: dict[str, list[dict[str, Any]]] = {}
        for instance in self._pages(f"{_path(run)}/taskInstances?", "task_instances"):
            tasks.setdefault(instance["task_id"], []).append(instance)
        label, parts = "queued", {}
        for task in WEIGHTS:
            instances = tasks.get(task, [])
            if task in OPTIONAL and all(instance["state"] == "skipped" for instance in instances):
                continue
            parts[task] = [self._part(run, instance) for instance in instances]
            for instance in tasks.get(task, []):
                if instance["state"] == "running":
                    label = step_label(task, instance["rendered_map_index"])
        return label, percent_done(parts)

    def result(self, run: RunName) -> dict[str, Any]:
        """What ``publish`` returned: the content of ``video.json``, and ``playlist``.

        :raises SubmitError: Airflow no longer has it.
        """
        published = self._xcom(run, PUBLISH, "return_value")
        if published is None:
            raise SubmitError(f"run {run.run_id} is done, but Airflow no longer has its result")
        return published

    def reason(self, run: RunName) -> str:
        """Why the run failed, as in a callback: step, reason, code and retry advice."""
        failure = self._xcom(run, RELEASE, "failure")
        if failure is None:  # the run was just marked as failed, or the worker of ``release`` was lost
            return f"run {run.run_id} failed; see the logs of its tasks in Airflow"
        step = failure.get("item") or failure["step"]
        log = f"; log: {failure['log_url']}" if "log_url" in failure else ""
        return (
            f"{step} failed: {failure['reason']} (code {failure['code']}, retry {failure['retry']}; "
            f"run {run.run_id}{log})"
        )

    def page(self, path: str, **query: Any) -> dict[str, Any]:
        """An answer of the API of the page *Videos*.

        :param query: None for what is not asked.
        """
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        answer: dict[str, Any] = self._call("GET", f"{path}?{asked}", api="/vod/api").json()
        return answer

    # --- wire -------------------------------------------------------------------------------

    def _xcom(self, run: RunName, task: str, key: str) -> dict[str, Any] | None:
        """The JSON value of a task's XCom; None if there is none."""
        return self._value(f"{_path(run)}/taskInstances/{task}/xcomEntries/{key}?deserialize=false")

    def _value(self, path: str) -> dict[str, Any] | None:
        response = self._call("GET", path, ok=(200, 404))
        if response.status_code == 404:
            return None
        value = response.json()["value"]
        content: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
        return content

    def _pages(self, path: str, name: str, ok: tuple[int, ...] = (200,)) -> Iterator[dict[str, Any]]:
        """All items of a paged list; none if the answer is another status of ``ok`` than 200."""
        offset = 0
        while True:
            response = self._call("GET", f"{path}limit={PAGE}&offset={offset}", ok=ok)
            if response.status_code != 200:
                return
            page = response.json()
            yield from page[name]
            offset += PAGE
            if offset >= page["total_entries"]:
                return

    def _part(self, run: RunName, instance: dict[str, Any]) -> float:
        """How much of a task instance is done, 0 to 1."""
        if instance["state"] in ("success", "skipped"):
            return 1.0
        if instance["state"] != "running" or instance["task_id"] not in ENCODING:
            return 0.0
        path = f"{_path(run)}/taskInstances/{instance['task_id']}/state-store/progress"
        progress = self._value(f"{path}?map_index={instance['map_index']}")
        return float(progress["percent"]) / 100 if progress else 0.0

    def _call(
        self, method: str, path: str, body: Any = None, ok: tuple[int, ...] = (200,), api: str = "/api/v2"
    ) -> httpx.Response:
        """Make a call, and repeat it while Airflow does not answer; every call here is safe to repeat.

        :param ok: statuses of a successful answer.
        :raises SubmitError: Airflow refuses it; the message quotes Airflow's.
        :raises StorageError: Airflow did not answer within ``PATIENCE_S``.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                # The second is what the page's API asks of programs; Airflow's ignores it.
                headers = {"Authorization": f"Bearer {self._bearer()}", "X-Requested-With": "vod"}
                response = self._client.request(method, f"{self._url}{api}{path}", json=body, headers=headers)
            except httpx.InvalidURL as error:
                raise InvalidInputError(f"url: {self._url!r} is not a URL ({error})") from None
            except httpx.HTTPError as error:
                # If the very first call has no answer, the address is probably wrong, so do not wait.
                if not self._reached or time.monotonic() > deadline:
                    raise StorageError(f"no Airflow answers at {self._url}: {error}") from None
            else:
                self._reached = True
                if response.status_code in ok:
                    return response
                if response.status_code == 401 and self._user and time.monotonic() < deadline:
                    self._token = None  # expired, so log in again
                    continue
                if response.status_code < 500 or time.monotonic() > deadline:
                    raise SubmitError(f"Airflow answers {response.status_code}: {_detail(response)}")
            time.sleep(POLL_S)

    def _bearer(self) -> str:
        if self._token is None:
            if not self._user or self._password is None:
                raise InvalidInputError(
                    "user: give --user and --password (VOD_AIRFLOW_USER, VOD_AIRFLOW_PASSWORD) "
                    "or --token (VOD_AIRFLOW_TOKEN)"
                )
            response = self._client.post(
                f"{self._url}/auth/token", json={"username": self._user, "password": self._password}
            )
            if response.status_code != 201:
                raise SubmitError(
                    f"Airflow at {self._url} refuses the login of {self._user!r}: {_detail(response)}"
                )
            self._token = response.json()["access_token"]
        return self._token


def airflow_of(args: argparse.Namespace) -> Airflow:
    """The Airflow that the command's options, or the environment, name."""
    return Airflow(
        url=args.url or os.environ.get("VOD_AIRFLOW_URL", "http://localhost:8080"),
        user=args.user or os.environ.get("VOD_AIRFLOW_USER"),
        password=args.password or os.environ.get("VOD_AIRFLOW_PASSWORD"),
        token=args.token or os.environ.get("VOD_AIRFLOW_TOKEN"),
    )


def _path(run: RunName) -> str:
    return f"/dags/{run.dag_id}/dagRuns/{run.run_id}"


def _detail(response: httpx.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return response.text[:300] or response.reason_phrase
    # The message about a refused param has the param's whole schema behind an empty line.
    return detail.split("\n\n")[0] if isinstance(detail, str) else json.dumps(detail)
