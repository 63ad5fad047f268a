"""The chunks of one rendition, laid end to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from airflow.sdk import Context

from vod_operators.media.isobmff import Part, join
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.job import Job
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker, Stored


class VodConcatOperator(VodBaseOperator):
    """Join one rendition's chunk files into one continuous track: store to store, without a disk.

    :param plan: URI of ``plan.json``.
    :param track: one item of ``prepare``'s ``renditions``: ``{"rendition": name, "label": ...}``.
    """

    template_fields: Sequence[str] = ("plan", "track")

    def __init__(self, *, plan: str, track: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.track = track

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the marker's facts: ``{"rendition", "frames", "chunks"}``.

        :raises VerificationError: the chunks do not make up the planned frames without a gap.
        """
        job = self.open_job(context, self.plan)
        keys, name = job.work_keys, self.track["rendition"]
        done = checkpoint.load(self.temp, keys.marker(f"track-{name}"))
        if done is not None:
            self.log.info("%s is joined already", name)
            return done.facts
        timeline = self.load_timeline(job)
        stored = checkpoint.write_hashed(self.temp, keys.track(name), join(self._parts(job, name)))
        facts = {"rendition": name, "frames": timeline.frames, "chunks": len(timeline.chunks)}
        return checkpoint.save(
            self.temp, keys.marker(f"track-{name}"), Marker(objects={name: stored}, facts=facts)
        ).facts

    def _parts(self, job: Job, rendition: str) -> Iterator[Part]:
        ticks = job.plan.frame_ticks
        for chunk in self.load_timeline(job).chunks:
            marker = job.work_keys.marker(chunk.name)
            stored = checkpoint.require(self.temp, marker, step="transcode").objects[rendition]
            yield Part(
                name=f"{chunk.name}/{rendition}",
                blocks=self._blocks(stored, marker),
                decode_time=chunk.first * ticks,
                samples=chunk.frames,
                sample_ticks=ticks,
            )

    def _blocks(self, stored: Stored, marker: str) -> Iterator[bytes]:
        with checkpoint.relying_on(self.temp, marker, step="transcode"):
            yield from checkpoint.read_checked(self.temp, stored)
