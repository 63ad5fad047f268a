"""The teardown: gives the video back and tells the CMS, however the run ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from vod_operators.operators.base import VodBaseOperator
from vod_operators.storage import claim
from vod_operators.storage.keys import claim_key
from vod_operators.storage.redact import redact

CALLBACK_WAITS_S = (2, 10)
"""Between the tries to tell a CMS that is away for a moment."""


class VodReleaseOperator(VodBaseOperator):
    """Release the run's claim on its video, and POST the outcome to the callback URL.

    Made to be a teardown without a setup (``.as_teardown()``): it runs after success and failure
    alike, on any worker, also when the request was refused.

    :param video_id: the video.
    :param callback_url: where the outcome goes as JSON; empty for nowhere. A CMS that does not
        answer never fails a video: it is logged.
    :param result: what ``VodPublishOperator`` returned; None if it did not get there.
    """

    template_fields: Sequence[str] = ("video_id", "callback_url", "result")

    def __init__(self, *, video_id: str, callback_url: str = "", result: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.video_id = video_id
        self.callback_url = callback_url
        self.result = result

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the outcome: ``{"video_id", "run_id", "state"}`` and ``"result"`` or ``"failed_tasks"``."""
        outcome: dict[str, Any] = {"video_id": self.video_id, "run_id": context["dag_run"].run_id}
        if self.result:
            outcome |= {"state": "done", "result": self.result}
        else:
            outcome |= {"state": "failed", "failed_tasks": self._failed_tasks(context)}
        released = claim.release(
            self.temp, claim_key(self.settings.temp_uri, self.video_id), owner=self.run_name(context)
        )
        self.log.info(
            "%s: %s; claim %s", self.video_id, outcome["state"], "released" if released else "not held"
        )
        if self.callback_url:
            self._notify(outcome)
        return outcome

    def _failed_tasks(self, context: Context) -> list[str]:
        run = context["dag_run"]
        states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id])
        return sorted(task for task, state in states.get(run.run_id, {}).items() if state == "failed")

    def _notify(self, outcome: dict[str, Any]) -> None:
        import httpx  # here, because the DAG file is parsed again for every task

        for wait_s in (*CALLBACK_WAITS_S, None):
            try:
                httpx.post(self.callback_url, json=outcome, timeout=10).raise_for_status()
                return
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                # Not the error's text: it quotes the URL, which may hold a secret.
                status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
                why = f"HTTP {status}" if status else type(error).__name__
                self.log.warning("callback_url: %s was not told: %s", redact(self.callback_url), why)
                if wait_s is None or (status is not None and status < 500):
                    return
            time.sleep(wait_s)
