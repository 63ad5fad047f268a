"""From a request and its source to a plan, in the first task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vod_operators.errors import InvalidInputError, ObjectChangedError
from vod_operators.media.admission import check_size
from vod_operators.media.headers import check_header, check_sounds
from vod_operators.media.models import Plan, Source
from vod_operators.media.plan import make_plan
from vod_operators.media.presets.model import Preset
from vod_operators.media.subtitles import Sidecar, SubtitleFile
from vod_operators.storage.base import ObjectInfo, ReadableStorage
from vod_operators.storage.redact import redact
from vod_operators.work import allowance
from vod_operators.work.inspection import inspect
from vod_operators.work.source import place_for_probing
from vod_operators.work.trial import try_filters
from vod_operators.work.worker import Worker

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
    source_conn_id: str
    """Empty if there is none."""

    @property
    def conf(self) -> dict[str, Any] | None:
        """The run's ``conf`` that repeats this request; None if one of its URIs may hold a secret."""
        if any(redact(uri) != uri for uri in (self.source, *(file.uri for file in self.subtitles))):
            return None
        conf: dict[str, Any] = {
            "video_id": self.video_id,
            "source": self.source,
            "preset": self.preset_name,
        }
        if self.chunk_seconds is not None:
            conf["chunk_seconds"] = self.chunk_seconds
        if self.subtitles:
            conf["subtitles"] = [
                file.model_dump(mode="json", exclude_defaults=True) for file in self.subtitles
            ]
        if self.source_conn_id:
            conf["source_conn_id"] = self.source_conn_id
        return conf


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
) -> Plan:
    """Probe the source, plan, and try the plan's filters on the source.

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
                check_sounds(source.audio)
                plan = _plan(worker, source, request, sidecars)
                try_filters(worker.runner, worker.tools, excerpt, plan)
        except InvalidInputError as error:
            raise InvalidInputError(f"{error} ({redact(found.uri)})") from error
    again = storage.stat(request.source)
    if again is None or again.version != found.version:
        raise ObjectChangedError(f"source: {redact(found.uri)} was changed while it was looked at")
    return plan


def _plan(worker: Worker, source: Source, request: Request, sidecars: Sequence[Sidecar]) -> Plan:
    return make_plan(
        video_id=request.video_id,
        source=source,
        preset=request.preset,
        chunk_seconds=request.chunk_seconds or worker.settings.chunk_seconds,
        chunk_seconds_is_asked=request.chunk_seconds is not None,
        sidecars=sidecars,
    )
