"""The source, read once, into chunks that can be encoded alone."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import (
    InvalidInputError,
    LostWorkError,
    ObjectChangedError,
    ObjectNotFoundError,
    VerificationError,
    VodError,
)
from vod_operators.media import ffmpeg, packets
from vod_operators.media.admission import check_duration
from vod_operators.media.models import Chunk, Layout, Plan, Timeline, clock
from vod_operators.media.packets import PacketTimes
from vod_operators.media.plan import plan_timeline
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.job import Job
from vod_operators.runners.base import Runner, output
from vod_operators.runners.scratch import check_room
from vod_operators.storage import checkpoint
from vod_operators.storage.base import ObjectInfo
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.storage.redact import redact
from vod_operators.storage.stores import fetch

KEYS_TRIED = 3
"""From so many places of a file: damage may lie in one of them."""

CUTS = 4
"""Chunks cut at once: one is flushed to disk or sent to the store while others are read."""

MISSING_S = 1
"""A file that ends so much before its declared end has lost something; less is rounding."""


@dataclass(frozen=True)
class _Media:
    """A local file that chunks are cut from, and what its packets say."""

    file: str
    layout: Layout
    times: PacketTimes

    def timeline(self, plan: Plan) -> Timeline:
        times = self.times
        return plan_timeline(
            plan=plan,
            time_base=times.video_time_base,
            pts=times.pts,
            key_pts=times.key_pts,
            last_duration=times.last_duration,
            sounds=times.sounds,
        )


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
        timeline = self._done(job) or self._split(context, job)
        return [
            {"chunk": chunk.index, "label": timeline.label(chunk, job.plan.frame_rate)}
            for chunk in timeline.chunks
        ]

    def _done(self, job: Job) -> Timeline | None:
        if checkpoint.load(self.temp, job.source_keys.marker("split")) is None:
            return None
        try:
            timeline = self.load_timeline(job)
        except LostWorkError as error:
            self.log.warning("%s", error)
            return None
        self.log.info("all chunks are there")
        return timeline

    def _split(self, context: Context, job: Job) -> Timeline:
        size = job.plan.source.size_bytes
        is_here = self.storage(self.source).local_path(self.source) is not None
        with self.scratch(0 if is_here else size) as folder:
            self._place_source(job, folder / "source")
            try:
                return self._split_file(context, job, folder)
            except VodError:
                self._refuse_changed_in_place(job, folder)  # the reason behind whatever a tool says of it
                raise

    def _split_file(self, context: Context, job: Job, folder: Path) -> Timeline:
        keys = job.source_keys
        media, repairs, damage = self._read(job, folder)
        timeline = media.timeline(job.plan)
        damage += self._check_length(job, timeline)
        shift_ms = self._cut_texts(media, timeline, folder)
        timeline = timeline.model_copy(
            update={"repairs": tuple(repairs), "damage": tuple(damage), "text_shift_ms": shift_ms}
        )
        self.report_damage(timeline.damage)
        document = [checkpoint.seal(timeline)]
        objects = {"timeline": checkpoint.write_hashed(self.temp, keys.timeline, document)}
        objects |= self._store_chunks(context, job, timeline, media, folder)
        for track in media.layout.sounds:
            name = f"{track}.nut"
            argv = ffmpeg.cut_audio(
                self.tools.ffmpeg, media.file, name, layout=media.layout, track=track, timeline=timeline
            )
            self.runner.run(argv, folder=folder)
            objects[track] = checkpoint.put(self.temp, folder / name, keys.audio(track))
        for track in packets.layout_of(job.plan).texts:
            objects[track] = checkpoint.put(self.temp, folder / f"{track}.vtt", keys.text(track))
        self._refuse_changed_in_place(job, folder)
        checkpoint.save(self.temp, keys.marker("split"), Marker(objects=objects))
        return timeline

    # --- what is cut ------------------------------------------------------------------------

    def _read(self, job: Job, folder: Path) -> tuple[_Media, list[str], list[str]]:
        """The file to cut, which is the source if it can be; how it was repaired; how it is damaged."""
        plan = job.plan
        media, errors = self._read_packets("source", packets.layout_of(plan), folder)
        damage = [f"the file: {errors[0]}"] if errors else []
        if media.times.corrupt:
            damage.append(f"the file: {media.times.corrupt} packets are marked as damaged")
        repairs = []
        if why := packets.why_rewrite(plan, media.times):
            media = self._repair(plan, why, folder, decode=False)
            repairs.append(why)
        why = (
            packets.why_decode(plan, media.times)
            or self._why_packed(plan, folder)
            or self._why_keys(plan, media, folder)
        )
        if why:
            media = self._repair(plan, why, folder, decode=True)
            repairs.append(why)
        return media, repairs, damage

    def _repair(self, plan: Plan, why: str, folder: Path, *, decode: bool) -> _Media:
        self.log.info("source: %s: it is written anew before it is cut", why)
        # What is written is at least as large: it is copied, or decoded.
        check_room(self.settings.work_dir, plan.source.size_bytes)
        layout, file = packets.layout_of(plan), f"repaired-{int(decode)}.nut"
        argv = ffmpeg.repair(self.tools.ffmpeg, "source", file, layout=layout, decode=decode)
        self.runner.run(argv, folder=folder)
        repaired = packets.layout_of_repaired(self.run_probe(file, folder), layout)
        return self._read_packets(file, repaired, folder)[0]

    def _why_packed(self, plan: Plan, folder: Path) -> str | None:
        video = plan.source.video
        if video is None or (video.codec, plan.source.container) != ("mpeg4", "avi"):
            return None
        argv = ffmpeg.decode_beginning(self.tools.ffmpeg, "source")
        return packets.why_packed(self.runner.run(argv, folder=folder))

    def _read_packets(self, file: str, layout: Layout, folder: Path) -> tuple[_Media, list[str]]:
        times = PacketTimes(layout)
        argv = packets.read_packets(self.tools.ffprobe, file, layout)
        errors = self.runner.run(argv, folder=folder, on_line=times.read_line)
        return _Media(file, layout, times), errors

    def _why_keys(self, plan: Plan, media: _Media, folder: Path) -> str | None:
        """Why chunks cannot begin at the file's key frames, if they cannot: tried on some of them."""
        video = plan.source.video
        if video is None or video.codec not in packets.CODECS_WITH_GRADUAL_KEYS:
            return None
        timeline = media.timeline(plan)
        later = [chunk for chunk in timeline.chunks if chunk.key_pts > timeline.chunks[0].key_pts]
        for chunk in later[:: max(1, len(later) // KEYS_TRIED)]:
            self._cut(self.runner, media, chunk, timeline, "trial.nut", folder)
            argv = packets.first_frame(self.tools.ffprobe, "trial.nut")
            if packets.shows_its_key_frame(output(self.runner, argv, folder)):
                return None
        return "its key frames need pictures before them" if later else None

    def _check_length(self, job: Job, timeline: Timeline) -> list[str]:
        """What is missing of the declared length.

        :raises InvalidInputError: it is longer than allowed.
        """
        declared = job.plan.source.duration_ms
        sounds = [sound.seconds for sound in timeline.sounds.values()]
        counted = max([timeline.seconds(job.plan.frame_rate), *sounds])
        check_duration(counted, self.settings.limits)
        if declared is None or Fraction(declared, 1000) - counted <= MISSING_S:
            return []
        return [f"the file: it ends at {clock(counted)} of the {clock(declared / 1000)} that it declares"]

    def _place_source(self, job: Job, path: Path) -> None:
        found = self._refuse_changed(job)
        storage = self.storage(self.source)
        local = storage.local_path(self.source)
        if local is not None:
            path.symlink_to(local)
            return
        try:
            fetch(storage, self.source, path, size=found.size, version=found.version)
        except (ObjectChangedError, ObjectNotFoundError):
            self._refuse_changed(job)
            raise  # by now it is what it was: try again

    def _refuse_changed_in_place(self, job: Job, folder: Path) -> None:
        if (folder / "source").is_symlink():  # what was fetched is of one version already
            self._refuse_changed(job)

    def _refuse_changed(self, job: Job) -> ObjectInfo:
        found = self.storage(self.source).stat(self.source)
        if found is None or found.version != job.source_version:
            raise InvalidInputError(
                f"source: {redact(self.source)} {'is gone' if found is None else 'has changed'} since the "
                "run began; ask for the video again"
            )
        return found

    def _cut_texts(self, media: _Media, timeline: Timeline, folder: Path) -> int:
        """Write the subtitles, unless the repair has; returns what their times are ahead of the video's."""
        if media.file != "source":  # they have the clock of what was written with them
            return round(1000 * timeline.origin_pts * timeline.time_base)
        if media.layout.texts:
            argv = ffmpeg.cut_texts(self.tools.ffmpeg, media.file, layout=media.layout, timeline=timeline)
            self.runner.run(argv, folder=folder)
        return 1000 * ffmpeg.GUARD_S

    # --- cutting ----------------------------------------------------------------------------

    def _cut(
        self, runner: Runner, media: _Media, chunk: Chunk, timeline: Timeline, name: str, folder: Path
    ) -> int:
        """Returns how many packets it has."""
        argv = ffmpeg.cut_video(
            self.tools.ffmpeg, media.file, name, layout=media.layout, chunk=chunk, timeline=timeline
        )
        return ffmpeg.packets_written(output(runner, argv, folder))

    def _store_chunks(
        self, context: Context, job: Job, timeline: Timeline, media: _Media, folder: Path
    ) -> dict[str, Stored]:
        runners: SimpleQueue[Runner] = SimpleQueue()
        for _ in range(CUTS):
            runners.put(self.another_runner())

        def store(chunk: Chunk) -> Stored:
            runner = runners.get()
            try:
                return self._store_chunk(runner, job, timeline, chunk, media, folder)
            finally:
                runners.put(runner)

        objects = {}
        with ThreadPoolExecutor(CUTS) as pool:
            futures = {chunk.name: pool.submit(store, chunk) for chunk in timeline.chunks}
            try:
                for name, future in futures.items():
                    objects[name] = future.result()
                    self.renew_claim(context, job.plan.video_id)
            except BaseException:  # also a time limit, which must not wait for the cuts beside
                pool.shutdown(wait=False, cancel_futures=True)
                self.on_kill()
                raise
        return objects

    def _store_chunk(
        self, runner: Runner, job: Job, timeline: Timeline, chunk: Chunk, media: _Media, folder: Path
    ) -> Stored:
        keys, every = job.source_keys, media.times.all_pts
        done = checkpoint.load(self.temp, keys.marker(chunk.name))
        if done is not None:
            return done.objects[chunk.name]
        name = f"{chunk.name}.nut"
        cut = self._cut(runner, media, chunk, timeline, name, folder)
        needed = (
            bisect_left(every, chunk.key_pts),
            (len(every) if chunk.end_pts is None else bisect_right(every, chunk.end_pts)),
        )
        if cut < needed[1] - needed[0]:
            raise VerificationError(
                f"{chunk.name}: {cut} packets were cut where frames [{chunk.first}, {chunk.last}) "
                f"need {needed[1] - needed[0]}"
            )
        self._refuse_changed_in_place(job, folder)
        stored = checkpoint.put(self.temp, folder / name, keys.chunk(chunk.name))
        checkpoint.save(self.temp, keys.marker(chunk.name), Marker(objects={chunk.name: stored}))
        return stored
