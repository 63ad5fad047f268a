"""Puts one video or sound track together from what the encoding tasks stored, as measured HLS segments."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import LostWorkError
from vod_operators.formats.mp4 import read_init
from vod_operators.media import hls, measure
from vod_operators.media.downloads import files_of
from vod_operators.media.pieces import Piece, counter_shifts, shift_counters, track_of
from vod_operators.media.track import Track, sample_encryption
from vod_operators.media.trick import trick_name, trick_segment
from vod_operators.operators.base import VodStepOperator
from vod_operators.operators.content_key import job_keys, lock_segments
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.storage.stores import fetch
from vod_operators.work.choice import final_crfs, require_crf
from vod_operators.work.downloads import download
from vod_operators.work.encoded import Place, encoded, init_of
from vod_operators.work.job import Job, read_timeline, track_names
from vod_operators.work.packaged import INIT, TRANSFERS
from vod_operators.work.stable import IMMUTABLE, PLAYLIST_TYPE

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".ts": "video/mp2t",
    ".aac": "audio/aac",
    ".vtt": "text/vtt",
    ".jpg": "image/jpeg",
    ".m3u8": PLAYLIST_TYPE,
}


@dataclass(frozen=True)
class _Encoded:
    """A segment in the temp store."""

    place: Place
    stored: Stored
    shift: dict[int, int]
    """What its continuity counters lack to those of the whole track, by PID."""


class VodSegmentHlsOperator(VodStepOperator):
    """Store one track's segments in the version's folder, and write its playlists.

    The tasks that encoded the track cut it into segments, and the store copies them. Only segments that must
    change are fetched: those of MPEG-TS, whose continuity counters run through the whole track, and those
    that AES-128 encrypts. Players see nothing of it until ``VodPublishOperator`` points the stable playlist
    to it.

    Where files to download are asked for, further tasks join each from the same segments.

    :param track: one item of the XCom ``tracks`` of ``VodChooseOperator``, or, where nothing is left open, of
        ``VodPrepareOperator``.
    """

    template_fields: Sequence[str] = ("plan", "track")

    def __init__(self, *, track: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.track = track

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns ``{"track", "segments", "average_bps", "peak_bps", "codecs"}``; of a download, what
        ``_join`` returns.

        :raises LostWorkError: what it is made of is gone, or was made for another choice.
        :raises VerificationError: the chunks do not add up to the planned frames, or the segments break a
            rule of the track.
        """
        job = self.open_job(context)
        if "download" in self.track:
            return self._join(context, job)
        name = self.track["rendition"]
        if name not in track_names(job.plan):
            raise LostWorkError(
                f"{name} is left out of this video now: the choice came out otherwise; clear the run"
            )
        done = checkpoint.load(self.worker.temp, job.segmented(name), objects_in=self.worker.results)
        if done is not None:
            self.log.info("%s is segmented already", name)
            track = Track.model_validate(done.facts)
            require_crf(name, track.crf, final_crfs(self.worker.temp, job).get(name))
        else:
            track = self._segment(job, name)
        return {
            "track": name,
            "segments": len(track.segments),
            "average_bps": track.average_bps,
            "peak_bps": track.peak_bps(measure.target_duration_s(job.plan)),
            "codecs": track.codecs,
        }

    def _join(self, context: Context, job: Job) -> dict[str, Any]:
        """Join a file to download; returns its facts.

        :raises LostWorkError: another choice has no such file.
        """
        name = self.track["download"]
        file = next((file for file in files_of(job.plan) if file.stem == name), None)
        if file is None:
            raise LostWorkError(
                f"no file of {name} is made of this video now: the choice came out otherwise; clear the run"
            )
        made = download(self.worker, job, file, alive=lambda: self.renew_claim(context, job.plan.video_id))
        return made.model_dump(mode="json")

    def _segment(self, job: Job, name: str) -> Track:
        plan, timeline = job.plan, read_timeline(self.worker.temp, job)
        # What the packager has encrypted needs no key here.
        facts = job.keys_of(name) if plan.preset.scheme else ()
        key = None if plan.preset.scheme else job_keys(self.settings, job, [name]).get(name)
        audio = next((audio for audio in plan.audio if audio.name == name), None)
        crf = final_crfs(self.worker.temp, job).get(name)
        parts = encoded(self.worker.temp, job, timeline, name)
        pieces = [part.piece for part in parts]
        init = init_of(job, timeline, name, pieces[0])
        if audio:
            track = track_of(
                name,
                pieces,
                audio.sample_rate,
                kind="audio",
                language=audio.language,
                title=audio.title,
                default=audio.default,
                describes_video=audio.stream.describes_video,
                hearing_impaired=audio.stream.hearing_impaired,
                commentary=audio.stream.commentary,
            )
            measure.check_audio_track(track, audio, timeline.audio_samples(audio, plan.frame_rate))
        else:
            track = track_of(name, pieces, plan.timescale, kind="video", frame_rate=plan.frame_rate, crf=crf)
            measure.check_video_track(track, plan, plan.rendition(name), timeline.frames)
        names = iter(track.segments)
        segments = [
            _Encoded(part.place, part.stored(name, next(names).name), shift)
            for part, shift in zip(parts, counter_shifts(pieces), strict=True)
            for _ in part.piece.segments
        ]
        is_locked = plan.preset.encryption == "aes-128"
        changes = is_locked or any(any(segment.shift.values()) for segment in segments)
        with self.worker.scratch(changes * sum(segment.stored.size_bytes for segment in segments)) as folder:
            stored = {} if changes else self._copy(job, name, segments)
            if not audio and plan.preset.trick_mode and plan.is_smallest(plan.rendition(name)):
                sizes = self._write_key_frames(segments, pieces[0], folder)
                track = track.changed(trick_bytes=tuple(sizes))
            if changes:
                self._fetch(segments, folder)
            if key is not None and is_locked:
                track = lock_segments(track, key.first, folder)
            elif facts and plan.preset.scheme:
                rotation = plan.preset.key_rotation
                encryption = sample_encryption(
                    facts, plan.preset.scheme, segments=rotation.segments if rotation else 0
                )
                track = track.changed(encryption=encryption)
            if init:
                (folder / INIT).write_bytes(init)
            target = measure.target_duration_s(plan)
            (folder / "index.m3u8").write_text(hls.media_playlist(track, target), "utf-8")
            if not audio:
                (folder / "iframes.m3u8").write_text(hls.i_frame_playlist(track, target), "utf-8")
            objects = stored | store_track(self.worker.results, job, name, folder)
        checkpoint.save(
            self.worker.temp,
            job.segmented(name),
            Marker(objects=objects, facts=track.model_dump(mode="json")),
        )
        return track

    def _copy(self, job: Job, name: str, segments: Sequence[_Encoded]) -> dict[str, Stored]:
        """Have the store copy the segments into the version's folder; returns the copies by file name."""

        def copy(segment: _Encoded) -> tuple[str, Stored]:
            file = Path(segment.stored.uri).name
            uri = job.result_keys.version(job.version, f"{name}/{file}")
            with segment.place.relying_on(self.worker.temp):
                stored = checkpoint.copy(
                    self.worker.temp, segment.stored, self.worker.results, uri, **headers_of(file)
                )
            return file, stored

        with ThreadPoolExecutor(TRANSFERS) as pool:
            return dict(pool.map(copy, segments))

    def _write_key_frames(self, segments: Sequence[_Encoded], piece: Piece, folder: Path) -> list[int]:
        """Write a segment of key frames beside each segment; returns their sizes.

        :raises VerificationError: a segment is not what a track of key frames can be made of.
        """
        tracks = read_init(bytes.fromhex(piece.init))[1]
        defaults = {number: track.defaults for number, track in tracks.items()}

        def write(item: tuple[int, _Encoded]) -> int:
            number, segment = item
            with segment.place.relying_on(self.worker.temp):
                data = b"".join(checkpoint.read_checked(self.worker.temp, segment.stored))
            return (folder / trick_name(number)).write_bytes(trick_segment(data, number, defaults))

        with ThreadPoolExecutor(TRANSFERS) as pool:
            return list(pool.map(write, enumerate(segments, start=1)))

    def _fetch(self, segments: Sequence[_Encoded], folder: Path) -> None:
        """Copy the segments into the folder, with the continuity counters of the whole track."""

        def get(segment: _Encoded) -> None:
            stored = segment.stored
            path = folder / Path(stored.uri).name
            with segment.place.relying_on(self.worker.temp):
                fetch(self.worker.temp, stored.uri, path, sha256=stored.sha256, size=stored.size_bytes)
            if any(segment.shift.values()):
                with path.open("r+b") as file, mmap(file.fileno(), 0) as data:
                    shift_counters(data, segment.shift)

        with ThreadPoolExecutor(TRANSFERS) as pool:
            list(pool.map(get, segments))


def headers_of(file: str) -> dict[str, str]:
    """Content type and Cache-Control of a version's file."""
    return {"content_type": CONTENT_TYPES[Path(file).suffix], "cache_control": IMMUTABLE}


def store_track(results: Storage, job: Job, name: str, folder: Path) -> dict[str, Stored]:
    """Store all files of a folder as a track of the version; returns the objects by file name."""

    def store(path: Path) -> tuple[str, Stored]:
        uri = job.result_keys.version(job.version, f"{name}/{path.name}")
        return path.name, checkpoint.put(results, path, uri, **headers_of(path.name))

    # Playlists last, so that a playlist never names an object that does not exist yet.
    files = sorted(folder.iterdir(), key=lambda path: (path.suffix == ".m3u8", path.name))
    with ThreadPoolExecutor(TRANSFERS) as pool:
        return dict(pool.map(store, files))
