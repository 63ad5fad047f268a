"""Encodes windows of a video at several rates, and measures what comes of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

from vod_operators.errors import InvalidInputError, ToolError, VerificationError
from vod_operators.formats.isobmff import read_fragments
from vod_operators.media import ffmpeg, probing, vmaf
from vod_operators.media.choice import ProbeScore, WindowScores
from vod_operators.media.damage import nothing_decoded
from vod_operators.media.encoders import ENCODERS
from vod_operators.media.models import Rendition, Window, chunk_of
from vod_operators.runners.progress import Progress
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.work.cutting import obtain_cut
from vod_operators.work.encoding import EncodingTask

CUT, REFERENCE = "window.nut", "reference.nut"


@dataclass(frozen=True, kw_only=True)
class WindowProbe(EncodingTask):
    """Decodes one window once, and encodes each rendition that is analysed at each probed CRF."""

    window: Window

    def measure(self) -> Marker:
        """Measure the window and store its marker, whose facts are ``WindowScores``; returns the marker.

        :raises VerificationError: an encode does not hold exactly the window's frames.
        :raises InvalidInputError: the source changed since the run began, or ffmpeg has no libvmaf.
        """
        spent, window = self.worker.meter(), self.window
        with self.worker.scratch(self._needed_bytes()) as folder:
            self._obtain(folder)
            scores = self._scores(folder) if self._points and self._decode(folder) else {}
        cost = spent()
        facts = WindowScores(
            window=window.index,
            frames=window.frames,
            renditions={name: tuple(found) for name, found in scores.items()},
            seconds=cost["seconds"],
            cpu_s=cost["cpu_s"],
        )
        marker = Marker(objects={}, facts=facts.model_dump(mode="json"))
        return checkpoint.save(self.worker.temp, self.job.work_keys.marker(window.name), marker)

    @property
    def _frames(self) -> int:
        return self.window.frames + self.job.plan.lead_out(self.window)

    @cached_property
    def _points(self) -> list[int]:
        return probing.measured_frames(self.window, float(self.job.plan.frame_rate))

    @property
    def _raw_bytes(self) -> int:
        return probing.raw_bytes(self.job.plan, self._frames, self._points)

    def _needed_bytes(self) -> float:
        """Upper bound of scratch space: raw pictures, an encode of each rendition, the source's bytes."""
        plan, places = self.job.plan, self.window.byte_range
        source = float(places[1] - places[0]) if places else 0.0
        seconds = float(plan.seconds(self._frames))
        bits = sum(made.max_bitrate_bps * seconds + made.buffer_bits for made in probing.probed(plan))
        return source + self._raw_bytes + bits / 8

    def _obtain(self, folder: Path) -> None:
        """Put the window's packets, and perhaps those before it, into ``CUT``."""
        if self.original is None:
            chunk = chunk_of(self.timeline, self.window)
            obtain_cut(self.worker, self.job, chunk.name, folder / CUT)
        else:
            self.cutter(folder).chunk_in_place(self.original, CUT, plan=self.job.plan, chunk=self.window)

    def _decode(self, folder: Path) -> bool:
        """Write the raw pictures; returns whether there is a picture to decode."""
        plan = self.job.plan
        assert plan.source.video is not None
        codec = plan.source.video.codec
        argv = probing.decode_window(
            self.worker.tools.ffmpeg,
            CUT,
            REFERENCE,
            self._points,
            plan=plan,
            window=self.window,
            timeline=self.timeline,
        )
        try:
            self.worker.runner.run(argv, folder=folder, output_bytes=self._raw_bytes)
        except ToolError as error:
            if not error.is_answer or not nothing_decoded(error.stderr_tail.splitlines(), codec):
                raise
            return False
        return True

    def _scores(self, folder: Path) -> dict[str, list[ProbeScore]]:
        plan, analysed = self.job.plan, probing.probed(self.job.plan)
        scores: dict[str, list[ProbeScore]] = {made.name: [] for made in analysed}
        rounds = [
            (name, crf)
            for name in sorted({made.encoder for made in analysed})
            for crf in ENCODERS[name].probed_crfs
        ]
        for number, (encoder, crf) in enumerate(rounds):
            report = _within(self.report, number, len(rounds))
            groups = probing.alike(plan, [made for made in analysed if made.encoder == encoder])
            found = self._measured([group[0] for group in groups], crf, folder, report)
            capped = [
                made
                for group in groups
                for made in group[1:]
                if probing.may_be_capped(made, self.window, found[group[0].name], plan.frame_rate)
            ]
            found |= self._measured(capped, crf, folder, report)
            for group in groups:
                for made in group:
                    scores[made.name].append(found.get(made.name, found[group[0].name]))
        return scores

    def _measured(
        self, renditions: Sequence[Rendition], crf: float, folder: Path, report: Callable[[Progress], None]
    ) -> dict[str, ProbeScore]:
        """Encode renditions of one encoder in one command, and measure each."""
        if not renditions:
            return {}
        outputs = {made.name: f"{made.name}.mp4" for made in renditions}
        argv = ffmpeg.encode_window(self.worker.tools.ffmpeg, REFERENCE, outputs, plan=self.job.plan, crf=crf)
        seconds = float(self.job.plan.seconds(self._frames))
        self.worker.run_media(argv, folder, seconds=seconds, codec="rawvideo", report=report)
        found = {}
        for made in renditions:
            path = folder / outputs[made.name]
            size = self._own_bytes(path, made)
            found[made.name] = ProbeScore(crf=crf, bytes=size, vmaf=self._vmaf(made, path, folder))
            path.unlink()
        return found

    def _own_bytes(self, path: Path, rendition: Rendition) -> int:
        """Bytes of the window's own frames in an encoded file, without those after it.

        :raises VerificationError: it does not hold exactly the planned frames.
        """
        frames, size = 0, 0
        with path.open("rb") as file:
            for fragment in read_fragments(file):
                if frames < self.window.frames:
                    size += sum(sample.size for sample in fragment.samples)
                frames += len(fragment.samples)
        if frames != self._frames:
            raise VerificationError(
                f"{self.window.name}/{rendition.name}: {frames} of {self._frames} frames were encoded"
            )
        return size

    def _vmaf(self, rendition: Rendition, path: Path, folder: Path) -> float:
        """Mean VMAF of the window's own frames, at the rendition's size, or of a ladder by title on a
        screen."""
        log, raw = "vmaf.json", probing.reference_of(rendition, self.job.plan)
        argv = vmaf.compare(self.worker.tools.ffmpeg, path.name, self._points, {log: raw})
        try:
            self.worker.runner.run(argv, folder=folder)
        except ToolError as error:
            if vmaf.lacks_libvmaf(error.stderr_tail.splitlines()):
                raise InvalidInputError(
                    "preset: a target quality needs an ffmpeg with libvmaf; let VOD_FFMPEG name one"
                ) from error
            raise
        return round(fmean(vmaf.scores((folder / log).read_text("utf-8"))), 4)


def _within(report: Callable[[Progress], None], number: int, count: int) -> Callable[[Progress], None]:
    """Reports the progress of one command of several."""

    def shown(progress: Progress) -> None:
        report(Progress(percent=(100 * number + progress.percent) / count, speed=progress.speed))

    return shown
