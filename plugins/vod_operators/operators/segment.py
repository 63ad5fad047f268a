"""Puts one video or sound track together from what the encoding tasks stored, as measured HLS segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import InvalidInputError
from vod_operators.formats.isobmff import Part, join
from vod_operators.media import captions, hls, measure, transport
from vod_operators.media.encryption import ContentKey
from vod_operators.media.models import AudioRendition, Plan, Timeline
from vod_operators.media.pieces import Piece, cut_when_encoded, lasting, track_of
from vod_operators.media.track import Encryption, Track
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.content_key import content_key, lock_segments, write_secret
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.storage.stores import fetch
from vod_operators.work.job import Job, read_timeline
from vod_operators.work.packaged import (
    INIT,
    SOUND,
    TRACK,
    TRANSFERS,
    checked_facts,
    contents,
    fragments_facts,
    package,
    segments_of,
)
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

FLAGS = "packager.flags"
"""File with the content key for the packager. Only this task's user may read it; deleted before anything is
stored."""


@dataclass(frozen=True)
class _Place:
    """A whole track, or one chunk of it: its folder in the temp store, its marker, and its step."""

    folder: str
    marker: str
    step: str


@dataclass(frozen=True)
class _Made:
    """A stored object that is a track, or a part of one."""

    place: _Place
    stored: Stored


class VodSegmentHlsOperator(VodBaseOperator):
    """Store one track's segments in the version's folder, and write its playlists.

    Most segments were cut by the tasks that encoded them, and the store copies them. A track of MPEG-TS, or
    one that the packager encrypts, is joined, cut and measured here. Players see nothing of it until
    ``VodPublishOperator`` points the stable playlist to it.

    :param plan: URI of ``plan.json``.
    :param track: one item of what ``VodPrepareOperator`` returns.
    """

    template_fields: Sequence[str] = ("plan", "track")

    def __init__(self, *, plan: str, track: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.track = track

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns ``{"track", "segments", "average_bps", "peak_bps", "codecs"}``.

        :raises VerificationError: the chunks do not add up to the planned frames, or the segments break a
            rule of the track.
        """
        job = self.open_job(context, self.plan)
        name = self.track["rendition"]
        done = checkpoint.load(self.worker.temp, job.segmented(name), objects_in=self.worker.results)
        if done is not None:
            self.log.info("%s is segmented already", name)
            track = Track.model_validate(done.facts)
        else:
            track = self._segment(job, name)
        return {
            "track": name,
            "segments": len(track.segments),
            "average_bps": track.average_bps,
            "peak_bps": track.peak_bps(measure.target_duration_s(job.plan)),
            "codecs": track.codecs,
        }

    def _segment(self, job: Job, name: str) -> Track:
        plan = job.plan
        audio = next((audio for audio in plan.audio if audio.name == name), None)
        timeline = read_timeline(self.worker.temp, job)
        key = self._key(job)
        places = self._places(job, timeline, name, audio)
        pieces: list[Piece] = []
        if cut_when_encoded(plan):
            pieces = self._pieces(job, places, name)
            made = [
                _Made(place, segment)
                for place, piece in zip(places, pieces, strict=True)
                for segment in segments_of(piece, job.work_keys, place.folder, name)
            ]
            copies = 0 if key is None else 1
        else:
            made, copies = self._made(places, name), 2
        with self.worker.scratch(copies * sum(item.stored.size_bytes for item in made)) as folder:
            stored: dict[str, Stored] = {}
            if pieces:
                track = self._joined(plan, name, audio, timeline, pieces, folder)
                if key is None:
                    stored = self._copy(job, name, made)
                else:
                    self._fetch(made, folder)
            else:
                track = self._package(job, name, audio, made, timeline, key, folder)
            if audio:
                samples = timeline.audio_samples(audio, plan.frame_rate)
                measure.check_audio_track(track, audio, samples)
            else:
                measure.check_video_track(track, plan, plan.rendition(name), timeline.frames)
            if key is not None and plan.preset.encryption == "cbcs":
                told = Encryption(method="SAMPLE-AES", uri=key.facts.uri)
                track = track.model_copy(update={"encryption": told})
            elif key is not None:
                track = lock_segments(track, key, folder)
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

    # --- results of the encoding tasks ---------------------------------------------------------

    def _places(self, job: Job, timeline: Timeline, name: str, audio: AudioRendition | None) -> list[_Place]:
        """The place of a whole sound track, or those of all chunks in order."""
        keys = job.work_keys
        if audio:
            return [_Place(SOUND, keys.marker(name), "audio")]
        return [_Place(chunk.name, keys.marker(chunk.name), "transcode") for chunk in timeline.chunks]

    def _relying_on(self, place: _Place) -> AbstractContextManager[None]:
        return checkpoint.relying_on(self.worker.temp, place.marker, step=place.step)

    # --- tracks that the encoding tasks cut ----------------------------------------------------

    def _pieces(self, job: Job, places: Sequence[_Place], name: str) -> list[Piece]:
        def read(place: _Place) -> Piece:
            with self._relying_on(place):
                return checkpoint.read_document(
                    self.worker.temp, job.work_keys.piece(place.folder, name), Piece
                )

        with ThreadPoolExecutor(TRANSFERS) as pool:
            return list(pool.map(read, places))

    def _joined(
        self,
        plan: Plan,
        name: str,
        audio: AudioRendition | None,
        timeline: Timeline,
        pieces: Sequence[Piece],
        folder: Path,
    ) -> Track:
        """The track that consists of the pieces; its init segment is written into the folder."""
        init = bytes.fromhex(pieces[0].init)
        if audio:
            track = track_of(name, pieces, **_described(audio))
        else:
            track = track_of(name, pieces, kind="video", frame_rate=plan.frame_rate)
            init = lasting(init, timeline.seconds(plan.frame_rate))
        (folder / INIT).write_bytes(init)
        return track

    def _copy(self, job: Job, name: str, segments: Sequence[_Made]) -> dict[str, Stored]:
        """Have the store copy the segments into the version's folder; returns the copies by file name."""

        def copy(segment: _Made) -> tuple[str, Stored]:
            file = Path(segment.stored.uri).name
            uri = job.result_keys.version(job.version, f"{name}/{file}")
            with self._relying_on(segment.place):
                stored = checkpoint.copy(
                    self.worker.temp, segment.stored, self.worker.results, uri, **headers_of(file)
                )
            return file, stored

        with ThreadPoolExecutor(TRANSFERS) as pool:
            return dict(pool.map(copy, segments))

    def _fetch(self, segments: Sequence[_Made], folder: Path) -> None:
        """Copy the segments into the folder, where they are encrypted in place."""

        def get(segment: _Made) -> None:
            stored = segment.stored
            path = folder / Path(stored.uri).name
            with self._relying_on(segment.place):
                fetch(self.worker.temp, stored.uri, path, sha256=stored.sha256, size=stored.size_bytes)

        with ThreadPoolExecutor(TRANSFERS) as pool:
            list(pool.map(get, segments))

    # --- tracks that are cut here --------------------------------------------------------------

    def _made(self, places: Sequence[_Place], name: str) -> list[_Made]:
        """The objects of a track: a whole sound track, or each chunk's rendition."""
        markers = checkpoint.require_each(
            self.worker.temp, [place.marker for place in places], step=places[0].step
        )
        return [_Made(place, marker.objects[name]) for place, marker in zip(places, markers, strict=True)]

    def _parts(self, job: Job, timeline: Timeline, made: list[_Made]) -> Iterator[Part]:
        ticks = job.plan.frame_ticks
        for chunk, item in zip(timeline.chunks, made, strict=True):
            yield Part(
                name=f"{chunk.name}/{self.track['rendition']}",
                blocks=self._blocks(item),
                decode_time=chunk.first * ticks,
                samples=chunk.frames,
                sample_ticks=ticks,
            )

    def _blocks(self, made: _Made) -> Iterator[bytes]:
        with self._relying_on(made.place):
            yield from checkpoint.read_checked(self.worker.temp, made.stored)

    def _package(
        self,
        job: Job,
        name: str,
        audio: AudioRendition | None,
        made: list[_Made],
        timeline: Timeline,
        key: ContentKey | None,
        folder: Path,
    ) -> Track:
        """Cut the whole track with the packager, and measure it."""
        plan, flags = job.plan, None
        if audio:
            with self._relying_on(made[0].place):
                checkpoint.obtain(self.worker.temp, made[0].stored, folder / TRACK)
        else:
            with (folder / TRACK).open("wb") as file:
                file.writelines(join(self._parts(job, timeline, made)))
        if key is not None and plan.preset.encryption == "cbcs":
            flags = FLAGS
            write_secret(folder / FLAGS, key.packager_flags(name))
        rendition = None if audio else plan.rendition(name)
        files = package(self.worker.runner, self.worker.tools.packager, plan, rendition, folder, flags=flags)
        (folder / FLAGS).unlink(missing_ok=True)
        # Read before packaging, because MPEG-TS splits the caption data across packets.
        channels = () if audio else captions.channels_of(folder / TRACK)
        (folder / TRACK).unlink()
        return self._measure(job, name, audio, channels, files)

    def _key(self, job: Job) -> ContentKey | None:
        if job.key is None:
            return None
        key = content_key(self.settings, job.plan.video_id)
        if key.facts != job.key:
            raise InvalidInputError(
                "VOD_KEY_CONN_ID: its connection has another key than when the run began; "
                "ask for the video again"
            )
        return key

    def _measure(
        self,
        job: Job,
        name: str,
        audio: AudioRendition | None,
        channels: tuple[str, ...],
        files: Sequence[Path],
    ) -> Track:
        plan = job.plan
        if plan.preset.container == "fmp4":
            facts = fragments_facts(files, None if audio else plan.rendition(name).codec)
        elif audio:
            facts = transport.measure_sound(contents(files), audio)
        else:
            facts = transport.measure_pictures(contents(files), plan)
        if audio:
            facts |= _described(audio)
        else:
            facts |= {"kind": "video", "frame_rate": plan.frame_rate, "captions": channels}
        return Track(name=name, checked=tuple(checked_facts(files)), **facts)


def _described(audio: AudioRendition) -> dict[str, Any]:
    """Facts of a sound track that cannot be measured on its segments, as fields of ``Track``."""
    return {
        "kind": "audio",
        "language": audio.language,
        "title": audio.title,
        "default": audio.default,
        "describes_video": audio.stream.describes_video,
    }


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
