"""Source + preset -> frame grid and chunks. Integers and fractions only; reads nothing.

The grid: take each source frame's time from the start of the video, rounded to the nearest frame of the
output rate. Output frame ``n`` shows the newest source frame whose rounded time is at most ``n``. ffmpeg's
``fps`` filter does the same with the whole source in one pass. A frame of the grid depends on no earlier one,
so each chunk can be encoded alone, and all chunks together equal that one pass.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from vod_operators.errors import InvalidInputError
from vod_operators.formats.base import Model
from vod_operators.media.chapter_request import AskedChapter
from vod_operators.media.encoders import ENCODERS
from vod_operators.media.models import Chunk, Colour, Plan, Sound, Source, Timeline, Window
from vod_operators.media.presets.model import Preset
from vod_operators.media.renditions import ladders_left_out, plan_audio, plan_renditions
from vod_operators.media.subtitles import Sidecar, plan_texts

PLAN_VERSION = 10
"""Raised whenever the same source and preset would give other bytes, or old stored models cannot be
read. Old checkpoints are then not used."""

MAX_CHUNKS = 1000
"""Most chunks that are planned from the declared duration. It leaves room: that may be a little short."""

NEARLY_WITHIN = Fraction(51, 50)
"""A rate this close above a preset's limit (60.1, say) is not halved: a frame is dropped now and then."""

SOUND_ONLY_RATE = Fraction(1)
"""Frame rate of the grid for a source without a picture: segments are whole seconds."""

LEAD_IN_GOPS = 3
"""One GOP makes joins invisible. Where the bitrate is at its cap, the others bring x264's buffer to the state
of one pass. With only two, a track at its cap with an IDR a second uses 2 to 5 % more of its buffer from join
to join (tests/exact/test_seams.py)."""

NOTABLE_LOSS = Fraction(1, 100)
"""Share of dropped pictures that is reported: a variable rate always drops some."""

NOTABLE_S = Fraction(1, 10)
"""Difference between sound and picture that is reported. A smaller one is usual, as their frames differ."""


# --- colour ---------------------------------------------------------------------------------

KEPT_MATRICES = ("bt709", "smpte170m", "bt470bg")
KEPT_PRIMARIES = ("bt709", "smpte170m", "bt470bg")
KEPT_TRANSFERS = ("bt709", "smpte170m", "bt470bg", "bt470m", "iec61966-2-1")
"""Colours that every H.264 player shows correctly if they are signalled; others are converted to BT.709."""


def needs_conversion(source: Colour) -> bool:
    """Whether colours must be converted in linear light (HDR, wide gamut), not only by matrix and range."""
    return (
        source.primaries not in KEPT_PRIMARIES
        or source.transfer not in KEPT_TRANSFERS
        or source.matrix not in (*KEPT_MATRICES, "gbr")
    )


# --- rate -----------------------------------------------------------------------------------


def output_rate(rate: Fraction, limit: int) -> Fraction:
    """The source's rate divided by the smallest whole number that brings it within the limit: 120 -> 60."""
    divisor = 1
    while rate / divisor > limit * NEARLY_WITHIN:
        divisor += 1
    return min(rate / divisor, Fraction(limit))


def make_plan(
    *,
    video_id: str,
    source: Source,
    preset: Preset,
    chunk_seconds: int | None,
    chunk_seconds_is_asked: bool,
    sidecars: Sequence[Sidecar] = (),
    downloads: Sequence[str] | None = None,
    chapters: tuple[AskedChapter, ...] | None = None,
) -> Plan:
    """Decide everything that can be decided from a probe.

    :param chunk_seconds: rounded to whole segments, at least one; None: chosen by ``chunk_length``.
    :param chunk_seconds_is_asked: whether the request named it. If not, chunks of a long source are made
        longer, so that there are at most ``MAX_CHUNKS``.
    :param sidecars: subtitle files that came with the request.
    :param downloads: of the request; None: those of the preset.
    :param chapters: of the request; None: those of the source, if the preset asks for them.
    :raises InvalidInputError: the request's ``chunk_seconds`` makes too many chunks.
    """
    if source.video and all(ladder.dynamic_range == "sdr" for ladder in preset.ladders):
        # Nothing is kept of it, and plans of before it was read have the same fingerprint.
        source = source.model_copy(update={"video": source.video.model_copy(update={"hdr": None})})
    video = source.video
    rate = output_rate(video.natural_rate, preset.max_frame_rate) if video else SOUND_ONLY_RATE
    timescale = rate.numerator
    while timescale < 10_000:  # finer than a millisecond, so that a player's rounding never shifts a frame
        timescale *= 2
    gop = max(1, round(preset.gop_seconds * rate))
    segment = preset.segment_gops * gop
    chunk = _chunk_frames(source, rate, segment, chunk_seconds, is_requested=chunk_seconds_is_asked)
    lookaheads = [ENCODERS[ladder.encoder].lookahead[ladder.encoder_preset] for ladder in preset.ladders]
    audio, skipped = plan_audio(source, preset)
    return Plan(
        video_id=video_id,
        preset=preset,
        source=source,
        frame_rate=rate,
        timescale=timescale,
        gop_frames=gop,
        segment_frames=segment,
        chunk_frames=chunk,
        lookahead_frames=min(gop, max(lookaheads)),
        renditions=plan_renditions(source, preset),
        audio=audio,
        texts=plan_texts(source.texts, sidecars),
        skipped=(*skipped, *ladders_left_out(source, preset)),
        downloads=preset.downloads if downloads is None else tuple(downloads),
        chapters=chapters,
    )


def _chunk_frames(
    source: Source, rate: Fraction, segment: int, chunk_seconds: int | None, *, is_requested: bool
) -> int:
    if chunk_seconds is None:
        chunk = chunk_length(source, rate, segment)
    else:
        chunk = max(1, round(chunk_seconds * rate / segment)) * segment
    frames = source.frames_at(rate)
    if source.video is None or frames is None:
        return chunk
    if is_requested:
        refuse_too_many_chunks(frames, chunk, segment, rate)
        return chunk
    return max(chunk, -(-frames // MAX_CHUNKS // segment) * segment)


CHUNK_S, LEAST_CHUNK_S = 120, 60
"""Usual and least length of a chunk. A join costs 7.2 s of encoding (at 25 frames a second): 6 % and 12 % of
these. docs/decisions/005-chunk-length.md has the measurements."""

FULL_PIXEL_RATE = 1920 * 1080 * 30
"""Pixels a second above which chunks get shorter. At this rate 120 s take two cores about 12 minutes, which
is the most that is lost with a worker."""


def chunk_length(source: Source, rate: Fraction, segment_frames: int) -> int:
    """Frames of a chunk if the request names no length: whole segments, and all chunks about equally long.

    :param rate: frame rate of the output.
    """
    video = source.video
    pixel_rate = video.width * video.height * rate if video else Fraction(0)
    seconds = CHUNK_S
    if pixel_rate > FULL_PIXEL_RATE:
        seconds = max(LEAST_CHUNK_S, round(CHUNK_S * FULL_PIXEL_RATE / pixel_rate))
    frames = seconds * rate
    if source.duration_ms:
        total = Fraction(source.duration_ms, 1000) * rate
        count = round(total / frames)
        # A single chunk may be longer than the video: the video may be longer than declared.
        frames = total / count if count > 1 else max(total, frames)
    return max(1, -(-frames // segment_frames)) * segment_frames


def fingerprint(*facts: Model | str | int) -> str:
    """Twelve hex digits that change whenever one of the facts changes; of a model, all fields count."""
    canonical = json.dumps(
        [fact.model_dump(mode="json") if isinstance(fact, Model) else fact for fact in facts], sort_keys=True
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


# --- time -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SoundSpan:
    """Where a sound track's packets begin and end, on the source's clock."""

    time_base: Fraction
    """Time base of the track as it is cut."""
    begin_s: Fraction
    end_s: Fraction
    decoded: bool = False
    """Whether it is cut as decoded samples."""


def refuse_too_many_chunks(
    frames: int, chunk_frames: int, segment_frames: int, rate: Fraction, *, limit: int = MAX_CHUNKS
) -> None:
    """:raises InvalidInputError: that many frames make more than ``limit`` chunks."""
    count = -(-frames // chunk_frames)
    if count > limit:
        # Suggest whole segments, because a request is rounded to them.
        least_seconds = -(-frames // MAX_CHUNKS // segment_frames) * segment_frames / rate
        raise InvalidInputError(
            f"chunk_seconds: {float(chunk_frames / rate):.0f} s makes {count} chunks "
            f"of {float(frames / rate):.0f} s of video, and Airflow can map at most {limit}; "
            f"ask for {-(-least_seconds // 1)} s or more"
        )


def plan_chunk_ranges(frames: int, chunk_frames: int, gop_frames: int) -> list[tuple[int, int]]:
    """Half-open frame ranges of the chunks; together they cover ``[0, frames)``.

    A rest shorter than a GOP joins the chunk before it. A task for a few frames costs more than it gains, and
    an encoder that gets fewer frames than its reorder delay shifts their timestamps.
    """
    return _ranges(0, frames, chunk_frames, gop_frames)


def _ranges(begin: int, end: int, step: int, least: int) -> list[tuple[int, int]]:
    """``[begin, end)`` in ranges of ``step``; a rest below ``least`` joins the one before."""
    firsts = list(range(begin, end, step))
    if len(firsts) > 1 and end - firsts[-1] < least:
        firsts.pop()
    return list(zip(firsts, [*firsts[1:], end], strict=True))


def grid_frame(pts: int, origin_pts: int, frames_a_tick: Fraction) -> int:
    """The output frame nearest to a source timestamp. Halves round away from zero, as in ffmpeg.

    :param frames_a_tick: the source's time base times the output's rate.
    """
    doubled, den = 2 * abs(pts - origin_pts) * frames_a_tick.numerator, frames_a_tick.denominator
    nearest = (doubled + den) // (2 * den)
    return nearest if pts >= origin_pts else -nearest


def plan_timeline(
    *,
    plan: Plan,
    time_base: Fraction,
    pts: Sequence[int],
    key_pts: Sequence[int],
    last_duration: int,
    sounds: Mapping[str, SoundSpan],
    most_chunks: int,
    first_pts: int | None = None,
) -> Timeline:
    """The timeline of a source whose packets have been read: exact times and chunks.

    :param time_base: seconds a tick of the video.
    :param pts: timestamps of all frames that are shown, ascending.
    :param key_pts: timestamps of all key frames, ascending; some may be before the first frame shown.
    :param last_duration: ticks that the last frame is shown; 0 if the source does not tell.
    :param sounds: begin and end of each sound track.
    :param most_chunks: how many chunks can be mapped.
    :param first_pts: timestamp of the first frame that a decoder outputs; None: the first key frame.
    :raises InvalidInputError: no frame is shown, a track is empty, or there are too many chunks.
    """
    for audio in plan.audio:
        if audio.track not in sounds:
            raise InvalidInputError(
                f"source: its audio stream {audio.stream.index} holds no packets with a time"
            )
    video = plan.source.video
    if video is None:
        return _sound_timeline(plan, sounds)
    if first_pts is not None and pts and pts[0] <= first_pts and not (key_pts and key_pts[0] <= first_pts):
        key_pts = [first_pts, *key_pts]
    first = pts[0] if pts else 0
    pts = pts[bisect_left(pts, key_pts[0]) :] if key_pts else ()
    if not pts:
        raise InvalidInputError("source: its video stream has no key frame to start decoding from")
    origin = pts[0]
    frames_a_tick = time_base * plan.frame_rate
    lasts = _last_duration(pts, last_duration, usual=max(1, round(1 / (video.frame_rate * time_base))))
    frames = max(1, grid_frame(pts[-1] + lasts, origin, frames_a_tick))
    heard_s = max((sound.end_s for sound in sounds.values()), default=Fraction(0)) - origin * time_base
    heard_frames = int(-(-heard_s * plan.frame_rate // 1))
    still = heard_frames > frames and is_still(pts, time_base)
    if still:
        frames = heard_frames
    # Check again: the chunk length was chosen by the declared duration, not by this count.
    refuse_too_many_chunks(frames, plan.chunk_frames, plan.segment_frames, plan.frame_rate, limit=most_chunks)
    chunks, windows = _chunks(plan, frames, frames_a_tick, pts, key_pts)
    timeline = _timeline(origin, time_base, frames, chunks, sounds)
    places = [grid_frame(tick, origin, time_base * video.natural_rate) for tick in pts]
    varies = not still and _varies(places, interlaced=video.interlaced)
    # Lost at the source's own rate. Frames dropped for a preset's lower rate do not count.
    lost = len(places) - len(set(places))
    return timeline.model_copy(
        update={
            "windows": windows,
            "variable_rate": varies,
            "still": still,
            "lost_frames": lost,
            "undecoded_s": (origin - first) * time_base,
        }
    )


def _varies(places: Sequence[int], *, interlaced: bool) -> bool:
    """Whether pictures at these places of the source's own grid have a variable rate."""
    # In an interlaced source a packet is either a field or a frame of two.
    strides = (1, 2) if interlaced else (1,)
    return all(any(place != stride * n for n, place in enumerate(places)) for stride in strides)


def _sound_timeline(plan: Plan, sounds: Mapping[str, SoundSpan]) -> Timeline:
    """The timeline of a source without a picture. It begins with its first sound."""
    starts = [audio.stream.start_s for audio in plan.audio if audio.stream.start_s is not None]
    time_base = min(sound.time_base for sound in sounds.values())
    begin = min(starts, default=min(sound.begin_s for sound in sounds.values()))
    return _timeline(round(begin / time_base), time_base, 0, (), sounds)


def _last_duration(pts: Sequence[int], declared: int, *, usual: int) -> int:
    """Ticks for which the last frame is shown. With 0 it would be lost."""
    # Where the declared rate is wrong, the last duration may be far too short: then it is not believed.
    least = min((later - earlier for earlier, later in pairwise(pts)), default=0)
    return declared if declared and 2 * declared >= least else usual


def _chunks(
    plan: Plan,
    frames: int,
    frames_a_tick: Fraction,
    pts: Sequence[int],
    key_pts: Sequence[int],
) -> tuple[tuple[Chunk, ...], tuple[Window, ...]]:
    """The chunks of a video, and its windows."""

    def on_grid(tick: int) -> int:
        return grid_frame(tick, pts[0], frames_a_tick)

    # A deinterlacer also needs the frame before, which is two pictures.
    pre_roll = 2 if plan.source.video and plan.source.video.interlaced else 0

    def facts(index: int, begin: int, end: int, lead_in_gops: int) -> dict[str, Any]:
        lead_in, lead_out = min(begin, lead_in_gops * plan.gop_frames), min(frames - end, plan.gop_frames)
        key = bisect_right(key_pts, begin - lead_in - pre_roll, key=on_grid) - 1
        after = bisect_left(pts, end + lead_out, key=on_grid)
        return {
            "index": index,
            "first": begin,
            "last": end,
            "lead_in": lead_in,
            "lead_out": lead_out,
            "key_pts": key_pts[max(0, key)],
            "end_pts": pts[after] if after < len(pts) else None,
        }

    ranges = plan_chunk_ranges(frames, plan.chunk_frames, plan.gop_frames)
    chunks = tuple(Chunk(**facts(n, *spot, LEAD_IN_GOPS)) for n, spot in enumerate(ranges))
    spots = plan_windows(ranges, plan.gop_frames, plan.frame_rate)
    return chunks, tuple(Window(**facts(n, *spot, 0)) for n, spot in enumerate(spots))


ANALYSED_S, WINDOW_S = 16, 2
"""Seconds that are analysed of a video of up to 20 minutes, and of each window of it. At four rates they cost
as much as 70 to 115 s of the video, at most 9 % of 20 minutes (docs/decisions/031-target-quality.md)."""

APART_S, MOST_WINDOWS = 150, 32
"""Longer videos have a window in each so many seconds, for the same 9 %; very long ones, so many windows."""

WHOLE_WINDOW_S = 5
"""Length of a window where the whole video is analysed."""


def plan_windows(chunks: Sequence[tuple[int, int]], gop_frames: int, rate: Fraction) -> list[tuple[int, int]]:
    """Half-open frame ranges that are analysed: whole GOPs, spread evenly over the video, each in a chunk.

    All of a video that is not longer than they are together.

    :param chunks: the chunks' ranges.
    """
    frames = chunks[-1][1]

    def gops(seconds: int) -> int:
        return max(1, round(seconds * rate / gop_frames)) * gop_frames

    if frames <= ANALYSED_S * rate:
        step = gops(WHOLE_WINDOW_S)
        return [part for begin, end in chunks for part in _ranges(begin, end, step, gop_frames)]
    length = gops(WINDOW_S)
    least = max(1, round(ANALYSED_S * rate / length))
    apart = APART_S * length / Fraction(WINDOW_S)  # frames
    count = max(least, min(MOST_WINDOWS * WINDOW_S * rate // length, round(frames / apart)))
    found: dict[int, int] = {}
    for number in range(count):
        middle = (2 * number + 1) * frames // (2 * count)
        begin, end = next(chunk for chunk in chunks if middle < chunk[1])
        first = max(begin, min(middle - length // 2, end - length))
        first = begin + (first - begin) // gop_frames * gop_frames
        found[first] = min(first + length, end)
    return sorted(found.items())


STILL_S = 1
"""Average time between pictures from which on they are slides, not a film."""


def is_still(pts: Sequence[int], time_base: Fraction) -> bool:
    """Whether pictures at these times are a single one, or slides: the last one is then held."""
    return (pts[-1] - pts[0]) * time_base >= STILL_S * (len(pts) - 1)


def _timeline(
    origin: int, time_base: Fraction, frames: int, chunks: tuple[Chunk, ...], sounds: Mapping[str, SoundSpan]
) -> Timeline:
    begin = origin * time_base
    return Timeline(
        origin_pts=origin,
        time_base=time_base,
        frames=frames,
        chunks=chunks,
        sounds={
            name: Sound(
                time_base=span.time_base, seconds=max(Fraction(0), span.end_s - begin), decoded=span.decoded
            )
            for name, span in sounds.items()
        },
    )


def normalisations(plan: Plan, timeline: Timeline) -> list[str]:
    """Changes from the source to the output other than size, in words for a person."""
    video, carrier = plan.source.video, timeline.carrier
    changes = []
    if carrier != "nut" and video is not None:
        changes.append(f"{video.codec} pictures cannot be cut into NUT: cut into {carrier.upper()}")
    return [*changes, *_sound_changes(plan, timeline), *_picture_changes(plan, timeline)]


def _sound_changes(plan: Plan, timeline: Timeline) -> Iterator[str]:
    length = timeline.seconds(plan.frame_rate)
    for audio in plan.audio:
        stream, sound = audio.stream, timeline.sounds[audio.track]
        if audio.right is not None:
            yield f"sound {audio.title!r} of two mono tracks: {stream.index} left, {audio.right.index} right"
        elif audio.name == audio.track and sound.decoded:
            yield f"sound {audio.title!r}: {stream.codec} cannot be cut as it is: decoded first"
        excess = sound.seconds - length
        if audio.name == audio.track and excess > NOTABLE_S:
            yield f"sound {audio.title!r} cut: {float(excess):.1f} s longer than the picture"


def _picture_changes(plan: Plan, timeline: Timeline) -> Iterator[str]:
    video = plan.source.video
    if video is None:
        return
    width, height = video.display_size
    if timeline.variable_rate:
        yield "variable frame rate"
    if timeline.lost_frames > NOTABLE_LOSS * timeline.frames:
        rate = _number(video.frame_rate)
        yield f"{timeline.lost_frames} pictures left out: they come faster than {rate} fps"
    if timeline.undecoded_s:
        yield f"begun {float(timeline.undecoded_s):.2f} s late: no picture before can be decoded"
    if timeline.still:
        yield "still picture held for the length of the sound"
    if plan.frame_rate != video.natural_rate:
        yield f"{_number(video.natural_rate)} fps reduced to {_number(plan.frame_rate)}"
    if any(video.crop):
        matrix = video.display_matrix
        upright = video.shown_size[:: -1 if matrix and matrix.swaps_sides else 1]
        yield "cropped to {}x{}".format(*upright)
    if video.display_matrix:
        yield from video.display_matrix.words
    if video.interlaced:
        yield "interlaced" if video.scan == "interlaced" else "partly interlaced"
    if video.sample_aspect != 1:
        shape = f"{video.sample_aspect.numerator}:{video.sample_aspect.denominator}"
        yield f"anamorphic pixels ({shape})"
    if width % 2 or height % 2:
        yield f"odd dimensions ({width}x{height})"
    if video.colour.hdr:
        kept = any(rendition.hdr for rendition in plan.renditions)
        others = (
            ": kept in HDR renditions, tone-mapped to SDR in the others" if kept else ", tone-mapped to SDR"
        )
        yield f"HDR ({video.colour.hdr}){others}"
    elif needs_conversion(video.colour):
        yield f"colours of {video.colour.primaries} converted to BT.709"
    if video.colour.full_range and video.colour.matrix != "gbr":
        yield "full range, made limited"
    if video.pixel_format not in ("yuv420p", "yuvj420p", "nv12"):
        yield f"pixel format {video.pixel_format}"


def hdr_lost(plan: Plan) -> list[str]:
    """What HDR renditions do not keep of the source's HDR, in sentences; empty if there are none."""
    video = plan.source.video
    if video is None or video.hdr is None or len(plan.sdr) == len(plan.renditions):
        return []
    return [
        *(
            f"{name}: its dynamic metadata are not kept; HDR renditions show its {video.colour.hdr} base"
            for name in video.hdr.dynamic
        ),
        *video.hdr.remarks,
    ]


def _number(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")
