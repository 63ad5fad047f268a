"""Chooses the rate of each rendition for this video, from what its windows came to."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from vod_operators.media.choice import Choice, choose
from vod_operators.media.title import choose_titles
from vod_operators.operators.base import VodStepOperator
from vod_operators.pipeline import CHOOSE, TRACKS_KEY
from vod_operators.storage import checkpoint
from vod_operators.work.choice import read_choice, read_windows, store_choice, with_choice
from vod_operators.work.job import Job, read_timeline, tracks_of


class VodChooseOperator(VodStepOperator):
    """Fit quality and bitrate over the rate, choose one rate for each rendition, and store the choice."""

    precedes_choice = True

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Returns ``{"chunk": index, "label": ...}`` of each chunk; ``correct`` is mapped over them. Without
        a target there is nothing to correct. Pushes the XCom ``tracks``, those that are made of this video.

        :raises LostWorkError: a window's scores are missing.
        """
        job = self.open_job(context)
        timeline = read_timeline(self.worker.temp, job)
        if checkpoint.load(self.worker.temp, job.work_keys.marker(CHOOSE)) is None:
            windows = read_windows(self.worker.temp, job, timeline)
            aimed = choose(job.plan.targets, windows, float(job.plan.frame_rate))
            by_title = choose_titles(job.plan, windows)
            store_choice(self.worker.temp, job, Choice(renditions={**aimed.renditions, **by_title}))
        self._tell(job)
        context["ti"].xcom_push(TRACKS_KEY, tracks_of(with_choice(self.worker.temp, job).plan))
        if not job.plan.targets:
            return []
        return [
            {"chunk": chunk.index, "label": timeline.label(chunk, job.plan.frame_rate)}
            for chunk in timeline.chunks
        ]

    def _tell(self, job: Job) -> None:
        for name, chosen in read_choice(self.worker.temp, job).renditions.items():
            what = "left out" if chosen.crf is None else f"CRF {chosen.crf:g}, VMAF {chosen.vmaf} is expected"
            self.log.info("%s: %s%s", name, what, f" ({chosen.why})" if chosen.why else "")
