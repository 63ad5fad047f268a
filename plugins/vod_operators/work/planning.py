"""From a request and its source to a plan and its workspace, in the first task."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from vod_operators import __version__
from vod_operators.errors import CorruptObjectError, InvalidInputError, ObjectChangedError
from vod_operators.media.admission import check_size
from vod_operators.media.chapter_request import AskedChapter
from vod_operators.media.chapters import require_declared
from vod_operators.media.encryption import KeyFacts
from vod_operators.media.headers import check_header, check_sounds
from vod_operators.media.models import Plan
from vod_operators.media.names import clean_name
from vod_operators.media.plan import PLAN_VERSION, fingerprint, make_plan
from vod_operators.media.presets.model import Preset
from vod_operators.media.roles import Role, with_roles
from vod_operators.media.sampling import Sample
from vod_operators.media.subtitles import Sidecar, SubtitleFile
from vod_operators.runners.base import output
from vod_operators.storage import checkpoint
from vod_operators.storage.base import ObjectInfo, ReadableStorage
from vod_operators.storage.checkpoint import Damage
from vod_operators.storage.redact import redact
from vod_operators.work import allowance
from vod_operators.work.choice import outdated
from vod_operators.work.documents import check_documents
from vod_operators.work.inspection import inspect
from vod_operators.work.job import Job, JobRecord, read_job
from vod_operators.work.sampling import take_sample
from vod_operators.work.source import place_for_probing
from vod_operators.work.stable import version_name
from vod_operators.work.trial import Trial
from vod_operators.work.verification import damage_of_version, discard_damaged_work
from vod_operators.work.worker import Worker

log = logging.getLogger(__name__)

MAX_CHUNK_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for, parsed."""

    video_id: str
    source: str
    preset_name: str
    preset: Preset
    chunk_seconds: int | None
    """None: the deployment's default."""
    subtitles: Sequence[SubtitleFile]
    roles: Mapping[str, Role]
    """Track of the source -> what it is for."""
    source_conn_id: str
    """Empty if there is none."""
    downloads: tuple[str, ...] | None = None
    """None: those of the preset."""
    chapters: tuple[AskedChapter, ...] | None = None
    """None: those of the source, if the preset asks for them."""

    @property
    def conf(self) -> dict[str, Any] | None:
        """The run's ``conf`` that repeats this request; None if one of its URIs may hold a secret."""
        if any(redact(uri) != uri for uri in (self.source, *(file.uri for file in self.subtitles))):
            return None
        conf = {
            "video_id": self.video_id,
            "source": self.source,
            "preset": self.preset_name,
            "chunk_seconds": self.chunk_seconds,
            "subtitles": [file.model_dump(mode="json", exclude_defaults=True) for file in self.subtitles],
            "roles": dict(self.roles),
            "source_conn_id": self.source_conn_id,
        }
        asked = {
            "downloads": self.downloads,
            "chapters": self.chapters and [chapter.model_dump(mode="json") for chapter in self.chapters],
        }
        return {name: value for name, value in conf.items() if value} | {
            name: list(value) for name, value in asked.items() if value is not None
        }


def parse_chunk_seconds(text: str) -> int | None:
    """The target length of a chunk; None if the rendered field is empty.

    :raises InvalidInputError: it is no whole number within the limits.
    """
    if text in ("", "None"):
        return None
    if not str(text).isdigit() or not 1 <= int(text) <= MAX_CHUNK_SECONDS:
        raise InvalidInputError(
            f"chunk_seconds: {text!r} is not a whole number from 1 to {MAX_CHUNK_SECONDS}"
        )
    return int(text)


def plan_source(
    worker: Worker,
    storage: ReadableStorage,
    found: ObjectInfo,
    request: Request,
    sidecars: Sequence[Sidecar],
) -> tuple[Plan, Sample | None]:
    """Probe the source, plan, and try the plan's filters and encoders on the source.

    The sample is for estimates; None if none can be taken.

    :param storage: to read the source with.
    :param found: the source's location, size and version.
    :param sidecars: the request's subtitle files.
    :raises InvalidInputError: the source cannot be transcoded as requested.
    :raises ObjectChangedError: the source changed meanwhile.
    """
    limits = worker.settings.limits
    with worker.scratch() as folder:
        try:
            check_size(found.size, limits)
            excerpt = place_for_probing(storage, found, folder / "source")
            worker.limit_tools(allowance.before_probe(worker.settings, found.size))
            with excerpt.path.open("rb") as opened:
                check_header(opened, limits)
            with allowance.source_at_fault():
                source = inspect(worker.runner, worker.tools, excerpt, limits=limits)
                source = with_roles(source, request.roles)
                check_sounds(source.audio)
                plan = make_plan(
                    video_id=request.video_id,
                    source=source,
                    preset=request.preset,
                    chunk_seconds=request.chunk_seconds or worker.settings.chunk_seconds,
                    chunk_seconds_is_asked=request.chunk_seconds is not None,
                    sidecars=sidecars,
                    downloads=request.downloads,
                    chapters=request.chapters,
                )
                require_declared(plan)
                trial = Trial(worker.runner, worker.tools, excerpt, plan.source)
                trial.try_filters(plan)
                sample = take_sample(trial, plan)
        except InvalidInputError as error:
            raise InvalidInputError(f"{error} ({redact(found.uri)})") from error
    again = storage.stat(request.source)
    if again is None or again.version != found.version:
        raise ObjectChangedError(f"source: {redact(found.uri)} was changed while it was looked at")
    return plan, sample


def open_workspace(
    worker: Worker, plan: Plan, found: ObjectInfo, request: Request, keys: Sequence[KeyFacts], *, verify: bool
) -> tuple[Job, list[Damage] | None]:
    """Write ``plan.json`` unless an earlier run did; returns the job, and the damage of that run's work.

    Markers of damaged work are deleted, so that it is done again. If the version is damaged, or of another
    choice, the job gets a new one, because players and caches may hold parts of the old one.

    :param found: the source's location, size and version.
    :param keys: facts of the content keys; empty if the preset does not encrypt.
    :param verify: whether to read all objects of the earlier run.
    :returns: the damage is None if there is no earlier run, or its plan cannot be read.
    :raises InvalidInputError: the plan has more segments than can be recorded.
    """
    record = _record(worker, plan, found, request, keys)
    job = Job.of(record, worker.settings)
    frames = plan.source.frames_at(plan.frame_rate)
    if frames is not None:
        check_documents(job, frames, plan.chunk_frames)
    uri, document = job.work_keys.plan, checkpoint.seal(record)
    if worker.temp.create(uri, document, content_type="application/json") is not None:
        return job, None
    damage = None
    try:
        earlier = read_job(worker.temp, uri, worker.settings)
        log.info("continuing in %s", job.work_keys.folder)
        broken = damage_of_version(worker.results, worker.temp, earlier, read=verify)
        lost = discard_damaged_work(worker.temp, earlier) if broken or verify else []
        damage = [*broken, *lost]
        for item in damage:
            log.warning("damaged: %s", item)
        old = outdated(worker.temp, worker.results, earlier)
        if old is not None:
            log.warning("the choice for this video is not that of its tracks: %s", old)
        elif not broken:
            return earlier, damage
    except CorruptObjectError as error:
        log.warning("%s", error)
    log.warning("a new version is made, %s", job.version)
    worker.temp.write(uri, [document], content_type="application/json")
    return job, damage


def _record(
    worker: Worker, plan: Plan, found: ObjectInfo, request: Request, keys: Sequence[KeyFacts]
) -> JobRecord:
    versions = _tool_versions(worker)
    source = fingerprint(
        PLAN_VERSION,
        found.size,
        found.version,
        str(plan.frame_rate),
        plan.chunk_frames,
        plan.gop_frames,
        versions["ffmpeg"],
    )
    work = fingerprint(source, plan, versions["packager"], *keys)
    return JobRecord(
        plan=plan,
        source_name=clean_name(PurePosixPath(unquote(urlsplit(found.uri).path)).name),
        source_conn_id=request.source_conn_id,
        source_version=found.version,
        source_fingerprint=source,
        work_fingerprint=work,
        content_keys=tuple(keys),
        # Random, so that a recreated workspace never writes into a version that viewers may be reading.
        version=version_name(work, secrets.token_hex(3)),
        made_by=versions,
        request=request.conf,
    )


def _tool_versions(worker: Worker) -> dict[str, str]:
    """Version of this package and of each tool, by name."""

    def version(tool: str, option: str) -> str:
        lines = output(worker.runner, [tool, option], Path("/"))
        return lines[0].partition(" version ")[2].partition(" Copyright")[0]

    return {
        "vod_operators": __version__,
        "ffmpeg": version(worker.tools.ffmpeg, "-version"),
        "ffprobe": version(worker.tools.ffprobe, "-version"),
        "packager": version(worker.tools.packager, "--version"),
    }
