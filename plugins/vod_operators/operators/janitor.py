"""Removes expired workspaces, versions and unfinished uploads; ``work/retention.py`` decides which expire."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby, pairwise
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import ClaimedError, InvalidInputError, StorageError, VodError
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.runs import run_name
from vod_operators.storage import claim
from vod_operators.storage.base import Storage
from vod_operators.storage.keys import ResultKeys, WorkKeys, claim_key, is_video_id, is_workspace
from vod_operators.work.conf import is_true
from vod_operators.work.retention import (
    Folder,
    Removal,
    VideoFacts,
    expired_versions,
    expired_workspaces,
)
from vod_operators.work.stable import VERSION_NAME, publications, read_result, shown_version

CLAIM_S = 1800
"""Much longer than removing a video's folders takes: one request deletes a thousand objects."""

ITEMS = 100
"""How many removals the report lists; the log has all of them."""


class VodJanitorOperator(VodBaseOperator):
    """Remove workspaces of finished and abandoned videos, superseded versions, unfinished uploads.

    :param is_dry_run: ``True``: only report what would be removed.
    :param grace_hours: how long each of them is kept; empty for the deployment's default.
    """

    template_fields: Sequence[str] = ("is_dry_run", "grace_hours")

    def __init__(self, *, is_dry_run: str = "False", grace_hours: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_dry_run = is_dry_run
        self.grace_hours = grace_hours

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the report: counts, bytes, and the first removals with their reasons.

        :raises StorageError: some videos could not be processed; all others were.
        """
        grace = timedelta(hours=self._grace_hours())
        report = _Report(is_dry_run=is_true(self.is_dry_run))
        terms = _Terms(
            grace=grace,
            temp_now=self.worker.temp.now(f"{self.settings.temp_uri}/_now"),
            results_now=self.worker.results.now(f"{self.settings.results_uri}/_now"),
        )
        for video_id in self._videos():
            report.videos += 1
            try:
                self._clean(context, video_id, terms, report)
            except ClaimedError:
                self.log.info("%s: a run has just begun", video_id)
            except VodError as error:
                self.log.error("%s: nothing more of it is removed: %s", video_id, error)
                report.failed.append(video_id)
        self._discard_unfinished(self.worker.temp, self.settings.temp_uri, terms.temp_now - grace, report)
        self._discard_unfinished(
            self.worker.results, self.settings.results_uri, terms.results_now - grace, report
        )
        found = report.as_dict()
        self.log.info("%s", found)
        if report.failed:
            raise StorageError(
                f"{len(report.failed)} of {report.videos} videos could not be looked at, "
                f"{', '.join(report.failed[:5])} among them; the log says why"
            )
        return found

    def _grace_hours(self) -> float:
        if self.grace_hours in ("", "None"):
            return self.settings.grace_hours
        try:
            hours = float(self.grace_hours)
        except ValueError:
            hours = -1
        if not 0 <= hours < float("inf"):
            raise InvalidInputError(f"grace_hours: {self.grace_hours!r} is not a number of hours")
        return hours

    def _videos(self) -> Iterator[str]:
        """Ids of all videos that have objects in either store, in order."""
        names = heapq.merge(
            self.worker.temp.folders(f"{self.settings.temp_uri}/"),
            self.worker.results.folders(f"{self.settings.results_uri}/"),
            key=lambda name: name + "/",  # stores list folders in the order of their keys, which end in "/"
        )
        return (name for name, _ in groupby(names) if is_video_id(name))

    # --- one video --------------------------------------------------------------------------

    def _clean(self, context: Context, video_id: str, terms: _Terms, report: _Report) -> None:
        uri, owner = claim_key(self.settings.temp_uri, video_id), run_name(context)
        if claim.is_held(self.worker.temp, uri):
            return
        removals = self._decide(video_id, terms)
        if not removals:
            return
        if report.is_dry_run:
            for removal in removals:
                self._report(report, video_id, removal)
            return
        hold = partial(self.hold_claim, context, video_id, ttl_s=CLAIM_S, brief=True)
        hold()
        try:
            # With the claim held no run can begin. One may have begun and ended before, so decide again.
            for removal in self._decide(video_id, terms):
                hold()
                self._remove(video_id, removal.folder.name)
                self._report(report, video_id, removal)
        finally:
            claim.release(self.worker.temp, uri, owner=owner)

    def _decide(self, video_id: str, terms: _Terms) -> list[Removal]:
        facts = self._facts(video_id)
        work = expired_workspaces(facts, now=terms.temp_now, grace=terms.grace)
        return work + expired_versions(facts, now=terms.results_now, grace=terms.grace, kept=not work)

    def _remove(self, video_id: str, name: str) -> None:
        # First the file without which the rest is not used: if this dies half-way, no run continues with it.
        if is_workspace(name):
            folder = f"{self.settings.temp_uri}/{video_id}/{name}/"
            self.worker.temp.delete(folder + WorkKeys.PLAN)
            self.worker.temp.delete_folder(folder)
        else:
            keys = ResultKeys(results_uri=self.settings.results_uri, video_id=video_id)
            self.worker.results.delete(keys.version_metadata(name))
            self.worker.results.delete_folder(keys.version(name, ""))

    def _facts(self, video_id: str) -> VideoFacts:
        temp = f"{self.settings.temp_uri}/{video_id}/"
        keys = ResultKeys(results_uri=self.settings.results_uri, video_id=video_id)
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

    def _report(self, report: _Report, video_id: str, removal: Removal) -> None:
        folder = removal.folder
        kind = "workspaces" if is_workspace(folder.name) else "versions"
        self._note(report, kind, f"{video_id}/{folder.name}", folder.size_bytes, folder.objects, removal.why)

    def _note(self, report: _Report, kind: str, what: str, size_bytes: int, objects: int, why: str) -> None:
        self.log.info(
            "%s %s: %d bytes in %d objects: %s",
            "would remove" if report.is_dry_run else "removed", what, size_bytes, objects, why,
        )  # fmt: skip
        report.add(kind, what, size_bytes, objects, why)

    # --- unfinished writes ------------------------------------------------------------------

    def _discard_unfinished(self, storage: Storage, root: str, before: datetime, report: _Report) -> None:
        for found in storage.unfinished(f"{root}/"):
            if found.started > before:
                continue
            video_id = found.uri[len(root) + 1 :].partition("/")[0]
            if is_video_id(video_id) and claim.is_held(
                self.worker.temp, claim_key(self.settings.temp_uri, video_id)
            ):
                continue
            if not report.is_dry_run:
                storage.discard(found)
            why = f"its writer died: begun {found.started:%Y-%m-%d %H:%M} UTC, never ended"
            self._note(report, "unfinished", found.uri, found.size, 1, why)


@dataclass(frozen=True, kw_only=True)
class _Terms:
    grace: timedelta
    temp_now: datetime
    """Times by each store's clock, read at the start, so that objects written later count as younger."""
    results_now: datetime


class _Report:
    def __init__(self, *, is_dry_run: bool) -> None:
        self.is_dry_run = is_dry_run
        self.videos = 0
        self.failed: list[str] = []
        self._counts = {"workspaces": 0, "versions": 0, "unfinished": 0}
        self._objects = self._bytes = 0
        self._items: list[dict[str, Any]] = []

    def add(self, kind: str, what: str, size_bytes: int, objects: int, why: str) -> None:
        self._counts[kind] += 1
        self._objects += objects
        self._bytes += size_bytes
        if len(self._items) < ITEMS:
            self._items.append({"what": what, "bytes": size_bytes, "why": why})

    def as_dict(self) -> dict[str, Any]:
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
