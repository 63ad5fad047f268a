"""What the encoding tasks left of a track: where its segments are in the temp store, and their facts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from vod_operators.media.models import Timeline
from vod_operators.media.names import iso_639_2, language_tag
from vod_operators.media.pieces import Piece, in_language, lasting
from vod_operators.pipeline import AUDIO, CORRECT, TRANSCODE
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.work.choice import AGAIN, CRFS, corrections_of, final_crfs, require_crf
from vod_operators.work.job import Job
from vod_operators.work.packaged import SOUND, TRANSFERS


@dataclass(frozen=True)
class Place:
    """A whole track, or one chunk of it: its folder in the temp store, its marker, and its step."""

    folder: str
    marker: str
    step: str

    def relying_on(self, temp: Storage) -> AbstractContextManager[None]:
        """Around work with its objects, as ``checkpoint.relying_on``."""
        return checkpoint.relying_on(temp, self.marker, step=self.step)


@dataclass(frozen=True)
class Encoded:
    """A part of a track: the segments of one chunk, or of a whole sound track."""

    place: Place
    marker: Marker
    piece: Piece

    def stored(self, name: str, file: str) -> Stored:
        """The record of a segment of the track ``name``."""
        return self.marker.objects[f"{name}/{file}"]


def encoded(temp: Storage, job: Job, timeline: Timeline, name: str) -> list[Encoded]:
    """All parts of a track, in order.

    :raises LostWorkError: one is gone or damaged, or was made for another choice.
    """
    crf = final_crfs(temp, job).get(name)

    def read(place: Place) -> Encoded:
        marker = checkpoint.require(temp, place.marker, step=place.step)
        require_crf(f"{place.folder}/{name}", marker.facts.get(CRFS, {}).get(name), crf)
        with place.relying_on(temp):
            piece = checkpoint.read_document(temp, marker.objects[f"{name}/facts"].uri, Piece)
        return Encoded(place, marker, piece)

    with ThreadPoolExecutor(TRANSFERS) as pool:
        return list(pool.map(read, _places(temp, job, timeline, name)))


def _places(temp: Storage, job: Job, timeline: Timeline, name: str) -> Sequence[Place]:
    marker = job.work_keys.marker
    if any(audio.name == name for audio in job.plan.audio):
        return [Place(SOUND, marker(name), AUDIO)]
    chunks = [chunk.name for chunk in timeline.chunks]
    if name in corrections_of(temp, job):
        return [Place(chunk, marker(chunk), CORRECT) for chunk in (chunk + AGAIN for chunk in chunks)]
    return [Place(chunk, marker(chunk), TRANSCODE) for chunk in chunks]


def init_of(job: Job, timeline: Timeline, name: str, piece: Piece) -> bytes:
    """The init segment of the whole track; empty if its container has none.

    :param piece: the first part's.
    """
    init = bytes.fromhex(piece.init)
    if not init:
        return b""
    audio = next((audio for audio in job.plan.audio if audio.name == name), None)
    if audio is None:
        init = lasting(init, timeline.seconds(job.plan.frame_rate))
    picture = job.plan.source.video
    language = audio.language if audio else language_tag(picture.language if picture else None)
    return in_language(init, iso_639_2(language))
