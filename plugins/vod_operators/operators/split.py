"""The source, read once, into chunks that can be encoded alone."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import InvalidInputError, VerificationError
from vod_operators.media import ffmpeg, probe
from vod_operators.media.models import Chunk, Timeline
from vod_operators.media.plan import plan_timeline
from vod_operators.media.probe import PacketTimes
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.job import Job
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.storage.redact import redact
from vod_operators.storage.stores import fetch


class VodSplitOperator(VodBaseOperator):
    """Cut the source's packets into chunks and whole sound tracks, by stream copy.

    Each chunk begins at the key frame that its first frame needs, so chunks overlap, and each
    decodes alone. The exact time of the source is counted here, packet by packet.

    :param plan: URI of ``plan.json``.
    :param source: URI of the original, as ``VodPrepareOperator`` was given it. Not taken from the plan,
        because a signed URL may have been signed anew.
    """

    template_fields: Sequence[str] = ("plan", "source")

    def __init__(self, *, plan: str, source: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.source = source

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Returns one ``{"chunk": index, "label": ...}`` for each chunk: what the encoding is mapped over.

        :raises InvalidInputError: the source changed since the run began, or cannot be cut.
        """
        job = self.open_job(context, self.plan)
        marker = checkpoint.load(self.temp, job.source_keys.marker("split"))
        if marker is not None:
            self.log.info("all chunks are there")
            timeline = self.load_timeline(job)
        else:
            timeline = self._split(context, job)
        return [
            {"chunk": chunk.index, "label": timeline.label(chunk, job.plan.frame_rate)}
            for chunk in timeline.chunks
        ]

    def _split(self, context: Context, job: Job) -> Timeline:
        keys = job.source_keys
        with self.scratch() as folder:
            self._place_source(job, folder / "source")
            packets = PacketTimes(job.plan)
            self.runner.run(
                probe.read_packets(self.tools.ffprobe, "source"), folder=folder, on_line=packets.read_line
            )
            timeline = plan_timeline(
                plan=job.plan,
                pts=packets.pts,
                key_pts=packets.key_pts,
                last_duration=packets.last_duration,
                audio_end=packets.audio_end,
            )
            document = [timeline.model_dump_json().encode()]
            objects = {"timeline": checkpoint.write_hashed(self.temp, keys.timeline, document)}
            every = packets.all_pts
            for chunk in timeline.chunks:
                self.renew_claim(context, job.plan.video_id)
                objects[chunk.name] = self._cut_chunk(job, timeline, chunk, every, folder)
            for audio in job.plan.audio:
                name = f"{audio.name}.nut"
                argv = ffmpeg.cut_audio(self.tools.ffmpeg, "source", name, audio=audio, timeline=timeline)
                self.runner.run(argv, folder=folder)
                objects[audio.name] = checkpoint.put(self.temp, folder / name, keys.audio(audio.name))
            checkpoint.save(self.temp, keys.marker("split"), Marker(objects=objects))
        return timeline

    def _place_source(self, job: Job, path: Path) -> None:
        storage, uri = self.storage(self.source), self.source
        found = storage.stat(uri)
        if found is None or found.version != job.source_version:
            raise InvalidInputError(
                f"source: {redact(uri)} {'is gone' if found is None else 'has changed'} since the run began; "
                "ask for the video again"
            )
        local = storage.local_path(uri)
        if local is not None:
            path.symlink_to(local)
        else:
            fetch(storage, uri, path, size=found.size)

    def _cut_chunk(
        self, job: Job, timeline: Timeline, chunk: Chunk, every: Sequence[int], folder: Path
    ) -> Any:
        keys = job.source_keys
        done = checkpoint.load(self.temp, keys.marker(chunk.name))
        if done is not None:
            return done.objects[chunk.name]
        name = f"{chunk.name}.nut"
        stream = job.plan.source.video.index
        argv = ffmpeg.cut_video(
            self.tools.ffmpeg, "source", name, stream=stream, chunk=chunk, timeline=timeline
        )
        self.runner.run(argv, folder=folder)
        cut: list[str] = []
        self.runner.run(probe.read_packets(self.tools.ffprobe, name), folder=folder, on_line=cut.append)
        needed = (
            bisect_left(every, chunk.key_pts),
            (len(every) if chunk.end_pts is None else bisect_right(every, chunk.end_pts)),
        )
        if len(cut) < needed[1] - needed[0]:
            raise VerificationError(
                f"{chunk.name}: {len(cut)} packets were cut where frames [{chunk.first}, {chunk.last}) "
                f"need {needed[1] - needed[0]}"
            )
        stored = checkpoint.put(self.temp, folder / name, keys.chunk(chunk.name))
        checkpoint.save(self.temp, keys.marker(chunk.name), Marker(objects={chunk.name: stored}))
        return stored
