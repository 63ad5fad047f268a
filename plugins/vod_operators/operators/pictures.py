"""Makes a poster and a storyboard from the still pictures of all chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import VerificationError
from vod_operators.media import ffmpeg, pictures, tiles
from vod_operators.media.models import Timeline
from vod_operators.media.pictures import Still, Storyboard
from vod_operators.operators.base import VodStepOperator
from vod_operators.operators.segment import store_track
from vod_operators.pipeline import TRANSCODE
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.work.job import PICTURES, Job, read_timeline


class VodPicturesOperator(VodStepOperator):
    """Choose the poster and lay out the storyboard, from the pictures that the chunk tasks stored."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the marker's facts: ``{"poster", "storyboard", "cpu_s"}``, and ``"tiles"`` if playlists
        list the storyboard; empty if the preset asks for
        neither.

        :raises VerificationError: a picture is missing.
        """
        job = self.open_job(context)
        timeline = read_timeline(self.worker.temp, job)
        wanted = {still.name: still for still in pictures.stills(job.plan, timeline)}
        if not wanted:
            return {}
        marker = job.segmented(PICTURES)
        done = checkpoint.load(self.worker.temp, marker, objects_in=self.worker.results)
        if done is not None:
            self.log.info("the pictures are there already")
            return done.facts
        with self.worker.scratch() as folder:
            poster = pictures.best(list(self._read(job, timeline, wanted["posters"])), timeline.frames)
            board = self._storyboard(job, timeline, wanted["thumbnails"], folder)
            (folder / "poster.jpg").write_bytes(poster)
            facts: dict[str, Any] = {
                "poster": f"{job.version}/{PICTURES}/poster.jpg",
                "storyboard": board.model_dump(),
                "cpu_s": self.worker.cpu_s,
            }
            if board.playlist:
                sizes = [(folder / pictures.sheet_name(n)).stat().st_size for n in range(board.sheets)]
                sheets = tiles.tiles_of(board, wanted["thumbnails"], job.plan, timeline, sizes)
                (folder / pictures.PLAYLIST).write_text(tiles.image_playlist(sheets), "utf-8")
                facts["tiles"] = sheets.model_dump(mode="json")
            objects = store_track(self.worker.results, job, PICTURES, folder)
        return checkpoint.save(self.worker.temp, marker, Marker(objects=objects, facts=facts)).facts

    def _read(self, job: Job, timeline: Timeline, still: Still) -> Iterator[tuple[int, bytes]]:
        """Frame number and JPEG of each picture.

        :raises VerificationError: a chunk has not as many as planned.
        """
        for chunk in timeline.chunks:
            frames = still.frames(chunk)
            if not frames:
                continue
            uri = job.work_keys.marker(chunk.name)
            stored = checkpoint.require(self.worker.temp, uri, step=TRANSCODE).objects[still.file]
            with checkpoint.relying_on(self.worker.temp, uri, step=TRANSCODE):
                data = b"".join(checkpoint.read_checked(self.worker.temp, stored))
            found = pictures.split_jpegs(data)
            pictures.check_count(f"{chunk.name}/{still.file}", found, frames)
            yield from zip(frames, found, strict=True)

    def _storyboard(self, job: Job, timeline: Timeline, still: Still, folder: Path) -> Storyboard:
        """Write the sheets and the WebVTT file into the folder; returns the storyboard's facts."""
        board = pictures.storyboard(still, job.plan, timeline, f"{job.version}/{PICTURES}/storyboard.vtt")
        with (folder / still.file).open("wb") as file:
            for _, picture in self._read(job, timeline, still):
                file.write(picture)
        argv = ffmpeg.lay_out(self.worker.tools.ffmpeg, still.file, "sheet-%05d.jpg", board=board)
        self.worker.runner.run(argv, folder=folder)
        (folder / still.file).unlink()
        made = sorted(path.name for path in folder.glob("sheet-*.jpg"))
        if made != [pictures.sheet_name(number) for number in range(board.sheets)]:
            raise VerificationError(f"storyboard: {len(made)} sheets, planned {board.sheets}")
        text = pictures.thumbnails(board, still, job.plan, timeline)
        (folder / "storyboard.vtt").write_text(text, "utf-8")
        return board
