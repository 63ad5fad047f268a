"""One chunk into every rendition: the work that is done in parallel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import VerificationError
from vod_operators.media import ffmpeg
from vod_operators.media.isobmff import first_sample, read_fragments, starts_with_idr
from vod_operators.media.models import Chunk, Plan
from vod_operators.operators.base import VodBaseOperator
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker


class VodTranscodeChunkOperator(VodBaseOperator):
    """Decode one chunk once, scale it in a cascade, and encode every rendition of it.

    Map it over what ``VodSplitOperator`` returns.

    :param plan: URI of ``plan.json``.
    :param chunk: one item of the split: ``{"chunk": index, "label": ...}``.
    """

    template_fields: Sequence[str] = ("plan", "chunk")

    def __init__(self, *, plan: str, chunk: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.chunk = chunk

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the marker's facts: ``{"chunk", "frames", "seconds", "speed", "warnings"}``.

        :raises VerificationError: an output does not hold exactly the planned frames.
        """
        job = self.open_job(context, self.plan)
        timeline = self.load_timeline(job)
        chunk = timeline.chunks[self.chunk["chunk"]]
        keys = job.work_keys
        done = checkpoint.load(self.temp, keys.marker(chunk.name))
        if done is not None:
            self.log.info("%s is encoded already", chunk.name)
            return done.facts
        split = [job.source_keys.marker(chunk.name), job.source_keys.marker("split")]
        source = checkpoint.require(self.temp, split[0], step="split")
        begin = time.monotonic()
        with self.scratch() as folder:
            with checkpoint.relying_on(self.temp, *split, step="split"):
                checkpoint.obtain(self.temp, source.objects[chunk.name], folder / "chunk.nut")
            outputs = {rendition.name: f"{rendition.name}.mp4" for rendition in job.plan.renditions}
            argv = ffmpeg.transcode_chunk(
                self.tools.ffmpeg, "chunk.nut", outputs, plan=job.plan, chunk=chunk, timeline=timeline
            )
            media_s = float(job.plan.seconds(chunk.frames))
            warnings = self.runner.run(argv, folder=folder, on_line=self.progress(context, job, media_s))
            stored = {}
            for name, file in outputs.items():
                check_encoded_chunk(folder / file, f"{chunk.name}/{name}", job.plan, chunk)
                stored[name] = checkpoint.put(self.temp, folder / file, keys.chunk(chunk.name, name))
            seconds = time.monotonic() - begin
            facts = {
                "chunk": chunk.index,
                "frames": chunk.frames,
                "seconds": round(seconds, 3),
                "speed": round(media_s / seconds, 3),
                "warnings": warnings,
            }
            return checkpoint.save(
                self.temp, keys.marker(chunk.name), Marker(objects=stored, facts=facts)
            ).facts


def check_encoded_chunk(path: Path, name: str, plan: Plan, chunk: Chunk) -> None:
    """:raises VerificationError: not the planned frames, each a frame long, with an IDR at each GOP."""
    frames, decode_time = 0, 0
    with path.open("rb") as file:
        for fragment in read_fragments(file):
            if fragment.decode_time != decode_time or frames % plan.gop_frames:
                raise VerificationError(
                    f"{name}: a GOP begins at frame {frames}, tick {fragment.decode_time}"
                )
            if not starts_with_idr(first_sample(file, fragment)):
                raise VerificationError(f"{name}: frame {frames} is not an IDR picture")
            frames += len(fragment.durations)
            decode_time += fragment.duration
    if frames != chunk.frames:
        raise VerificationError(f"{name}: has {frames} frames where {chunk.frames} are planned")
