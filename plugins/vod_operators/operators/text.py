"""Cuts subtitle tracks into segments of WebVTT, and of IMSC1 where the preset asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from vod_operators.media import dash, ffmpeg, hls, imsc, measure, subtitle_limits, webvtt
from vod_operators.media.models import TextRendition, Timeline
from vod_operators.media.names import iso_639_2
from vod_operators.media.text_mp4 import init_segment, media_segment
from vod_operators.media.track import Track, segment_name
from vod_operators.media.webvtt import Cue
from vod_operators.operators.base import VodStepOperator
from vod_operators.operators.segment import store_track
from vod_operators.pipeline import PREPARE, SPLIT
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.storage.stores import verified
from vod_operators.work.job import Job, read_timeline
from vod_operators.work.packaged import INIT, measured

XML_GROWTH = 16
"""By how much IMSC1 may be larger than the WebVTT that limits are meant for: a document without cues has
0.6 KB, a cue of 100 bytes has 250."""


class VodSegmentTextOperator(VodStepOperator):
    """Cut the subtitle tracks of the source and of the request's files into segments.

    Players see nothing of them until ``VodPublishOperator`` points the stable playlist to them.
    """

    precedes_choice = True

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Returns ``{"track", "segments", "cues"}`` of each track.

        :raises VerificationError: the written segments do not hold the cues of the track.
        :raises AirflowSkipException: the video has no subtitles.
        """
        job = self.open_job(context)
        if not job.plan.texts:
            raise AirflowSkipException("the video has no subtitles")
        tracks = [self._track(job, text, text.name) for text in job.plan.texts]
        if job.plan.preset.imsc:
            tracks += [self._track(job, text, text.imsc_name) for text in job.plan.texts]
        return [{"track": t.name, "segments": len(t.segments), "cues": t.cues} for t in tracks]

    def _track(self, job: Job, text: TextRendition, name: str) -> Track:
        """The track of that name: WebVTT, or IMSC1 if it is the rendition's ``imsc_name``."""
        done = checkpoint.load(self.worker.temp, job.segmented(name), objects_in=self.worker.results)
        if done is None:
            return self._segment(job, text, name)
        self.log.info("%s is segmented already", name)
        return Track.model_validate(done.facts)

    def _segment(self, job: Job, text: TextRendition, name: str) -> Track:
        plan, timeline = job.plan, read_timeline(self.worker.temp, job)
        lengths = webvtt.segment_lengths(plan, timeline)
        end_ms = round(1000 * sum(lengths) / plan.timescale)
        found = self._cues(job, text.name, timeline)
        cues = [cue for cue in found if cue.end_ms > 0 and cue.begin_ms < end_ms]
        if len(cues) < len(found):
            self.log.warning("%s: %d cues lie outside the video", name, len(found) - len(cues))
        subtitle_limits.check_track(cues, name, self.settings.subtitle_limits)
        write = self._write_imsc if name == text.imsc_name else self._write_webvtt
        with self.worker.scratch() as folder:
            facts = write(job, text, cues, lengths, folder)
            return self._store(job, text, name, len(cues), facts, folder)

    def _write_webvtt(
        self, job: Job, text: TextRendition, cues: list[Cue], lengths: list[int], folder: Path
    ) -> dict[str, Any]:
        """Write the segments and the whole track; returns facts of the track."""
        plan = job.plan
        clock_start = ffmpeg.TRANSPORT_START if plan.preset.container == "ts" else 0
        budget = subtitle_limits.SegmentBudget(text.name, self.settings.subtitle_limits)
        files: list[Path] = []
        for shown in webvtt.cut(cues, lengths, plan.timescale):
            files.append(folder / segment_name(len(files) + 1, "vtt"))
            data = webvtt.segment(shown, clock_start).encode()
            budget.spend(len(shown), len(data))
            files[-1].write_bytes(data)
        texts = [path.read_text("utf-8") for path in files]
        webvtt.check(text.name, texts, lengths, plan.timescale, cues)
        (folder / dash.WHOLE_TEXT).write_text(webvtt.whole(cues), "utf-8")
        return {
            "codecs": "wvtt",
            "init_bytes": 0,
            "facts": tuple(measured(files)),
            "text_ticks": tuple(lengths),
        }

    def _write_imsc(
        self, job: Job, text: TextRendition, cues: list[Cue], lengths: list[int], folder: Path
    ) -> dict[str, Any]:
        """Write the init segment and the segments; returns facts of the track."""
        timescale = job.plan.timescale
        budget = subtitle_limits.SegmentBudget(text.imsc_name, self.settings.subtitle_limits)
        init = init_segment(timescale, sum(lengths), iso_639_2(text.language))
        (folder / INIT).write_bytes(init)
        files, begin = list[Path](), 0
        for shown, ticks in zip(webvtt.cut(cues, lengths, timescale), lengths, strict=True):
            files.append(folder / segment_name(len(files) + 1, "fmp4"))
            document = imsc.document(shown, text.language)
            budget.spend(len(shown), len(document) // XML_GROWTH)
            imsc.check(text.imsc_name, document, shown)
            files[-1].write_bytes(media_segment(document, len(files), begin, ticks))
            begin += ticks
        facts = tuple(measured(files))
        measure.check_texts(text.imsc_name, facts, lengths, timescale)
        return {
            "codecs": imsc.CODEC,
            "init_bytes": len(init),
            "facts": facts,
            "not_kept": imsc.losses(cues),
        }

    def _cues(self, job: Job, name: str, timeline: Timeline) -> list[Cue]:
        """All cues of the track; their times count from the start of the presentation."""
        text = job.plan.text_rendition(name)
        if text.sidecar_sha256:
            uri = job.work_keys.text(name)
            with checkpoint.relying_on(self.worker.temp, uri, step=PREPARE):
                blocks = verified(uri, self.worker.temp.read(uri), sha256=text.sidecar_sha256)
                data = b"".join(blocks)
            # ASS may draw shapes with outline commands, which no spoken text resembles, so they are dropped.
            return webvtt.parse(data.decode(), drawings=True)
        marker = job.source_keys.marker(SPLIT)
        source = checkpoint.require(self.worker.temp, marker, step=SPLIT)
        with checkpoint.relying_on(self.worker.temp, marker, step=SPLIT):
            data = b"".join(checkpoint.read_checked(self.worker.temp, source.objects[name]))
        return webvtt.parse(data.decode("utf-8", "replace"), shift_ms=timeline.text_shift_ms, drawings=True)

    def _store(
        self, job: Job, text: TextRendition, name: str, cues: int, facts: dict[str, Any], folder: Path
    ) -> Track:
        track = Track(
            name=name,
            kind="text",
            timescale=job.plan.timescale,
            cues=cues,
            language=text.language,
            title=text.title,
            default=text.default,
            forced=text.forced,
            hearing_impaired=text.hearing_impaired,
            commentary=text.commentary,
            **facts,
        )
        playlist = hls.media_playlist(track, measure.target_duration_s(job.plan))
        (folder / "index.m3u8").write_text(playlist, "utf-8")
        objects = store_track(self.worker.results, job, name, folder)
        checkpoint.save(
            self.worker.temp,
            job.segmented(name),
            Marker(objects=objects, facts=track.model_dump(mode="json")),
        )
        return track
