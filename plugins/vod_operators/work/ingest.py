"""Which originals a request for many videos asks for, and the report of what became of each."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from vod_operators.errors import CorruptObjectError, InvalidInputError
from vod_operators.media.plan import fingerprint
from vod_operators.media.presets.model import Preset
from vod_operators.settings import VodSettings
from vod_operators.storage.base import ObjectInfo
from vod_operators.storage.keys import ResultKeys
from vod_operators.storage.originals import canonical, is_media, video_id_of
from vod_operators.storage.redact import redact
from vod_operators.work.stable import read_result
from vod_operators.work.worker import Worker

ITEMS = 100
"""How many sources the report lists; the log has all of them."""

Original = tuple[str, ObjectInfo]
"""Video id, and the source's location, size and version."""

log = logging.getLogger(__name__)


class Report:
    """Counts and lists the outcomes of the sources."""

    def __init__(self, *, is_dry_run: bool) -> None:
        self.is_dry_run = is_dry_run
        self.counts: dict[str, int] = {}
        self._items: list[dict[str, str | None]] = []

    def add(self, became: str, uri: str, video_id: str | None = None) -> None:
        """Log and count the outcome of a source, and list it if there is room."""
        log.info("%s: %s%s", redact(uri), became, f" ({video_id})" if video_id else "")
        self.counts[became] = self.counts.get(became, 0) + 1
        if len(self._items) < ITEMS:
            self._items.append({"source": redact(uri), "video_id": video_id, "became": became})

    def as_dict(self) -> dict[str, Any]:
        """The task's return value: ``{"dry_run", "sources", "items"}``."""
        return {"dry_run": self.is_dry_run, "sources": self.counts, "items": self._items}


def originals(settings: VodSettings, objects: Iterable[ObjectInfo], report: Report) -> Iterator[Original]:
    """The objects with the name of a media file and a valid id; the others are added to the report."""
    for found in objects:
        if not is_media(found.uri):
            report.add("not media by its name", found.uri)
            continue
        video_id = video_id_of(found.uri)
        try:
            yield settings.check_video_id(video_id), found
        except InvalidInputError:
            report.add("its id does not match VOD_VIDEO_ID_PATTERN", found.uri, video_id)


def require_apart(settings: VodSettings, prefix: str) -> None:
    """Refuse a folder in which published or intermediate files would be taken for originals.

    :raises InvalidInputError: the prefix and one of the stores contain each other.
    """
    for name in ("temp_uri", "results_uri"):
        ours, theirs = f"{getattr(settings, name)}/", f"{prefix}/"
        if ours.startswith(theirs) or theirs.startswith(ours):
            raise InvalidInputError(
                f"prefix: {prefix!r} and VOD_{name.upper()} {ours!r} lie in each other; keep originals apart"
            )


def is_published(worker: Worker, video_id: str, found: ObjectInfo, preset: Preset) -> bool:
    """Whether this version of the source is published with this preset."""
    keys = ResultKeys(results_uri=worker.settings.results_uri, video_id=video_id)
    try:
        result = read_result(worker.results, keys.metadata)
    except CorruptObjectError as error:
        log.warning("it is made again, because %s", error)
        return False
    return result is not None and (result.source.fingerprint, result.preset_fingerprint) == (
        fingerprint(found.version),
        fingerprint(preset),
    )


def run_id_of(video_id: str, found: ObjectInfo, preset: Preset) -> str:
    """Id of the run for an original: made of the source, its version and the preset."""
    what = fingerprint(canonical(redact(found.uri)), found.version, preset)  # a URL's signature may vary
    return f"vod.{video_id}.{preset.name}.{what}"
