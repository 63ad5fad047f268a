"""What all operators share: the stores, the tools, a scratch folder, the claim, progress."""

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
from vod_operators.work.job import Job
from vod_operators.work.source import Original
from vod_operators.work.stores import Stores
from vod_operators.work.webhook import Event, EventKind, deliver, event_id

if TYPE_CHECKING:
    from docker import APIClient

PROGRESS_KEY = "progress"
"""Key in the task's state store: ``{"percent": 41.5, "speed": 2.3}``."""

_LOG = logging.getLogger(__name__)

WATCHERS: list[Callable[[Context, Progress], None]] = []
"""Told how far the encoding tasks of this process are: how ``vod run`` shows progress."""

HOLDERS: list[str] = []
"""What holds the claims of the tasks of this process, if not Airflow's run: the process of ``vod run``."""


class VodBaseOperator(BaseOperator):
    """Base of the operators. Subclasses name their parameters; this provides stores, tools and scratch space.

    :param run_in: where this task's media tools run, if not where ``VOD_RUNNER`` says.
    :param conf_keys: of a DAG's first task: the keys that the run's ``conf`` may have. A run with any other
        key is refused before the task begins. None: any.
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
        """What runs the media tools."""
        return self.another_runner()

    @cached_property
    def _runners(self) -> list[Runner]:
        return []

    def another_runner(self, *inherited: int) -> Runner:
        """For a command that runs beside others; to be made in the task's own thread.

        :param inherited: as ``LocalRunner`` has it; only if ``runs_on_host``.
        :raises InvalidInputError: in containers, but ``VOD_DOCKER_IMAGE`` names no image.
        """
        self._runners.append(self.make_runner(*inherited))
        self._runners[-1].limits = self._tool_limits
        return self._runners[-1]

    def limit_tools(self, limits: ToolLimits) -> None:
        """What each run of a tool may take from now on."""
        self._tool_limits = limits
        for runner in self._runners:
            runner.limits = limits

    @property
    def runs_on_host(self) -> bool:
        """Whether media tools are processes of this host, not of containers."""
        return (self.run_in or self.settings.runner) == "local"

    def make_runner(self, *inherited: int) -> Runner:
        """As the settings say."""
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
        """What the step's log line tells besides: numbers and names, put there by ``execute``."""
        return {}

    def pre_execute(self, context: Any) -> None:
        """Refuse a run with an unknown key in its ``conf``.

        :raises InvalidInputError: the message names the key and the nearest one that exists.
        """
        if self.conf_keys is not None:
            check_conf(context["dag_run"].conf, self.conf_keys)

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Write the log line of a step that went well. That of one that failed is the retry policy's."""
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
        """As Airflow does, and before it shows or logs the fields, hide what is secret in their URLs."""
        super().render_template_fields(context, jinja_env)
        for name in ("source", "subtitles", "callback_url", "videos", "prefix"):
            hide_secrets(getattr(self, name, None))

    def on_kill(self) -> None:
        """End the media tools; called within the task's process when Airflow stops it."""
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
        """What to read a URI of a request with: it asks what the deployment allows.

        :param field: of the request, for messages.
        :param conn_id: Airflow connection that the request names, with the credentials of a web server.
        :raises InvalidInputError: requests may not name that connection, or it cannot be used.
        """
        credentials = credentials_of(self.settings, conn_id, field)
        return RequestedStorage(field, self.settings.sources, self.settings.aws_conn_id, credentials)

    # --- the run ----------------------------------------------------------------------------

    def run_name(self, context: Context) -> str:
        """The run, as it signs claims."""
        run = context["dag_run"]
        return f"{run.dag_id}/{run.run_id}"

    def holder(self, context: Context) -> str:
        """What others can tell by that the run is no more."""
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
        """Renew the claim in the middle of long work, before a third of its time is over."""
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
        """Send an event to a callback URL; never fails, and takes no longer than ``limit_s``.

        :param url: empty for that of the connection, or nowhere.
        :param conn_id: Airflow connection that the request names, with the URL or the CMS's credentials.
        :param limit_s: seconds, if fewer than the deployment's limit.
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
        except Exception as error:  # whatever it is, it is no reason to fail a video
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
        """The job at ``plan_uri``, with the video's claim held."""
        with checkpoint.relying_on(self.temp, plan_uri, step="prepare"):
            job = checkpoint.read_document(self.temp, plan_uri, Job)
        self.facts["video_id"] = job.plan.video_id
        self.limit_tools(allowance.of_plan(self.settings, job.plan))
        self.hold_claim(context, job.plan.video_id)
        return job

    def load_timeline(self, job: Job) -> Timeline:
        """What the split counted."""
        keys = job.source_keys
        with checkpoint.relying_on(self.temp, keys.marker("split"), step="split"):
            return checkpoint.read_document(self.temp, keys.timeline, Timeline)

    def original(self, uri: str, job: Job) -> Original:
        """The source, as it was when the run began."""
        return Original(self.requested("source", job.source_conn_id), uri, job.source_version)

    def obtain_cut(self, job: Job, name: str, path: Path) -> None:
        """Make a chunk or a sound track that the split has stored readable at ``path``.

        :raises LostWorkError: it is gone or damaged; the split is done again when the run is cleared.
        """
        keys = job.source_keys
        split = keys.marker("split")
        # The whole split's marker: if the chunk's own is lost, clearing the split would not write it again.
        stored = checkpoint.require(self.temp, split, step="split").objects[name]
        if self.temp.local_path(stored.uri) is None:  # else it is linked
            check_room(self.settings.work_dir, stored.size_bytes)
        with checkpoint.relying_on(self.temp, keys.marker(name), split, step="split"):
            checkpoint.obtain(self.temp, stored, path)

    def scratch(self, needed_bytes: float = 0) -> AbstractContextManager[Path]:
        """A folder of this worker's disk with room for so much, gone when the step ends."""
        return scratch_folder(self.settings.work_dir, round(needed_bytes))

    def tool_limit_s(self, media_s: float) -> float:
        """Seconds that a tool may work on so many seconds of media."""
        return allowance.FLOOR_S + self.settings.tool_time_factor * media_s

    def progress(self, context: Context, job: Job, seconds: float) -> ProgressReader:
        """Takes ffmpeg's progress lines, shows them in the task's state in Airflow, and keeps the claim.

        :param seconds: of media that the command will write.
        """
        store: Any = context.get("task_state_store")
        begin = time.monotonic()

        def report(progress: Progress) -> None:
            self.log.info("%.0f%% at %.2fx", progress.percent, progress.speed)
            for watcher in WATCHERS:
                watcher(context, progress)
            self.renew_claim(context, job.plan.video_id)
            # Each report is a call to Airflow, and what has taken no time needs none.
            if store is not None and time.monotonic() - begin >= REPORT_EVERY_S:
                try:
                    store.set(PROGRESS_KEY, {"percent": round(progress.percent, 1), "speed": progress.speed})
                except Exception as error:  # whatever Airflow's API says: a report is not worth a chunk
                    self.log.warning("progress could not be reported: %s", error)

        return ProgressReader(seconds, report)

    def run_media(
        self, context: Context, job: Job, argv: Sequence[str], folder: Path, *, seconds: float, codec: str
    ) -> list[str]:
        """Run an ffmpeg that decodes and encodes, with progress and a limit; returns its messages.

        :param seconds: of media that it will write.
        :param codec: of what it decodes.
        :raises ToolError: also if a decoder had no memory.
        """
        progress = self.progress(context, job, seconds)
        messages = self.runner.run(
            argv,
            folder=folder,
            on_line=progress,
            position=progress.position,
            limit_s=self.tool_limit_s(seconds),
        )
        # Such a decoder leaves things out, and ffmpeg ends well. (AV1's says that of damage.)
        poor = ToolError(argv, 0, "\n".join(messages))
        if poor.lacks_means and codec != "av1":
            raise poor
        return messages

    def report_damage(self, damage: Sequence[str]) -> None:
        """Log what is damaged in the source.

        :raises InvalidInputError: the deployment does not want damage concealed.
        """
        for words in damage:
            self.log.warning("source is damaged: %s", words)
        if damage and self.settings.on_damage == "fail":
            raise InvalidInputError(
                f"source is damaged: {'; '.join(damage)}; VOD_ON_DAMAGE=conceal would publish it all the same"
            )

    def run_probe(self, file: str, folder: Path) -> str:
        """What ffprobe says of a local file, as JSON."""
        return "\n".join(output(self.runner, probe.probe(self.tools.ffprobe, file), folder))


@lru_cache(maxsize=1)
def _log_walls(mode: Mode) -> None:
    """Say once in each task which walls stand around its media tools."""
    standing, missing = walls(mode)
    words = ", ".join((*standing, "a clean environment", "limits of time, output and memory"))
    if missing:
        kinds = " and ".join(missing)
        _LOG.warning("VOD_SANDBOX=%s: media tools are not kept from %s; around them: %s", mode, kinds, words)
    else:
        _LOG.info("around media tools: %s", words)


def _labels() -> dict[str, str]:
    """Of the task that is running, for whoever looks at a container and asks whose it is."""
    try:
        ti = get_current_context()["ti"]
    except RuntimeError:  # outside a task
        return {}
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    return {name.removesuffix("_id"): str(getattr(ti, name)) for name in names}


def run_url(dag_id: str, run_id: str) -> str:
    """The run in Airflow's UI."""
    from airflow.sdk.configuration import conf

    base = str(conf.get("api", "base_url", fallback="http://localhost:8080"))
    return f"{base.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}"
