"""Encodes one chunk into all renditions; the step that runs in parallel."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from vod_operators.operators import telemetry
from vod_operators.operators.base import VodChunkOperator
from vod_operators.operators.content_key import packager_keys
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.work.certificate import QUALITY
from vod_operators.work.choice import CRFS, is_made
from vod_operators.work.chunk_encoder import ChunkEncoder
from vod_operators.work.encoding import require_encoders
from vod_operators.work.job import read_timeline
from vod_operators.work.report import REPORT


class VodTranscodeChunkOperator(VodChunkOperator):
    """Decode one chunk once, scale it in a cascade, encode all renditions, and cut them into segments.

    Map it over what ``VodSplitOperator`` returns.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the marker's facts, without scores: ``{"chunk", "frames", "speed", "damage"}``, and those
        of ``Worker.meter``. ``speed`` is in times real time.

        :raises VerificationError: an output does not hold exactly the planned frames.
        :raises InvalidInputError: the source changed since the run began, or the key that the packager needs.
        """
        job = self.open_job(context)
        timeline = read_timeline(self.worker.temp, job)
        chunk = timeline.chunks[self.chunk["chunk"]]
        done = checkpoint.load(self.worker.temp, job.work_keys.marker(chunk.name))
        if done is not None and is_made(done, job.plan, [made.name for made in job.plan.renditions]):
            self.log.info("%s is encoded already", chunk.name)
            return _small(done.facts)
        names = [made.name for made in job.plan.renditions]
        keys = packager_keys(self.settings, job, names)
        require_encoders(self.worker.runner, self.worker.tools.ffmpeg, job.plan.renditions, hardware=True)
        encoder = ChunkEncoder(
            worker=self.worker,
            job=job,
            timeline=timeline,
            chunk=chunk,
            original=self.original(self.source, job) if timeline.in_place else None,
            keys=keys,
            report=self.reporter(context, job),
        )
        marker = encoder.encode()
        self._record(float(job.plan.seconds(chunk.frames)), marker)
        return _small(marker.facts)

    def _record(self, media_s: float, marker: Marker) -> None:
        """Add the facts to the step's log line, and send its metrics."""
        self.facts.update(
            {name: marker.facts[name] for name in ("chunk", "frames", "speed")},
            bytes=sum(stored.size_bytes for stored in marker.objects.values()),
        )
        telemetry.count("vod.chunks")
        telemetry.count("vod.media_seconds", media_s)
        telemetry.count("vod.encode_seconds", marker.facts["seconds"])
        telemetry.gauge("vod.encode_speed", marker.facts["speed"])


def _small(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts that XCom carries: without CRFs, scores of single frames and the report, which stay in the
    marker."""
    return {name: fact for name, fact in facts.items() if name not in (CRFS, QUALITY, REPORT)}
