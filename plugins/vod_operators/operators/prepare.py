"""The first task: accepts or refuses the request, probes the source, and decides the plan."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow.sdk import Context

from vod_operators import __version__
from vod_operators.errors import CorruptObjectError, InvalidInputError, ObjectChangedError, StorageError
from vod_operators.media.admission import check_size
from vod_operators.media.headers import check_header, check_sounds
from vod_operators.media.models import Plan, Source
from vod_operators.media.names import clean_name
from vod_operators.media.plan import PLAN_VERSION, fingerprint, make_plan
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.subtitles import SubtitleFile, parse_request
from vod_operators.operators import telemetry
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.callbacks import tell_cms
from vod_operators.operators.content_key import content_key
from vod_operators.operators.credentials import callback_of, is_empty
from vod_operators.runners.base import output
from vod_operators.storage import checkpoint
from vod_operators.storage.base import ObjectInfo
from vod_operators.storage.keys import WorkKeys
from vod_operators.storage.probe import require_conditional_writes
from vod_operators.storage.redact import redact
from vod_operators.storage.requested import RequestedStorage, find_source
from vod_operators.work import allowance
from vod_operators.work.conf import is_true
from vod_operators.work.documents import check_documents
from vod_operators.work.encoding import require_encoders
from vod_operators.work.inspection import inspect
from vod_operators.work.job import Job, JobRecord, read_job
from vod_operators.work.sidecars import fetch_sidecars
from vod_operators.work.source import place_for_probing
from vod_operators.work.stable import version_name
from vod_operators.work.trial import try_filters
from vod_operators.work.verification import damage_of_version, discard_damaged_work
from vod_operators.work.webhook import STARTED_LIMIT_S

DAMAGE_TOLD = 100
"""How many damaged objects the XCom lists; the log has all of them."""


class VodPrepareOperator(VodBaseOperator):
    """Check the request, claim the video, probe the source and write ``plan.json``.

    :param video_id: the video, on which one run at a time can work.
    :param source: URI of the original: ``s3://``, ``http(s)://`` or ``file://``.
    :param preset: name of a preset.
    :param chunk_seconds: target length of a chunk; empty for the deployment's default.
    :param subtitles: JSON list of subtitle files: ``{"uri", "language", "name", "default", "forced"}``.
    :param callback_url: receives the ``started`` event; empty for none.
    :param source_conn_id: Airflow connection with the credentials of the web server that the source is on.
    :param callback_conn_id: Airflow connection with the CMS's URL, or with its credentials.
    :param verify: ``True``: read all objects that earlier runs stored, and repeat steps with damaged ones.
        Otherwise damage is noticed only by an object's size or its version in the store.
    """

    template_fields: Sequence[str] = (
        "video_id",
        "source",
        "preset",
        "chunk_seconds",
        "subtitles",
        "callback_url",
        "source_conn_id",
        "callback_conn_id",
        "verify",
    )

    def __init__(
        self,
        *,
        video_id: str,
        source: str,
        preset: str,
        chunk_seconds: str = "",
        subtitles: str = "",
        callback_url: str = "",
        source_conn_id: str = "",
        callback_conn_id: str = "",
        verify: str = "False",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.video_id = video_id
        self.source = source
        self.preset = preset
        self.chunk_seconds = chunk_seconds
        self.subtitles = subtitles
        self.callback_url = callback_url
        self.source_conn_id = source_conn_id
        self.callback_conn_id = callback_conn_id
        self.verify = verify
        self._damage: list[str] = []

    def execute(self, context: Context) -> list[dict[str, str]]:
        """Returns ``{"rendition": name, "label": ...}`` of each video and sound track; segmenting is mapped
        over them.

        Pushes three further XComs: ``plan``, the URI of the plan; ``sounds``, the sound tracks of the list;
        and ``damage``, the damaged objects of earlier runs, in words.

        :raises InvalidInputError: the request cannot be fulfilled; the message names the field.
        :raises ClaimedError: another run is working on the video.
        """
        self.facts["video_id"] = self.settings.check_video_id(self.video_id)
        preset = load_preset(self.preset, self.settings.presets_dir)
        chunk_seconds = self._chunk_seconds()
        files = parse_request(self.subtitles)
        self._require_allowed(files)
        found = find_source(self._source_store, self.source)
        self._require_safe_stores()
        self.hold_claim(context, self.video_id)
        with self.worker.scratch() as folder:
            sidecars = fetch_sidecars(
                files,
                storage=self._subtitles_store,
                runner=self.worker.runner,
                tools=self.worker.tools,
                limits=self.settings.subtitle_limits,
                folder=folder,
            )

        def plan_for(source: Source) -> Plan:
            return make_plan(
                video_id=self.video_id,
                source=source,
                preset=preset,
                chunk_seconds=chunk_seconds or self.settings.chunk_seconds,
                chunk_seconds_is_asked=chunk_seconds is not None,
                sidecars=[sidecar for sidecar, _ in sidecars],
            )

        plan = self._plan(found, plan_for)
        self.worker.limit_tools(allowance.of_plan(self.settings, plan))
        self._require_encoders(plan)
        keys = self._store(plan, found)
        # Written in every try: if a later task finds a file lost, clearing the run restores it.
        for text, (_, converted) in zip(plan.texts[len(plan.source.texts) :], sidecars, strict=True):
            self.worker.temp.write(keys.text(text.name), [converted], content_type="text/vtt")
        self.log.info("%s: %s", self.video_id, ", ".join(r.label for r in plan.renditions) or "no renditions")
        tell_cms(
            context,
            self.settings,
            self.callback_url,
            "started",
            self.video_id,
            conn_id=self.callback_conn_id,
            limit_s=STARTED_LIMIT_S,
        )
        sounds = [{"rendition": a.name, "label": a.label} for a in plan.audio]
        context["ti"].xcom_push("plan", keys.plan)
        context["ti"].xcom_push("sounds", sounds)
        context["ti"].xcom_push("damage", self._damage[:DAMAGE_TOLD])
        return [{"rendition": r.name, "label": r.label} for r in plan.renditions] + sounds

    def _chunk_seconds(self) -> int | None:
        if self.chunk_seconds in ("", "None"):
            return None
        if not str(self.chunk_seconds).isdigit() or not 1 <= int(self.chunk_seconds) <= 3600:
            raise InvalidInputError(
                f"chunk_seconds: {self.chunk_seconds!r} is not a whole number from 1 to 3600"
            )
        return int(self.chunk_seconds)

    def _require_allowed(self, files: Sequence[SubtitleFile]) -> None:
        """Check all places that the request names, before any of them is read or called.

        :raises NotAllowedError: the deployment does not open one of them to requests.
        :raises InvalidInputError: the callback's URL is none.
        """
        self._source_store.require(self.source)
        for number, file in enumerate(files):
            self._subtitles_store(number, file).require(file.uri)
        url, _ = callback_of(self.settings, self.callback_url, self.callback_conn_id)
        if is_empty(url):
            return
        if not url.lower().startswith(("http://", "https://")):
            raise InvalidInputError("callback_url: it is not a URL that can be called; use https://host/path")
        with suppress(StorageError):  # name resolution failed, but an unreachable CMS must not fail a video
            self.settings.callbacks.require(url, "callback_url")

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
        if self.queue == self.settings.transcode_queue:
            require_encoders(self.worker.runner, self.worker.tools.ffmpeg, plan.renditions, hardware=True)

    def _plan(self, found: ObjectInfo, plan_for: Callable[[Source], Plan]) -> Plan:
        """Probe the source, plan, and try the plan's filters on the source.

        :param plan_for: returns the plan of a source.
        :raises InvalidInputError: the source cannot be transcoded as requested.
        :raises ObjectChangedError: the source changed meanwhile.
        """
        with self.worker.scratch() as folder:
            try:
                check_size(found.size, self.settings.limits)
                excerpt = place_for_probing(self._source_store, found, folder / "source")
                self.worker.limit_tools(allowance.before_probe(self.settings, found.size))
                with excerpt.path.open("rb") as opened:
                    check_header(opened, self.settings.limits)
                with allowance.source_at_fault():
                    source = inspect(
                        self.worker.runner, self.worker.tools, excerpt, limits=self.settings.limits
                    )
                    check_sounds(source.audio)
                    plan = plan_for(source)
                    try_filters(self.worker.runner, self.worker.tools, excerpt, plan)
            except InvalidInputError as error:
                raise InvalidInputError(f"{error} ({redact(found.uri)})") from error
        again = self._source_store.stat(self.source)
        if again is None or again.version != found.version:
            raise ObjectChangedError(f"source: {redact(found.uri)} was changed while it was looked at")
        return plan

    def _store(self, plan: Plan, found: ObjectInfo) -> WorkKeys:
        versions = self._versions()
        source = fingerprint(
            PLAN_VERSION,
            found.size,
            found.version,
            str(plan.frame_rate),
            plan.chunk_frames,
            plan.gop_frames,
            versions["ffmpeg"],
        )
        key = None if plan.preset.encryption == "none" else content_key(self.settings, self.video_id).facts
        work = fingerprint(source, plan, versions["packager"], *([key] if key else []))
        record = JobRecord(
            plan=plan,
            source_name=clean_name(PurePosixPath(unquote(urlsplit(found.uri).path)).name),
            source_conn_id="" if is_empty(self.source_conn_id) else self.source_conn_id,
            source_version=found.version,
            source_fingerprint=source,
            work_fingerprint=work,
            key=key,
            # Random, so that a recreated workspace never writes into a version that viewers may be reading.
            version=version_name(work, secrets.token_hex(3)),
            made_by=versions,
            request=self._request(),
        )
        job = Job.of(record, self.settings)
        frames = plan.source.frames_at(plan.frame_rate)
        if frames is not None:
            check_documents(job, frames, plan.chunk_frames)
        keys = job.work_keys
        if (
            self.worker.temp.create(keys.plan, checkpoint.seal(record), content_type="application/json")
            is None
        ):
            try:
                earlier = read_job(self.worker.temp, keys.plan, self.settings)
                self.log.info("continuing in %s", keys.folder)
                broken = self._is_broken(earlier)
            except CorruptObjectError as error:
                self.log.warning("%s", error)
                broken = True
            if broken:
                # A new version, because players and caches may hold parts of the damaged one.
                self.log.warning("a new version is made, %s", job.version)
                self.worker.temp.write(keys.plan, [checkpoint.seal(record)], content_type="application/json")
        return keys

    def _is_broken(self, job: Job) -> bool:
        """Whether the version of an earlier run is damaged. Deletes the markers of damaged work."""
        read = is_true(self.verify)
        damage = damage_of_version(self.worker.results, self.worker.temp, job, read=read)
        lost = discard_damaged_work(self.worker.temp, job) if damage or read else []
        self._damage = [str(found) for found in (*damage, *lost)]
        for found in self._damage:
            self.log.warning("damaged: %s", found)
        if read or damage:
            telemetry.count("vod.damaged", len(self._damage))
            self.facts["damaged"] = len(self._damage)
        return bool(damage)

    def _request(self) -> dict[str, Any] | None:
        """The ``conf`` that repeats this request; None if one of its URIs may hold a secret."""
        files = parse_request(self.subtitles)
        if any(redact(uri) != uri for uri in (self.source, *(file.uri for file in files))):
            return None
        asked: dict[str, Any] = {"video_id": self.video_id, "source": self.source, "preset": self.preset}
        if (seconds := self._chunk_seconds()) is not None:
            asked["chunk_seconds"] = seconds
        if files:
            asked["subtitles"] = [file.model_dump(mode="json", exclude_defaults=True) for file in files]
        if not is_empty(self.source_conn_id):
            asked["source_conn_id"] = self.source_conn_id
        return asked

    def _versions(self) -> dict[str, str]:
        return {
            "vod_operators": __version__,
            "ffmpeg": self._version(self.worker.tools.ffmpeg, "-version"),
            "ffprobe": self._version(self.worker.tools.ffprobe, "-version"),
            "packager": self._version(self.worker.tools.packager, "--version"),
        }

    def _version(self, tool: str, option: str) -> str:
        lines = output(self.worker.runner, [tool, option], Path("/"))
        return lines[0].partition(" version ")[2].partition(" Copyright")[0]
