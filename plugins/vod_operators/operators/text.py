"""Cuts subtitle tracks into WebVTT segments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from vod_operators.media import dash, ffmpeg, hls, subtitle_limits, webvtt
from vod_operators.media.measure import target_duration_s
from vod_operators.media.models import Timeline
from vod_operators.media.track import Track, segment_name
from vod_operators.media.webvtt import Cue
from vod_operators.operators.base import VodStepOperator
from vod_operators.operators.segment import store_track
from vod_operators.pipeline import PREPARE, SPLIT
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker
from vod_operators.storage.stores import verified
from vod_operators.work.job import Job, read_timeline
from vod_operators.work.packaged import measured


class VodSegmentTextOperator(VodStepOperator):
    """Cut the subtitle tracks of the source and of the request's files into WebVTT segments.

    Players see nothing of them until ``VodPublishOperator`` points the stable playlist to them.
    """

    precedes_choice = True

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Returns ``{"track", "segments", "cues"}`` of each track.

        :raises VerificationError: the written segments do not hold the cues of the track.
        :raises AirflowSkipException: the video has no subtitles.
        """
        job = self.open_job(context)
        tracks = [self._track(job, text.name) for text in job.plan.texts]
        if not tracks:
            raise AirflowSkipException("the video has no subtitles")
        return [{"track": t.name, "segments": len(t.segments), "cues": t.cues} for t in tracks]

    def _track(self, job: Job, name: str) -> Track:
        done = checkpoint.load(self.worker.temp, job.segmented(name), objects_in=self.worker.results)
        if done is None:
            return self._segment(job, name)
        self.log.info("%s is segmented already", name)
        return Track.model_validate(done.facts)

    def _segment(self, job: Job, name: str) -> Track:
        plan, timeline = job.plan, read_timeline(self.worker.temp, job)
        lengths = webvtt.segment_lengths(plan, timeline)
        clock_start = ffmpeg.TRANSPORT_START if plan.preset.container == "ts" else 0
        end_ms = round(1000 * sum(lengths) / plan.timescale)
        found = self._cues(job, name, timeline)
        cues = [cue for cue in found if cue.end_ms > 0 and cue.begin_ms < end_ms]
        if len(cues) < len(found):
            self.log.warning("%s: %d cues lie outside the video", name, len(found) - len(cues))
        subtitle_limits.check_track(cues, name, self.settings.subtitle_limits)
        budget = subtitle_limits.SegmentBudget(name, self.settings.subtitle_limits)
        with self.worker.scratch() as folder:
            files: list[Path] = []
            for shown in webvtt.cut(cues, lengths, plan.timescale):
                files.append(folder / segment_name(len(files) + 1, "vtt"))
                data = webvtt.segment(shown, clock_start).encode()
                budget.spend(len(shown), len(data))
                files[-1].write_bytes(data)
            texts = [path.read_text("utf-8") for path in files]
            webvtt.check(name, texts, lengths, plan.timescale, cues)
            return self._store(job, name, files, lengths, cues, folder)

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
        self, job: Job, name: str, files: list[Path], lengths: list[int], cues: list[Cue], folder: Path
    ) -> Track:
        text = job.plan.text_rendition(name)
        track = Track(
            name=name,
            kind="text",
            codecs="wvtt",
            timescale=job.plan.timescale,
            init_bytes=0,
            facts=tuple(measured(files)),
            text_ticks=tuple(lengths),
            cues=len(cues),
            language=text.language,
            title=text.title,
            default=text.default,
            forced=text.forced,
            hearing_impaired=text.hearing_impaired,
            commentary=text.commentary,
        )
        playlist = hls.media_playlist(track, target_duration_s(job.plan))
        (folder / "index.m3u8").write_text(playlist, "utf-8")
        (folder / dash.WHOLE_TEXT).write_text(webvtt.whole(cues), "utf-8")
        objects = store_track(self.worker.results, job, name, folder)
        checkpoint.save(
            self.worker.temp,
            job.segmented(name),
            Marker(objects=objects, facts=track.model_dump(mode="json")),
        )
        return track
