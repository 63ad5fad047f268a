"""What may be removed of a video's files, and its removal; ``retention.py`` decides which have expired."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any

from vod_operators.storage import claim
from vod_operators.storage.base import Storage, Unfinished
from vod_operators.storage.keys import ResultKeys, WorkKeys, claim_key, is_video_id, is_workspace
from vod_operators.storage.stores import storage_for
from vod_operators.storage.uploads import unfinished_uploads
from vod_operators.work.retention import Folder, Removal, VideoFacts, expired_versions, expired_workspaces
from vod_operators.work.stable import VERSION_NAME, publications, read_result, shown_version
from vod_operators.work.worker import Worker

log = logging.getLogger(__name__)

ITEMS = 100
"""How many removals the report lists; the log has all of them."""


@dataclass(frozen=True, kw_only=True)
class Cleaner:
    """Finds and removes expired files. Whoever removes files of a video must hold its claim."""

    worker: Worker
    grace: timedelta
    temp_now: datetime
    """Times by each store's clock, read at the start, so that objects written later count as younger."""
    results_now: datetime

    @classmethod
    def of(cls, worker: Worker, grace: timedelta) -> Cleaner:
        """A cleaner that starts now.

        :param grace: how long everything is kept.
        """
        settings = worker.settings
        return cls(
            worker=worker,
            grace=grace,
            temp_now=worker.temp.now(f"{settings.temp_uri}/_now"),
            results_now=worker.results.now(f"{settings.results_uri}/_now"),
        )

    def videos(self) -> Iterator[str]:
        """Ids of all videos that have objects in either store, in order."""
        names = heapq.merge(
            self.worker.temp.folders(f"{self.worker.settings.temp_uri}/"),
            self.worker.results.folders(f"{self.worker.settings.results_uri}/"),
            key=lambda name: name + "/",  # stores list folders in the order of their keys, which end in "/"
        )
        return (name for name, _ in groupby(names) if is_video_id(name))

    def expired(self, video_id: str) -> list[Removal]:
        """The workspaces and versions of a video that may be removed, and why."""
        facts = self._facts(video_id)
        work = expired_workspaces(facts, now=self.temp_now, grace=self.grace)
        return work + expired_versions(facts, now=self.results_now, grace=self.grace, kept=not work)

    def remove(self, video_id: str, name: str) -> None:
        """Remove a workspace or a version."""
        # First the file without which the rest is not used: if this dies half-way, no run continues with it.
        if is_workspace(name):
            folder = f"{self.worker.settings.temp_uri}/{video_id}/{name}/"
            self.worker.temp.delete(folder + WorkKeys.PLAN)
            self.worker.temp.delete_folder(folder)
        else:
            keys = ResultKeys(results_uri=self.worker.settings.results_uri, video_id=video_id)
            self.worker.results.delete(keys.version_metadata(name))
            self.worker.results.delete_folder(keys.version(name, ""))

    def unfinished(self) -> Iterator[tuple[Storage, Unfinished]]:
        """Writes that were begun before the grace period and never ended, of videos that no run works on; and
        uploads of people."""
        settings = self.worker.settings
        temp, results = self.worker.temp, self.worker.results
        for storage, root, now in (
            (temp, settings.temp_uri, self.temp_now),
            (results, settings.results_uri, self.results_now),
        ):
            for found in storage.unfinished(f"{root}/"):
                if found.started > now - self.grace:
                    continue
                video_id = found.uri[len(root) + 1 :].partition("/")[0]
                if not (
                    is_video_id(video_id) and claim.is_held(temp, claim_key(settings.temp_uri, video_id))
                ):
                    yield storage, found
        if settings.uploads_uri:
            uploads = storage_for(settings.uploads_uri, settings.aws_conn_id)
            now = uploads.now(f"{settings.uploads_uri}/_now")
            for found in unfinished_uploads(uploads, settings.uploads_uri):
                if found.started <= now - self.grace:
                    yield uploads, found

    def _facts(self, video_id: str) -> VideoFacts:
        temp = f"{self.worker.settings.temp_uri}/{video_id}/"
        keys = ResultKeys(results_uri=self.worker.settings.results_uri, video_id=video_id)
        names = [
            name for name in self.worker.results.folders(f"{keys.folder}/") if VERSION_NAME.fullmatch(name)
        ]
        shown: set[str] = set()
        superseded: dict[str, datetime] = {}
        if names:
            if version := shown_version(self.worker.results, keys):
                shown.add(version)
            if result := read_result(self.worker.results, keys.metadata):
                history = publications(result)
                shown.add(history[0].version)
                for later, earlier in pairwise(history):
                    superseded.setdefault(earlier.version, later.since)
        return VideoFacts(
            workspaces=[
                found
                for name in self.worker.temp.folders(temp)
                if is_workspace(name) and (found := _measured(self.worker.temp, temp, name))
            ],
            versions=[
                found
                for name in names
                if name not in shown and (found := _measured(self.worker.results, f"{keys.folder}/", name))
            ],
            shown=frozenset(shown),
            superseded=superseded,
        )


class Report:
    """Counts and lists removals."""

    def __init__(self, *, is_dry_run: bool) -> None:
        self.is_dry_run = is_dry_run
        self.videos = 0
        self.failed: list[str] = []
        self._counts = {"workspaces": 0, "versions": 0, "unfinished": 0}
        self._objects = self._bytes = 0
        self._items: list[dict[str, Any]] = []

    def add_removal(self, video_id: str, removal: Removal) -> None:
        """Log and count the removal of a workspace or a version."""
        folder = removal.folder
        kind = "workspaces" if is_workspace(folder.name) else "versions"
        self.add(kind, f"{video_id}/{folder.name}", folder.size_bytes, folder.objects, removal.why)

    def add(self, kind: str, what: str, size_bytes: int, objects: int, why: str) -> None:
        """Log and count a removal."""
        done = "would remove" if self.is_dry_run else "removed"
        log.info("%s %s: %d bytes in %d objects: %s", done, what, size_bytes, objects, why)
        self._counts[kind] += 1
        self._objects += objects
        self._bytes += size_bytes
        if len(self._items) < ITEMS:
            self._items.append({"what": what, "bytes": size_bytes, "why": why})

    def as_dict(self) -> dict[str, Any]:
        """The task's return value."""
        return {
            "dry_run": self.is_dry_run,
            "videos": self.videos,
            "removed": self._counts,
            "objects": self._objects,
            "bytes_freed": self._bytes,
            "items": self._items,
        }


def _measured(storage: Storage, parent: str, name: str) -> Folder | None:
    """A folder's facts, from a listing that is not held in memory; None if it is empty."""
    size = objects = 0
    modified = None
    for info in storage.list(f"{parent}{name}/"):
        size += info.size
        objects += 1
        modified = info.modified if modified is None else max(modified, info.modified)
    return Folder(name=name, size_bytes=size, objects=objects, modified=modified) if modified else None
