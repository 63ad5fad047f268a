"""Encodes one chunk in all renditions, and stores its segments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vod_operators.errors import ToolError, VerificationError
from vod_operators.formats.isobmff import first_sample, read_fragments
from vod_operators.formats.mp4 import starts_with_idr
from vod_operators.media import ffmpeg, ffmpeg_report, pictures
from vod_operators.media.captions import has_captions
from vod_operators.media.certificate import Sample, sample_of
from vod_operators.media.damage import NOTHING_DECODED, complaints, in_words, nothing_decoded
from vod_operators.media.models import Chunk, Plan, Rendition
from vod_operators.media.pictures import Still
from vod_operators.media.pieces import Part
from vod_operators.media.references import TRIPLE, References
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.work import certificate
from vod_operators.work.choice import AGAIN, CRFS, crfs_of
from vod_operators.work.cutting import obtain_cut
from vod_operators.work.encoding import EncodingTask
from vod_operators.work.ends import Ends
from vod_operators.work.packaged import package_chunk, store_piece
from vod_operators.work.partial import PartialEncode
from vod_operators.work.report import REPORT, picture_facts, refuse

CHUNK = "chunk.nut"

JOINS = "joins"
"""Fact of a marker: frames at which a try went on behind one that was killed; absent if there are none."""


@dataclass(frozen=True, kw_only=True)
class ChunkEncoder(EncodingTask):
    """Decodes one chunk once, and encodes all renditions and still pictures of it.

    With ``again``, some renditions only: a second time, with another CRF.
    """

    chunk: Chunk
    again: Collection[str] | None = None
    """Renditions that are encoded a second time; None: all, for the first time."""

    @property
    def place(self) -> str:
        """Name of the folder and the marker of what is encoded."""
        return self.chunk.name if self.again is None else self.chunk.name + AGAIN

    def encode(self) -> Marker:
        """Encode the chunk and store its objects, the marker last; returns the marker.

        :raises VerificationError: an output does not hold exactly the planned frames, or its first or last
            second cannot be decoded.
        :raises InvalidInputError: the source changed since the run began.
        """
        spent = self.worker.meter()
        with self.worker.scratch(self._needed_bytes()) as folder:
            self._obtain(folder)
            with self._partial(folder) as partial:
                stored, facts = self._made(partial, folder)
                cost = spent()
                # What earlier tries spent is not known: as if this one had encoded all.
                share = self._frames(self.chunk) / self._frames(partial.rest)
                cost |= {key: cost[key] and round(cost[key] * share, 3) for key in ("seconds", "cpu_s")}
                seconds = float(self.job.plan.seconds(self.chunk.frames))
                facts |= cost | {"speed": round(seconds / max(cost["seconds"], 0.001), 3)}
                marker = Marker(objects=stored, facts=facts)
                checkpoint.save(self.worker.temp, self.job.work_keys.marker(self.place), marker)
                partial.end()
                return marker

    def _partial(self, folder: Path) -> PartialEncode:
        plan = self.job.plan
        stills = pictures.stills(plan, self.timeline) if self.again is None else ()
        return PartialEncode(
            worker=self.worker,
            job=self.job,
            chunk=self.chunk,
            place=self.place,
            outputs={name: f"{name}.mp4" for name in self._names},
            stills=[still for still in stills if still.frames(self.chunk)],
            crfs=crfs_of(plan, self._names) if plan.is_open else {},
            folder=folder,
            is_secret=bool(self.keys),
        )

    def _made(self, partial: PartialEncode, folder: Path) -> tuple[dict[str, Stored], dict[str, Any]]:
        """Encode, and store all but the marker; returns the marker's objects and facts."""
        chunk, plan = self.chunk, self.job.plan
        sample = self._sample()
        references = sample.references if sample else None
        found = self._encode(partial, None if partial.is_resumed else references, folder)
        partial.join()
        if partial.is_resumed and references and found[:1] != [NOTHING_DECODED]:
            self._write_references(references, folder)
        damage = in_words(self.timeline.span(chunk, plan.frame_rate), found)
        self.worker.report_damage(damage)
        report = picture_facts(folder, plan, chunk) if self.again is None else None
        refuse(plan, self.timeline, report, {})
        stored: dict[str, Stored] = {}
        ends = Ends(worker=self.worker, folder=folder, task=chunk.name, keys=self.keys)
        quality = self._measured(partial.outputs, sample, found, folder)
        for name, file in partial.outputs.items():
            stored |= self._store_segments(plan.rendition(name), folder / file, folder, ends, partial)
            (folder / file).unlink()
        ends.check()
        for still in partial.stills:
            stored[still.file] = self._store_still(still, folder / still.file, partial.objects_in)
        facts = {
            "chunk": chunk.index,
            "frames": chunk.frames,
            "damage": damage,
            "captions": has_captions(folder / CHUNK),
            **quality,
            **({CRFS: dict(partial.crfs)} if plan.is_open else {}),
            **({JOINS: partial.joins} if partial.joins else {}),
            REPORT: report.model_dump(mode="json") if report else None,
        }
        return stored, facts

    @property
    def _names(self) -> list[str]:
        """The renditions that are encoded."""
        plan = self.job.plan
        return [made.name for made in plan.renditions if self.again is None or made.name in self.again]

    def _sample(self) -> Sample | None:
        """The frames whose quality is measured; None if it is not asked for, or none can be."""
        if not certificate.is_asked(self.worker.settings, self.job.plan):
            return None
        found = sample_of(self.job.plan, self.chunk, self.timeline, only=self._names)
        return found if found.windows else None

    def _measured(
        self, outputs: Mapping[str, str], sample: Sample | None, complaints: Sequence[str], folder: Path
    ) -> dict[str, Any]:
        """The facts of the renditions' quality; empty if it is not asked for. Deletes the references."""
        if not certificate.is_asked(self.worker.settings, self.job.plan):
            return {}
        if sample is None:
            short = self.chunk.frames < TRIPLE
            words = "it is shorter than three frames" if short else "its pictures are too small for VMAF"
            return {certificate.UNMEASURED: words}
        if complaints[:1] == [NOTHING_DECODED]:
            return {certificate.UNMEASURED: NOTHING_DECODED}
        comparison = certificate.Comparison(
            worker=self.worker, plan=self.job.plan, chunk=self.chunk, sample=sample, folder=folder
        )
        scores, unmeasured = comparison.measured(outputs)
        found = {
            name: [window.model_dump(mode="json") for window in scores[name]]
            for name in outputs
            if name in scores
        }
        for path in folder.glob("reference-*.yuv"):
            path.unlink()
        return {certificate.QUALITY: found} | ({certificate.UNMEASURED: unmeasured} if unmeasured else {})

    def _frames(self, chunk: Chunk) -> int:
        """How many frames are encoded with a chunk."""
        return chunk.lead_in + chunk.frames + self.job.plan.lead_out(chunk)

    def _needed_bytes(self) -> float:
        """Upper bound of scratch space: all renditions at the limit of their rate control, the largest three
        times, and the bytes of the source."""
        plan, places, source = self.job.plan, self.chunk.byte_range, 0.0
        if self.timeline.in_place:
            share = plan.source.size_bytes * self._frames(self.chunk) / self.timeline.frames
            source = places[1] - places[0] if places else share
        seconds = float(plan.seconds(self._frames(self.chunk)))
        bits = [r.max_bitrate_bps * seconds + r.buffer_bits for r in plan.renditions]
        report = ffmpeg_report.written_bytes(plan, self._frames(self.chunk))
        sample = self._sample()
        references = sample.references.size_bytes if sample else 0
        return source + (sum(bits) + 2 * max(bits)) / 8 + references + report

    def _obtain(self, folder: Path) -> None:
        """Put the chunk's packets into ``chunk.nut``."""
        if self.original is None:
            obtain_cut(self.worker, self.job, self.chunk.name, folder / CHUNK)
            return
        self.cutter(folder).chunk_in_place(self.original, "cut.nut", plan=self.job.plan, chunk=self.chunk)
        (folder / "cut.nut").rename(folder / CHUNK)  # so that ``chunk.nut`` is only in encoding commands

    def _encode(self, partial: PartialEncode, references: References | None, folder: Path) -> list[str]:
        """Write the outputs, of what no earlier try has encoded; returns the decoder's complaints.

        A chunk of which nothing can be decoded becomes black frames.
        """
        plan, tool = self.job.plan, self.worker.tools.ffmpeg
        assert plan.source.video is not None
        codec, chunk = plan.source.video.codec, partial.rest
        report = partial.reporting(self.report)

        def run(source: str | None) -> list[str]:
            argv = ffmpeg.transcode_chunk(
                tool,
                source,
                partial.outputs,
                plan=plan,
                chunk=chunk,
                timeline=self.timeline,
                stills=[still for still in partial.stills if still.frames(chunk)],
                references=references if source else None,
                report=self.again is None,
            )
            return self.worker.run_media(
                argv,
                folder,
                seconds=float(plan.seconds(self._frames(chunk))),
                read_seconds=float(plan.seconds(self._frames(self.chunk))),
                codec=codec,
                report=report,
                more_bytes=references.size_bytes if references else 0,
            )

        try:
            return complaints(run(CHUNK), codec)
        except ToolError as error:
            lines = error.stderr_tail.splitlines()
            if not error.is_answer or not nothing_decoded(lines, codec):
                raise
            run(None)
            return [NOTHING_DECODED, *complaints(lines, codec)]

    def _write_references(self, references: References, folder: Path) -> None:
        """Write what all renditions are compared with, also of frames that an earlier try encoded."""
        plan, chunk = self.job.plan, self.chunk
        assert plan.source.video is not None
        argv = ffmpeg.write_references(
            self.worker.tools.ffmpeg, CHUNK, self._names, references,
            plan=plan, chunk=chunk, timeline=self.timeline,
        )  # fmt: skip
        self.worker.run_media(
            argv,
            folder,
            seconds=float(plan.seconds(self._frames(chunk))),
            codec=plan.source.video.codec,
            report=lambda _: None,
            more_bytes=references.size_bytes,
        )

    def _store_segments(
        self, rendition: Rendition, path: Path, folder: Path, ends: Ends, partial: PartialEncode
    ) -> dict[str, Stored]:
        """Cut one rendition, encoded at ``path``, into segments, and store them."""
        plan, chunk, worker, place = self.job.plan, self.chunk, self.worker, partial.objects_in
        part = encoded_part(path, f"{chunk.name}/{rendition.name}", plan, chunk, rendition)
        piece = package_chunk(
            worker.runner, worker.tools.packager, plan, chunk, rendition, part, folder,
            self.keys.get(rendition.name), place=f"{self.job.work_fingerprint}/{place}",
        )  # fmt: skip
        ends.add(rendition.name, piece, [frame - chunk.first for frame in partial.joins])
        return store_piece(worker.temp, self.job.work_keys, place, rendition.name, piece, folder)

    def _store_still(self, still: Still, path: Path, place: str) -> Stored:
        count = pictures.split_jpegs(path.read_bytes())
        pictures.check_count(f"{self.chunk.name}/{still.file}", count, still.frames(self.chunk))
        return checkpoint.put(self.worker.temp, path, self.job.work_keys.still(place, still.file))


def encoded_part(path: Path, name: str, plan: Plan, chunk: Chunk, rendition: Rendition) -> Part:
    """The part of an encoded file that holds a chunk's own frames, without lead-in and lead-out;
    ``own_fragments`` counts them.

    :raises VerificationError: a GOP does not begin with an IDR picture, or not at a multiple of its length.
    """
    frames, gop_frames = 0, plan.gop_of(rendition)
    with path.open("rb") as file:
        for fragment in read_fragments(file):
            if frames % gop_frames:
                raise VerificationError(f"{name}: a GOP begins at frame {frames}")
            if not starts_with_idr(first_sample(file, fragment), rendition.codec):
                raise VerificationError(f"{name}: frame {frames} is not an IDR picture")
            frames += len(fragment.samples)
    return Part(
        name=name,
        path=path,
        decode_time=chunk.first * plan.frame_ticks,
        samples=chunk.frames,
        sample_ticks=plan.frame_ticks,
        before=chunk.lead_in,
        after=plan.lead_out(chunk),
    )
