"""Removes expired workspaces, versions and unfinished uploads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import ClaimedError, InvalidInputError, StorageError, VodError
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.runs import run_name
from vod_operators.storage import claim
from vod_operators.storage.keys import claim_key
from vod_operators.work.cleaning import Cleaner, Report
from vod_operators.work.conf import is_true
from vod_operators.work.index import Index

CLAIM_S = 1800
"""Much longer than removing a video's folders takes: one request deletes a thousand objects."""


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
        cleaner = Cleaner.of(self.worker, timedelta(hours=self._grace_hours()))
        report = Report(is_dry_run=is_true(self.is_dry_run))
        for video_id in cleaner.videos():
            report.videos += 1
            try:
                self._clean(context, video_id, cleaner, report)
            except ClaimedError:
                self.log.info("%s: a run has just begun", video_id)
            except VodError as error:
                self.log.error("%s: nothing more of it is removed: %s", video_id, error)
                report.failed.append(video_id)
        for storage, found in cleaner.unfinished():
            if not report.is_dry_run:
                storage.discard(found)
            why = f"its writer died: begun {found.started:%Y-%m-%d %H:%M} UTC, never ended"
            report.add("unfinished", found.uri, found.size, 1, why)
        if not report.is_dry_run:
            self._rebuild_index()
        self.log.info("%s", report.as_dict())
        if report.failed:
            raise StorageError(
                f"{len(report.failed)} of {report.videos} videos could not be looked at, "
                f"{', '.join(report.failed[:5])} among them; the log says why"
            )
        return report.as_dict()

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

    def _rebuild_index(self) -> None:
        """Mend the list of videos: those of before it existed, and rows that could not be written."""
        index = Index(self.worker.temp, self.settings.temp_uri)
        try:
            videos = index.rebuild(self.worker.results, self.settings.results_uri)
        except VodError as error:  # what was removed is removed; the next run tries again
            self.log.error("the index of published videos was not rebuilt: %s", error)
        else:
            self.log.info("the index lists %d published videos", videos)

    def _clean(self, context: Context, video_id: str, cleaner: Cleaner, report: Report) -> None:
        uri = claim_key(self.settings.temp_uri, video_id)
        if claim.is_held(self.worker.temp, uri):
            return
        removals = cleaner.expired(video_id)
        if not removals:
            return
        if report.is_dry_run:
            for removal in removals:
                report.add_removal(video_id, removal)
            return
        hold = partial(self.hold_claim, context, video_id, ttl_s=CLAIM_S, brief=True)
        hold()
        try:
            # With the claim held no run can begin. One may have begun and ended before, so decide again.
            for removal in cleaner.expired(video_id):
                hold()
                cleaner.remove(video_id, removal.folder.name)
                report.add_removal(video_id, removal)
        finally:
            claim.release(self.worker.temp, uri, owner=run_name(context))
