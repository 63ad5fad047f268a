"""The last task: checks the whole presentation, and publishes it by one write."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import Context

from vod_operators.check.rules import check, failed
from vod_operators.errors import CorruptObjectError, VerificationError
from vod_operators.media import captions, dash, hls, measure, pictures
from vod_operators.media.models import Timeline
from vod_operators.media.plan import fingerprint
from vod_operators.media.track import Track
from vod_operators.operators import telemetry
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.content_key import content_key
from vod_operators.operators.published import PUBLISHED, event_facts
from vod_operators.storage import checkpoint, checksums, claim
from vod_operators.storage.checkpoint import Marker
from vod_operators.storage.keys import claim_key
from vod_operators.storage.stores import get_bytes
from vod_operators.work.job import PICTURES, Job, track_names
from vod_operators.work.reader import StoreReader
from vod_operators.work.result import (
    ChapterResult,
    RenditionResult,
    SourceFacts,
    Timings,
    VideoResult,
)
from vod_operators.work.stable import IMMUTABLE, JSON_TYPE, MANIFEST_TYPE, PLAYLIST_TYPE, point_to

WISHED = {"7.bitrates"}
"""Rules whose violation does not prevent a publication, because the request may ask for it. A custom preset
may have a single rung, and pictures without detail have equal bitrates in two rungs of the same quality."""

PROMISED = {"1.h264-4.1", "1.sample-entry", "10.aligned", "14.bitrate", "14.channels-told", "14.separate"}
"""Rules that Apple only recommends, and that everything made here keeps."""


class VodPublishOperator(VodBaseOperator):
    """Verify all tracks together; write the version's master playlist, DASH manifest and ``video.json``, and
    then the stable ones.

    The stable ``index.m3u8`` is the last write. Until then viewers get the version before, from then on this
    one, and never a mix.

    :param plan: URI of ``plan.json``.
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, plan: str, **kwargs: Any) -> None:
        super().__init__(**({"outlets": [PUBLISHED]} | kwargs))
        self.plan = plan

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns the fields of ``video.json``, and ``playlist``: the stable playlist's URI in the store.

        :raises VerificationError: a rule is broken; nothing was published.
        :raises LostWorkError: an object is missing; nothing was published.
        :raises ClaimedError: another run has taken the video over; nothing was published.
        """
        job = self.open_job(context, self.plan)
        timeline = self.load_timeline(job)
        tracks, digests = self._load_tracks(job)
        target = measure.target_duration_s(job.plan)
        measure.check_presentation(tracks, target)
        stills = self._stills(job, timeline, digests)
        result = self._describe(
            job, timeline, tracks, target, stills, started_at=context["dag_run"].start_date
        )

        keys = job.result_keys
        master = hls.master_playlist(tracks, target, prefix="")
        self._check(job, tracks, master)
        stable = hls.master_playlist(tracks, target, prefix=f"{job.version}/")
        listed = None
        files = [
            (keys.version(job.version, "master.m3u8"), master.encode(), PLAYLIST_TYPE),
            (keys.version_playlist(job.version), stable.encode(), PLAYLIST_TYPE),
        ]
        if dash.has_manifest(tracks):
            listed = dash.manifest(tracks, target, prefix=f"{job.version}/").encode()
            inside = dash.manifest(tracks, target, prefix="").encode()
            files.append((keys.version(job.version, "manifest.mpd"), inside, MANIFEST_TYPE))
            files.append((keys.version_manifest(job.version), listed, MANIFEST_TYPE))
        self._write_version(job, files, digests, result.model_dump_json(indent=2).encode())
        claimed = claim_key(self.settings.temp_uri, job.plan.video_id)
        # Renewed before ``point_to`` reads the stable objects' versions, so that no late write passes.
        mine = self.hold_claim(context, job.plan.video_id)
        result = point_to(
            self.results,
            keys,
            result,
            stable.encode(),
            listed,
            still_owner=lambda: claim.check(self.temp, claimed, mine),
        )
        # Released here too, because clearing only this task does not clear the teardown.
        claim.release(self.temp, claimed, owner=self.run_name(context))
        self.log.info("published %s", keys.playlist)
        told = result.model_dump(mode="json") | {"playlist": keys.playlist}
        self._tell(context, told)
        return told

    def _write_version(
        self, job: Job, files: Sequence[tuple[str, bytes, str]], digests: dict[str, str], metadata: bytes
    ) -> None:
        """Write those of the version's files that do not exist yet, ``video.json`` last.

        :param files: URI, content and content type of each.
        :param digests: SHA-256 of the tracks' and pictures' objects, by URI; those of ``files`` are added.
        :param metadata: content of ``video.json``.
        """
        keys = job.result_keys
        for uri, data, content_type in files:
            if self.results.stat(uri) is None:
                self.results.write(uri, [data], content_type=content_type, cache_control=IMMUTABLE)
            else:
                data = get_bytes(self.results, uri)
            digests[uri] = hashlib.sha256(data).hexdigest()
        is_whole = self.results.stat(keys.version_metadata(job.version)) is not None
        if not is_whole or self.results.stat(keys.version_checksums(job.version)) is None:
            folder = keys.version(job.version, "")
            by_path = {uri.removeprefix(folder): digest for uri, digest in sorted(digests.items())}
            uri = keys.version_checksums(job.version)
            self.results.write(
                uri, checksums.lines(by_path), content_type="text/plain", cache_control=IMMUTABLE
            )
        if not is_whole:
            uri = keys.version_metadata(job.version)
            self.results.write(uri, [metadata], content_type=JSON_TYPE, cache_control=IMMUTABLE)

    def _tell(self, context: Context, result: dict[str, Any]) -> None:
        facts, timings = event_facts(result), result["timings"]
        # Airflow updates the asset when this task has succeeded, and then starts the DAGs that follow it.
        context["outlet_events"][PUBLISHED].extra = facts
        self.facts.update(facts)
        telemetry.count("vod.published")
        telemetry.count("vod.source_bytes", result["source"]["size_bytes"])
        telemetry.count("vod.published_bytes", facts["size_bytes"])
        if timings["wall_s"] is not None:
            telemetry.timing("vod.time_to_publish", timings["wall_s"])

    def _check(self, job: Job, tracks: Sequence[Track], master: str) -> None:
        """Check the version against all rules of ``vod check``.

        Playlists and init segments are read from the store. Segments are not read again: the same code
        measured them before they were stored, the store verified their checksums, and ``_load_tracks`` has
        checked their sizes.

        :raises VerificationError: a MUST is broken that is not in ``WISHED``, or a rule in ``PROMISED``.
        """
        keys = job.result_keys
        location = keys.version(job.version, "master.m3u8")
        facts = {
            keys.version(job.version, f"{track.name}/{segment.name}"): checked.model_copy(
                update={"size_bytes": segment.size_bytes}  # of the stored file, which may be encrypted
            )
            for track in tracks
            for segment, checked in zip(track.segments, track.checked, strict=True)
        }
        reader = StoreReader(location, lambda _: self.results, facts, {location: master.encode()})
        # Not fetched from the URL that players use, which workers may not reach, or which may not exist yet.
        key = content_key(self.settings, job.plan.video_id).key if job.key else None
        verdicts = check(reader, location, key=key)
        for verdict in verdicts:
            for finding in verdict.findings if verdict.status == "warn" else ():
                self.log.warning("%s: %s: found %s", verdict.rule.says, finding.where, finding.found)
        # How many renditions there are is the wish of the preset, and the size of the source.
        judged = [verdict for verdict in verdicts if verdict.rule.id not in WISHED]
        if broken := failed(judged, also=PROMISED):
            raise VerificationError(f"the result breaks rules, and is not published: {'; '.join(broken)}")

    def _load_tracks(self, job: Job) -> tuple[list[Track], dict[str, str]]:
        """The measured tracks, all of whose objects are in the store, and the objects' SHA-256 by URI."""
        tracks: list[Track] = []
        digests: dict[str, str] = {}
        for name in track_names(job.plan):
            marker = self._written(job, name)
            tracks.append(Track.model_validate(marker.facts))
            digests |= _digests(marker)
        return tracks, digests

    def _stills(self, job: Job, timeline: Timeline, digests: dict[str, str]) -> dict[str, Any]:
        """The facts of the poster and storyboard; their digests are added to ``digests``."""
        if not pictures.stills(job.plan, timeline):
            return {}
        marker = self._written(job, PICTURES, "pictures")
        digests |= _digests(marker)
        return marker.facts

    def _written(self, job: Job, name: str, step: str = "segment") -> Marker:
        """The marker of what a step wrote into the version's folder.

        :raises LostWorkError: an object is missing or has another size.
        """
        uri = job.segmented(name)
        marker = checkpoint.require(self.temp, uri, step=step)
        with checkpoint.relying_on(self.temp, uri, step=step):
            there = checkpoint.look_at(self.results, marker)
            if lost := checkpoint.missing(there, marker):
                raise CorruptObjectError(
                    f"{lost[0].uri}: is not there with the {lost[0].size_bytes} bytes that were written "
                    f"({len(lost)} such objects)"
                )
        if not all(stored.version for stored in marker.objects.values()):
            checkpoint.note_versions(self.temp, uri, marker, there)
        return marker

    def _describe(
        self,
        job: Job,
        timeline: Timeline,
        tracks: list[Track],
        target_s: int,
        stills: dict[str, Any],
        *,
        started_at: datetime | None,
    ) -> VideoResult:
        now = datetime.now(timezone.utc)
        plan = job.plan
        steps = [chunk.name for chunk in timeline.chunks] + [audio.name for audio in plan.audio]
        markers = checkpoint.load_markers(self.temp, [job.work_keys.marker(step) for step in steps])
        encoded = [marker.facts for marker in markers if marker is not None]
        damage = [*timeline.damage, *(words for facts in encoded for words in facts["damage"])]
        videos = [track for track in tracks if track.kind == "video"]
        lost = captions.lost(videos) if any(facts.get("captions") for facts in encoded) else []
        loudness = {facts["rendition"]: facts["loudness"] for facts in encoded if "loudness" in facts}
        return VideoResult(
            video_id=plan.video_id,
            version=job.version,
            preset=plan.preset.name,
            preset_fingerprint=fingerprint(plan.preset),
            playlist_urls=tuple(self.settings.playlist_urls(plan.video_id)),
            duration_s=float(timeline.seconds(plan.frame_rate)),
            frames=timeline.frames,
            frame_rate=plan.frame_rate if timeline.frames else None,
            chunks=len(timeline.chunks),
            chapters=ChapterResult.of_all(plan, timeline),
            source=SourceFacts.of(plan, timeline, job.source_name, job.source_version, damage, lost),
            renditions=tuple(
                RenditionResult.of(track, target_s, loudness.get(track.name)) for track in tracks
            ),
            poster=stills.get("poster"),
            storyboard=stills.get("storyboard"),
            timings=Timings(
                started_at=started_at,
                published_at=now,
                wall_s=None if started_at is None else round((now - started_at).total_seconds(), 3),
                encode_s=round(sum(facts["seconds"] for facts in encoded), 3),
            ),
            made_by=job.made_by,
        )


def _digests(marker: Marker) -> dict[str, str]:
    return {stored.uri: stored.sha256 for stored in marker.objects.values()}
