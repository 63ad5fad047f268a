"""Reads the times of all packets of the source, decides the chunks, and cuts them if need be."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import InvalidInputError, LostWorkError, ToolError
from vod_operators.media import ffmpeg, packets, probe, programme
from vod_operators.media.admission import check_duration
from vod_operators.media.damage import gave_up, in_words, of_the_file
from vod_operators.media.models import Chunk, Layout, Plan, Timeline, clock
from vod_operators.media.packets import PacketTimes
from vod_operators.media.plan import plan_timeline
from vod_operators.operators.base import VodBaseOperator
from vod_operators.pipeline import MAX_MAP_LENGTH, SPLIT
from vod_operators.runners.base import Runner, output
from vod_operators.runners.scratch import check_room, in_memory
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.storage.s3 import SCHEME as S3
from vod_operators.work import allowance
from vod_operators.work.cutting import SOURCE, Cutter
from vod_operators.work.damage import report_damage
from vod_operators.work.documents import check_documents
from vod_operators.work.job import Job, read_timeline
from vod_operators.work.source import Original

JOINED = "joined"
"""Scratch file: an MPEG-TS source whose streams keep their first PIDs throughout."""

KEYS_TRIED = 3
"""Key frames tried. Most must pass: one may lie in a damaged place, and one may pass by chance."""

CUTS = 4
"""Chunks cut at once: one is flushed to disk or sent to the store while others are read."""

TRIAL_S = 1
"""Seconds of a chunk that are cut to see whether it begins with a key frame."""

MISSING_S = 1
"""A file that ends so much before its declared end is incomplete; a smaller difference is rounding."""


@dataclass(frozen=True)
class _Media:
    """A local file that chunks are cut from, and the times of its packets."""

    plan: Plan
    file: str
    layout: Layout
    times: PacketTimes
    is_sparse: bool = False
    """Whether it was a sparse file with only the index, since removed."""

    @property
    def is_source(self) -> bool:
        """Whether the file has the source's own packets, not rewritten ones."""
        return self.file in (SOURCE, JOINED)

    @cached_property
    def timeline(self) -> Timeline:
        times = self.times
        timeline = plan_timeline(
            plan=self.plan,
            time_base=times.video_time_base,
            pts=times.pts,
            key_pts=times.key_pts,
            last_duration=times.last_duration,
            sounds=times.sounds,
            most_chunks=MAX_MAP_LENGTH,
            # A rewritten file has another clock, and begins with its first picture.
            first_pts=self.plan.source.video.first_pts if self.is_source and self.plan.source.video else None,
        )
        chunks = [
            chunk.model_copy(
                update={
                    "packets": times.needed(chunk),
                    "byte_range": times.byte_range(chunk) if self.is_sparse else None,
                }
            )
            for chunk in timeline.chunks
        ]
        return timeline.model_copy(update={"chunks": tuple(chunks), "carrier": self.layout.video_carrier})


class VodSplitOperator(VodBaseOperator):
    """Read the exact times of all packets of the source, and decide its chunks.

    Each chunk begins at the key frame that its first frame needs. So chunks overlap, and each can be decoded
    alone. If the encoding tasks cannot cut chunks and sound from the source itself (see ``_in_place``), this
    task cuts and stores them. It always extracts subtitles.

    :param plan: URI of ``plan.json``.
    :param source: URI of the original, as given to ``VodPrepareOperator``. It is not taken from the plan,
        because a later run that continues the plan may have a newly signed URL.
    """

    template_fields: Sequence[str] = ("plan", "source")

    def __init__(self, *, plan: str, source: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.source = source

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Returns ``{"chunk": index, "label": ...}`` of each chunk; the encoding is mapped over them.

        :raises InvalidInputError: the source changed since the run began, or cannot be cut.
        """
        job = self.open_job(context, self.plan)
        timeline = self._done(job) or self._split(context, job)
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
        if timeline.in_place and not self._is_reachable(self.original(self.source, job), timeline):
            return None  # the source has another URI now, from which tasks may be unable to cut
        self.log.info("all chunks are there")
        return timeline

    def _split(self, context: Context, job: Job) -> Timeline:
        original = self.original(self.source, job)
        with self.worker.scratch() as folder, allowance.source_at_fault(), original.unchanged():
            return self._split_file(context, job, original, folder)

    def _split_file(self, context: Context, job: Job, original: Original, folder: Path) -> Timeline:
        keys = job.source_keys
        media, repairs, damage = self._read(job, original, folder)
        timeline = media.timeline
        damage += self._check_length(job, timeline)
        in_place = self._in_place(original, media, timeline)
        if media.is_sparse and (media.layout.texts or not in_place):
            self._place(job, original, folder)
        shift_ms = self._cut_texts(media, timeline, folder)
        timeline = timeline.model_copy(
            update={
                "repairs": tuple(repairs),
                "damage": tuple(damage),
                "text_shift_ms": shift_ms,
                "in_place": in_place,
            }
        )
        report_damage(self.settings, timeline.damage)
        document = [checkpoint.seal(timeline)]
        objects = {"timeline": checkpoint.write_hashed(self.worker.temp, keys.timeline, document)}
        if not in_place:
            objects |= self._store_chunks(context, job, original, timeline, media, folder)
            objects |= self._store_sounds(job, timeline, media, folder)
        for track in packets.layout_of(job.plan).texts:
            objects[track] = checkpoint.put(self.worker.temp, folder / f"{track}.vtt", keys.text(track))
        original.check()
        checkpoint.save(self.worker.temp, keys.marker(SPLIT), Marker(objects=objects))
        return timeline

    def _in_place(self, original: Original, media: _Media, timeline: Timeline) -> bool:
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

    # --- reading and repairing the source ---------------------------------------------------

    def _read(self, job: Job, original: Original, folder: Path) -> tuple[_Media, list[str], list[str]]:
        """The file to cut (the source, unless it was rewritten), its repairs and its damage, in words."""
        plan = job.plan
        if media := self._read_index(job, original, folder):
            return media, [], []
        self._place(job, original, folder)
        repairs = []
        name = SOURCE
        scrambled = 0
        if plan.source.is_transport:
            why, scrambled = self._follow_programme(plan, folder)
            if why:
                repairs.append(why)
                name = JOINED
        source, errors = self._read_packets(plan, name, packets.layout_of(plan), folder)
        media = source
        codecs = {stream.codec for stream in (plan.source.video, *plan.source.audio) if stream}
        errors = of_the_file(errors, codecs)
        damage = in_words("the file", errors[:1])
        if scrambled:
            damage.append(f"the file: {scrambled} packets are scrambled")
        packets.refuse_clock(plan, media.times)
        # A packet counter also jumps where recordings were joined, and no packet is lost there.
        if media.times.corrupt and media.timeline.variable_rate:
            damage.append(f"the file: {media.times.corrupt} packets are marked as damaged")
        if why := packets.why_rewrite(plan, media.times):
            # A stream that NUT cannot carry cannot be copied into it.
            is_copied = plan.source.video is None or plan.source.video.carrier == "nut"
            media = self._repair(source, why, folder, decode=not is_copied)
            repairs.append(why)
        why = (
            packets.why_decode(plan, media.times)
            or self._why_packed(plan, folder)
            or self._why_keys(media, folder, original, self.worker.runner)
        )
        if why:
            media = self._repair(source, why, folder, decode=True)
            repairs.append(why)
        return media, repairs, damage

    def _read_index(self, job: Job, original: Original, folder: Path) -> _Media | None:
        """The packet times from the index of an MP4 that can be cut as it is; else None."""
        plan, layout = job.plan, packets.layout_of(job.plan)
        if not packets.has_index(plan):
            return None
        times = PacketTimes(layout)
        with self._sparse(folder / SOURCE) as runner:
            if not original.place_index(folder / SOURCE):
                return None
            try:
                messages = [
                    message
                    for argv in packets.read_times(self.worker.tools.ffprobe, SOURCE, layout)
                    for message in runner.run(argv, folder=folder, on_line=times.read_line)
                ]
            except ToolError as error:
                if not error.is_answer:
                    raise
                return None
            media = _Media(plan, SOURCE, times.layout, times, is_sparse=True)
            usable = times.key_pts and not (
                packets.ends_early(messages, times)
                or packets.why_rewrite(plan, times)
                or packets.why_decode(plan, times)
                or self._why_keys(media, folder, original, runner)
            )
            return media if usable else None

    @contextmanager
    def _sparse(self, path: Path) -> Iterator[Runner]:
        """A runner for commands on the sparse file at ``path``, which is removed at the end."""
        if self.worker.runs_on_host and sys.platform == "linux":
            with in_memory(path) as memory:
                yield self.worker.another_runner(memory)
            return
        try:
            yield self.worker.runner
        finally:
            path.unlink(missing_ok=True)

    def _place(self, job: Job, original: Original, folder: Path) -> None:
        if original.local is None:
            check_room(self.settings.work_dir, job.plan.source.size_bytes)
        original.place(folder / SOURCE)

    def _repair(self, source: _Media, why: str, folder: Path, *, decode: bool) -> _Media:
        plan, layout, file = source.plan, source.layout, f"repaired-{int(decode)}.nut"
        self.log.info("source: %s: it is written anew before it is cut", why)
        # A packet may hold two frames: two fields, or a picture and a hidden one.
        frames = 2 * (len(source.times.all_pts) + source.times.untimed)
        limits = allowance.of_repair(self.settings, plan, frames, decode=decode)
        assert limits.output_bytes is not None
        check_room(self.settings.work_dir, limits.output_bytes)
        argv = ffmpeg.repair(
            self.worker.tools.ffmpeg, source.file, file, layout=layout, video=plan.source.video, decode=decode
        )
        try:
            self.worker.runner.run(
                argv, folder=folder, limit_s=limits.seconds, output_bytes=limits.output_bytes
            )
        except ToolError as error:
            if error.is_answer and gave_up(error.stderr_tail.splitlines()):
                raise InvalidInputError(
                    "source: most of it cannot be decoded: it is damaged, or of another codec than it says"
                ) from error
            raise
        repaired = packets.layout_of_repaired(
            "\n".join(output(self.worker.runner, probe.probe(self.worker.tools.ffprobe, file), folder)),
            layout,
        )
        media, _ = self._read_packets(plan, file, repaired, folder)
        if source.times.untimed:  # the source's container does not know the last packet's duration either
            media.times.last_duration = 0
        return media

    def _follow_programme(self, plan: Plan, folder: Path) -> tuple[str | None, int]:
        """Rewrite an MPEG-TS whose streams change their PIDs, as the file ``JOINED``.

        Returns why, or None if no PID changes, and how many packets of the streams are scrambled.
        """
        pids = plan.source.container_ids
        with (folder / SOURCE).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            scrambled = programme.count_scrambled(data, pids)
            changes = programme.changes_of(data, pids)
            if not changes:
                return None, scrambled
            check_room(self.settings.work_dir, plan.source.size_bytes)
            with (folder / JOINED).open("wb") as joined:
                joined.writelines(programme.under_first_pids(data, changes))
        return "its streams get other PIDs in mid-file", scrambled

    def _why_packed(self, plan: Plan, folder: Path) -> str | None:
        video = plan.source.video
        if video is None or (video.codec, plan.source.container) != ("mpeg4", "avi"):
            return None
        argv = ffmpeg.decode_beginning(self.worker.tools.ffmpeg, SOURCE)
        return packets.why_packed(self.worker.runner.run(argv, folder=folder))

    def _read_packets(self, plan: Plan, file: str, layout: Layout, folder: Path) -> tuple[_Media, list[str]]:
        times = PacketTimes(layout)
        argv = packets.read_packets(self.worker.tools.ffprobe, file, layout)
        errors = self.worker.runner.run(argv, folder=folder, on_line=times.read_line)
        return _Media(plan, file, times.layout, times), errors

    def _why_keys(self, media: _Media, folder: Path, original: Original, runner: Runner) -> str | None:
        """Why chunks cannot begin at the file's key frames, tried on some of them; None if they can."""
        video = media.plan.source.video
        if video is None or video.codec not in packets.CODECS_WITH_GRADUAL_KEYS:
            return None
        timeline = media.timeline
        later = [chunk for chunk in timeline.chunks if chunk.key_pts > timeline.chunks[0].key_pts]
        tried = later[:: max(1, len(later) // KEYS_TRIED)]
        good = 0
        for chunk in tried:
            trial = self._beginning(media, chunk)
            if media.is_sparse and trial.byte_range:
                original.add(folder / SOURCE, trial.byte_range)
            cutter = Cutter(runner, self.worker.tools, timeline, folder)
            cutter.chunk(media.file, "trial.nut", layout=media.layout, chunk=trial)
            good += self._shows_its_key_frame(runner, folder)
        return None if 2 * good > len(tried) or not tried else "its key frames need pictures before them"

    def _shows_its_key_frame(self, runner: Runner, folder: Path) -> bool:
        try:
            lines = output(runner, packets.first_frame(self.worker.tools.ffprobe, "trial.nut"), folder)
        except ToolError as error:
            if not error.is_answer:
                raise
            return False
        return packets.shows_its_key_frame(lines)

    def _beginning(self, media: _Media, chunk: Chunk) -> Chunk:
        """The first ``TRIAL_S`` seconds of a chunk."""
        end = chunk.key_pts + round(TRIAL_S / media.times.video_time_base)
        trial = chunk.model_copy(update={"end_pts": end})
        return trial.model_copy(update={"packets": 0, "byte_range": media.times.byte_range(trial)})

    def _check_length(self, job: Job, timeline: Timeline) -> list[str]:
        """How much of the declared duration is missing, in words.

        :raises InvalidInputError: the source is longer than allowed, or than can be recorded.
        """
        declared = job.plan.source.duration_ms
        sounds = [sound.seconds for sound in timeline.sounds.values()]
        counted = max([timeline.seconds(job.plan.frame_rate), *sounds])
        check_duration(counted, self.settings.limits)
        # Checked again after ``prepare``, because a source may declare no duration, or a wrong one.
        frames = timeline.frames or round(counted * job.plan.frame_rate)
        longest = max((chunk.frames for chunk in timeline.chunks), default=frames)
        check_documents(job, frames, longest)
        if declared is None or Fraction(declared, 1000) - counted <= MISSING_S:
            return []
        return [f"the file: it ends at {clock(counted)} of the {clock(declared / 1000)} that it declares"]

    def _cut_texts(self, media: _Media, timeline: Timeline, folder: Path) -> int:
        """Extract the subtitles, unless a repair did; returns how many ms their times exceed the video's."""
        if not media.is_source:  # a repair wrote them with its file's clock
            return round(1000 * timeline.origin_pts * timeline.time_base)
        if media.layout.texts:
            argv = ffmpeg.cut_texts(
                self.worker.tools.ffmpeg, media.file, layout=media.layout, timeline=timeline
            )
            self.worker.runner.run(argv, folder=folder)
        return 1000 * ffmpeg.GUARD_S

    # --- cutting ----------------------------------------------------------------------------

    def _store_chunks(
        self,
        context: Context,
        job: Job,
        original: Original,
        timeline: Timeline,
        media: _Media,
        folder: Path,
    ) -> dict[str, Stored]:
        runners: SimpleQueue[Runner] = SimpleQueue()
        for _ in range(CUTS):
            runners.put(self.worker.another_runner())

        def store(chunk: Chunk) -> Stored:
            runner = runners.get()
            try:
                return self._store_chunk(runner, job, original, timeline, chunk, media, folder)
            finally:
                runners.put(runner)

        objects = {}
        with ThreadPoolExecutor(CUTS) as pool:
            futures = {chunk.name: pool.submit(store, chunk) for chunk in timeline.chunks}
            try:
                for name, future in futures.items():
                    objects[name] = future.result()
                    self.renew_claim(context, job.plan.video_id)
            except BaseException:  # also Airflow's timeout, which must not wait for the other cuts
                pool.shutdown(wait=False, cancel_futures=True)
                self.worker.kill()
                raise
        return objects

    def _store_chunk(
        self,
        runner: Runner,
        job: Job,
        original: Original,
        timeline: Timeline,
        chunk: Chunk,
        media: _Media,
        folder: Path,
    ) -> Stored:
        keys = job.source_keys
        done = checkpoint.load(self.worker.temp, keys.marker(chunk.name))
        if done is not None:
            return done.objects[chunk.name]
        name = f"{chunk.name}.nut"
        cutter = Cutter(runner, self.worker.tools, timeline, folder)
        cutter.chunk(media.file, name, layout=media.layout, chunk=chunk)
        original.check()
        stored = checkpoint.put(self.worker.temp, folder / name, keys.chunk(chunk.name))
        checkpoint.save(self.worker.temp, keys.marker(chunk.name), Marker(objects={chunk.name: stored}))
        return stored

    def _store_sounds(self, job: Job, timeline: Timeline, media: _Media, folder: Path) -> dict[str, Stored]:
        objects, cutter = {}, Cutter(self.worker.runner, self.worker.tools, timeline, folder)
        for track in media.layout.sounds:
            name = f"{track}.nut"
            cutter.sound(media.file, name, layout=media.layout, track=track)
            objects[track] = checkpoint.put(self.worker.temp, folder / name, job.source_keys.audio(track))
        return objects
