"""A finished version before its publication: all tracks together, described and checked against the rules."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from vod_operators import pipeline
from vod_operators.check.rule import Verdict
from vod_operators.check.rules import check, failed
from vod_operators.errors import CorruptObjectError, VerificationError, VodError
from vod_operators.media import captions, chapters, dash, hls, measure, pictures
from vod_operators.media.cost import PastRun
from vod_operators.media.downloads import Download, files_of, missing
from vod_operators.media.encryption import TrackKeys
from vod_operators.media.master import hinted
from vod_operators.media.models import Plan, Timeline
from vod_operators.media.plan import fingerprint, hdr_lost
from vod_operators.media.tiles import Tiles, image_stream
from vod_operators.media.track import Track
from vod_operators.storage import checkpoint, checksums
from vod_operators.storage.checkpoint import Marker
from vod_operators.storage.stores import get_bytes
from vod_operators.work import certificate, estimate, report
from vod_operators.work.choice import (
    AGAIN,
    corrections_of,
    final_crfs,
    published_facts,
    read_choice,
    require_crf,
    with_targets,
)
from vod_operators.work.downloads import joined
from vod_operators.work.job import PICTURES, Job, read_job, read_timeline, track_names
from vod_operators.work.reader import StoreReader
from vod_operators.work.result import (
    ChapterFiles,
    ChapterResult,
    CheckResult,
    EncryptionResult,
    LadderResult,
    RenditionResult,
    SourceFacts,
    Timings,
    VideoResult,
)
from vod_operators.work.sound_encoder import COPIED, NOT_COPIED
from vod_operators.work.stable import IMMUTABLE, JSON_TYPE, MANIFEST_TYPE, PLAYLIST_TYPE
from vod_operators.work.steering import EdgeReader, Steering, steering_of
from vod_operators.work.worker import Worker

WISHED = {"7.bitrates"}
"""Rules whose violation does not prevent a publication, because the request may ask for it. A custom preset
may have a single rung, and pictures without detail have equal bitrates in two rungs of the same quality."""

WISHED_OF_CENC = {"12.no-ctr", "12.pattern"}
"""The same where the preset asks for ``cenc``, which Apple's players do not decrypt."""

PROMISED = {
    "1.h264-4.1", "1.sample-entry", "10.aligned", "13.families", "14.bitrate", "14.channels-told",
    "14.separate", "15.formats", "16.colours", "16.configuration", "16.same",
}  # fmt: skip
"""Rules that Apple only recommends, and that everything made here keeps."""

WARNINGS_TOLD = 20
"""How many warnings ``video.json`` lists; the log has all of them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A version whose tracks and pictures are all in the results store."""

    worker: Worker
    job: Job
    timeline: Timeline
    tracks: Sequence[Track]
    stills: dict[str, Any]
    """Facts of the poster and storyboard; empty if the preset asks for none."""
    digests: dict[str, str]
    """SHA-256 of the tracks', pictures' and downloads' objects, by URI."""
    downloads: tuple[Download, ...] = ()

    @classmethod
    def load(cls, worker: Worker, job: Job) -> Publication:
        """The version as its steps recorded it.

        :raises VerificationError: the tracks do not fit together.
        :raises LostWorkError: an object is missing or has another size, or a track is of another choice.
        """
        timeline = read_timeline(worker.temp, job)
        written = [_written(worker, job, name, pipeline.SEGMENT) for name in track_names(job.plan)]
        tracks = [Track.model_validate(marker.facts) for marker in written]
        crfs = final_crfs(worker.temp, job)
        for track in tracks:
            require_crf(track.name, track.crf, crfs.get(track.name))
        measure.check_presentation(tracks, measure.target_duration_s(job.plan))
        stills: dict[str, Any] = {}
        if pictures.stills(job.plan, timeline):
            written.append(_written(worker, job, PICTURES, pipeline.PICTURES))
            stills = written[-1].facts
        files = []
        for file in files_of(job.plan):
            written.append(_written(worker, job, file.step, pipeline.SEGMENT))
            files.append(joined(written[-1], file, crfs))
        digests = {stored.uri: stored.sha256 for marker in written for stored in marker.objects.values()}
        return cls(
            worker=worker,
            job=job,
            timeline=timeline,
            tracks=tracks,
            stills=stills,
            digests=digests,
            downloads=tuple(files),
        )

    @property
    def _target_s(self) -> int:
        return measure.target_duration_s(self.job.plan)

    @cached_property
    def _tiles(self) -> Tiles | None:
        """The storyboard's sheets, if playlists list them."""
        return Tiles.model_validate(self.stills["tiles"]) if "tiles" in self.stills else None

    @cached_property
    def steering(self) -> Steering | None:
        """The edges between which players will be steered; None: none."""
        return steering_of(self.worker.settings, self.job.plan.video_id)

    def _master(self, prefix: str) -> str:
        preset = self.job.plan.preset
        data = {chapters.DATA_ID: chapters.JSON_FILE} if self._chapters else {}
        text = hls.master_playlist(self.tracks, self._target_s, prefix=prefix, session_data=data)
        if preset.score or preset.stable_ids:
            text = hinted(text, self.tracks, score=preset.score, stable_ids=preset.stable_ids)
        return text + (image_stream(self._tiles, f"{prefix}{PICTURES}") if self._tiles else "")

    @cached_property
    def master(self) -> bytes:
        """The version's own master playlist."""
        return self._master("").encode()

    @cached_property
    def stable_playlist(self) -> bytes:
        """The content of the stable playlist, beside the version's folder."""
        return self._master(f"{self.job.version}/").encode()

    @cached_property
    def _chapters(self) -> dict[str, tuple[bytes, str]]:
        """File -> content and content type of the chapters; empty if players are told of none."""
        if not (found := chapters.told(self.job.plan, self.timeline)):
            return {}
        return {
            chapters.JSON_FILE: (chapters.json_chapters(found), JSON_TYPE),
            chapters.WEBVTT_FILE: (chapters.webvtt_chapters(found), "text/vtt"),
        }

    @cached_property
    def stable_manifest(self) -> bytes | None:
        """The content of the stable DASH manifest; None if these tracks can have none."""
        if not dash.has_manifest(self.tracks):
            return None
        prefix = f"{self.job.version}/"
        return dash.manifest(self.tracks, self._target_s, prefix=prefix, tiles=self._tiles).encode()

    def check(self, keys: Mapping[str, TrackKeys]) -> CheckResult:
        """Check the version against all rules of ``vod check``; returns how many applied, and the warnings.

        Playlists and init segments are read from the store. Segments are not read again: the same code
        measured them before they were stored, the store verified their checksums, and ``load`` has checked
        their sizes.

        :param keys: the content keys of the tracks. None is fetched from the URL that players use, which
            workers may not reach, or which may not exist yet. Empty if the version is not encrypted.
        :raises VerificationError: a MUST is broken that is not in ``WISHED``, or a rule in ``PROMISED``.
        """
        places, version, results = self.job.result_keys, self.job.version, self.worker.results
        location = places.version(version, "master.m3u8")
        facts = {
            places.version(version, f"{track.name}/{segment.name}"): measured
            for track in self.tracks
            for segment, measured in zip(track.segments, track.facts, strict=True)
        }
        drafts = {location: self.master}
        drafts |= {places.version(version, file): data for file, (data, _) in self._chapters.items()}
        if self.steering:
            drafts[places.playlist] = self.steering.playlist(self.stable_playlist)
        reader = StoreReader(location, lambda _: results, facts, drafts)
        # Only whole segments are decrypted here; what is judged of encrypted samples is in the clear.
        is_whole = self.job.plan.preset.encryption == "aes-128"
        whole = next((key.first.key for key in keys.values()), None) if is_whole else None
        verdicts = check(reader, location, key=whole)
        at_edges: list[Verdict] = []
        if self.steering:
            edges = tuple(self.steering.pathways.values())
            through_edges = EdgeReader(reader, edges, f"{places.folder}/")
            at_edges = check(through_edges, places.playlist, key=whole)
        for track in hls.unlisted(self.tracks):
            uri = places.version(version, f"{track.name}/index.m3u8")
            verdicts += [v for v in check(reader, uri, key=whole) if v.findings]
        warnings = tuple(
            f"{verdict.rule.says}: {finding.where}: found {finding.found}"
            for verdict in verdicts
            for finding in (verdict.findings if verdict.status == "warn" else ())
        )
        for warning in warnings:
            log.warning("%s", warning)
        # How many renditions there are is the wish of the preset, and the size of the source.
        wished = WISHED | (WISHED_OF_CENC if self.job.plan.preset.scheme == "cenc" else set())
        judged = [verdict for verdict in (*verdicts, *at_edges) if verdict.rule.id not in wished]
        if broken := failed(judged, also=PROMISED):
            raise VerificationError(f"the result breaks rules, and is not published: {'; '.join(broken)}")
        applied = len({v.rule.id for v in verdicts if v.status != "not applicable"})
        return CheckResult(rules=applied, warnings=warnings[:WARNINGS_TOLD])

    def write(self, result: VideoResult) -> None:
        """Write those of the version's playlists and documents that do not exist yet, ``video.json`` last."""
        keys, version, results = self.job.result_keys, self.job.version, self.worker.results
        files = [
            (keys.version(version, "master.m3u8"), self.master, PLAYLIST_TYPE),
            (keys.version_playlist(version), self.stable_playlist, PLAYLIST_TYPE),
        ]
        if self.stable_manifest is not None:
            inside = dash.manifest(self.tracks, self._target_s, prefix="", tiles=self._tiles).encode()
            files.append((keys.version(version, "manifest.mpd"), inside, MANIFEST_TYPE))
            files.append((keys.version_manifest(version), self.stable_manifest, MANIFEST_TYPE))
        files += [(keys.version(version, name), *content) for name, content in self._chapters.items()]
        digests = dict(self.digests)
        for uri, data, content_type in files:
            if results.stat(uri) is None:
                results.write(uri, [data], content_type=content_type, cache_control=IMMUTABLE)
            else:
                data = get_bytes(results, uri)
            digests[uri] = hashlib.sha256(data).hexdigest()
        metadata, sums = keys.version_metadata(version), keys.version_checksums(version)
        is_whole = results.stat(metadata) is not None
        if not is_whole or results.stat(sums) is None:
            folder = keys.version(version, "")
            by_path = {uri.removeprefix(folder): digest for uri, digest in sorted(digests.items())}
            lines = checksums.lines(by_path)
            results.write(sums, lines, content_type="text/plain", cache_control=IMMUTABLE)
        if not is_whole:
            data = result.model_dump_json(indent=2).encode()
            results.write(metadata, [data], content_type=JSON_TYPE, cache_control=IMMUTABLE)

    @cached_property
    def _encoded(self) -> list[Marker | None]:
        """The markers of all chunks, in order, and then of all sound tracks; None for one that is gone."""
        steps = [chunk.name for chunk in self.timeline.chunks] + [a.name for a in self.job.plan.audio]
        keys = self.job.work_keys
        return checkpoint.load_markers(self.worker.temp, [keys.marker(step) for step in steps])

    @cached_property
    def _markers(self) -> dict[str, Sequence[estimate.Facts]]:
        """Step -> the facts of its markers; a marker that is gone is left out."""
        temp, keys = self.worker.temp, self.job.work_keys

        def facts(names: Sequence[str]) -> list[dict[str, Any]]:
            found = checkpoint.load_markers(temp, [keys.marker(name) for name in names])
            return [marker.facts for marker in found if marker is not None]

        split = checkpoint.load_marker(temp, self.job.source_keys.marker(pipeline.SPLIT))
        chunks = [chunk.name for chunk in self.timeline.chunks]
        is_aimed = bool(self.job.plan.targets)
        return {
            pipeline.SPLIT: [split.facts] if split else [],
            pipeline.ANALYSE: facts([window.name for window in self.timeline.windows]),
            pipeline.TRANSCODE: [marker.facts for marker in self._encoded[: len(chunks)] if marker],
            pipeline.CORRECT: facts([name + AGAIN for name in chunks]) if is_aimed else [],
            pipeline.AUDIO: [marker.facts for marker in self._encoded[len(chunks) :] if marker],
            pipeline.PICTURES: [self.stills],
        }

    def past_run(self, result: VideoResult) -> PastRun | None:
        """What the history of the preset keeps of this version; None if nothing of it was encoded.

        :param result: what ``describe`` returned.
        """
        if result.cost is None:
            return None
        try:
            # As it was before anything was chosen, because that is what estimates know.
            first = read_job(self.worker.temp, self.job.work_keys.plan, self.worker.settings)
        except VodError:
            return None
        return estimate.past_run(
            self.worker,
            first,
            self.timeline,
            self.tracks,
            self._markers,
            result.cost,
            started_at=result.timings.started_at,
        )

    def describe(self, *, started_at: datetime | None, checked: CheckResult) -> VideoResult:
        """The content of ``video.json``.

        :param checked: what ``check`` returned.
        :param started_at: when the run began.
        :raises InvalidInputError: a rendition misses the preset's ``min_vmaf``, which refuses that.
        """
        job, plan, timeline = self.job, self.job.plan, self.timeline
        now = datetime.now(timezone.utc)
        first = [*self._markers[pipeline.TRANSCODE], *self._markers[pipeline.AUDIO]]
        encoded = published_facts(self.worker.temp, job, first)
        wall_s = None if started_at is None else round((now - started_at).total_seconds(), 3)
        damage = [*timeline.damage, *(words for facts in encoded for words in facts["damage"])]
        videos = [track for track in self.tracks if track.kind == "video"]
        lost = captions.lost(videos) if any(facts.get("captions") for facts in encoded) else []
        found = report.of_markers(plan, timeline, self._encoded)
        told = report.warnings_of(found, plan, timeline)
        loudness = {facts["rendition"]: facts["loudness"] for facts in encoded if "loudness" in facts}
        copied = {facts["rendition"] for facts in encoded if facts.get(COPIED)}
        quality, missed = with_targets(self.worker.temp, job, certificate.merged(plan, encoded))
        renditions = tuple(
            RenditionResult.of(
                track,
                self._target_s,
                loudness.get(track.name),
                quality.get(track.name),
                copied=track.name in copied,
            )
            for track in self.tracks
        )
        made = plan.with_crfs(corrections_of(self.worker.temp, job))
        missed += certificate.unmeasured(plan, encoded)
        not_kept = [
            f"{track.name} ({track.title}): {words}" for track in self.tracks for words in track.not_kept
        ]
        warnings = [
            *missed,
            *certificate.misses(made, renditions),
            *hdr_lost(plan),
            *told,
            *missing(plan),
            *_encoded_anew(plan, encoded),
            *not_kept,
        ]
        if plan.preset.scheme == "cenc":
            warnings.append("encryption: cenc does not play on Apple's devices")
        for warning in warnings:
            log.warning("%s", warning)
        return VideoResult(
            video_id=plan.video_id,
            version=job.version,
            preset=plan.preset.name,
            preset_fingerprint=fingerprint(plan.preset),
            playlist_urls=tuple(self.worker.settings.playlist_urls(plan.video_id)),
            duration_s=float(timeline.seconds(plan.frame_rate)),
            frames=timeline.frames,
            frame_rate=plan.frame_rate if timeline.frames else None,
            chunks=len(timeline.chunks),
            chapters=ChapterResult.of_all(plan, timeline),
            chapter_files=ChapterFiles(
                json_uri=f"{job.version}/{chapters.JSON_FILE}",
                webvtt_uri=f"{job.version}/{chapters.WEBVTT_FILE}",
            )
            if self._chapters
            else None,
            source=SourceFacts.of(plan, timeline, job.source_name, job.source_version, damage, lost),
            renditions=renditions,
            downloads=self.downloads,
            poster=self.stills.get("poster"),
            storyboard=self.stills.get("storyboard"),
            ladder=LadderResult.of(read_choice(self.worker.temp, job)) if any(plan.by_title) else None,
            check=checked,
            encryption=EncryptionResult.of(job),
            source_report=found,
            warnings=tuple(warnings),
            timings=Timings(
                started_at=started_at,
                published_at=now,
                wall_s=wall_s,
                encode_s=round(sum(facts["seconds"] for facts in encoded), 3),
            ),
            cost=estimate.cost_of(
                self.worker, job, (*self.tracks, *self.downloads), self._markers, wall_s=wall_s
            ),
            made_by=job.made_by,
        )


def _encoded_anew(plan: Plan, encoded: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which of the source's sound could not be passed through, and why; sentences for people."""
    found = []
    for facts in encoded:
        if why := facts.get(NOT_COPIED):
            audio = plan.audio_rendition(facts["rendition"])
            found.append(
                f"sound {audio.title!r}: the source's {audio.stream.codec} could not be passed through, and "
                f"is encoded at {audio.bitrate_bps} b/s: {why}"
            )
    return found


def _written(worker: Worker, job: Job, name: str, step: str) -> Marker:
    """The marker of what a step wrote into the version's folder.

    :raises LostWorkError: an object is missing or has another size.
    """
    uri = job.segmented(name)
    marker = checkpoint.require(worker.temp, uri, step=step)
    with checkpoint.relying_on(worker.temp, uri, step=step):
        there = checkpoint.look_at(worker.results, marker)
        if lost := checkpoint.missing(there, marker):
            raise CorruptObjectError(
                f"{lost[0].uri}: is not there with the {lost[0].size_bytes} bytes that were written "
                f"({len(lost)} such objects)"
            )
    if not all(stored.version for stored in marker.objects.values()):
        checkpoint.note_versions(worker.temp, uri, marker, there)
    return marker
