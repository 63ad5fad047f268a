"""Encodes again what missed its target quality, once, with a corrected rate."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from vod_operators.media.choice import corrections
from vod_operators.media.models import Timeline
from vod_operators.operators.base import VodChunkOperator
from vod_operators.operators.content_key import packager_keys
from vod_operators.storage import checkpoint
from vod_operators.work.choice import (
    AGAIN,
    decide_corrections,
    is_made,
    read_choice,
    read_corrections,
    read_measured,
)
from vod_operators.work.chunk_encoder import ChunkEncoder
from vod_operators.work.encoding import require_encoders
from vod_operators.work.job import Job, read_timeline


class VodCorrectChunkOperator(VodChunkOperator):
    """Encode those renditions of one chunk again that missed their target in the whole video.

    All chunks of such a rendition get the same new rate: two rates would make the join between them visible.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns ``{"chunk": index, "again": {rendition: crf}}``.

        :raises LostWorkError: the measurements of a chunk are missing.
        :raises InvalidInputError: the source changed since the run began, or the key that the packager needs.
        """
        job = self.open_job(context)
        timeline = read_timeline(self.worker.temp, job)
        chunk = timeline.chunks[self.chunk["chunk"]]
        crfs = self._decided(job, timeline)
        facts = {"chunk": chunk.index, "again": crfs}
        if not crfs:
            return facts
        job = job.model_copy(update={"plan": job.plan.with_crfs(crfs)})
        marker = job.work_keys.marker(chunk.name + AGAIN)
        if is_made(checkpoint.load(self.worker.temp, marker), job.plan, crfs):
            return facts
        require_encoders(self.worker.runner, self.worker.tools.ffmpeg, job.plan.targets, hardware=True)
        ChunkEncoder(
            worker=self.worker,
            job=job,
            timeline=timeline,
            chunk=chunk,
            again=tuple(crfs),
            original=self.original(self.source, job) if timeline.in_place else None,
            keys=packager_keys(self.settings, job, tuple(crfs)),
            report=self.reporter(context, job),
        ).encode()
        return facts

    def _decided(self, job: Job, timeline: Timeline) -> dict[str, float]:
        """Rendition -> CRF of those that are encoded again."""
        temp = self.worker.temp
        recorded = read_corrections(temp, job)
        if recorded is None:
            measured = read_measured(temp, job, timeline)
            found = corrections(job.plan.targets, read_choice(temp, job), measured)
            recorded = decide_corrections(temp, job, found)
            for name, crf in recorded.items():
                self.log.warning(
                    "%s: VMAF %.1f is not its target; again with CRF %g", name, measured[name], crf
                )
        return recorded
