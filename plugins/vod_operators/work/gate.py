"""The gate decodes, before a version is shown, both ends of each of its tracks and each join of chunks.

It runs beside the rules, compares the segments that it reads with their checksums, because not every decoder
notices damage, decodes only the GOPs at ends and joins, and stops after ``LIMIT_S``.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vod_operators.check.crypto import decrypted_whole
from vod_operators.errors import CorruptObjectError, LostWorkError, ToolError, VerificationError
from vod_operators.formats.cbcs import decrypted_samples
from vod_operators.formats.facts import Key
from vod_operators.media.decoding import Clip, count_frames, decode_clips, faults_in, has_no_decoder
from vod_operators.media.encryption import ContentKey
from vod_operators.media.models import Timeline
from vod_operators.media.track import Track, tables_bytes
from vod_operators.pipeline import AUDIO, SEGMENT, TRANSCODE
from vod_operators.runners.base import Runner
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Stored
from vod_operators.work.job import Job
from vod_operators.work.packaged import INIT
from vod_operators.work.worker import Worker

SECOND = 1
"""Seconds that are decoded of each end, and on each side of a join, rounded up to a GOP where one begins."""

LIMIT_S = 20
"""No join is begun after that."""

COMMANDS = 4
"""Most commands at once; each decodes a place in all renditions, with a thread for each of them."""

READS = 4
"""Segments of a place read at once, to hide the store's latency."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Bytes ``[begin, end)`` of a segment, as they are when it is not encrypted; None: to its end."""

    segment: int
    """Index in the track."""
    frames: int
    begin: int = 0
    end: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Parts of one track that are decoded as one clip."""

    track: Track
    parts: tuple[Part, ...]
    frames: int
    """How many are decoded; the parts may hold more."""


def head_of(track: Track, segment: int) -> Part:
    """The first second of a segment, and the rest of its GOP."""
    facts, rate = track.facts[segment], track.frame_rate
    stream = facts.streams[0]
    keys = [key for key in stream.keys if key.at >= stream.begin + SECOND]
    if not keys or rate is None:
        return Part(segment=segment, frames=stream.samples)
    return Part(segment=segment, frames=round((keys[0].at - stream.begin) * rate), end=keys[0].begin)


def tail_of(track: Track, segment: int) -> Part:
    """The last second of a segment, and the GOP's beginning before it."""
    facts, rate = track.facts[segment], track.frame_rate
    stream = facts.streams[0]
    end = stream.begin + stream.duration
    keys: list[Key] = [key for key in stream.keys[1:] if key.at <= end - SECOND]
    if not keys or rate is None:
        return Part(segment=segment, frames=stream.samples)
    before = round((keys[-1].at - stream.begin) * rate)
    return Part(segment=segment, frames=stream.samples - before, begin=keys[-1].begin)


def _of_head(track: Track, part: Part) -> int:
    """Frames of a head that are decoded."""
    return min(part.frames, math.ceil(SECOND * track.frame_rate)) if track.frame_rate else part.frames


def cuts_of(job: Job, timeline: Timeline, tracks: Sequence[Track]) -> list[list[Cut]]:
    """The cuts of each place: both ends, then the joins, in an order that spreads any number of them."""
    media = [track for track in tracks if track.kind != "text"]
    ends: list[list[Cut]] = [[], []]
    for track in media:
        head, tail = head_of(track, 0), tail_of(track, len(track.facts) - 1)
        ends[0].append(Cut(track=track, parts=(head,), frames=_of_head(track, head)))
        if (tail.segment, tail.begin) != (0, 0):
            ends[1].append(Cut(track=track, parts=(tail,), frames=tail.frames))
    joins: list[list[Cut]] = []
    for chunk in timeline.chunks[1:]:
        following, cuts = chunk.first // job.plan.segment_frames, []
        for track in media:
            if track.kind == "video":
                parts = tail_of(track, following - 1), head_of(track, following)
                frames = parts[0].frames + _of_head(track, parts[1])
                cuts.append(Cut(track=track, parts=parts, frames=frames))
        joins.append(cuts)
    numbers = sorted(range(len(joins)), key=lambda number: f"{number:020b}"[::-1])
    return [place for place in (*ends, *(joins[number] for number in numbers)) if place]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Decodes the places of a version."""

    worker: Worker
    job: Job
    timeline: Timeline
    tracks: Sequence[Track]
    digests: Mapping[str, str]
    """SHA-256 of the tracks' objects, by URI."""
    key: ContentKey | None
    _faults: list[tuple[Cut, str]] = field(default_factory=list, init=False)

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Decode in threads while the context lasts, and wait for them at its end.

        :raises LostWorkError: a stored object is damaged, or was made so that it cannot be decoded. The
            markers of the steps that made it are deleted.
        :raises ToolError: ffmpeg failed for another reason.
        """
        places, begin = cuts_of(self.job, self.timeline, self.tracks), time.monotonic()
        count = max(1, min(COMMANDS, os.cpu_count() or 1, len(places)))
        runners: queue.SimpleQueue[Runner] = queue.SimpleQueue()
        for _ in range(count):
            runners.put(self.worker.another_runner())

        def decode(place: Sequence[Cut]) -> bool:
            if time.monotonic() > begin + LIMIT_S:
                return False
            runner = runners.get()
            try:
                self._decode(place, runner)
            finally:
                runners.put(runner)
            return True

        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(decode, place) for place in places]
            try:
                yield
                done = sum([future.result() for future in futures])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        log.info(
            "decoded %d of %d places (ends and joins) in %.1f s", done, len(places), time.monotonic() - begin
        )
        if self._faults:
            errors = [self._lost(cut, words) for cut, words in self._faults]
            raise errors[0]

    def _decode(self, place: Sequence[Cut], runner: Runner) -> None:
        """Decode a place in all its tracks, and keep what is wrong."""
        with ThreadPoolExecutor(READS) as pool:
            contents = list(pool.map(self._read, place))
        clips = {
            f"{number}": (cut, content)
            for number, (cut, content) in enumerate(zip(place, contents, strict=True))
            if content is not None
        }
        if not clips:
            return
        with self.worker.scratch(sum(len(content) for _, content in clips.values())) as folder:
            for file, (_, content) in clips.items():
                (folder / file).write_bytes(content)
            cuts = {file: cut for file, (cut, _) in clips.items()}
            if self._fault(cuts, folder, runner) is not None:  # of which, each alone tells
                alone = [(cut, self._fault({file: cut}, folder, runner)) for file, cut in cuts.items()]
                self._faults.extend((cut, words) for cut, words in alone if words is not None)

    def _fault(self, cuts: Mapping[str, Cut], folder: Path, runner: Runner) -> str | None:
        """What is wrong with clips in a folder, decoded in one command; None if nothing is."""
        clips = [
            Clip(
                file=file,
                container=cut.track.facts[0].container,
                codecs={cut.track.kind: cut.track.family},
                frames=cut.frames,
            )
            for file, cut in cuts.items()
            if cut.track.kind != "text"
        ]
        try:
            argv = decode_clips(self.worker.tools.ffmpeg, clips, threads=1)
            lines = runner.run(argv, folder=folder)
        except ToolError as error:
            lines = error.stderr_tail.splitlines()
            if not error.is_answer:
                raise
            if has_no_decoder(lines) and len(clips) == 1:
                log.warning("this ffmpeg cannot decode %s", clips[0].codecs)
                return None
            return error.describe()
        if faults := faults_in(lines, clips):
            return f"a decoder complains: {faults[0]}"
        for clip, cut in zip(clips, cuts.values(), strict=True):
            frames = count_frames((folder / clip.counts(cut.track.kind)).read_bytes())
            if frames != cut.frames:
                return f"{frames} of {cut.frames} frames can be decoded"
        return None

    # --- reading ----------------------------------------------------------------------------

    def _uri(self, track: Track, name: str) -> str:
        return self.job.result_keys.version(self.job.version, f"{track.name}/{name}")

    def _bytes(self, track: Track, name: str, size_bytes: int) -> bytes:
        """A whole object.

        :raises LostWorkError: it is not what was stored; the marker of the step that stored it is deleted.
        """
        uri, marker = self._uri(track, name), self.job.segmented(track.name)
        record = Stored(uri=uri, size_bytes=size_bytes, sha256=self.digests[uri])
        with checkpoint.relying_on(self.worker.temp, marker, step=SEGMENT):
            return b"".join(checkpoint.read_checked(self.worker.results, record))

    @cached_property
    def _inits(self) -> dict[str, bytes]:
        """Content of each track's init segment, by the track's name."""
        return {
            track.name: self._bytes(track, INIT, track.init_bytes)
            for track in self.tracks
            if track.init_bytes
        }

    def _read(self, cut: Cut) -> bytes | None:
        """A clip, decrypted; None if it cannot be."""
        init = self._inits.get(cut.track.name, b"")
        try:
            clear = b"".join(self._part(cut.track, part) for part in cut.parts)
            if cut.track.encryption and cut.track.encryption.method == "SAMPLE-AES":
                found = decrypted_samples(init, clear, self.key.key) if self.key else None
                return None if found is None else init + found
        except VerificationError as error:
            self._faults.append((cut, str(error)))
            return None
        return init + clear

    def _part(self, track: Track, part: Part) -> bytes:
        name, facts = track.segments[part.segment].name, track.facts[part.segment]
        data = self._bytes(track, name, facts.size_bytes)
        if track.encryption and track.encryption.method == "AES-128" and self.key:
            data = decrypted_whole(data, self.key.key, part.segment.to_bytes(16, "big"))
        tables = tables_bytes(facts) if part.begin else 0
        return data[:tables] + data[part.begin : part.end]

    # --- damage -----------------------------------------------------------------------------

    def _lost(self, cut: Cut, words: str) -> LostWorkError:
        """Delete the markers of the steps that made a cut; returns the error that says so.

        Its objects are what was stored, so it was made so, and is made again from the source.
        """
        track, keys = cut.track, self.job.work_keys
        makers, step = self._chunks(cut), TRANSCODE
        if track.kind == "audio":
            makers, step = [keys.marker(track.name)], AUDIO
        uri = self._uri(track, track.segments[cut.parts[0].segment].name)
        try:
            with checkpoint.relying_on(self.worker.temp, self.job.segmented(track.name), *makers, step=step):
                raise CorruptObjectError(f"{uri}: {words}")
        except LostWorkError as error:
            return error

    def _chunks(self, cut: Cut) -> list[str]:
        """Markers of the chunks that a cut's segments are of."""
        firsts = [part.segment * self.job.plan.segment_frames for part in cut.parts]
        return [
            self.job.work_keys.marker(chunk.name)
            for chunk in self.timeline.chunks
            if any(chunk.first <= first < chunk.last for first in firsts)
        ]
