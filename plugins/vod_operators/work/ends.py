"""Decodes both ends of what an encoding task made, and its inner joins, before it is stored.

The last second of one chunk and the first of the next are a join. So every join, and both ends of each track,
have been decoded when ``publish`` comes, which reads none of them again.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from vod_operators.errors import VerificationError
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.samples import decrypted_samples
from vod_operators.media.decoding import Clip
from vod_operators.media.encryption import TrackKeys
from vod_operators.media.pieces import Piece
from vod_operators.media.track import segment_number, tables_bytes
from vod_operators.work.decoding import Outcome, decode
from vod_operators.work.worker import Worker

FIRST, LAST = "its first second", "its last second"

SECOND = 1
"""Seconds that are decoded at each end; at the last, from the key frame before."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _End:
    """Bytes ``[begin, end)`` of a segment, as they are when it is not encrypted; None: to its end."""

    says: str
    """What messages call it."""
    segment: int
    frames: int
    """How many are decoded; the bytes may hold more."""
    begin: int = 0
    end: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The ends of a task's tracks, copied into its scratch folder until ``check`` decodes them together."""

    worker: Worker
    folder: Path
    task: str
    """The chunk or sound track, for messages."""
    keys: Mapping[str, TrackKeys]
    """Rendition -> keys with which the packager encrypted it; none if it did not."""
    _clips: dict[str, Clip] = field(default_factory=dict, init=False)
    """By what messages call them."""

    def add(self, rendition: str, piece: Piece, joins: Sequence[int] = ()) -> None:
        """Copy both ends of a packaged rendition, whose segments are in the folder.

        :param joins: frames, from 0 on, at which one encode went on behind another; their segments are
            decoded whole.
        :raises VerificationError: they are not encrypted as they should be.
        """
        files, init = sorted(self.folder.glob("seg-*")), bytes.fromhex(piece.init)
        family = piece.described(1)["codecs"].partition(".")[0]
        places = [*_ends_of(piece.segments), *_segments_of(piece.segments, joins)]
        for number, end in enumerate(places):
            facts = piece.segments[end.segment]
            file = f"end-{rendition}-{number}"
            path = files[end.segment]
            content = init + self._clear(
                rendition, segment_number(path.name) - 1, init, _bytes_of(end, facts, path)
            )
            (self.folder / file).write_bytes(content)
            self._clips[f"{self.task}/{rendition}: {end.says}"] = Clip(
                file=file,
                container=facts.container,
                codecs={facts.streams[0].kind: family},
                frames=end.frames,
            )

    def _clear(self, rendition: str, number: int, init: bytes, data: bytes) -> bytes:
        keys = self.keys.get(rendition)
        clear = decrypted_samples(init, data, keys.of_segment(number).key) if keys else data
        if clear is None:
            raise VerificationError(f"{self.task}: the packager did not encrypt as it was told")
        return clear

    def check(self) -> None:
        """Decode all ends, in one command.

        :raises VerificationError: a decoder complains of one, or gives other frames than it has.
        :raises ToolError: ffmpeg failed for another reason.
        """
        if self._is_good(self._decoded(self._clips)):
            return
        for says, clip in self._clips.items():  # of which, each alone tells
            outcome = self._decoded({says: clip})
            if outcome is None:
                log.warning("%s is not checked: this ffmpeg has no decoder for it", says)
            elif words := self._fault(outcome, clip):
                raise VerificationError(f"{says}: {words}")

    def _decoded(self, clips: Mapping[str, Clip]) -> Outcome | None:
        tool = self.worker.tools.ffmpeg
        return decode(self.worker.runner, tool, list(clips.values()), self.folder, threads=1)

    def _is_good(self, outcome: Outcome | None) -> bool:
        return outcome is not None and not any(self._fault(outcome, clip) for clip in self._clips.values())

    def _fault(self, outcome: Outcome, clip: Clip) -> str | None:
        """What is wrong with a clip, or with one of those decoded with it; None if nothing is."""
        if outcome.error:
            return outcome.error.describe()
        if outcome.faults:
            return f"a decoder complains: {outcome.faults[0]}"
        (kind,) = clip.codecs
        frames = outcome.frames[clip.counts(kind)]
        return f"{frames} of {clip.frames} frames can be decoded" if frames != clip.frames else None


def _ends_of(segments: Sequence[SegmentFacts]) -> list[_End]:
    """The first second, and the last one if it does not lie within the same bytes."""
    first, last = segments[0].streams[0], segments[-1].streams[0]
    rate = first.samples / first.duration
    later = [key for key in first.keys if key.at >= first.begin + SECOND]
    # Sound has no keys: its segments are decoded whole.
    head = first.samples if not first.keys else min(first.samples, math.ceil(SECOND * rate))
    ends = [_End(says=FIRST, segment=0, frames=head, end=later[0].begin if later else None)]
    earlier = [key for key in last.keys[1:] if key.at <= last.begin + last.duration - SECOND]
    if earlier:
        before = round((earlier[-1].at - last.begin) * rate)
        tail = _End(
            says=LAST, segment=len(segments) - 1, frames=last.samples - before, begin=earlier[-1].begin
        )
        return [*ends, tail]
    if len(segments) == 1:
        return [_End(says=FIRST, segment=0, frames=first.samples)]
    return [*ends, _End(says=LAST, segment=len(segments) - 1, frames=last.samples)]


def _segments_of(segments: Sequence[SegmentFacts], joins: Sequence[int]) -> list[_End]:
    """The segments that hold these frames."""
    lasts = list(accumulate(facts.streams[0].samples for facts in segments))
    return [
        _End(
            says=f"segment {number}, where a try went on",
            segment=number,
            frames=segments[number].streams[0].samples,
        )
        for number in sorted({bisect_right(lasts, frame) for frame in joins})
    ]


def _bytes_of(end: _End, facts: SegmentFacts, path: Path) -> bytes:
    data = path.read_bytes()
    tables = tables_bytes(facts) if end.begin else 0
    return data[:tables] + data[end.begin : end.end]
