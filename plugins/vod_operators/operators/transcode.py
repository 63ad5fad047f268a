"""Encodes one chunk into all renditions; the step that runs in parallel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import ToolError, VerificationError
from vod_operators.formats.isobmff import first_sample, read_fragments
from vod_operators.formats.mp4 import starts_with_idr
from vod_operators.media import ffmpeg, pictures
from vod_operators.media.captions import has_captions
from vod_operators.media.damage import NOTHING_DECODED, complaints, in_words, nothing_decoded
from vod_operators.media.encryption import ContentKey
from vod_operators.media.join import Part
from vod_operators.media.models import Chunk, Plan, Rendition, Timeline
from vod_operators.media.pictures import Still
from vod_operators.operators import telemetry
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.content_key import packager_key
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.storage.stores import blocks_of
from vod_operators.work.cutting import Cutter, obtain_cut
from vod_operators.work.encoding import require_encoders
from vod_operators.work.job import Job, read_timeline
from vod_operators.work.packaged import package_chunk, store_piece

CHUNK = "chunk.nut"


class VodTranscodeChunkOperator(VodBaseOperator):
    """Decode one chunk once, scale it in a cascade, encode all renditions, and cut them into segments.

    Map it over what ``VodSplitOperator`` returns.

    :param plan: URI of ``plan.json``.
    :param source: URI of the original, for chunks that the split did not store.
    :param chunk: one item of the split: ``{"chunk": index, "label": ...}``.
    """

    template_fields: Sequence[str] = ("plan", "source", "chunk")

    def __init__(self, *, plan: str, source: str, chunk: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.source = source
        self.chunk = chunk

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the marker's facts: ``{"chunk", "frames", "seconds", "speed", "damage", "captions"}``.

        ``seconds`` is the worker's time, and ``speed`` is in times real time.

        :raises VerificationError: an output does not hold exactly the planned frames.
        :raises InvalidInputError: the source changed since the run began, or the key that the packager needs.
        """
        job = self.open_job(context, self.plan)
        timeline = read_timeline(self.worker.temp, job)
        chunk = timeline.chunks[self.chunk["chunk"]]
        keys = job.work_keys
        done = checkpoint.load(self.worker.temp, keys.marker(chunk.name))
        if done is not None:
            self.log.info("%s is encoded already", chunk.name)
            return done.facts
        key = packager_key(self.settings, job)
        require_encoders(self.worker.runner, self.worker.tools.ffmpeg, job.plan.renditions, hardware=True)
        begin = time.monotonic()
        with self.worker.scratch(self._needed_bytes(job, timeline, chunk)) as folder:
            self._obtain(job, timeline, chunk, folder)
            stills = [s for s in pictures.stills(job.plan, timeline) if s.frames(chunk)]
            outputs = {rendition.name: f"{rendition.name}.mp4" for rendition in job.plan.renditions}
            media_s = float(job.plan.seconds(chunk.frames))
            found = self._encode(context, job, timeline, chunk, outputs, stills, folder)
            damage = in_words(timeline.span(chunk, job.plan.frame_rate), found)
            self.worker.report_damage(damage)
            stored: dict[str, Stored] = {}
            for name, file in outputs.items():
                part = encoded_part(
                    folder / file, f"{chunk.name}/{name}", job.plan, chunk, job.plan.rendition(name)
                )
                stored |= self._store_segments(job, chunk, name, part, folder, key)
                (folder / file).unlink()
            for still in stills:
                taken = pictures.split_jpegs((folder / still.file).read_bytes())
                pictures.check_count(f"{chunk.name}/{still.file}", taken, still.frames(chunk))
                uri = keys.still(chunk.name, still.file)
                stored[still.file] = checkpoint.put(self.worker.temp, folder / still.file, uri)
            seconds = time.monotonic() - begin
            facts = {
                "chunk": chunk.index,
                "frames": chunk.frames,
                "seconds": round(seconds, 3),
                "speed": round(media_s / seconds, 3),
                "damage": damage,
                "captions": has_captions(folder / CHUNK),
            }
            checkpoint.save(self.worker.temp, keys.marker(chunk.name), Marker(objects=stored, facts=facts))
            self._measured(media_s, seconds, chunk, stored)
            return facts

    def _obtain(self, job: Job, timeline: Timeline, chunk: Chunk, folder: Path) -> None:
        """Put the chunk's packets into ``chunk.nut``."""
        if timeline.in_place:
            cutter = Cutter(self.worker.runner, self.worker.tools, timeline, folder)
            cutter.chunk_in_place(self.original(self.source, job), "cut.nut", plan=job.plan, chunk=chunk)
            (folder / "cut.nut").rename(folder / CHUNK)  # so that ``chunk.nut`` is only in encoding commands
        else:
            obtain_cut(self.worker, job, chunk.name, folder / CHUNK)

    def _store_segments(
        self, job: Job, chunk: Chunk, name: str, part: Part, folder: Path, key: ContentKey | None
    ) -> dict[str, Stored]:
        """Cut one rendition of the chunk into segments, and store them."""
        part = replace(part, decode_time=chunk.first * job.plan.frame_ticks)
        piece = package_chunk(
            self.worker.runner,
            self.worker.tools.packager,
            job.plan,
            chunk,
            job.plan.rendition(name),
            part,
            folder,
            key,
        )
        return store_piece(self.worker.temp, job.work_keys, chunk.name, name, piece, folder)

    def _measured(self, media_s: float, seconds: float, chunk: Chunk, stored: dict[str, Stored]) -> None:
        self.facts.update(
            chunk=chunk.index,
            frames=chunk.frames,
            speed=round(media_s / seconds, 3),
            bytes=sum(item.size_bytes for item in stored.values()),
        )
        telemetry.count("vod.chunks")
        telemetry.count("vod.media_seconds", media_s)
        telemetry.count("vod.encode_seconds", seconds)
        telemetry.gauge("vod.encode_speed", media_s / seconds)

    def _needed_bytes(self, job: Job, timeline: Timeline, chunk: Chunk) -> float:
        """Upper bound of scratch space: all renditions at the limit of their rate control, the largest three
        times, and the bytes of the source."""
        source = 0.0
        if timeline.in_place:
            share = job.plan.source.size_bytes * _encoded_frames(job.plan, chunk) / timeline.frames
            source = chunk.byte_range[1] - chunk.byte_range[0] if chunk.byte_range else share
        seconds = float(job.plan.seconds(_encoded_frames(job.plan, chunk)))
        bits = [r.max_bitrate_bps * seconds + r.buffer_bits for r in job.plan.renditions]
        return source + (sum(bits) + 2 * max(bits)) / 8

    def _encode(
        self,
        context: Context,
        job: Job,
        timeline: Timeline,
        chunk: Chunk,
        outputs: dict[str, str],
        stills: list[Still],
        folder: Path,
    ) -> list[str]:
        """Write the outputs; returns the decoder's complaints.

        A chunk of which nothing can be decoded becomes black frames.
        """
        plan = job.plan
        assert plan.source.video is not None
        codec = plan.source.video.codec

        def run(source: str | None) -> list[str]:
            argv = ffmpeg.transcode_chunk(
                self.worker.tools.ffmpeg,
                source,
                outputs,
                plan=plan,
                chunk=chunk,
                timeline=timeline,
                stills=stills,
            )
            seconds = float(plan.seconds(_encoded_frames(plan, chunk)))
            return self.worker.run_media(
                argv, folder, seconds=seconds, codec=codec, report=self.reporter(context, job)
            )

        try:
            return complaints(run(CHUNK), codec)
        except ToolError as error:
            lines = error.stderr_tail.splitlines()
            if not error.is_answer or not nothing_decoded(lines, codec):
                raise
            run(None)
            return [NOTHING_DECODED, *complaints(lines, codec)]


def _encoded_frames(plan: Plan, chunk: Chunk) -> int:
    return chunk.lead_in + chunk.frames + plan.lead_out(chunk)


def encoded_part(path: Path, name: str, plan: Plan, chunk: Chunk, rendition: Rendition) -> Part:
    """The part of an encoded file that holds a chunk's own frames, without lead-in and lead-out; ``join``
    counts them.

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
        blocks=blocks_of(path),
        decode_time=0,
        samples=chunk.frames,
        sample_ticks=plan.frame_ticks,
        before=chunk.lead_in,
        after=plan.lead_out(chunk),
    )
