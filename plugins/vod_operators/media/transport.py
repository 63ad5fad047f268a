"""Measures written MPEG-TS and packed audio, and checks them against the plan.

Their clock has 90,000 ticks a second, and a picture or an audio frame need not last a whole number of ticks.
So times are compared to within a tick. Lengths are exact, because pictures and AAC frames are counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from vod_operators.errors import VerificationError
from vod_operators.formats.facts import Format, SegmentFacts, Stream
from vod_operators.formats.ts import AAC_FRAME, read_packed_audio, read_segment
from vod_operators.media.ffmpeg import TRANSPORT_CLOCK, TRANSPORT_START
from vod_operators.media.models import AudioRendition, Plan
from vod_operators.media.track import KeyFrame, Segment

START_S = Fraction(TRANSPORT_START, TRANSPORT_CLOCK)
TICK_S = Fraction(1, TRANSPORT_CLOCK)


def measure_pictures(segments: Iterable[tuple[str, bytes]], plan: Plan) -> dict[str, Any]:
    """Facts of a video track, as fields of ``Track``.

    :param segments: name and bytes of each, in order.
    :raises VerificationError: a segment does not begin with an IDR picture or at its planned time, or its
        continuity counters do not follow those of the one before (RFC 8216bis 3.1.1, 6.2.4).
    """
    made: list[Segment] = []
    keys: list[KeyFrame] = []
    counters: dict[int, int] = {}
    described = None
    for name, data in segments:
        facts = read_segment(data, len(data))
        _check_counters(name, facts, counters)
        stream = _only_stream(name, facts)
        described = described or facts.formats[0]
        frames = sum(segment.samples for segment in made)
        _check_time(name, stream.shown, START_S + frames / plan.frame_rate)
        if not stream.starts_with_idr:
            raise VerificationError(f"{name}: does not start with an IDR picture (Apple 7.4)")
        # Pictures are decoded at a constant rate, so a key frame's time gives its number.
        at = [round((key.at - stream.begin) * plan.frame_rate) for key in stream.keys]
        for key, (first, following) in zip(stream.keys, pairwise([*at, stream.samples]), strict=True):
            keys.append(
                KeyFrame(
                    segment=len(made),
                    offset=key.begin,
                    size_bytes=key.end - key.begin,
                    ticks=(following - first) * plan.frame_ticks,
                )
            )
        made.append(_segment(name, data, stream, plan.frame_ticks))
    told = _told(described)
    return {
        "codecs": told.codecs,
        "timescale": plan.timescale,
        "init_bytes": 0,
        "width": told.width,
        "height": told.height,
        "segments": tuple(made),
        "key_frames": tuple(keys),
    }


def measure_sound(segments: Iterable[tuple[str, bytes]], audio: AudioRendition) -> dict[str, Any]:
    """Facts of a track of packed AAC, as fields of ``Track``.

    :param segments: name and bytes of each, in order.
    :raises VerificationError: a segment's timestamp is missing, or is not the end of the one before.
    """
    made: list[Segment] = []
    described = None
    for name, data in segments:
        facts = read_packed_audio(data, len(data))
        stream = _only_stream(name, facts)
        described = described or facts.formats[0]
        # One frame of priming comes before the first picture.
        frames = sum(segment.samples for segment in made) - 1
        _check_time(name, stream.begin, START_S + Fraction(frames * AAC_FRAME, audio.sample_rate))
        made.append(_segment(name, data, stream, AAC_FRAME))
    told = _told(described)
    return {
        "codecs": told.codecs,
        "timescale": told.sample_rate,
        "init_bytes": 0,
        "channels": told.channels,
        "sample_rate": told.sample_rate,
        "segments": tuple(made),
    }


def _segment(name: str, data: bytes, stream: Stream, ticks: int) -> Segment:
    return Segment(name=name, ticks=stream.samples * ticks, samples=stream.samples, size_bytes=len(data))


def _told(described: Format | None) -> Format:
    if described is None:
        raise VerificationError("the packager wrote no segment")
    return described


def _only_stream(name: str, facts: SegmentFacts) -> Stream:
    if len(facts.streams) != 1 or facts.streams[0].gap:
        raise VerificationError(f"{name}: is not one stream without a gap")
    return facts.streams[0]


def _check_time(name: str, found: Fraction, planned: Fraction) -> None:
    if abs(found - planned) > TICK_S:
        raise VerificationError(f"{name}: begins at {float(found):.5f} s, not at {float(planned):.5f} s")


def _check_counters(name: str, facts: SegmentFacts, last: dict[int, int]) -> None:
    """Check that continuity counters continue from segment to segment.

    :param last: PID -> last counter so far; updated.
    :raises VerificationError: one does not.
    """
    if facts.counter_error:
        raise VerificationError(f"{name}: {facts.counter_error}")
    for pid, (begin, end) in facts.counters.items():
        if pid in last and begin != (last[pid] + 1) % 16:
            raise VerificationError(f"{name}: PID {pid}: counter {begin} after {last[pid]}")
        last[pid] = end
