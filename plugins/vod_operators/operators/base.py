"""The base class of the operators: what Airflow does with a task, and the claim that the task holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import Any, Literal

from airflow.sdk import BaseOperator, Context

from vod_operators.operators import telemetry
from vod_operators.operators.credentials import credentials_of, hide_secrets
from vod_operators.operators.runs import holder_of, is_owner_dead, run_name
from vod_operators.operators.tool_runner import new_runner
from vod_operators.pipeline import PREPARE
from vod_operators.runners.progress import REPORT_EVERY_S, Progress
from vod_operators.settings import VodSettings, get_settings
from vod_operators.storage import checkpoint, claim
from vod_operators.storage.claim import Claim
from vod_operators.storage.keys import claim_key
from vod_operators.storage.requested import RequestedStorage
from vod_operators.work import allowance
from vod_operators.work.choice import with_choice
from vod_operators.work.conf import check_conf
from vod_operators.work.job import Job, read_job
from vod_operators.work.source import Original
from vod_operators.work.worker import Worker

PROGRESS_KEY = "progress"
"""Key in the task's state store: ``{"percent": 41.5, "speed": 2.3}``."""

CPU_KEY = "cpu_s"
"""Key in the task's state store: seconds of CPU time of the try that succeeded, with its media tools."""

LEAST_CPU_S = 1.0
"""Less is not told, because each report is a call to Airflow's API."""


class VodBaseOperator(BaseOperator):
    """Base of the operators. Subclasses name their parameters, and work with ``worker``.

    Whoever runs a task may set ``worker``, ``watch`` and ``claim_holder`` in its ``on_execute_callback``.

    :param run_in: where this task's media tools run; None for where ``VOD_RUNNER`` says.
    :param conf_keys: the keys that the run's ``conf`` may have; given to a DAG's first task. A run with
        another key is refused before the task begins. None allows any.
    """

    is_stopped = False
    """Whether Airflow has told the task to end."""
    watch: Callable[[Context, Progress], None] | None = None
    """Called with the progress of an encoding task."""
    claim_holder: str | None = None
    """Holder of the claim, by which other runs recognise that this run has ended; None: Airflow's run."""
    _claimed_at = float("-inf")

    def __init__(
        self,
        *,
        run_in: Literal["local", "docker"] | None = None,
        conf_keys: Collection[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_in = run_in
        self.conf_keys = conf_keys

    @cached_property
    def settings(self) -> VodSettings:
        """The deployment's settings, as this worker sees them."""
        return get_settings()

    @cached_property
    def worker(self) -> Worker:
        """The stores, media tools and scratch space of this task."""
        on_host = (self.run_in or self.settings.runner) == "local"
        make = partial(new_runner, self.settings, runs_on_host=on_host)
        return Worker(self.settings, make, runs_on_host=on_host)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Further keys of the step's log line: numbers and names, added by ``execute``."""
        return {}

    def pre_execute(self, context: Any) -> None:
        """Refuse a run with an unknown key in its ``conf``.

        :raises InvalidInputError: there is one; the message names it and the nearest known key.
        """
        if self.conf_keys is not None:
            check_conf(context["dag_run"].conf, self.conf_keys)

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Write the log line of a step that succeeded. The retry policy writes that of one that failed."""
        instance = context["ti"]
        begun = instance.start_date
        cpu_s = self._cpu_s()
        telemetry.log_step(
            "step done",
            step=instance.task_id,
            item=getattr(instance, "rendered_map_index", None),
            wall_s=round((datetime.now(timezone.utc) - begun).total_seconds(), 3) if begun else None,
            cpu_s=cpu_s,
            **self.facts,
        )
        if cpu_s is not None and cpu_s >= LEAST_CPU_S:
            self._leave(context, CPU_KEY, cpu_s)

    def _cpu_s(self) -> float | None:
        """Seconds of CPU time of this process and its media tools; None if they ran in containers."""
        if "worker" not in self.__dict__ or not self.worker.runs_on_host:
            return None
        spent = os.times()
        return round(spent.user + spent.system + spent.children_user + spent.children_system, 1)

    def _leave(self, context: Context, key: str, value: Any) -> None:
        """Put a value into the task's state store, which the page *Videos* shows. Never raises."""
        store: Any = context.get("task_state_store")
        try:
            if store is not None:
                store.set(key, value)
        except Exception as error:  # a failed report must not fail a task
            self.log.warning("%s could not be reported: %s", key, error)

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """Render the fields as Airflow does, and mask the secrets of their URLs before Airflow shows them."""
        super().render_template_fields(context, jinja_env)
        for name in ("source", "subtitles", "callback_url", "videos", "prefix"):
            hide_secrets(getattr(self, name, None))

    def on_kill(self) -> None:
        """Kill the media tools; Airflow calls this in the task's process when it stops the task."""
        self.is_stopped = True
        if "worker" in self.__dict__:  # one made only now would open stores, and has no tools
            self.worker.kill()

    # --- the run ----------------------------------------------------------------------------

    def requested(self, field: str, conn_id: str = "") -> RequestedStorage:
        """The storage to read a URI of a request with; it refuses what the deployment does not allow.

        :param field: of the request, for messages.
        :param conn_id: Airflow connection that the request names, with the credentials of a web server.
        :raises InvalidInputError: requests may not name that connection, or it cannot be used.
        """
        credentials = credentials_of(self.settings, conn_id, field)
        return RequestedStorage(field, self.settings.sources, self.settings.aws_conn_id, credentials)

    def original(self, uri: str, job: Job) -> Original:
        """The source, in the version that the run began with."""
        return Original(self.requested("source", job.source_conn_id), uri, job.source_version)

    def hold_claim(
        self, context: Context, video_id: str, *, ttl_s: int | None = None, brief: bool = False
    ) -> Claim:
        """Take or renew the video's claim for this run.

        :param ttl_s: None for the deployment's.
        :param brief: as for ``claim.hold``.
        :raises ClaimedError: another run has it.
        """
        held = claim.hold(
            self.worker.temp,
            claim_key(self.settings.temp_uri, video_id),
            owner=run_name(context),
            ttl_s=ttl_s or self.settings.claim_ttl_s,
            brief=brief,
            holder=self.claim_holder or holder_of(context["dag_run"]),
            is_dead=is_owner_dead,
        )
        self._claimed_at = time.monotonic()
        return held

    def renew_claim(self, context: Context, video_id: str) -> None:
        """Renew the claim during long work, once a third of its lifetime has passed."""
        if time.monotonic() - self._claimed_at > self.settings.claim_ttl_s / 3:
            self.hold_claim(context, video_id)

    def reporter(self, context: Context, job: Job) -> Callable[[Progress], None]:
        """A function that shows a command's progress in the task's state, and renews the claim."""
        begin = time.monotonic()

        def report(progress: Progress) -> None:
            self.log.info("%.0f%% at %.2fx", progress.percent, progress.speed)
            if self.watch is not None:
                self.watch(context, progress)
            self.renew_claim(context, job.plan.video_id)
            # Each report is a call to Airflow's API, so short tasks make none.
            if time.monotonic() - begin >= REPORT_EVERY_S:
                shown = {"percent": round(progress.percent, 1), "speed": progress.speed}
                self._leave(context, PROGRESS_KEY, shown)

        return report


class VodStepOperator(VodBaseOperator):
    """Base of the steps after ``prepare``, which work on the job that it decided.

    :param plan: URI of ``plan.json``.
    """

    template_fields: Sequence[str] = ("plan",)
    precedes_choice = False
    """Whether the step does not need to know what is chosen for the video. Its plan then has all renditions
    that may be made."""

    def __init__(self, *, plan: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def open_job(self, context: Context) -> Job:
        """Read the job, limit the tools for its source, and take or renew the video's claim.

        Its plan has what was chosen for this video, unless the step precedes that.

        :raises LostWorkError: the plan, or what was chosen, is gone or damaged.
        :raises ClaimedError: another run has the video.
        """
        with checkpoint.relying_on(self.worker.temp, self.plan, step=PREPARE):
            job = read_job(self.worker.temp, self.plan, self.settings)
        self.facts["video_id"] = job.plan.video_id
        self.worker.limit_tools(allowance.of_plan(self.settings, job.plan))
        self.hold_claim(context, job.plan.video_id)
        return job if self.precedes_choice else with_choice(self.worker.temp, job)


class VodChunkOperator(VodStepOperator):
    """Base of the steps that encode one chunk.

    :param source: URI of the original, for chunks that the split did not store.
    :param chunk: one item of what ``VodSplitOperator`` returns: ``{"chunk": index, "label": ...}``.
    """

    template_fields: Sequence[str] = ("plan", "source", "chunk")

    def __init__(self, *, source: str, chunk: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.chunk = chunk
