"""Cuts the packets of one chunk, or of a whole sound track, out of a file, and stores them if need be."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from vod_operators.errors import VerificationError
from vod_operators.media import ffmpeg, packets
from vod_operators.media.models import Chunk, Layout, Plan, Timeline
from vod_operators.pipeline import SPLIT
from vod_operators.runners.base import Runner, output
from vod_operators.runners.scratch import check_room
from vod_operators.runners.tools import Tools
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.work.job import Job
from vod_operators.work.source import Original
from vod_operators.work.worker import Worker

SOURCE = "source"
"""File name of the original in a scratch folder."""

CUTS = 4
"""Chunks cut at once: one is flushed to disk or sent to the store while others are read."""


@dataclass(frozen=True)
class Cutter:
    """Copies packets between files of a task's scratch folder."""

    runner: Runner
    tools: Tools
    timeline: Timeline
    folder: Path

    def chunk(self, file: str, name: str, *, layout: Layout, chunk: Chunk) -> None:
        """Copy a chunk's packets from ``file`` to ``name``.

        :raises VerificationError: fewer packets were written than the chunk needs.
        """
        argv = ffmpeg.cut_video(
            self.tools.ffmpeg, file, name, layout=layout, chunk=chunk, timeline=self.timeline
        )
        written = ffmpeg.packets_written(output(self.runner, argv, self.folder))
        if written < chunk.packets:
            raise VerificationError(
                f"{chunk.name}: {written} packets were cut where frames [{chunk.first}, {chunk.last}) "
                f"need {chunk.packets}"
            )

    def sound(self, file: str, name: str, *, layout: Layout, track: str) -> None:
        """Copy all packets of a sound track from ``file`` to ``name``."""
        argv = ffmpeg.cut_audio(
            self.tools.ffmpeg, file, name, layout=layout, track=track, timeline=self.timeline
        )
        self.runner.run(argv, folder=self.folder)

    def chunk_in_place(self, original: Original, name: str, *, plan: Plan, chunk: Chunk) -> None:
        """Copy a chunk's packets from the source; of a remote one only the index and the chunk are fetched.

        :raises VerificationError: fewer packets were written than the chunk needs.
        :raises InvalidInputError: the source has changed since the run began.
        """
        source = self.folder / SOURCE
        with original.unchanged():
            if original.local is not None or chunk.byte_range is None:
                original.place(source)
            else:
                original.place_index(source)
                original.add(source, chunk.byte_range)
            self.chunk(SOURCE, name, layout=packets.layout_of(plan, self.timeline), chunk=chunk)
        source.unlink()

    def sound_in_place(self, original: Original, name: str, *, plan: Plan, track: str) -> None:
        """Copy all packets of a sound track from the source; of a remote one only what they need is fetched.

        :raises InvalidInputError: the source has changed since the run began.
        """
        source, layout = self.folder / SOURCE, packets.layout_of(plan, self.timeline)
        with original.unchanged():
            if original.local is not None:
                original.place(source)
            else:
                original.place_index(source)
                right = [layout.right_sounds[track]] if track in layout.right_sounds else []
                for stream in [layout.sounds[track][0], *right]:
                    places = packets.PacketBytes()
                    argv = packets.read_index(self.tools.ffprobe, SOURCE, stream=stream)
                    self.runner.run(argv, folder=self.folder, on_line=places.read_line)
                    original.add_scattered(source, places.ranges())
            self.sound(SOURCE, name, layout=layout, track=track)
        source.unlink()


@dataclass(frozen=True)
class CutStore:
    """Cuts one source in a task's scratch folder, and stores what it cuts in the temp store."""

    worker: Worker
    job: Job
    original: Original
    file: str
    """The file of the folder that is cut."""
    layout: Layout
    timeline: Timeline
    folder: Path

    def chunks(self, renew: Callable[[], None]) -> dict[str, Stored]:
        """Cut and store all chunks, ``CUTS`` at a time; returns the objects by the chunks' names.

        :param renew: called after each chunk.
        :raises InvalidInputError: the source has changed since the run began.
        """
        runners: SimpleQueue[Runner] = SimpleQueue()
        for _ in range(CUTS):
            runners.put(self.worker.another_runner())

        def store(chunk: Chunk) -> Stored:
            runner = runners.get()
            try:
                return self._chunk(runner, chunk)
            finally:
                runners.put(runner)

        objects = {}
        with ThreadPoolExecutor(CUTS) as pool:
            futures = {chunk.name: pool.submit(store, chunk) for chunk in self.timeline.chunks}
            try:
                for name, future in futures.items():
                    objects[name] = future.result()
                    renew()
            except BaseException:  # also Airflow's timeout, which must not wait for the other cuts
                pool.shutdown(wait=False, cancel_futures=True)
                self.worker.kill()
                raise
        return objects

    def _chunk(self, runner: Runner, chunk: Chunk) -> Stored:
        keys, temp = self.job.source_keys, self.worker.temp
        done = checkpoint.load(temp, keys.marker(chunk.name))
        if done is not None:
            return done.objects[chunk.name]
        name = f"{chunk.name}.nut"
        self._cutter(runner).chunk(self.file, name, layout=self.layout, chunk=chunk)
        self.original.check()
        stored = checkpoint.put(temp, self.folder / name, keys.packets(chunk.name))
        checkpoint.save(temp, keys.marker(chunk.name), Marker(objects={chunk.name: stored}))
        return stored

    def sounds(self) -> dict[str, Stored]:
        """Cut and store all sound tracks; returns the objects by the tracks' names."""
        objects, cutter = {}, self._cutter(self.worker.runner)
        for track in self.layout.sounds:
            name = f"{track}.nut"
            cutter.sound(self.file, name, layout=self.layout, track=track)
            uri = self.job.source_keys.packets(track)
            objects[track] = checkpoint.put(self.worker.temp, self.folder / name, uri)
        return objects

    def texts(self) -> dict[str, Stored]:
        """Store the subtitles that were extracted; returns the objects by track."""
        keys = self.job.source_keys
        return {
            track: checkpoint.put(self.worker.temp, self.folder / f"{track}.vtt", keys.text(track))
            for track in packets.layout_of(self.job.plan).texts
        }

    def _cutter(self, runner: Runner) -> Cutter:
        return Cutter(runner, self.worker.tools, self.timeline, self.folder)


def obtain_cut(worker: Worker, job: Job, name: str, path: Path) -> None:
    """Make a chunk or a sound track that the split stored readable at ``path``.

    :raises LostWorkError: it is gone or damaged; clearing the run repeats the split.
    """
    keys = job.source_keys
    split = keys.marker(SPLIT)
    # From the whole split's marker, because a cleared split does not write a lost chunk marker again.
    stored = checkpoint.require(worker.temp, split, step=SPLIT).objects[name]
    if worker.temp.local_path(stored.uri) is None:  # a local object is only linked
        check_room(worker.settings.work_dir, stored.size_bytes)
    with checkpoint.relying_on(worker.temp, keys.marker(name), split, step=SPLIT):
        checkpoint.obtain(worker.temp, stored, path)
