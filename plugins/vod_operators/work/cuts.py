"""Cuts a source's chunks, sound tracks and subtitles, and stores those that tasks cannot cut themselves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from vod_operators.media import ffmpeg, packets
from vod_operators.media.models import Chunk, Timeline
from vod_operators.runners.base import Runner
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.work.cutting import Cutter
from vod_operators.work.job import Job
from vod_operators.work.source import Original
from vod_operators.work.source_reader import Media
from vod_operators.work.worker import Worker

CUTS = 4
"""Chunks cut at once: one is flushed to disk or sent to the store while others are read."""


def cut_texts(worker: Worker, media: Media, timeline: Timeline, folder: Path) -> int:
    """Extract the subtitles, unless a repair did; returns how many ms their times exceed the video's."""
    if not media.is_source:  # a repair wrote them with its file's clock
        return round(1000 * timeline.origin_pts * timeline.time_base)
    if media.layout.texts:
        argv = ffmpeg.cut_texts(worker.tools.ffmpeg, media.file, layout=media.layout, timeline=timeline)
        worker.runner.run(argv, folder=folder)
    return 1000 * ffmpeg.GUARD_S


@dataclass(frozen=True)
class CutStore:
    """Cuts one source in a task's scratch folder, and stores what it cuts in the temp store."""

    worker: Worker
    job: Job
    original: Original
    media: Media
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
        self._cutter(runner).chunk(self.media.file, name, layout=self.media.layout, chunk=chunk)
        self.original.check()
        stored = checkpoint.put(temp, self.folder / name, keys.chunk(chunk.name))
        checkpoint.save(temp, keys.marker(chunk.name), Marker(objects={chunk.name: stored}))
        return stored

    def sounds(self) -> dict[str, Stored]:
        """Cut and store all sound tracks; returns the objects by the tracks' names."""
        objects, cutter = {}, self._cutter(self.worker.runner)
        for track in self.media.layout.sounds:
            name = f"{track}.nut"
            cutter.sound(self.media.file, name, layout=self.media.layout, track=track)
            uri = self.job.source_keys.audio(track)
            objects[track] = checkpoint.put(self.worker.temp, self.folder / name, uri)
        return objects

    def texts(self) -> dict[str, Stored]:
        """Store the subtitles that ``cut_texts`` or a repair extracted; returns the objects by track."""
        keys = self.job.source_keys
        return {
            track: checkpoint.put(self.worker.temp, self.folder / f"{track}.vtt", keys.text(track))
            for track in packets.layout_of(self.job.plan).texts
        }

    def _cutter(self, runner: Runner) -> Cutter:
        return Cutter(runner, self.worker.tools, self.timeline, self.folder)
