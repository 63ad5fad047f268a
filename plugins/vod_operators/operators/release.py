"""The teardown: releases the claim and sends the outcome to the CMS, however the run ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from vod_operators.operators.callbacks import VodTellingOperator
from vod_operators.operators.retry import FAILURE_KEY
from vod_operators.operators.runs import run_name
from vod_operators.pipeline import ESTIMATE_KEY, PREPARE
from vod_operators.storage import claim
from vod_operators.storage.keys import claim_key, is_video_id, shown_id
from vod_operators.work.conf import is_true
from vod_operators.work.failure import Failure, LeftFailure


class VodReleaseOperator(VodTellingOperator):
    """Release the run's claim on its video, and POST the outcome to the callback URL.

    Use it as a teardown without a setup (``.as_teardown(on_failure_fail_dagrun=True)``). It runs on any
    worker, after success and failure alike, also if the request was refused. Without a result it fails
    itself, because Airflow would call a run that somebody marked as failed a success: its last tasks were
    skipped.

    :param video_id: the video.
    :param callback_url: receives the outcome as JSON; empty for none. A CMS that does not answer is logged,
        and never fails a video.
    :param callback_conn_id: Airflow connection with the CMS's URL, or with its credentials; empty for none.
    :param estimate: ``True``: the run only estimates, and publishes nothing.
    :param result: what ``VodPublishOperator`` returned; None if it did not succeed.
    """

    template_fields: Sequence[str] = ("video_id", "callback_url", "callback_conn_id", "result", "estimate")

    def __init__(
        self,
        *,
        video_id: str,
        callback_url: str = "",
        callback_conn_id: str = "",
        result: Any = None,
        estimate: str = "False",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.video_id = video_id
        self.callback_url = callback_url
        self.callback_conn_id = callback_conn_id
        self.result = result
        self.estimate = estimate

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns ``{"video_id", "run_id", "result"}``; of a run that only estimates, ``estimate`` instead.

        :raises AirflowFailException: nothing was published; the message names the first failed step and why.
        """
        # An invalid id could lead to any key of the store. ``prepare`` has refused it.
        if is_video_id(self.video_id):
            self.facts["video_id"] = self.video_id
            released = claim.release(
                self.worker.temp, claim_key(self.settings.temp_uri, self.video_id), owner=run_name(context)
            )
            self.log.info("%s: claim %s", self.video_id, "released" if released else "not held")
        if is_true(self.estimate) and not self.result:
            found = context["ti"].xcom_pull(task_ids=PREPARE, key=ESTIMATE_KEY)
            if found:
                told = {name: value for name, value in found.items() if name not in ("chunked", "rates")}
                self.tell_cms(context, "estimated", estimate=told)
                return {"video_id": self.video_id, "run_id": context["dag_run"].run_id, "estimate": told}
        if not self.result:
            failure, failed = self._failure(context)
            self.tell_cms(context, "failed", failure=failure, failed_tasks=failed)
            # For clients that ask Airflow instead of waiting for a callback.
            context["ti"].xcom_push(key=FAILURE_KEY, value=failure.model_dump(mode="json", exclude_none=True))
            where = f"{failure.step} ({failure.item})" if failure.item else failure.step
            raise AirflowFailException(
                f"{shown_id(self.video_id)} was not published: {where}: {failure.reason}"
            )
        self.tell_cms(context, "done", result=self.result)
        return {"video_id": self.video_id, "run_id": context["dag_run"].run_id, "result": self.result}

    def _failure(self, context: Context) -> tuple[Failure, list[str]]:
        """The first failure, and the names of all failed tasks.

        When somebody marks a run as failed or as successful, Airflow fails its running tasks and skips its
        pending ones, except this one. When a task fails by itself, all tasks behind it are
        ``upstream_failed``.
        """
        run, instance = context["dag_run"], context["ti"]
        states = instance.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
        failed = sorted(task for task, state in states.items() if state == "failed")
        # The failures that the retry policy left. In a cleared run, tasks that have not run again still have
        # an old one, but are not in the failed state.
        tasks = sorted(set(context["dag"].task_ids) - {self.task_id})
        pulled = instance.xcom_pull(task_ids=tasks, key=FAILURE_KEY) or []
        known = [LeftFailure.model_validate(item) for item in pulled if item]
        known = sorted(
            (left for left in known if left.task in failed),
            # The first failure is the likely cause of the others.
            key=lambda left: (not left.by_itself, str(left.failure.at)),
        )
        if known and (known[0].by_itself or "upstream_failed" in states.values()):
            return known[0].failure, failed
        step = (failed or [self.task_id])[0]
        if "upstream_failed" in states.values():
            reason = "it was killed, or its worker was lost; its log may tell more"
            return Failure.of("host", step=step, reason=reason), failed
        reason = "the run was cancelled: somebody marked it in Airflow before it was done"
        step, item = (known[0].failure.step, known[0].failure.item) if known else (step, None)
        return Failure.of("cancelled", step=step, item=item, reason=reason), failed
