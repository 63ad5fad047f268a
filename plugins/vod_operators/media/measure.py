"""Checks what was written against the plan.

The clock of MPEG-TS and packed audio has 90,000 ticks a second, and a picture or an audio frame need not last
a whole number of them. So their times are compared to within a tick. Lengths are exact, because pictures and
AAC frames are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vod_operators.errors import VerificationError
from vod_operators.formats.audio_frames import AAC_FRAME
from vod_operators.formats.facts import Format, SegmentFacts, Stream
from vod_operators.formats.hdr import StaticMetadata
from vod_operators.formats.mp4 import read_init
from vod_operators.media.ffmpeg import TRANSPORT_CLOCK, TRANSPORT_START
from vod_operators.media.models import AudioRendition, Plan, Rendition
from vod_operators.media.passthrough import MOST_EXTRA
from vod_operators.media.sound_codecs import CODECS
from vod_operators.media.track import Track, segment_name

START_S = Fraction(TRANSPORT_START, TRANSPORT_CLOCK)
TICK_S = Fraction(1, TRANSPORT_CLOCK)


def target_duration_s(plan: Plan) -> int:
    """The target duration of all tracks (Apple 8.2): a segment plus an audio frame, rounded to seconds."""
    others = [audio for audio in plan.audio if audio.codec != "aac"]
    frames = [Fraction(CODECS[audio.codec].frame, audio.sample_rate) for audio in others]
    longest = plan.segment_frames / plan.frame_rate + max([Fraction(AAC_FRAME, 44_100), *frames])
    return max(1, int(longest + Fraction(1, 2)))


def init_facts(data: bytes) -> dict[str, Any]:
    """Facts of an init segment's only track, as fields of ``Track``."""
    _, tracks = read_init(data)
    (track,) = tracks.values()
    return {"timescale": track.timescale, "init_bytes": len(data)} | format_facts(track.format)


def format_facts(coded: Format) -> dict[str, Any]:
    """Facts of a stream's format, as fields of ``Track``."""
    if coded.kind == "video":
        facts = {"codecs": coded.codecs, "width": coded.width, "height": coded.height}
        return facts if coded.video_range == "SDR" else facts | {"video_range": coded.video_range}
    facts = {"codecs": coded.codecs, "channels": coded.channels, "sample_rate": coded.sample_rate}
    return facts | ({"speakers": coded.speakers, "joc": coded.joc} if coded.speakers else {})


def check_pictures(
    segments: Sequence[SegmentFacts], plan: Plan, rendition: Rendition, first: int = 0
) -> None:
    """Check contiguous segments of a video track.

    :param first: number of their first frame in the whole video.
    :raises VerificationError: a segment does not begin at its planned time, has a gap, or has IDR pictures
        elsewhere than planned; or continuity counters do not run on (RFC 8216bis 3.1.1, 6.2.4).
    """
    counters: dict[int, int] = {}
    for number, facts in enumerate(segments, start=first // plan.segment_frames + 1):
        name = segment_name(number, facts.container)
        stream, begin = _only_stream(name, facts), first / plan.frame_rate
        if facts.container == "ts":
            _check_counters(name, facts, counters)
            _check_time(name, stream.shown, START_S + begin, TICK_S)
        else:
            _check_time(name, stream.begin, begin)
            if stream.duration != stream.samples / plan.frame_rate:
                raise VerificationError(
                    f"{name}: {stream.samples} frames last {float(stream.duration):.5f} s"
                )
        _check_key_frames(name, stream, plan.frame_rate, plan.gop_of(rendition))
        if rendition.hdr:
            _check_metadata(name, stream.metadata or StaticMetadata(), rendition.hdr.metadata)
        first += stream.samples


def check_sound(segments: Sequence[SegmentFacts], audio: AudioRendition) -> None:
    """Check all segments of a sound track.

    :raises VerificationError: a segment does not begin where the one before ends, or has a gap.
    """
    end = Fraction(0)
    for number, facts in enumerate(segments, start=1):
        name = segment_name(number, facts.container)
        stream = _only_stream(name, facts)
        if facts.container == "aac":  # one frame of priming comes before the first picture
            begin = START_S + end - Fraction(AAC_FRAME, audio.sample_rate)
            _check_time(name, stream.begin, begin, TICK_S)
        else:
            _check_time(name, stream.begin, end)
        end += stream.duration


def check_texts(name: str, segments: Sequence[SegmentFacts], lengths: Sequence[int], timescale: int) -> None:
    """Check all segments of a subtitle track in fragmented MP4.

    :param lengths: planned ticks of each.
    :raises VerificationError: a segment does not begin and end as planned.
    """
    begin = 0
    for number, (facts, ticks) in enumerate(zip(segments, lengths, strict=True), start=1):
        segment = f"{name}/{segment_name(number, facts.container)}"
        stream = _only_stream(segment, facts)
        _check_time(segment, stream.begin, Fraction(begin, timescale))
        if stream.duration != Fraction(ticks, timescale):
            raise VerificationError(f"{segment}: lasts {float(stream.duration):.5f} s, not {ticks} ticks")
        begin += ticks


def _only_stream(name: str, facts: SegmentFacts) -> Stream:
    if len(facts.streams) != 1 or facts.streams[0].gap:
        raise VerificationError(f"{name}: is not one stream without a gap")
    return facts.streams[0]


def _check_time(name: str, found: Fraction, planned: Fraction, tolerance: Fraction = Fraction(0)) -> None:
    if abs(found - planned) > tolerance:
        raise VerificationError(f"{name}: begins at {float(found):.5f} s, not at {float(planned):.5f} s")


def _check_key_frames(name: str, stream: Stream, rate: Fraction, gop_frames: int) -> None:
    if not stream.starts_with_idr:
        raise VerificationError(f"{name}: does not start with an IDR picture (Apple 7.4)")
    found = [round((key.at - stream.begin) * rate) for key in stream.keys if key.is_idr]
    planned = list(range(0, stream.samples, gop_frames))
    # In fMP4, those of one fragment begin at the same byte.
    if found != planned or len({key.begin for key in stream.keys}) != len(planned):
        raise VerificationError(f"{name}: IDR pictures at {_short(found)}, planned {_short(planned)}")


def _check_metadata(name: str, found: StaticMetadata, planned: StaticMetadata) -> None:
    told = [bool(part) for part in (found.mastering, found.light)]
    if told != [bool(part) for part in (planned.mastering, planned.light)] or found.differs(planned):
        raise VerificationError(f"{name}: its pictures tell {found.words}, planned {planned.words}")


def _check_counters(name: str, facts: SegmentFacts, last: dict[int, int]) -> None:
    """Check that continuity counters run on from segment to segment.

    :param last: PID -> last counter so far; updated.
    :raises VerificationError: one does not.
    """
    if facts.counter_error:
        raise VerificationError(f"{name}: {facts.counter_error}")
    for pid, (begin, end) in facts.counters.items():
        if pid in last and begin != (last[pid] + 1) % 16:
            raise VerificationError(f"{name}: PID {pid}: counter {begin} after {last[pid]}")
        last[pid] = end


def check_video_track(track: Track, plan: Plan, rendition: Rendition, frames: int) -> None:
    """:raises VerificationError: frames of a segment, the length or the picture size differ from the plan."""
    wanted = [min(plan.segment_frames, frames - first) for first in range(0, frames, plan.segment_frames)]
    found = [stream.samples for facts in track.facts for stream in facts.streams]
    if found != wanted:
        raise VerificationError(f"{track.name}: segments of {_short(found)} frames, planned {_short(wanted)}")
    if track.ticks != frames * plan.frame_ticks:
        raise VerificationError(
            f"{track.name}: lasts {track.ticks} ticks, planned {frames * plan.frame_ticks}"
        )
    _, planned_range = rendition.ladder
    if track.video_range != planned_range:
        raise VerificationError(f"{track.name}: is {track.video_range}, planned {planned_range}")
    if (track.width, track.height) != (rendition.width, rendition.height):
        raise VerificationError(
            f"{track.name}: is {track.width}x{track.height}, planned {rendition.width}x{rendition.height}"
        )


def check_audio_length(audio: AudioRendition, samples: int, planned: int) -> None:
    """:raises VerificationError: it is shorter than planned, or longer by more than priming and padding."""
    most = MOST_EXTRA if audio.passthrough else CODECS[audio.codec].most_extra
    if not planned <= samples <= planned + most:
        raise VerificationError(
            f"{audio.name}: has {samples} samples, planned {planned} and at most {most} of padding"
        )


def check_audio_track(track: Track, rendition: AudioRendition, samples: int) -> None:
    """:raises VerificationError: the track's length, codec, channels or rate are not what was planned."""
    check_audio_length(rendition, track.ticks, samples)
    is_planned = track.channels == rendition.channels
    if rendition.passthrough:  # a source may have more
        is_planned = (track.channels or 0) >= rendition.channels
    if not is_planned or track.timescale != rendition.sample_rate:
        raise VerificationError(
            f"{track.name}: {track.channels} channels at {track.timescale} Hz, "
            f"planned {rendition.channels} at {rendition.sample_rate}"
        )
    family = CODECS[rendition.codec].family
    if track.family != family:
        raise VerificationError(f"{track.name}: is {track.codecs}, planned {family}")
    first = track.facts[0].streams[0]
    heard = track.ticks - round((first.begin - first.shown) * track.timescale)
    if rendition.codec != "aac" and heard != samples:
        raise VerificationError(f"{track.name}: {heard} samples are heard, planned {samples}")


def check_presentation(tracks: Sequence[Track], target_s: int) -> None:
    """Check the rules that hold between tracks.

    :raises VerificationError: a rule is broken; the message names the rule, the track and what was found.
    """
    videos = [track for track in tracks if track.kind == "video"]
    for track in videos[1:]:
        if [s.ticks for s in track.segments] != [s.ticks for s in videos[0].segments]:
            raise VerificationError(
                f"segments of {track.name} and {videos[0].name} do not end at the same frames (Apple 8.22)"
            )
    for track in tracks:
        for segment in track.segments:
            seconds = Fraction(segment.ticks, track.timescale)
            if int(seconds + Fraction(1, 2)) > target_s:
                raise VerificationError(
                    f"{track.name}/{segment.name}: lasts {float(seconds):.3f} s, "
                    f"more than the target duration of {target_s} s (RFC 8216bis 4.4.3.1)"
                )


def _short(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:4]))
    return f"[{shown}{', ...' if len(numbers) > 4 else ''}] ({len(numbers)} in all)"
