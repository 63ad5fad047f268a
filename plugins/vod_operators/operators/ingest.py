"""Starts runs for many videos: for new originals of an interval, or for a catalogue with another preset."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from vod_operators.errors import InvalidInputError
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.presets.model import Preset
from vod_operators.operators import telemetry
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.runs import ask_for_run
from vod_operators.pipeline import BULK_DAG_ID
from vod_operators.storage.base import ObjectInfo
from vod_operators.storage.originals import listed, prefixes_of
from vod_operators.work.conf import is_true
from vod_operators.work.ingest import Original, Report, is_published, originals, require_apart, run_id_of

LATE = timedelta(hours=24)
"""How much older than its interval a source may be. S3 dates a multipart upload by its beginning, so one that
is under way at midnight appears the next day, dated the day before."""

MISSING = "does not exist"


class VodRequestVideosOperator(VodBaseOperator):
    """Start a run of ``vod_transcode_bulk`` for each original whose present version is not published yet.

    Base of the two operators below. Safe to repeat: the run's id is made of the source, its version and the
    preset. A run that failed is repeated; one that is at work is left alone.

    :param preset: name of a preset.
    :param is_dry_run: ``True``: only report what would be started.
    """

    def __init__(self, *, preset: str, is_dry_run: str = "False", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.preset = preset
        self.is_dry_run = is_dry_run

    def originals(self, context: Context, report: Report) -> Iterator[Original]:
        """The originals to publish; objects that are left out are added to the report."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the report: counts by outcome, and the outcomes of the first sources.

        :raises InvalidInputError: a parameter is bad, and no run was started; or sources of a list do not
            exist, and runs were started for all others.
        """
        preset = load_preset(self.preset, self.settings.presets_dir)
        is_dry_run = is_true(self.is_dry_run)
        report = Report(is_dry_run=is_dry_run)
        for video_id, found in self.originals(context, report):
            if is_published(self.worker, video_id, found, preset):
                became = "published already"
            elif is_dry_run:
                became = "would be asked for"
            else:
                became = self._ask(context, video_id, found, preset)
            report.add(became, found.uri, video_id)
        self.log.info("%s", report.counts)
        self.facts["sources"] = report.counts
        if missing := report.counts.get(MISSING):
            raise InvalidInputError(
                f"videos: {missing} of them do not exist, the log tells which; all others were asked for"
            )
        return report.as_dict()

    def _ask(self, context: Context, video_id: str, found: ObjectInfo, preset: Preset) -> str:
        conf = {"video_id": video_id, "source": found.uri, "preset": preset.name}
        answer = ask_for_run(context, BULK_DAG_ID, run_id_of(video_id, found, preset), conf)
        if answer != "running":
            telemetry.count("vod.asked")
        return answer


class VodIngestOperator(VodRequestVideosOperator):
    """Start runs for the sources that arrived under a prefix in an interval.

    :param prefix: URI of a folder; if empty, the task is skipped.
    :param pattern: folder of an interval's sources, as in ``VOD_INGEST_PATTERN``; if empty, sources are
        chosen by their modification time, from a day before the interval on.
    :param begin: of the interval, ISO 8601, inclusive.
    :param end: of the interval, ISO 8601, exclusive.
    """

    template_fields: Sequence[str] = ("prefix", "pattern", "preset", "begin", "end", "is_dry_run")

    def __init__(
        self,
        *,
        prefix: str,
        preset: str,
        begin: str,
        end: str,
        pattern: str = "",
        is_dry_run: str = "False",
        **kwargs: Any,
    ) -> None:
        super().__init__(preset=preset, is_dry_run=is_dry_run, **kwargs)
        self.prefix = prefix
        self.pattern = pattern
        self.begin = begin
        self.end = end

    def originals(self, context: Context, report: Report) -> Iterator[Original]:
        if not self.prefix:
            raise AirflowSkipException("nothing is taken, because VOD_INGEST_URI names no folder")
        begin, end = self._time("begin"), self._time("end")
        require_apart(self.settings, self.prefix)
        storage = self.requested("prefix")
        if self.pattern:
            prefixes, oldest = prefixes_of(self.pattern, self.prefix, begin, end), None
        else:
            prefixes, oldest = [f"{self.prefix}/"], begin - LATE
        for prefix in prefixes:
            self.log.info("looking at %s*", prefix)
            objects = storage.list(prefix)
            recent = (o for o in objects if oldest is None or oldest <= o.modified < end)
            yield from originals(self.settings, recent, report)

    def _time(self, name: str) -> datetime:
        text = getattr(self, name)
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise InvalidInputError(
                f"{name}: the run has no data interval ({text!r}); trigger it with a logical date, "
                "use `airflow backfill create`, or vod_reencode for a whole folder"
            ) from None


class VodReencodeOperator(VodRequestVideosOperator):
    """Start runs for a list of videos, or for all below a prefix, with a preset.

    :param prefix: URI of a folder; empty if ``videos`` is given.
    :param videos: list, or JSON of a list, of lines with the source's URI, or with the video id and the URI.
    """

    template_fields: Sequence[str] = ("prefix", "videos", "preset", "is_dry_run")

    def __init__(
        self, *, preset: str, prefix: str = "", videos: Any = (), is_dry_run: str = "False", **kwargs: Any
    ) -> None:
        super().__init__(preset=preset, is_dry_run=is_dry_run, **kwargs)
        self.prefix = prefix
        self.videos = videos

    def originals(self, context: Context, report: Report) -> Iterator[Original]:
        prefix = str(self.prefix).rstrip("/")
        lines = json.loads(self.videos) if isinstance(self.videos, str) else self.videos
        wanted = [listed(line) for line in lines]
        if bool(prefix) == bool(wanted):
            raise InvalidInputError("prefix: give either a prefix or a list of videos")
        times = Counter(video_id for video_id, _ in wanted)
        if twice := sorted(video_id for video_id, count in times.items() if count > 1):
            raise InvalidInputError(f"videos: {', '.join(twice[:5])} are listed more than once")
        sources = self.requested("videos")
        for video_id, uri in wanted:
            self.settings.check_video_id(video_id)
            sources.require(uri)
        if prefix:
            require_apart(self.settings, prefix)
            yield from originals(self.settings, self.requested("prefix").list(f"{prefix}/"), report)
        for video_id, uri in wanted:
            found = sources.stat(uri)
            if found is None:
                report.add(MISSING, uri, video_id)
            else:
                yield video_id, found
