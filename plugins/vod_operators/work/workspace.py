"""Opens the workspace of a plan: a new one, or that of an earlier run, whose work is checked first."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from vod_operators import __version__
from vod_operators.errors import CorruptObjectError
from vod_operators.media.encryption import KeyFacts
from vod_operators.media.models import Plan
from vod_operators.media.names import clean_name
from vod_operators.media.plan import PLAN_VERSION, fingerprint
from vod_operators.runners.base import output
from vod_operators.storage import checkpoint
from vod_operators.storage.base import ObjectInfo
from vod_operators.storage.checkpoint import Damage
from vod_operators.work.documents import check_documents
from vod_operators.work.job import Job, JobRecord, read_job
from vod_operators.work.planning import Request
from vod_operators.work.stable import version_name
from vod_operators.work.verification import damage_of_version, discard_damaged_work
from vod_operators.work.worker import Worker

log = logging.getLogger(__name__)


def open_workspace(
    worker: Worker, plan: Plan, found: ObjectInfo, request: Request, key: KeyFacts | None, *, verify: bool
) -> tuple[Job, list[Damage] | None]:
    """Write ``plan.json`` unless an earlier run did; returns the job, and the damage of that run's work.

    Markers of damaged work are deleted, so that it is done again. If the version is damaged, the job gets a
    new one, because players and caches may hold parts of the damaged one.

    :param found: the source's location, size and version.
    :param key: facts of the content key; None if the preset does not encrypt.
    :param verify: whether to read all objects of the earlier run.
    :returns: the damage is None if there is no earlier run, or its plan cannot be read.
    :raises InvalidInputError: the plan has more segments than can be recorded.
    """
    record = _record(worker, plan, found, request, key)
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
        if not broken:
            return earlier, damage
    except CorruptObjectError as error:
        log.warning("%s", error)
    log.warning("a new version is made, %s", job.version)
    worker.temp.write(uri, [document], content_type="application/json")
    return job, damage


def _record(
    worker: Worker, plan: Plan, found: ObjectInfo, request: Request, key: KeyFacts | None
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
    work = fingerprint(source, plan, versions["packager"], *([key] if key else []))
    return JobRecord(
        plan=plan,
        source_name=clean_name(PurePosixPath(unquote(urlsplit(found.uri).path)).name),
        source_conn_id=request.source_conn_id,
        source_version=found.version,
        source_fingerprint=source,
        work_fingerprint=work,
        key=key,
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
