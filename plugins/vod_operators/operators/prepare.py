"""The first task: accepts or refuses the request, probes the source, and decides the plan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from airflow.sdk import Context
from airflow.sdk.bases.skipmixin import XCOM_SKIPMIXIN_KEY, XCOM_SKIPMIXIN_SKIPPED
from airflow.sdk.exceptions import DownstreamTasksSkipped

from vod_operators.errors import InvalidInputError, StorageError
from vod_operators.media.chapter_request import parse_chapters
from vod_operators.media.cost import Estimate
from vod_operators.media.downloads import parse_downloads
from vod_operators.media.models import Plan
from vod_operators.media.plan import plan_chunk_ranges, plan_windows
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.roles import parse_roles
from vod_operators.media.sampling import Sample
from vod_operators.media.subtitles import Sidecar, SubtitleFile, parse_request
from vod_operators.operators import telemetry
from vod_operators.operators.callbacks import VodTellingOperator
from vod_operators.operators.content_key import content_keys
from vod_operators.operators.credentials import callback_of, is_empty
from vod_operators.pipeline import ESTIMATE_KEY, PARTS, TRACKS_KEY
from vod_operators.storage.probe import require_conditional_writes
from vod_operators.storage.requested import RequestedStorage, find_source
from vod_operators.work import allowance
from vod_operators.work.conf import is_true
from vod_operators.work.encoding import require_encoders, require_sound_encoders
from vod_operators.work.estimate import estimate_plan, note_estimate
from vod_operators.work.job import tracks_of
from vod_operators.work.planning import Request, open_workspace, parse_chunk_seconds, plan_source
from vod_operators.work.sidecars import fetch_sidecars
from vod_operators.work.webhook import STARTED_LIMIT_S

MOST_PARTS = 16
"""Most tasks that analyse a video; so many where its length is not declared."""

DAMAGE_TOLD = 100
"""How many damaged objects the XCom lists; the log has all of them."""


class VodPrepareOperator(VodTellingOperator):
    """Check the request, claim the video, probe the source and write ``plan.json``.

    :param video_id: the video, on which one run at a time can work.
    :param source: URI of the original: ``s3://``, ``http(s)://`` or ``file://``.
    :param preset: name of a preset.
    :param chunk_seconds: target length of a chunk; empty for the deployment's default.
    :param subtitles: JSON list of subtitle files: ``{"uri", "language", "name", "default", "forced", ...}``.
    :param roles: JSON object, track of the source -> role: ``{"audio-1": "description"}``.
    :param downloads: JSON list of files to download: ``["720p", "best", "audio"]``; empty for the preset's.
    :param chapters: JSON list of chapters: ``{"start", "title", "language"}``; empty for the source's, if the
        preset asks for them.
    :param callback_url: receives the ``started`` event; empty for none.
    :param source_conn_id: Airflow connection with the credentials of the web server that the source is on.
    :param callback_conn_id: Airflow connection with the CMS's URL, or with its credentials.
    :param estimate: ``True``: only estimate what the run will take. It refuses what a run would refuse here,
        but for unsafe stores. Nothing is written, no claim is taken, and all later tasks but the teardown are
        skipped.
    :param verify: ``True``: read all objects that earlier runs stored, and repeat steps with damaged ones.
        Otherwise damage is noticed only by an object's size or its version in the store.
    """

    inherits_from_skipmixin = True  # lets Airflow read ``XCOM_SKIPMIXIN_KEY``
    template_fields: Sequence[str] = (
        "video_id",
        "source",
        "preset",
        "chunk_seconds",
        "subtitles",
        "roles",
        "downloads",
        "chapters",
        "callback_url",
        "source_conn_id",
        "callback_conn_id",
        "verify",
        "estimate",
    )

    def __init__(
        self,
        *,
        video_id: str,
        source: str,
        preset: str,
        chunk_seconds: str = "",
        subtitles: str = "",
        roles: str = "",
        downloads: str = "",
        chapters: str = "",
        callback_url: str = "",
        source_conn_id: str = "",
        callback_conn_id: str = "",
        verify: str = "False",
        estimate: str = "False",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.video_id = video_id
        self.source = source
        self.preset = preset
        self.chunk_seconds = chunk_seconds
        self.subtitles = subtitles
        self.roles = roles
        self.downloads = downloads
        self.chapters = chapters
        self.callback_url = callback_url
        self.source_conn_id = source_conn_id
        self.callback_conn_id = callback_conn_id
        self.verify = verify
        self.estimate = estimate

    def execute(self, context: Context) -> list[dict[str, str]]:
        """Returns ``{"rendition": name, "label": ...}`` of each sound track; ``audio`` is mapped over them.

        Pushes further XComs: ``plan``, the URI of the plan; ``tracks``, the same of each video and sound
        track that may be made; ``parts``, over which the analysis is mapped, empty if none is needed: then
        Airflow skips the task ``parts``; ``damage``, the damaged objects of earlier runs, in words; and
        ``estimate``, what the run will take, if the source declares its length.

        :raises InvalidInputError: the request cannot be fulfilled; the message names the field.
        :raises DownstreamTasksSkipped: only the estimate was asked for.
        :raises ClaimedError: another run is working on the video.
        """
        request = self._request()
        self._require_allowed(request)
        found = find_source(self._source_store, self.source)
        is_dry = is_true(self.estimate)
        if not is_dry:
            self._require_safe_stores()
            self.hold_claim(context, self.video_id)
        sidecars = self._fetch_sidecars(request)
        plan, sample = plan_source(
            self.worker, self._source_store, found, request, [sidecar for sidecar, _ in sidecars]
        )
        self.worker.limit_tools(allowance.of_plan(self.settings, plan))
        self._require_encoders(plan)
        facts = [key.facts for key in content_keys(self.settings, plan).values()]
        estimated = self._estimate(context, plan, sample)
        if is_dry:
            self._end_here(estimated)
        verify = is_true(self.verify)
        job, damage = open_workspace(self.worker, plan, found, request, facts, verify=verify)
        if damage is not None and (damage or verify):
            telemetry.count("vod.damaged", len(damage))
            self.facts["damaged"] = len(damage)
        note_estimate(self.worker, job, estimated, sample)
        keys = job.work_keys
        # Written in every try: if a later task finds a file lost, clearing the run restores it.
        for text, (_, converted) in zip(plan.texts[len(plan.source.texts) :], sidecars, strict=True):
            self.worker.temp.write(keys.text(text.name), [converted], content_type="text/vtt")
        self.log.info("%s: %s", self.video_id, ", ".join(r.label for r in plan.renditions) or "no renditions")
        self.tell_cms(context, "started", limit_s=STARTED_LIMIT_S)
        context["ti"].xcom_push("plan", keys.plan)
        context["ti"].xcom_push(TRACKS_KEY, tracks_of(plan))
        context["ti"].xcom_push(PARTS, analysed_parts(plan))
        if not plan.is_open:
            context["ti"].xcom_push(XCOM_SKIPMIXIN_KEY, {XCOM_SKIPMIXIN_SKIPPED: [PARTS]})
        context["ti"].xcom_push("damage", [str(item) for item in (damage or [])[:DAMAGE_TOLD]])
        return [{"rendition": sound.name, "label": sound.label} for sound in plan.audio]

    def _estimate(self, context: Context, plan: Plan, sample: Sample | None) -> Estimate | None:
        """What the plan will take, which is also pushed as an XCom; None if its length is not known."""
        found = estimate_plan(self.worker, plan, sample)
        if found is not None:
            self.log.info("%s: %s, by %d earlier runs", self.video_id, found.in_words(), found.runs)
            content = found.model_dump(mode="json") | {"words": found.in_words()}
            context["ti"].xcom_push(ESTIMATE_KEY, content)
        return found

    def _end_here(self, found: Estimate | None) -> NoReturn:
        """End the run after its estimate.

        :raises InvalidInputError: there is none.
        :raises DownstreamTasksSkipped: tells Airflow that all later tasks are skipped but the teardown.
        """
        if found is None:
            raise InvalidInputError(
                "source: it does not declare its length, so it cannot be estimated before it is read"
            )
        later = self.get_flat_relatives(upstream=False)
        skipped = [task.task_id for task in later if not task.is_teardown]
        raise DownstreamTasksSkipped(tasks=skipped)  # type: ignore[no-untyped-call]

    def _request(self) -> Request:
        """The request, parsed.

        :raises InvalidInputError: a field is invalid by itself.
        """
        self.facts["video_id"] = self.settings.check_video_id(self.video_id)
        preset = load_preset(self.preset, self.settings.presets_dir)
        return Request(
            video_id=self.video_id,
            source=self.source,
            preset_name=self.preset,
            preset=preset,
            chunk_seconds=parse_chunk_seconds(self.chunk_seconds),
            subtitles=parse_request(self.subtitles),
            roles=parse_roles(self.roles),
            downloads=parse_downloads(self.downloads, preset),
            chapters=parse_chapters(self.chapters),
            source_conn_id="" if is_empty(self.source_conn_id) else self.source_conn_id,
        )

    def _require_allowed(self, request: Request) -> None:
        """Check all places that the request names, before any of them is read or called.

        :raises NotAllowedError: the deployment does not open one of them to requests.
        :raises InvalidInputError: the callback's URL is none.
        """
        self._source_store.require(request.source)
        for number, file in enumerate(request.subtitles):
            self._subtitles_store(number, file).require(file.uri)
        url, _ = callback_of(self.settings, self.callback_url, self.callback_conn_id)
        if is_empty(url):
            return
        if not url.lower().startswith(("http://", "https://")):
            raise InvalidInputError("callback_url: it is not a URL that can be called; use https://host/path")
        with suppress(StorageError):  # name resolution failed, but an unreachable CMS must not fail a video
            self.settings.callbacks.require(url, "callback_url")

    def _fetch_sidecars(self, request: Request) -> list[tuple[Sidecar, bytes]]:
        with self.worker.scratch() as folder:
            return fetch_sidecars(
                request.subtitles,
                storage=self._subtitles_store,
                runner=self.worker.runner,
                tools=self.worker.tools,
                limits=self.settings.subtitle_limits,
                folder=folder,
            )

    @property
    def _source_store(self) -> RequestedStorage:
        return self.requested("source", self.source_conn_id)

    def _subtitles_store(self, number: int, file: SubtitleFile) -> RequestedStorage:
        return self.requested(f"subtitles[{number}]", file.conn_id)

    def _require_safe_stores(self) -> None:
        if not self.settings.accept_unsafe_store:
            for uri in (self.settings.temp_uri, self.settings.results_uri):
                require_conditional_writes(uri, self.settings.aws_conn_id)

    def _require_encoders(self, plan: Plan) -> None:
        """Check that the plan's encoders work.

        All hosts have the same ffmpeg, but perhaps only those of the encoding queue have a GPU. If this task
        runs in another queue, the encoding tasks check the encoders that need one.

        :raises InvalidInputError: an encoder does not work.
        """
        require_encoders(self.worker.runner, self.worker.tools.ffmpeg, plan.renditions, hardware=False)
        require_sound_encoders(self.worker.runner, self.worker.tools.ffmpeg, plan.audio)
        if self.queue == self.settings.transcode_queue:
            require_encoders(self.worker.runner, self.worker.tools.ffmpeg, plan.renditions, hardware=True)


def analysed_parts(plan: Plan) -> list[dict[str, Any]]:
    """``{"part": index, "parts": count, "label": ...}`` of each task that analyses windows of the video;
    empty if the plan leaves nothing open."""
    if not plan.is_open:
        return []
    frames, count = plan.source.frames_at(plan.frame_rate), MOST_PARTS
    if frames:
        chunks = plan_chunk_ranges(frames, plan.chunk_frames, plan.gop_frames)
        count = min(count, len(plan_windows(chunks, plan.gop_frames, plan.frame_rate)))
    return [{"part": n, "parts": count, "label": f"analysis {n + 1}/{count}"} for n in range(count)]
