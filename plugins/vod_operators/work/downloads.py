"""Joins the segments of renditions into files to download, and streams them into the results store.

Nothing is encoded, and no disk is needed: headers are read first, and then every segment once, in the order
in which the file holds its samples. What memory holds is numbers, and a few blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from zlib import crc32

from vod_operators.errors import CorruptObjectError
from vod_operators.formats.isobmff import Defaults
from vod_operators.formats.mp4 import read_init
from vod_operators.media import chapters
from vod_operators.media.downloads import TYPES, Download, File
from vod_operators.media.models import Timeline
from vod_operators.media.movie import Movie, Part, movie
from vod_operators.media.presets.downloads import FOLDER
from vod_operators.media.samples import Places, Samples, find_places
from vod_operators.media.track import segment_name
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Block, Storage
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.work.choice import final_crfs, require_crf
from vod_operators.work.encoded import Encoded, encoded, init_of
from vod_operators.work.job import Job, read_timeline
from vod_operators.work.packaged import TRANSFERS
from vod_operators.work.stable import IMMUTABLE
from vod_operators.work.worker import Worker

HEADERS = 64
"""Segments whose headers are held at a time."""

FILE, CRF = "download", "crf"
"""Facts of a marker: the file, and how its pictures were chosen to be encoded."""


@dataclass(frozen=True)
class _Segment:
    """A segment in the temp store."""

    part: Encoded
    stored: Stored
    places: Places

    def relying_on(self, temp: Storage) -> AbstractContextManager[None]:
        return self.part.place.relying_on(temp)


@dataclass(frozen=True)
class _Track:
    part: Part
    segments: Sequence[_Segment]


def download(worker: Worker, job: Job, file: File, *, alive: Callable[[], object]) -> Download:
    """Join a file and store it in the version's folder, unless an earlier try did.

    :param alive: called for about every second of the video.
    :raises LostWorkError: a segment is gone or damaged.
    :raises VerificationError: the segments do not follow each other.
    """
    marker = job.segmented(file.step)
    done = checkpoint.load(worker.temp, marker, objects_in=worker.results)
    crfs = final_crfs(worker.temp, job)
    if done is not None:
        return joined(done, file, crfs)
    timeline = read_timeline(worker.temp, job)
    tracks = [_track(worker.temp, job, timeline, file, name) for name in file.tracks]
    marks = chapters.marks(chapters.told(job.plan, timeline))
    made = movie([track.part for track in tracks], marks, major=b"isom" if file.rendition else b"M4A ")
    name = file.name(job.plan.video_id)
    stored = checkpoint.write_hashed(
        worker.results,
        job.result_keys.version(job.version, f"{FOLDER}/{name}"),
        _blocks(worker.temp, made, tracks, alive),
        content_type=TYPES[PurePosixPath(name).suffix],
        cache_control=IMMUTABLE,
        content_disposition=f'attachment; filename="{name}"',
    )
    made_file = Download(
        names=file.asked,
        uri=f"{job.version}/{FOLDER}/{name}",
        kind="video" if file.rendition else "audio",
        renditions=file.tracks,
        size_bytes=stored.size_bytes,
        duration_s=float(max(track.part.shown for track in tracks)),
    )
    facts = {FILE: made_file.model_dump(mode="json"), CRF: crfs.get(file.rendition or "")}
    checkpoint.save(worker.temp, marker, Marker(objects={name: stored}, facts=facts))
    return made_file


def joined(marker: Marker, file: File, crfs: Mapping[str, float]) -> Download:
    """The file that a marker tells of.

    :param crfs: of the renditions as they are chosen.
    :raises LostWorkError: it was made for another choice.
    """
    require_crf(file.step, marker.facts[CRF], crfs.get(file.rendition or ""))
    return Download.model_validate(marker.facts[FILE])


def _track(temp: Storage, job: Job, timeline: Timeline, file: File, name: str) -> _Track:
    """A rendition's samples, by the headers of its segments."""
    plan = job.plan
    parts = encoded(temp, job, timeline, name)
    init = init_of(job, timeline, name, parts[0].piece)
    ((number, described),) = read_init(init)[1].items()
    defaults = {number: described.defaults}
    listed = [part for part in parts for _ in part.piece.segments]

    def look(item: tuple[int, Encoded]) -> _Segment:
        at, part = item
        stored = part.stored(name, segment_name(at, "fmp4"))
        with part.place.relying_on(temp):
            return _Segment(part, stored, _places(temp, stored, defaults))

    samples, segments = Samples(timescale=described.timescale), []
    with ThreadPoolExecutor(TRANSFERS) as pool:
        # Some at a time: what a fragment's samples are is much, until it is in the columns.
        for first in range(0, len(listed), HEADERS):
            for segment in pool.map(look, enumerate(listed[first : first + HEADERS], start=first + 1)):
                for fragment in segment.places.fragments:
                    samples.add(fragment)
                segment.places.fragments.clear()
                segments.append(segment)
    audio = next((audio for audio in plan.audio if audio.name == name), None)
    if audio is None:
        shown = timeline.seconds(plan.frame_rate)
    else:
        shown = Fraction(timeline.audio_samples(audio, plan.frame_rate), audio.sample_rate)
    is_default = name in (file.rendition, file.sounds[0] if file.sounds else None)
    return _Track(Part(init=init, samples=samples, shown=shown, is_default=is_default), segments)


def _places(temp: Storage, stored: Stored, defaults: dict[int, Defaults]) -> Places:
    def read(at: int, length: int) -> bytes:
        return b"".join(temp.read(stored.uri, start=at, length=length))

    return find_places(read, stored.size_bytes, defaults)


def _blocks(
    temp: Storage, made: Movie, tracks: Sequence[_Track], alive: Callable[[], object]
) -> Iterator[Block]:
    """The whole file."""
    yield made.head
    with ThreadPoolExecutor(len(tracks)) as pool:
        sources = [_Source(temp, track.segments, pool) for track in tracks]
        for stretch in made.order:
            alive()
            yield from sources[stretch.track].take(stretch.size_bytes)
        for source in sources:
            source.finish()


def _ahead(pool: Executor, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks. The next one is read and added to its checksum while one is used."""
    following = pool.submit(next, blocks, b"")
    while block := following.result():
        following = pool.submit(next, blocks, b"")
        yield block


class _Source:
    """The samples' bytes of a track, one after the other."""

    def __init__(self, temp: Storage, segments: Sequence[_Segment], pool: Executor) -> None:
        self._blocks = self._read(temp, segments, pool)
        self._block = memoryview(b"")

    def take(self, size: int) -> Iterator[memoryview]:
        """The next ``size`` bytes."""
        while size:
            if not self._block:
                self._block = next(self._blocks)
            piece, self._block = self._block[:size], self._block[size:]
            size -= len(piece)
            yield piece

    def finish(self) -> None:
        """Read what is left of the last segment, which completes its checksum."""
        assert next(self._blocks, None) is None

    def _read(self, temp: Storage, segments: Sequence[_Segment], pool: Executor) -> Iterator[memoryview]:
        for segment in segments:
            with segment.relying_on(temp):
                yield from _samples_of(segment, _ahead(pool, checkpoint.read_checked(temp, segment.stored)))


def _samples_of(segment: _Segment, blocks: Iterator[bytes]) -> Iterator[memoryview]:
    """The samples of a segment. Its headers must be those that were read before.

    :raises CorruptObjectError: they are not.
    """
    spans, at, rest = iter(segment.places.spans), 0, 0
    begin, end = next(spans, (segment.stored.size_bytes,) * 2)
    for block in blocks:
        view = memoryview(block)
        while view:
            if at < begin:
                piece, view = view[: begin - at], view[begin - at :]
                rest = crc32(piece, rest)
            else:
                piece, view = view[: end - at], view[end - at :]
                yield piece
            at += len(piece)
            if at == end:
                begin, end = next(spans, (segment.stored.size_bytes,) * 2)
    if rest != segment.places.rest_crc32:
        raise CorruptObjectError(f"{segment.stored.uri}: its headers are not those that were read first")
