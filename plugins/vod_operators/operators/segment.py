"""One track, joined from its chunks, into segments that are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from vod_operators.errors import InvalidInputError, VerificationError
from vod_operators.media import captions, ffmpeg, hls, measure, transport
from vod_operators.media.check.facts import SegmentFacts
from vod_operators.media.check.load import measure_segment
from vod_operators.media.check.mp4 import read_init
from vod_operators.media.encoders import Codec
from vod_operators.media.encryption import ContentKey
from vod_operators.media.isobmff import Part, join
from vod_operators.media.models import AudioRendition, Timeline
from vod_operators.media.track import Encryption, KeyFrame, Segment, Track
from vod_operators.operators.base import VodBaseOperator
from vod_operators.operators.content_key import content_key, lock_segments, write_secret
from vod_operators.operators.job import Job
from vod_operators.operators.stable import IMMUTABLE, PLAYLIST_TYPE
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.checkpoint import Marker, Stored

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
"""A file that only this task's user may read, gone before anything is stored."""

UPLOADS = 4
"""Segments stored at once: enough to hide a store's latency."""


class VodSegmentHlsOperator(VodBaseOperator):
    """Join one rendition's chunks (or take one sound track), cut it into segments in the version's folder,
    measure them, write its playlists.

    The chunks are laid end to end on their way from the store, and counted frame by frame. Nothing here is
    visible to players until ``VodPublishOperator`` points the stable playlist at it.

    :param plan: URI of ``plan.json``.
    :param track: one item of ``prepare``'s ``renditions`` or ``audio``.
    """

    template_fields: Sequence[str] = ("plan", "track")

    def __init__(self, *, plan: str, track: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.track = track

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns ``{"track", "segments", "average_bps", "peak_bps", "codecs"}``.

        :raises VerificationError: the chunks do not make up the planned frames without a gap, or the
            segments break a rule of the track.
        """
        job = self.open_job(context, self.plan)
        name = self.track["rendition"]
        done = checkpoint.load(self.temp, job.segmented(name), objects_in=self.results)
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
        timeline = self.load_timeline(job)
        made_by, parts = self._made(job, timeline, name, audio)
        track_bytes = sum(stored.size_bytes for _, stored in parts)
        with self.scratch(2 * track_bytes) as folder:
            if audio:
                ((marker, stored),) = parts
                with checkpoint.relying_on(self.temp, marker, step=made_by):
                    checkpoint.obtain(self.temp, stored, folder / "track.mp4")
            else:
                with (folder / "track.mp4").open("wb") as file:
                    file.writelines(join(self._chunks(job, timeline, parts)))
            key = self._key(job)
            by_sample = key is not None and plan.preset.encryption == "cbcs"
            if key is not None and by_sample:
                write_secret(folder / FLAGS, key.packager_flags(name))
            argv = ffmpeg.package(
                self.tools.packager,
                "track.mp4",
                kind="audio" if audio else "video",
                segment=plan.seconds(plan.segment_frames),
                fragment=plan.seconds(plan.segment_frames if audio else plan.gop_of(plan.rendition(name))),
                transport=plan.preset.container == "ts",
                flags=FLAGS if by_sample else None,
            )
            self.runner.run(argv, folder=folder)
            (folder / FLAGS).unlink(missing_ok=True)
            # In the packets as they go into the segments, because MPEG-TS tears them into pieces.
            channels = () if audio else captions.channels_of(folder / "track.mp4")
            (folder / "track.mp4").unlink()
            track = self._measure(job, name, audio, channels, folder)
            if audio:
                samples = timeline.audio_samples(audio, plan.frame_rate)
                measure.check_audio_track(track, audio, samples)
            else:
                measure.check_video_track(track, plan, plan.rendition(name), timeline.frames)
            if key is not None and by_sample:
                told = Encryption(method="SAMPLE-AES", uri=key.facts.uri)
                track = track.model_copy(update={"encryption": told})
            elif key is not None:
                track = lock_segments(track, key, folder)
            target = measure.target_duration_s(plan)
            (folder / "index.m3u8").write_text(hls.media_playlist(track, target), "utf-8")
            if not audio:
                (folder / "iframes.m3u8").write_text(hls.i_frame_playlist(track, target), "utf-8")
            objects = store_track(self.results, job, name, folder)
        checkpoint.save(
            self.temp,
            job.segmented(name),
            Marker(objects=objects, facts=track.model_dump(mode="json")),
        )
        return track

    def _made(
        self, job: Job, timeline: Timeline, name: str, audio: AudioRendition | None
    ) -> tuple[str, list[tuple[str, Stored]]]:
        """The step that made the track, and its pieces: the marker of each, and the object."""
        step = "audio" if audio else "transcode"
        pieces = [name] if audio else [chunk.name for chunk in timeline.chunks]
        markers = [job.work_keys.marker(piece) for piece in pieces]
        found = checkpoint.require_each(self.temp, markers, step=step)
        return step, [(uri, marker.objects[name]) for uri, marker in zip(markers, found, strict=True)]

    def _chunks(self, job: Job, timeline: Timeline, parts: list[tuple[str, Stored]]) -> Iterator[Part]:
        ticks = job.plan.frame_ticks
        for chunk, (marker, stored) in zip(timeline.chunks, parts, strict=True):
            yield Part(
                name=f"{chunk.name}/{self.track['rendition']}",
                blocks=self._blocks(stored, marker),
                decode_time=chunk.first * ticks,
                samples=chunk.frames,
                sample_ticks=ticks,
            )

    def _blocks(self, stored: Stored, marker: str) -> Iterator[bytes]:
        with checkpoint.relying_on(self.temp, marker, step="transcode"):
            yield from checkpoint.read_checked(self.temp, stored)

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
        self, job: Job, name: str, audio: AudioRendition | None, channels: tuple[str, ...], folder: Path
    ) -> Track:
        files = sorted(folder.glob("seg-*"))
        if not files:
            raise VerificationError(f"{name}: the packager wrote no segment")
        plan = job.plan
        if plan.preset.container == "fmp4":
            facts = self._measure_fragments(files, None if audio else plan.rendition(name).codec)
        elif audio:
            facts = transport.measure_sound(_contents(files), audio)
        else:
            facts = transport.measure_pictures(_contents(files), plan)
        if audio:
            facts |= {"language": audio.language, "title": audio.title, "default": audio.default}
        else:
            facts |= {"frame_rate": plan.frame_rate, "captions": channels}
        checked = tuple(checked_facts(files))
        return Track(name=name, kind="audio" if audio else "video", checked=checked, **facts)

    def _measure_fragments(self, files: Sequence[Path], codec: Codec | None) -> dict[str, Any]:
        segments: list[Segment] = []
        key_frames: list[KeyFrame] = []
        start = 0
        for index, path in enumerate(files):
            with path.open("rb") as file:
                segment, keys = measure.measure_segment(
                    file,
                    index=index,
                    name=path.name,
                    size_bytes=path.stat().st_size,
                    start=start,
                    codec=codec,
                )
            segments.append(segment)
            key_frames += keys
            start += segment.ticks
        described = measure.init_facts(files[0].with_name("init.mp4").read_bytes())
        return described | {"segments": tuple(segments), "key_frames": tuple(key_frames)}


def checked_facts(files: Sequence[Path]) -> Iterator[SegmentFacts]:
    """What the validator sees in each segment; ``publish`` judges it."""
    init = files[0].with_name("init.mp4")
    tracks = read_init(init.read_bytes())[1] if init.exists() else {}
    for _, data in _contents(files):
        yield measure_segment(data, tracks, len(data))


def _contents(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for path in files:
        yield path.name, path.read_bytes()


def store_track(results: Storage, job: Job, name: str, folder: Path) -> dict[str, Stored]:
    """Move a track's files into a folder of the version; returns them by file name."""

    def put(path: Path) -> tuple[str, Stored]:
        uri = job.result_keys.version(job.version, f"{name}/{path.name}")
        headers = {"content_type": CONTENT_TYPES[path.suffix], "cache_control": IMMUTABLE}
        return path.name, checkpoint.put(results, path, uri, **headers)

    # Playlists last: whoever lists the folder sees none that names what is not there.
    files = sorted(folder.iterdir(), key=lambda path: (path.suffix == ".m3u8", path.name))
    with ThreadPoolExecutor(UPLOADS) as pool:
        return dict(pool.map(put, files))
