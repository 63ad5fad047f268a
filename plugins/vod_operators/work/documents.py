"""Computes how large the markers of a request will be, and refuses a request before the work begins.

The marker of a track has an object and facts for each segment, and the facts have a line for each key frame.
That of a chunk has an object for each segment of each rendition. Later steps read both whole, so both have a
limit (``MAX_DOCUMENT_BYTES``).
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from pydantic import BaseModel

from vod_operators.errors import InvalidInputError
from vod_operators.formats.dolby import ENTRIES
from vod_operators.formats.facts import Cicp, Format, Key, SegmentFacts, Stream
from vod_operators.formats.hdr import StaticMetadata
from vod_operators.formats.segment import MAX_SEGMENT_BYTES
from vod_operators.media.admission import Limits, check_duration
from vod_operators.media.models import Plan, Timeline, clock
from vod_operators.media.presets.model import MAX_SEGMENT_GOPS
from vod_operators.media.sound_codecs import CODECS
from vod_operators.media.trick import trick_name
from vod_operators.storage.checkpoint import Stored
from vod_operators.storage.stores import MAX_DOCUMENT_BYTES
from vod_operators.work.job import Job

BASE_BYTES = 4096
"""The part of a document that does not grow: a track's names, an init segment in hex, playlists, pictures."""

# Numbers as long as any that are recorded. Bytes: as many digits as MAX_SEGMENT_BYTES has.
_BYTES, _COUNT = 10**8, 10**5
_SECONDS = Fraction(10**10 + 1, 10**5)
"""A time within a week of video, in such ticks."""
_SHORT = Fraction(10**6 + 1, 10**4)
"""A segment's duration, or a frame rate."""
MISSING_S = 1
"""A file that ends so much before its declared end is incomplete; a smaller difference is rounding."""

_FILE, _TRICK = f"seg-{_COUNT}.m4s", trick_name(_COUNT)


def check_documents(job: Job, frames: int, chunk_frames: int, *, limit: int = MAX_DOCUMENT_BYTES) -> None:
    """Refuse a request whose documents would exceed the limit.

    :param frames: output frames of the whole video.
    :param chunk_frames: output frames of the longest chunk.
    :param limit: most bytes of a document.
    :raises InvalidInputError: a document would; the message names the preset's field, or ``chunk_seconds``.
    """
    plan = job.plan
    _check_segment_sizes(plan)
    names = [rendition.name for rendition in plan.renditions] + [audio.name for audio in plan.audio]
    name = max(names, key=len)
    uri_bytes = len(job.result_keys.version(job.version, f"{name}/{_FILE}"))
    most = most_segments(plan, uri_bytes, limit, plan.segment_frames)
    count = -(-frames // plan.segment_frames)
    if count > most:
        raise InvalidInputError(
            "preset: gop_seconds and segment_gops make segments of "
            f"{float(plan.seconds(plan.segment_frames)):g} s, {count} in {clock(plan.seconds(frames))} of "
            f"video; at most {most} can be recorded; {_advice(plan, frames, uri_bytes, limit)}"
        )
    if not plan.renditions:
        return
    line = _stored_bytes(len(job.work_keys.segment("chunk-00000", name, _FILE)), f"{name}/{_FILE}")
    most = (limit - BASE_BYTES) // (line * len(plan.renditions)) - 1  # with the facts of each rendition
    count = -(-min(frames, chunk_frames) // plan.segment_frames)
    if count > most:
        seconds = plan.seconds(most * plan.segment_frames)
        raise InvalidInputError(
            f"chunk_seconds: {float(plan.seconds(chunk_frames)):.0f} s hold {count} segments of "
            f"{len(plan.renditions)} renditions, too many for what is recorded of a chunk; "
            f"ask for {int(seconds)} s or less"
        )


def check_length(job: Job, timeline: Timeline, limits: Limits) -> list[str]:
    """How much of the declared duration a counted source lacks, in words.

    Checked again after ``prepare``, because a source may declare no duration, or a wrong one.

    :raises InvalidInputError: the source is longer than allowed, or than can be recorded.
    """
    declared, rate = job.plan.source.duration_ms, job.plan.frame_rate
    counted = max([timeline.seconds(rate), *(sound.seconds for sound in timeline.sounds.values())])
    check_duration(counted, limits)
    frames = timeline.frames or round(counted * rate)
    check_documents(job, frames, max((chunk.frames for chunk in timeline.chunks), default=frames))
    if declared is None or Fraction(declared, 1000) - counted <= MISSING_S:
        return []
    return [f"the file: it ends at {clock(counted)} of the {clock(declared / 1000)} that it declares"]


def _check_segment_sizes(plan: Plan) -> None:
    seconds = plan.seconds(plan.segment_frames)
    for rendition in plan.renditions:
        most = (rendition.max_bitrate_bps * seconds + rendition.buffer_bits) / 8
        if most > MAX_SEGMENT_BYTES:
            raise InvalidInputError(
                f"preset: {rendition.name}: max_bitrate_bps and buffer_bits let a segment of "
                f"{float(seconds):g} s have {int(most)} bytes; the limit is {MAX_SEGMENT_BYTES}; "
                "ask for less, or for shorter segments (gop_seconds, segment_gops)"
            )


def most_segments(plan: Plan, uri_bytes: int, limit: int, segment_frames: int) -> int:
    """How many segments of a track fit into its document.

    :param uri_bytes: length of a segment's URI.
    :param limit: most bytes of a document.
    :param segment_frames: output frames of a segment.
    """
    keys = max((-(-segment_frames // plan.gop_of(r)) for r in plan.renditions), default=0)
    is_hdr = any(rendition.hdr for rendition in plan.renditions)
    measured = _measured_bytes(keys, is_transport=plan.preset.container == "ts", is_hdr=is_hdr)
    if any(CODECS[audio.codec].family in ENTRIES for audio in plan.audio):
        measured = max(measured, _dolby_bytes())
    stored = _stored_bytes(uri_bytes, _FILE)
    if plan.preset.trick_mode:  # a second object beside each segment, and its size
        stored += _stored_bytes(uri_bytes + len(_TRICK) - len(_FILE), _TRICK) + len(f"{_BYTES},")
    return (limit - BASE_BYTES) // (stored + measured)


def _advice(plan: Plan, frames: int, uri_bytes: int, limit: int) -> str:
    for gops in range(plan.preset.segment_gops + 1, MAX_SEGMENT_GOPS + 1):
        segment = gops * plan.gop_frames
        if -(-frames // segment) <= most_segments(plan, uri_bytes, limit, segment):
            return f"ask for segment_gops of {gops} or more"
    return "ask for a longer gop_seconds"


def _stored_bytes(uri_bytes: int, name: str) -> int:
    """Bytes of a segment's line among a marker's objects."""
    stored = Stored(uri="u" * uri_bytes, size_bytes=_BYTES, sha256="0" * 64, version="v" * 40)
    return _bytes(stored) + len(f'"{name}":,')


@lru_cache(maxsize=32)
def _measured_bytes(keys: int, *, is_transport: bool, is_hdr: bool) -> int:
    """Bytes of a segment's line among a marker's facts.

    :param keys: key frames of the segment.
    """
    key = Key(begin=_BYTES, end=_BYTES, at=_SECONDS, is_idr=False)
    stream = Stream(
        kind="video",
        begin=_SECONDS,
        shown=_SECONDS,
        duration=_SHORT,
        samples=_COUNT,
        size_bytes=_BYTES,
        rate=_SHORT,
        keys=(key,) * keys,
        metadata=StaticMetadata(mastering="0" * 48, light="0" * 8) if is_hdr else None,
    )
    colour = Cicp(16, 16, 16)
    coded = Format(
        kind="video", codecs="c" * 32, entry="avc1", width=8192, height=8192, depth=10, colour=colour
    )
    facts = SegmentFacts(
        size_bytes=_BYTES,
        container="unknown",
        formats=(coded,) if is_transport else (),
        streams=(stream,),
        counters={8191: (15, 15), 8190: (15, 15), 8189: (15, 15)} if is_transport else {},
        text_end=_SECONDS,
    )
    return _bytes(facts) + 1


@lru_cache(maxsize=1)
def _dolby_bytes() -> int:
    """The same of Dolby's sound, which tells how each segment is coded."""
    coded = Format(
        kind="audio", codecs="ec-3", entry="ec-3", channels=16, sample_rate=48_000, speakers=0xFFFF, joc=255
    )
    stream = Stream(
        kind="audio",
        begin=_SECONDS,
        shown=_SECONDS,
        duration=_SHORT,
        samples=_COUNT,
        size_bytes=_BYTES,
        rate=_SHORT,
        coded=coded,
    )
    return _bytes(SegmentFacts(size_bytes=_BYTES, container="fmp4", streams=(stream,))) + 1


def _bytes(model: BaseModel) -> int:
    return len(model.model_dump_json())
