"""Measures what was written, and checks it against the plan."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, BinaryIO

from vod_operators.errors import VerificationError
from vod_operators.formats.facts import Codec
from vod_operators.formats.isobmff import first_sample, read_fragments
from vod_operators.formats.mp4 import read_init, starts_with_idr
from vod_operators.formats.ts import AAC_FRAME
from vod_operators.media.models import AudioRendition, Plan, Rendition
from vod_operators.media.track import KeyFrame, Segment, Track


def target_duration_s(plan: Plan) -> int:
    """The target duration of all tracks (Apple 8.2): a segment plus an audio frame, rounded to seconds."""
    longest = plan.segment_frames / plan.frame_rate + Fraction(AAC_FRAME, 44_100)
    return max(1, int(longest + Fraction(1, 2)))


def init_facts(data: bytes) -> dict[str, Any]:
    """Facts of an init segment's only track, as fields of ``Track``."""
    _, tracks = read_init(data)
    (track,) = tracks.values()
    told = track.format
    facts: dict[str, Any] = {"codecs": told.codecs, "timescale": track.timescale, "init_bytes": len(data)}
    if told.kind == "video":
        return facts | {"width": told.width, "height": told.height}
    return facts | {"channels": told.channels, "sample_rate": told.sample_rate}


def measure_segment(
    file: BinaryIO, *, index: int, name: str, size_bytes: int, start: int, codec: Codec | None
) -> tuple[Segment, list[KeyFrame]]:
    """Facts of one written segment, and its key frames.

    :param index: number of the segment in its track, from 0.
    :param start: tick at which it must begin: the end of the segment before.
    :param codec: codec of the pictures; None for sound.
    :raises VerificationError: it begins elsewhere, has a gap inside, or (video) has a fragment that does not
        start with an IDR picture.
    """
    ticks = samples = 0
    keys = []
    for fragment in read_fragments(file):
        if fragment.decode_time != start + ticks:
            raise VerificationError(
                f"{name}: a fragment decodes at tick {fragment.decode_time}, "
                f"not at {start + ticks}: a gap or an overlap"
            )
        if codec:
            first = fragment.samples[0] if fragment.samples else None
            if not (first and first.is_sync and starts_with_idr(first_sample(file, fragment), codec)):
                raise VerificationError(f"{name}: a fragment does not start with an IDR picture (Apple 7.4)")
            keys.append(
                KeyFrame(
                    segment=index,
                    offset=fragment.offset,
                    size_bytes=first.end - fragment.offset,
                    ticks=fragment.duration,
                )
            )
        ticks += fragment.duration
        samples += len(fragment.samples)
    if not ticks:
        raise VerificationError(f"{name}: holds no media")
    return Segment(name=name, ticks=ticks, samples=samples, size_bytes=size_bytes), keys


def check_video_track(track: Track, plan: Plan, rendition: Rendition, frames: int) -> None:
    """:raises VerificationError: frames of a segment, the length or the picture size differ from the plan."""
    wanted = [min(plan.segment_frames, frames - first) for first in range(0, frames, plan.segment_frames)]
    found = [segment.samples for segment in track.segments]
    if found != wanted:
        raise VerificationError(f"{track.name}: segments of {_short(found)} frames, planned {_short(wanted)}")
    if track.ticks != frames * plan.frame_ticks:
        raise VerificationError(
            f"{track.name}: lasts {track.ticks} ticks, planned {frames * plan.frame_ticks}"
        )
    if (track.width, track.height) != (rendition.width, rendition.height):
        raise VerificationError(
            f"{track.name}: is {track.width}x{track.height}, planned {rendition.width}x{rendition.height}"
        )


def check_audio_length(name: str, samples: int, planned: int) -> None:
    """:raises VerificationError: it is shorter than planned, or longer by more than priming and padding."""
    # Priming is 1024 samples; padding fills the last frame of 1024.
    if not planned <= samples <= planned + 2 * AAC_FRAME:
        raise VerificationError(
            f"{name}: has {samples} samples, planned {planned} and at most 2048 of padding"
        )


def check_audio_track(track: Track, rendition: AudioRendition, samples: int) -> None:
    """:raises VerificationError: the track's length, channels or rate are not what was planned."""
    check_audio_length(track.name, track.ticks, samples)
    if (track.channels, track.timescale) != (rendition.channels, rendition.sample_rate):
        raise VerificationError(
            f"{track.name}: {track.channels} channels at {track.timescale} Hz, "
            f"planned {rendition.channels} at {rendition.sample_rate}"
        )


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
