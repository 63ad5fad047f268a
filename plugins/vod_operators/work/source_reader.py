"""Reads the times of all packets of a source, and rewrites a source whose packets cannot be cut."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TypeVar

from vod_operators.errors import InvalidInputError, ToolError
from vod_operators.media import ffmpeg, packets, probe, programme
from vod_operators.media.damage import complaints, gave_up, in_words, of_the_file
from vod_operators.media.models import Chunk, Layout, Plan, Timeline
from vod_operators.media.packets import PacketTimes
from vod_operators.media.plan import NOTABLE_S, plan_timeline
from vod_operators.pipeline import MAX_MAP_LENGTH
from vod_operators.runners.base import Runner, output
from vod_operators.runners.scratch import check_room, in_memory
from vod_operators.work import allowance
from vod_operators.work.cutting import SOURCE, Cutter
from vod_operators.work.source import Original
from vod_operators.work.worker import Worker

JOINED = "joined"
"""Scratch file: an MPEG-TS source whose streams keep their first PIDs throughout."""

TRIAL = "trial.nut"

KEYS_TRIED = 3
"""Key frames tried. Most must pass: one may lie in a damaged place, and one may pass by chance."""

TRIAL_S = 1
"""Seconds of a chunk that are cut to see whether it begins with a key frame."""

Cut = TypeVar("Cut", bound=Chunk)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Media:
    """A local file that chunks are cut from, and the times of its packets."""

    plan: Plan
    file: str
    layout: Layout
    times: PacketTimes
    is_sparse: bool = False
    """Whether it was a sparse file with only the index, since removed."""
    lost_s: Fraction = Fraction(0)
    """How much later its pictures begin than the source's, because a repair could not decode the first."""
    repairs: tuple[str, ...] = ()
    """Why the source was rewritten, in words; ``damage`` likewise."""
    damage: tuple[str, ...] = ()

    @property
    def is_source(self) -> bool:
        """Whether the file has the source's own packets, not rewritten ones."""
        return self.file in (SOURCE, JOINED)

    @cached_property
    def timeline(self) -> Timeline:
        """The timeline of these packets.

        :raises InvalidInputError: as ``plan_timeline``.
        """
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

        def located(chunk: Cut) -> Cut:
            places = times.byte_range(chunk) if self.is_sparse else None
            return chunk.model_copy(update={"packets": times.needed(chunk), "byte_range": places})

        return timeline.model_copy(
            update={
                "undecoded_s": timeline.undecoded_s + self.lost_s,
                "chunks": tuple(located(chunk) for chunk in timeline.chunks),
                "windows": tuple(located(window) for window in timeline.windows),
                "carrier": self.layout.video_carrier,
            }
        )


@dataclass(frozen=True)
class SourceReader:
    """Reads one source in a task's scratch folder."""

    worker: Worker
    plan: Plan
    original: Original
    folder: Path

    def read(self) -> Media:
        """The file to cut: the source, unless it had to be rewritten.

        :raises InvalidInputError: the source cannot be cut, even rewritten.
        """
        if media := self._read_index():
            return media
        self.place()
        plan, file = self.plan, SOURCE
        repairs: list[str] = []
        scrambled = 0
        if plan.source.is_transport:
            why, scrambled = self._follow_programme()
            if why:
                repairs.append(why)
                file = JOINED
        source, errors = self._read_packets(file, packets.layout_of(plan))
        media = source
        damage = in_words("the file", of_the_file(errors, _codecs(plan))[:1])
        if scrambled:
            damage.append(f"the file: {scrambled} packets are scrambled")
        packets.refuse_clock(plan, media.times)
        # A packet counter also jumps where recordings were joined, and no packet is lost there.
        if media.times.corrupt and media.timeline.variable_rate:
            damage.append(f"the file: {media.times.corrupt} packets are marked as damaged")
        if why := packets.why_rewrite(plan, media.times):
            # A stream that NUT cannot carry cannot be copied into it.
            is_copied = plan.source.video is None or plan.source.video.carrier == "nut"
            media = self._repair(source, why, decode=not is_copied)
            repairs.append(why)
        why = (
            packets.why_decode(plan, media.times)
            or self._why_packed()
            or self._why_keys(media, self.worker.runner)
        )
        if why:
            media = self._repair(source, why, decode=True)
            repairs.append(why)
        return replace(media, repairs=tuple(repairs), damage=(*damage, *media.damage))

    def place(self) -> None:
        """Put the whole source into the scratch folder.

        :raises NoRoomError: the disk has no room for it.
        """
        if self.original.local is None:
            check_room(self.worker.settings.work_dir, self.plan.source.size_bytes)
        self.original.place(self.folder / SOURCE)

    def extract_texts(self, media: Media) -> int:
        """Extract the subtitles, unless a repair did; returns how many ms their times exceed the video's."""
        timeline = media.timeline
        if not media.is_source:  # a repair wrote them with its file's clock
            return round(1000 * timeline.origin_pts * timeline.time_base)
        if media.layout.texts:
            tool = self.worker.tools.ffmpeg
            argv = ffmpeg.cut_texts(tool, media.file, layout=media.layout, timeline=timeline)
            self.worker.runner.run(argv, folder=self.folder)
        return 1000 * ffmpeg.GUARD_S

    # --- packet times -----------------------------------------------------------------------

    def _read_index(self) -> Media | None:
        """The packet times from the index of an MP4 that can be cut as it is; else None."""
        plan, layout = self.plan, packets.layout_of(self.plan)
        if not packets.has_index(plan):
            return None
        times = PacketTimes(layout)
        with self._sparse() as runner:
            if not self.original.place_index(self.folder / SOURCE):
                return None
            try:
                messages = [
                    message
                    for argv in packets.read_times(self.worker.tools.ffprobe, SOURCE, layout)
                    for message in runner.run(argv, folder=self.folder, on_line=times.read_line)
                ]
            except ToolError as error:
                if not error.is_answer:
                    raise
                return None
            media = Media(plan, SOURCE, times.layout, times, is_sparse=True)
            usable = times.key_pts and not (
                packets.ends_early(messages, times)
                or packets.why_rewrite(plan, times)
                or packets.why_decode(plan, times)
                or self._why_keys(media, runner)
            )
            return media if usable else None

    @contextmanager
    def _sparse(self) -> Iterator[Runner]:
        """A runner for commands on a sparse copy of the source, which is removed at the end."""
        path = self.folder / SOURCE
        if self.worker.runs_on_host and sys.platform == "linux":
            with in_memory(path) as memory:
                yield self.worker.another_runner(memory)
            return
        try:
            yield self.worker.runner
        finally:
            path.unlink(missing_ok=True)

    def _read_packets(self, file: str, layout: Layout) -> tuple[Media, list[str]]:
        """The times of all packets of a file, and ffprobe's messages."""
        times = PacketTimes(layout)
        argv = packets.read_packets(self.worker.tools.ffprobe, file, layout)
        errors = self.worker.runner.run(argv, folder=self.folder, on_line=times.read_line)
        return Media(self.plan, file, times.layout, times), errors

    # --- repairs ----------------------------------------------------------------------------

    def _follow_programme(self) -> tuple[str | None, int]:
        """Rewrite an MPEG-TS whose streams change their PIDs, as the file ``JOINED``.

        Returns why, or None if no PID changes, and how many packets of the streams are scrambled.
        """
        pids = self.plan.source.container_ids
        with (self.folder / SOURCE).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            scrambled = programme.count_scrambled(data, pids)
            changes = programme.changes_of(data, pids)
            if not changes:
                return None, scrambled
            check_room(self.worker.settings.work_dir, self.plan.source.size_bytes)
            with (self.folder / JOINED).open("wb") as joined:
                joined.writelines(programme.under_first_pids(data, changes))
        return "its streams get other PIDs in mid-file", scrambled

    def _repair(self, source: Media, why: str, *, decode: bool) -> Media:
        """The source rewritten as NUT, with its packets copied, or with decoded pictures."""
        plan, layout, file = self.plan, source.layout, f"repaired-{int(decode)}.nut"
        log.info("source: %s: it is written anew before it is cut", why)
        # A packet may hold two frames: two fields, or a picture and a hidden one.
        frames = 2 * (len(source.times.all_pts) + source.times.untimed)
        limits = allowance.of_repair(self.worker.settings, plan, frames, decode=decode)
        assert limits.output_bytes is not None
        check_room(self.worker.settings.work_dir, limits.output_bytes)
        tools, runner = self.worker.tools, self.worker.runner
        argv = ffmpeg.repair(
            tools.ffmpeg, source.file, file, layout=layout, video=plan.source.video, decode=decode
        )
        try:
            messages = runner.run(
                argv, folder=self.folder, limit_s=limits.seconds, output_bytes=limits.output_bytes
            )
        except ToolError as error:
            if error.is_answer and gave_up(error.stderr_tail.splitlines()):
                raise InvalidInputError(
                    "source: most of it cannot be decoded: it is damaged, or of another codec than it says"
                ) from error
            raise
        description = "\n".join(output(runner, probe.probe(tools.ffprobe, file), self.folder))
        media, _ = self._read_packets(file, packets.layout_of_repaired(description, layout))
        if source.times.untimed:  # the source's container does not know the last packet's duration either
            media.times.last_duration = 0
        # Whoever decodes the rewritten file finds no damage in it any more.
        words = complaints(messages, *_codecs(plan)) if decode else []
        words = [line for line in words if packets.PACKED not in line]
        return replace(
            media,
            damage=tuple(in_words("the file", words)),
            lost_s=_lost_s(source, media) if decode else Fraction(0),
        )

    def _why_packed(self) -> str | None:
        video = self.plan.source.video
        if video is None or (video.codec, self.plan.source.container) != ("mpeg4", "avi"):
            return None
        argv = ffmpeg.decode_beginning(self.worker.tools.ffmpeg, SOURCE)
        return packets.why_packed(self.worker.runner.run(argv, folder=self.folder))

    def _why_keys(self, media: Media, runner: Runner) -> str | None:
        """Why chunks cannot begin at the file's key frames, tried on some of them; None if they can."""
        video = self.plan.source.video
        if video is None or video.codec not in packets.CODECS_WITH_GRADUAL_KEYS:
            return None
        timeline = media.timeline
        later = [chunk for chunk in timeline.chunks if chunk.key_pts > timeline.chunks[0].key_pts]
        tried = later[:: max(1, len(later) // KEYS_TRIED)]
        cutter = Cutter(runner, self.worker.tools, timeline, self.folder)
        good = 0
        for chunk in tried:
            beginning = _beginning(media, chunk)
            if media.is_sparse and beginning.byte_range:
                self.original.add(self.folder / SOURCE, beginning.byte_range)
            cutter.chunk(media.file, TRIAL, layout=media.layout, chunk=beginning)
            good += self._shows_its_key_frame(runner)
        return None if 2 * good > len(tried) or not tried else "its key frames need pictures before them"

    def _shows_its_key_frame(self, runner: Runner) -> bool:
        try:
            lines = output(runner, packets.first_frame(self.worker.tools.ffprobe, TRIAL), self.folder)
        except ToolError as error:
            if not error.is_answer:
                raise
            return False
        return packets.shows_its_key_frame(lines)


def _lost_s(source: Media, rewritten: Media) -> Fraction:
    """How much later the pictures begin in a file that was written by decoding the source."""
    before, after = source.times, rewritten.times
    if not before.pts or not after.pts or before.jumps:
        return Fraction(0)
    late = after.pts[0] * after.video_time_base
    if before.sounds and after.sounds:  # the files have clocks of their own, but the same sound
        late -= before.pts[0] * before.video_time_base
        late += min(sound.begin_s for sound in before.sounds.values())
        late -= min(sound.begin_s for sound in after.sounds.values())
    elif source.layout.texts:
        late -= ffmpeg.GUARD_S
    return late if late > NOTABLE_S else Fraction(0)


def _codecs(plan: Plan) -> set[str]:
    return {stream.codec for stream in (plan.source.video, *plan.source.audio) if stream}


def _beginning(media: Media, chunk: Chunk) -> Chunk:
    """The first ``TRIAL_S`` seconds of a chunk."""
    end = chunk.key_pts + round(TRIAL_S / media.times.video_time_base)
    trial = chunk.model_copy(update={"end_pts": end})
    return trial.model_copy(update={"packets": 0, "byte_range": media.times.byte_range(trial)})
