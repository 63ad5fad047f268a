"""Reads the times of all packets of the source, decides the chunks, and cuts them if need be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import LostWorkError
from vod_operators.media.chapters import require_inside
from vod_operators.media.models import Timeline
from vod_operators.operators.base import VodStepOperator
from vod_operators.pipeline import SPLIT
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.storage.s3 import SCHEME as S3
from vod_operators.work import allowance
from vod_operators.work.cutting import SOURCE, CutStore
from vod_operators.work.documents import check_length
from vod_operators.work.job import Job, read_timeline
from vod_operators.work.source import Original
from vod_operators.work.source_reader import Media, SourceReader


class VodSplitOperator(VodStepOperator):
    """Read the exact times of all packets of the source, and decide its chunks.

    Each chunk begins at the key frame that its first frame needs. So chunks overlap, and each can be decoded
    alone. If the encoding tasks cannot cut chunks and sound from the source itself (see ``_in_place``), this
    task cuts and stores them. It always extracts subtitles.

    :param source: URI of the original, as given to ``VodPrepareOperator``. It is not taken from the plan,
        because a later run that continues the plan may have a newly signed URL.
    """

    template_fields: Sequence[str] = ("plan", "source")
    precedes_choice = True

    def __init__(self, *, source: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Returns ``{"chunk": index, "label": ...}`` of each chunk; the encoding is mapped over them.

        :raises InvalidInputError: the source changed since the run began, or cannot be cut.
        """
        job = self.open_job(context)
        timeline = self._done(job) or self._split(context, job)
        require_inside(job.plan, timeline)
        return [
            {"chunk": chunk.index, "label": timeline.label(chunk, job.plan.frame_rate)}
            for chunk in timeline.chunks
        ]

    def _done(self, job: Job) -> Timeline | None:
        if checkpoint.load(self.worker.temp, job.source_keys.marker(SPLIT)) is None:
            return None
        try:
            timeline = read_timeline(self.worker.temp, job)
        except LostWorkError as error:
            self.log.warning("%s", error)
            return None
        if job.plan.is_open and not timeline.windows:
            return None  # a release that analysed nothing stored it
        if timeline.in_place and not self._is_reachable(self.original(self.source, job), timeline):
            return None  # the source has another URI now, from which tasks may be unable to cut
        self.log.info("all chunks are there")
        return timeline

    def _split(self, context: Context, job: Job) -> Timeline:
        original = self.original(self.source, job)
        with self.worker.scratch() as folder, allowance.source_at_fault(), original.unchanged():
            reader = SourceReader(self.worker, job.plan, original, folder)
            media = reader.read()
            timeline = media.timeline
            missing = check_length(job, timeline, self.settings.limits)
            in_place = self._in_place(original, media, timeline)
            if media.is_sparse and (media.layout.texts or not in_place):
                reader.place()
            timeline = timeline.model_copy(
                update={
                    "repairs": media.repairs,
                    "damage": (*media.damage, *missing),
                    "text_shift_ms": reader.extract_texts(media),
                    "in_place": in_place,
                }
            )
            self.worker.report_damage(timeline.damage)
            self._store(
                context, CutStore(self.worker, job, original, media.file, media.layout, timeline, folder)
            )
            return timeline

    def _store(self, context: Context, cuts: CutStore) -> None:
        """Store the timeline and what was cut, and the marker last."""
        temp, keys, timeline = self.worker.temp, cuts.job.source_keys, cuts.timeline
        objects = {"timeline": checkpoint.write_hashed(temp, keys.timeline, [checkpoint.seal(timeline)])}
        if not timeline.in_place:
            objects |= cuts.chunks(lambda: self.renew_claim(context, cuts.job.plan.video_id))
            objects |= cuts.sounds()
        objects |= cuts.texts()
        cuts.original.check()
        checkpoint.save(temp, keys.marker(SPLIT), Marker(objects=objects, facts={"cpu_s": self.worker.cpu_s}))

    def _in_place(self, original: Original, media: Media, timeline: Timeline) -> bool:
        """Whether each encoding task can cut its packets from the source itself.

        It can if all hosts share the disk, or from S3 by byte ranges from the index. It cannot from a web
        server: a signed URL may expire, and some servers do not support ranges.
        """
        is_whole = original.local is not None or not media.layout.texts
        return media.file == SOURCE and is_whole and self._is_reachable(original, timeline)

    def _is_reachable(self, original: Original, timeline: Timeline) -> bool:
        if original.local is not None:
            return self.worker.temp.local_path(self.plan) is not None
        return self.source.startswith(S3) and all(chunk.byte_range for chunk in timeline.chunks)
