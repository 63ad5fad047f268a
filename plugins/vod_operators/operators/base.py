"""The base class of the operators: stores, tools, a scratch folder, the claim, progress, callbacks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from airflow.sdk import BaseOperator, Context, get_current_context

from vod_operators.errors import InvalidInputError, ToolError
from vod_operators.media import probe
from vod_operators.media.models import Timeline
from vod_operators.operators import telemetry
from vod_operators.operators.credentials import callback_of, credentials_of, hide_secrets, is_empty
from vod_operators.operators.runs import holder_of, is_owner_dead
from vod_operators.pipeline import PREPARE, SPLIT
from vod_operators.runners.base import Runner, ToolLimits, output
from vod_operators.runners.containers import Container
from vod_operators.runners.docker import DockerRunner
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.progress import REPORT_EVERY_S, Progress, ProgressReader
from vod_operators.runners.sandbox import Mode, Sandbox, walls
from vod_operators.runners.scratch import check_room, scratch_folder
from vod_operators.runners.tools import Tools, bundled_folders
from vod_operators.settings import VodSettings, get_settings
from vod_operators.storage import checkpoint, claim
from vod_operators.storage.base import Storage
from vod_operators.storage.claim import Claim
from vod_operators.storage.keys import claim_key
from vod_operators.storage.requested import RequestedStorage
from vod_operators.work import allowance
from vod_operators.work.conf import check_conf
from vod_operators.work.job import Job, read_job
from vod_operators.work.source import Original
from vod_operators.work.stores import Stores
from vod_operators.work.webhook import Event, EventKind, deliver, event_id

if TYPE_CHECKING:
    from docker import APIClient

PROGRESS_KEY = "progress"
"""Key in the task's state store: ``{"percent": 41.5, "speed": 2.3}``."""

_LOG = logging.getLogger(__name__)

WATCHERS: list[Callable[[Context, Progress], None]] = []
"""Called with the progress of this process's encoding tasks; ``vod run`` shows it."""

HOLDERS: list[str] = []
"""The last one holds the claims of this process's tasks, instead of Airflow's run; set by ``vod run``."""


class VodBaseOperator(BaseOperator):
    """Base of the operators. Subclasses name their parameters; this provides stores, tools and scratch space.

    :param run_in: where this task's media tools run; None for where ``VOD_RUNNER`` says.
    :param conf_keys: the keys that the run's ``conf`` may have; given to a DAG's first task. A run with
        another key is refused before the task begins. None allows any.
    """

    is_stopped = False
    """Whether Airflow has told the task to end."""
    _claimed_at = float("-inf")
    _tool_limits = ToolLimits(seconds=allowance.PROBE_FLOOR_S)

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
    def tools(self) -> Tools:
        """The media tools of this worker."""
        return Tools(self.settings.ffmpeg, self.settings.ffprobe, self.settings.packager)

    @cached_property
    def runner(self) -> Runner:
        """The runner of the media tools."""
        return self.another_runner()

    @cached_property
    def _runners(self) -> list[Runner]:
        return []

    def another_runner(self, *inherited: int) -> Runner:
        """A runner for a command that runs beside others. Call this in the task's own thread.

        :param inherited: as for ``LocalRunner``; only if ``runs_on_host``.
        :raises InvalidInputError: tools run in containers, and ``VOD_DOCKER_IMAGE`` names no image.
        """
        self._runners.append(self.make_runner(*inherited))
        self._runners[-1].limits = self._tool_limits
        return self._runners[-1]

    def limit_tools(self, limits: ToolLimits) -> None:
        """Set the limits of each command from now on."""
        self._tool_limits = limits
        for runner in self._runners:
            runner.limits = limits

    @property
    def runs_on_host(self) -> bool:
        """Whether media tools run as processes of this host, not in containers."""
        return (self.run_in or self.settings.runner) == "local"

    def make_runner(self, *inherited: int) -> Runner:
        """A new runner, as the settings say.

        :raises InvalidInputError: as ``another_runner``.
        """
        settings = self.settings
        if self.runs_on_host:
            _log_walls(settings.sandbox)
            sandbox = Sandbox(settings.sandbox, (*settings.sandbox_paths, *bundled_folders()))
            return LocalRunner(settings.stall_timeout_s, inherited, sandbox)
        if settings.docker_image is None:
            raise InvalidInputError("VOD_DOCKER_IMAGE must name the image with the media tools")
        container = Container(
            image=settings.docker_image,
            cpus=settings.docker_cpus,
            memory=settings.docker_memory,
            gpus=settings.docker_gpus,
            labels=_labels(),
        )
        return DockerRunner(self._engine, container, settings.stall_timeout_s)

    def _engine(self) -> APIClient:
        from airflow.providers.docker.hooks.docker import DockerHook  # here, because it takes 0.4 s

        return DockerHook(docker_conn_id=None, base_url=self.settings.docker_url).api_client

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
        telemetry.log_step(
            "step done",
            step=instance.task_id,
            item=getattr(instance, "rendered_map_index", None),
            wall_s=round((datetime.now(timezone.utc) - begun).total_seconds(), 3) if begun else None,
            **self.facts,
        )

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """Render the fields as Airflow does, and mask the secrets of their URLs before Airflow shows them."""
        super().render_template_fields(context, jinja_env)
        for name in ("source", "subtitles", "callback_url", "videos", "prefix"):
            hide_secrets(getattr(self, name, None))

    def on_kill(self) -> None:
        """Kill the media tools; Airflow calls this in the task's process when it stops the task."""
        self.is_stopped = True
        for runner in self._runners:
            runner.kill()

    # --- stores -----------------------------------------------------------------------------

    @property
    def temp(self) -> Storage:
        """The store of intermediate files."""
        return Stores.of(self.settings).temp

    @property
    def results(self) -> Storage:
        """The store of published files."""
        return Stores.of(self.settings).results

    def requested(self, field: str, conn_id: str = "") -> RequestedStorage:
        """The storage to read a URI of a request with; it refuses what the deployment does not allow.

        :param field: of the request, for messages.
        :param conn_id: Airflow connection that the request names, with the credentials of a web server.
        :raises InvalidInputError: requests may not name that connection, or it cannot be used.
        """
        credentials = credentials_of(self.settings, conn_id, field)
        return RequestedStorage(field, self.settings.sources, self.settings.aws_conn_id, credentials)

    # --- the run ----------------------------------------------------------------------------

    def run_name(self, context: Context) -> str:
        """The run's name as owner of claims: ``dag_id/run_id``."""
        run = context["dag_run"]
        return f"{run.dag_id}/{run.run_id}"

    def holder(self, context: Context) -> str:
        """The claim's holder, by which other runs recognise that this run has ended."""
        return HOLDERS[-1] if HOLDERS else holder_of(context["dag_run"])

    def hold_claim(self, context: Context, video_id: str) -> Claim:
        """Take or renew the video's claim for this run.

        :raises ClaimedError: another run has it.
        """
        held = claim.hold(
            self.temp,
            claim_key(self.settings.temp_uri, video_id),
            owner=self.run_name(context),
            ttl_s=self.settings.claim_ttl_s,
            holder=self.holder(context),
            is_dead=is_owner_dead,
        )
        self._claimed_at = time.monotonic()
        return held

    def renew_claim(self, context: Context, video_id: str) -> None:
        """Renew the claim during long work, once a third of its lifetime has passed."""
        if time.monotonic() - self._claimed_at > self.settings.claim_ttl_s / 3:
            self.hold_claim(context, video_id)

    def tell_cms(
        self,
        context: Context,
        url: str,
        event: EventKind,
        video_id: str,
        *,
        conn_id: str = "",
        limit_s: float | None = None,
        **details: Any,
    ) -> None:
        """Send an event to a callback URL. Never raises, and takes no longer than ``limit_s``.

        :param url: empty for the connection's URL, if there is a connection; else nothing is sent.
        :param conn_id: Airflow connection that the request names, with the URL or the CMS's credentials.
        :param limit_s: seconds; None for the deployment's limit, which it cannot exceed.
        :param details: of the event: ``result``, or ``failure`` and ``failed_tasks``.
        """
        if is_empty(url) and is_empty(conn_id):
            return
        run, limit = context["dag_run"], self.settings.callback_limit_s
        try:
            message = Event(
                event=event,
                event_id=event_id(self.run_name(context), run.clear_number or 0, event),
                video_id=video_id,
                run_id=run.run_id,
                run_url=run_url(run.dag_id, run.run_id),
                **details,
            )
            secret = self._callback_secret()
            url, credentials = callback_of(self.settings, url, conn_id)
        except Exception as error:  # a callback must not fail a video
            self.log.error("callback_url: the CMS is not told %r: %s", event, error)
            return
        taken = deliver(
            url,
            message,
            allow=self.settings.callbacks,
            credentials=credentials,
            secret=secret,
            limit_s=min(limit, limit_s or limit),
            log=self.log.warning,
        )
        if taken:
            self.log.info("the CMS was told %r", event)

    def _callback_secret(self) -> str | None:
        from airflow.sdk import Connection  # here, because the DAG file is parsed again for every task

        conn_id = self.settings.callback_conn_id
        if conn_id is None:
            self.log.warning("the callback is not signed: VOD_CALLBACK_CONN_ID names no Airflow connection")
            return None
        secret: str | None = Connection.get(conn_id).password
        if not secret:
            raise InvalidInputError(
                f"Airflow connection {conn_id!r} (VOD_CALLBACK_CONN_ID) has no password; "
                "put the secret there that signs the callbacks"
            )
        return secret

    def open_job(self, context: Context, plan_uri: str) -> Job:
        """Read the job at ``plan_uri``, limit the tools for its source, and take or renew the video's claim.

        :raises LostWorkError: the plan is gone or damaged.
        :raises ClaimedError: another run has the video.
        """
        with checkpoint.relying_on(self.temp, plan_uri, step=PREPARE):
            job = read_job(self.temp, plan_uri, self.settings)
        self.facts["video_id"] = job.plan.video_id
        self.limit_tools(allowance.of_plan(self.settings, job.plan))
        self.hold_claim(context, job.plan.video_id)
        return job

    def load_timeline(self, job: Job) -> Timeline:
        """The timeline that the split stored.

        :raises LostWorkError: it is gone or damaged.
        """
        keys = job.source_keys
        with checkpoint.relying_on(self.temp, keys.marker(SPLIT), step=SPLIT):
            return checkpoint.read_document(self.temp, keys.timeline, Timeline)

    def original(self, uri: str, job: Job) -> Original:
        """The source, in the version that the run began with."""
        return Original(self.requested("source", job.source_conn_id), uri, job.source_version)

    def obtain_cut(self, job: Job, name: str, path: Path) -> None:
        """Make a chunk or a sound track that the split stored readable at ``path``.

        :raises LostWorkError: it is gone or damaged; clearing the run repeats the split.
        """
        keys = job.source_keys
        split = keys.marker(SPLIT)
        # From the whole split's marker, because a cleared split does not write a lost chunk marker again.
        stored = checkpoint.require(self.temp, split, step=SPLIT).objects[name]
        if self.temp.local_path(stored.uri) is None:  # a local object is only linked
            check_room(self.settings.work_dir, stored.size_bytes)
        with checkpoint.relying_on(self.temp, keys.marker(name), split, step=SPLIT):
            checkpoint.obtain(self.temp, stored, path)

    def scratch(self, needed_bytes: float = 0) -> AbstractContextManager[Path]:
        """A context manager of a temporary folder on this worker's disk, with room for ``needed_bytes``."""
        return scratch_folder(self.settings.work_dir, round(needed_bytes))

    def tool_limit_s(self, media_s: float) -> float:
        """Time limit of a tool that works on ``media_s`` seconds of media."""
        return allowance.FLOOR_S + self.settings.tool_time_factor * media_s

    def progress(self, context: Context, job: Job, seconds: float) -> ProgressReader:
        """A reader of ffmpeg's progress lines that shows progress in the task's state and renews the claim.

        :param seconds: of media that the command will write.
        """
        store: Any = context.get("task_state_store")
        begin = time.monotonic()

        def report(progress: Progress) -> None:
            self.log.info("%.0f%% at %.2fx", progress.percent, progress.speed)
            for watcher in WATCHERS:
                watcher(context, progress)
            self.renew_claim(context, job.plan.video_id)
            # Each report is a call to Airflow's API, so short tasks make none.
            if store is not None and time.monotonic() - begin >= REPORT_EVERY_S:
                try:
                    store.set(PROGRESS_KEY, {"percent": round(progress.percent, 1), "speed": progress.speed})
                except Exception as error:  # a failed report must not fail a chunk
                    self.log.warning("progress could not be reported: %s", error)

        return ProgressReader(seconds, report)

    def run_media(
        self, context: Context, job: Job, argv: Sequence[str], folder: Path, *, seconds: float, codec: str
    ) -> list[str]:
        """Run an ffmpeg that decodes and encodes, with progress and a time limit; returns its messages.

        :param seconds: of media that it will write.
        :param codec: of the source's stream.
        :raises ToolError: ffmpeg failed, or succeeded although a decoder lacked memory.
        """
        progress = self.progress(context, job, seconds)
        messages = self.runner.run(
            argv,
            folder=folder,
            on_line=progress,
            position=progress.position,
            limit_s=self.tool_limit_s(seconds),
        )
        # A decoder without memory skips frames, and ffmpeg still exits with 0. (The AV1 decoder prints the
        # same message about damaged data.)
        poor = ToolError(argv, 0, "\n".join(messages))
        if poor.lacks_means and codec != "av1":
            raise poor
        return messages

    def report_damage(self, damage: Sequence[str]) -> None:
        """Log the damage of the source.

        :raises InvalidInputError: there is damage, and ``VOD_ON_DAMAGE`` is ``fail``.
        """
        for words in damage:
            self.log.warning("source is damaged: %s", words)
        if damage and self.settings.on_damage == "fail":
            raise InvalidInputError(
                f"source is damaged: {'; '.join(damage)}; VOD_ON_DAMAGE=conceal would publish it all the same"
            )

    def run_probe(self, file: str, folder: Path) -> str:
        """ffprobe's JSON description of a file of the folder."""
        return "\n".join(output(self.runner, probe.probe(self.tools.ffprobe, file), folder))


@lru_cache(maxsize=1)
def _log_walls(mode: Mode) -> None:
    """Log once in each task what confines its media tools."""
    standing, missing = walls(mode)
    words = ", ".join((*standing, "a clean environment", "limits of time, output and memory"))
    if missing:
        kinds = " and ".join(missing)
        _LOG.warning("VOD_SANDBOX=%s: media tools are not kept from %s; around them: %s", mode, kinds, words)
    else:
        _LOG.info("around media tools: %s", words)


def _labels() -> dict[str, str]:
    """Container labels that name the running task; empty outside of a task."""
    try:
        ti = get_current_context()["ti"]
    except RuntimeError:  # outside a task
        return {}
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    return {name.removesuffix("_id"): str(getattr(ti, name)) for name in names}


def run_url(dag_id: str, run_id: str) -> str:
    """URL of the run in Airflow's UI."""
    from airflow.sdk.configuration import conf

    base = str(conf.get("api", "base_url", fallback="http://localhost:8080"))
    return f"{base.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}"
