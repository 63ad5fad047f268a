"""Measures what quality some windows of the video get at some rates, where the plan leaves the rates open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from vod_operators.media.models import Timeline, Window
from vod_operators.media.probing import probed
from vod_operators.operators.base import VodStepOperator
from vod_operators.storage import checkpoint
from vod_operators.work.analysis import WindowProbe
from vod_operators.work.encoding import require_encoders
from vod_operators.work.job import Job, read_timeline


class VodAnalyseOperator(VodStepOperator):
    """Encode a share of the video's windows at several rates, as they will be encoded, and measure each.

    Map it over the XCom ``parts`` of ``VodPrepareOperator``.

    :param source: URI of the original, for windows of chunks that the split did not store.
    :param part: ``{"part": index, "parts": count, "label": ...}``.
    """

    template_fields: Sequence[str] = ("plan", "source", "part")
    precedes_choice = True

    def __init__(self, *, source: str, part: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.part = part

    def execute(self, context: Context) -> list[int]:
        """Returns the numbers of its windows.

        :raises InvalidInputError: the source changed since the run began.
        """
        job = self.open_job(context)
        timeline = read_timeline(self.worker.temp, job)
        windows = timeline.windows[self.part["part"] :: self.part["parts"]]
        missing = [
            window
            for window in windows
            if checkpoint.load(self.worker.temp, job.work_keys.marker(window.name)) is None
        ]
        if missing:
            require_encoders(self.worker.runner, self.worker.tools.ffmpeg, probed(job.plan), hardware=True)
        for window in missing:
            self._probe(context, job, timeline, window)
        return [window.index for window in windows]

    def _probe(self, context: Context, job: Job, timeline: Timeline, window: Window) -> None:
        self.log.info("%s: frames %d to %d", window.name, window.first, window.last)
        WindowProbe(
            worker=self.worker,
            job=job,
            timeline=timeline,
            window=window,
            original=self.original(self.source, job) if timeline.in_place else None,
            keys={},
            report=self.reporter(context, job),
        ).measure()
