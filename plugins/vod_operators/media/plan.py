"""Source + preset -> renditions, frame grid, chunks. Integers and fractions only; reads nothing.

The grid: output frame ``n`` shows the newest source frame whose time, counted from the start of the
video and rounded to the nearest frame of the output rate, is at most ``n``. That is what ffmpeg's
``fps`` filter makes of the whole source in one pass, and it depends on no earlier frame, so every
chunk can be made alone and the chunks laid end to end are that one pass.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction

from vod_operators.errors import InvalidInputError
from vod_operators.media.models import (
    AudioRendition,
    Chunk,
    Conditions,
    Model,
    Plan,
    Preset,
    Rendition,
    Rung,
    Source,
    Timeline,
)

PLAN_VERSION = 2
"""Raised whenever the same source and preset would give other bytes, or the models that are stored as JSON
change, so that no old checkpoint is read."""

AIRFLOW_MAP_LIMIT = 1024
"""Airflow maps a task at most so many times (``[core] max_map_length``)."""

MAX_CHUNKS = 1000
"""What is planned for from a declared duration, which may be a little short."""

SOURCE_SIZE_GAIN = Fraction(5, 4)
"""A source with so many times the pixels of the largest rung it fills also gets one of its own size."""

NEARLY_FULL = Fraction(51, 50)
"""A source this close below a rung's box (1904x1072, say) counts as filling it."""


NEARLY_WITHIN = Fraction(51, 50)
"""A rate this close above a preset's limit (60.1, say) loses a frame now and then, not every other one."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""What can stand in a playlist as a language tag (RFC 5646)."""


# --- renditions -----------------------------------------------------------------------------


def meets(when: Conditions, source: Source) -> bool:
    """Whether the source has what a rung asks for. An unknown bitrate meets every bitrate."""
    width, height = source.video.display_size
    aspect, rate, bitrate = width / height, float(source.video.frame_rate), source.video_bitrate_bps
    return (
        (when.min_width is None or width >= when.min_width)
        and (when.min_height is None or height >= when.min_height)
        and (when.min_bitrate_bps is None or bitrate is None or bitrate >= when.min_bitrate_bps)
        and (when.min_frame_rate is None or rate >= when.min_frame_rate)
        and (when.max_frame_rate is None or rate <= when.max_frame_rate)
        and (when.min_aspect is None or aspect >= when.min_aspect)
        and (when.max_aspect is None or aspect <= when.max_aspect)
    )


def _scale(source: Source, rung: Rung) -> Fraction:
    """How much the upright source grows to touch the rung's box from inside; over 1 is upscaling."""
    width, height = source.video.display_size
    box = (rung.height, rung.width) if height > width else (rung.width, rung.height)
    return min(Fraction(box[0], width), Fraction(box[1], height))


def _even(length: Fraction | int) -> int:
    """The nearest even number, at least 2."""
    return max(2, 2 * round(Fraction(length) / 2))


def _rendition(source: Source, rung: Rung) -> Rendition:
    width, height = source.video.display_size
    scale = _scale(source, rung)
    if scale >= 1:  # the source's own size, cut to even rather than grown to it
        size = (max(2, width - width % 2), max(2, height - height % 2))
    else:
        size = (_even(width * scale), _even(height * scale))
    return Rendition(
        name=rung.name,
        width=size[0],
        height=size[1],
        crf=rung.crf,
        max_bitrate_bps=rung.max_bitrate_bps,
        buffer_bits=rung.buffer_bits,
        profile=rung.profile,
    )


def plan_renditions(source: Source, preset: Preset) -> tuple[Rendition, ...]:
    """The rungs that the source can fill, smallest first; never upscaled, in the source's own shape.

    If the source is smaller than every rung, or clearly larger than the largest one it fills, the
    next rung is made at the source's own size.
    """
    wanted = [rung for rung in preset.rungs if meets(rung.when, source)] or [preset.rungs[0]]
    filled = [rung for rung in wanted if _scale(source, rung) <= NEARLY_FULL]
    larger = [rung for rung in wanted if _scale(source, rung) > NEARLY_FULL]
    made = [_rendition(source, rung) for rung in filled]
    if larger:
        own_size = _rendition(source, larger[0])
        if (
            not made
            or own_size.width * own_size.height >= SOURCE_SIZE_GAIN * made[-1].width * made[-1].height
        ):
            made.append(own_size)
    return tuple(made)


def plan_audio(source: Source, preset: Preset) -> tuple[AudioRendition, ...]:
    """One rendition for each sound track of the source, with unique titles and one default."""
    default = next((i for i, stream in enumerate(source.audio) if stream.default), 0)
    titles: list[str] = []
    languages = [
        language if _LANGUAGE.fullmatch(language := s.language or "") else None for s in source.audio
    ]
    for number, stream in enumerate(source.audio, start=1):
        # A quote or a line break would end the attribute of the playlist it goes into.
        title = re.sub(r'["\x00-\x1f]', "", stream.title or languages[number - 1] or "") or f"Audio {number}"
        while title in titles:
            title = f"{title} ({number})"
        titles.append(title)
    return tuple(
        AudioRendition(
            name=f"audio-{i}",
            stream=stream,
            channels=preset.audio.channels,
            sample_rate=preset.audio.sample_rate,
            bitrate_bps=preset.audio.bitrate_bps,
            language=languages[i],
            title=titles[i],
            default=i == default,
        )
        for i, stream in enumerate(source.audio)
    )


def output_rate(rate: Fraction, limit: int) -> Fraction:
    """The source's rate, or the largest whole fraction of it that is within the limit: 120 -> 60."""
    divisor = 1
    while rate / divisor > limit * NEARLY_WITHIN:
        divisor += 1
    return min(rate / divisor, Fraction(limit))


def make_plan(
    *,
    video_id: str,
    source: Source,
    preset: Preset,
    chunk_seconds: int,
    chunk_seconds_is_asked: bool,
) -> Plan:
    """Decide everything that can be decided from a probe.

    :param chunk_seconds: rounded to whole segments, at least one.
    :param chunk_seconds_is_asked: whether the request named it. If not, it grows until a long
        source has at most ``MAX_CHUNKS`` chunks.
    :raises InvalidInputError: the request's ``chunk_seconds`` makes too many chunks.
    """
    rate = output_rate(source.video.frame_rate, preset.max_frame_rate)
    timescale = rate.numerator
    while timescale < 10_000:  # finer than a millisecond, so that players' roundings never touch a frame
        timescale *= 2
    gop = max(1, round(preset.gop_seconds * rate))
    segment = preset.segment_gops * gop
    chunk = max(1, round(chunk_seconds * rate / segment)) * segment
    if source.duration_ms is not None:
        frames = round(Fraction(source.duration_ms, 1000) * rate)
        if chunk_seconds_is_asked:
            refuse_too_many_chunks(frames, chunk, segment, rate)
        else:
            chunk = max(chunk, -(-frames // MAX_CHUNKS // segment) * segment)
    return Plan(
        video_id=video_id,
        preset=preset,
        source=source,
        frame_rate=rate,
        timescale=timescale,
        gop_frames=gop,
        segment_frames=segment,
        chunk_frames=chunk,
        renditions=plan_renditions(source, preset),
        audio=plan_audio(source, preset),
    )


def fingerprint(*facts: Model | str | int) -> str:
    """Twelve hex digits that change whenever one of the facts does."""
    canonical = json.dumps(
        [fact.model_dump(mode="json") if isinstance(fact, Model) else fact for fact in facts], sort_keys=True
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


# --- time -----------------------------------------------------------------------------------


def refuse_too_many_chunks(
    frames: int, chunk_frames: int, segment_frames: int, rate: Fraction, *, limit: int = MAX_CHUNKS
) -> None:
    """:raises InvalidInputError: if so many frames make more chunks than Airflow can map."""
    count = -(-frames // chunk_frames)
    if count > limit:
        # Whole segments, because what is asked for is rounded to them.
        least = -(-frames // MAX_CHUNKS // segment_frames) * segment_frames / rate
        raise InvalidInputError(
            f"chunk_seconds: {float(chunk_frames / rate):.0f} s makes {count} chunks "
            f"of {float(frames / rate):.0f} s of video, and Airflow can map at most {limit}; "
            f"ask for {-(-least // 1)} s or more"
        )


def plan_chunk_ranges(frames: int, chunk_frames: int, gop_frames: int) -> list[tuple[int, int]]:
    """Half-open frame ranges that cover ``[0, frames)``: whole chunks and the rest.

    A rest shorter than a GOP joins the chunk before it: a task for a handful of frames costs more
    than it does, and an encoder given fewer frames than its reorder delay shifts their timestamps.
    """
    firsts = list(range(0, frames, chunk_frames))
    if len(firsts) > 1 and frames - firsts[-1] < gop_frames:
        firsts.pop()
    return list(zip(firsts, [*firsts[1:], frames], strict=True))


def grid_frame(pts: int, origin_pts: int, frames_a_tick: Fraction) -> int:
    """The output frame nearest to a source timestamp; halves away from zero, as ffmpeg rounds.

    :param frames_a_tick: the source's time base times the output's rate.
    """
    doubled, den = 2 * abs(pts - origin_pts) * frames_a_tick.numerator, frames_a_tick.denominator
    nearest = (doubled + den) // (2 * den)
    return nearest if pts >= origin_pts else -nearest


def plan_timeline(
    *,
    plan: Plan,
    pts: Sequence[int],
    key_pts: Sequence[int],
    last_duration: int,
    audio_end: dict[str, Fraction],
) -> Timeline:
    """The exact chunks of a source whose packets have been read.

    :param pts: timestamps of all frames that are shown, ascending, in ticks of the source's video.
    :param key_pts: timestamps of its key frames, ascending, those before the first shown one too.
    :param last_duration: ticks that the last frame is shown for; 0 if the source does not say.
    :param audio_end: where each sound track ends, in seconds of the source's clock.
    :raises InvalidInputError: no frame is shown, or there are too many chunks.
    """
    pts = pts[bisect_left(pts, key_pts[0]) :] if key_pts else ()
    if not pts:
        raise InvalidInputError("source: its video stream has no key frame to start decoding from")
    origin, time_base = pts[0], plan.source.video.time_base
    frames_a_tick = time_base * plan.frame_rate
    # Without a duration the last frame lasts as long as any other, or it would be lost.
    lasts = last_duration or max(1, round(1 / (plan.source.video.frame_rate * time_base)))
    frames = max(1, grid_frame(pts[-1] + lasts, origin, frames_a_tick))
    # The count of frames may differ a little from the duration that the chunk length was chosen by.
    refuse_too_many_chunks(
        frames, plan.chunk_frames, plan.segment_frames, plan.frame_rate, limit=AIRFLOW_MAP_LIMIT
    )
    for audio in plan.audio:
        if audio.name not in audio_end:
            raise InvalidInputError(f"source: its audio stream {audio.stream.index} holds no packets")

    def on_grid(tick: int) -> int:
        return grid_frame(tick, origin, frames_a_tick)

    chunks = []
    # A deinterlacer makes a picture from the one before it too.
    pre_roll = 1 if plan.source.video.interlaced else 0
    for index, (first, last) in enumerate(plan_chunk_ranges(frames, plan.chunk_frames, plan.gop_frames)):
        after = bisect_left(pts, last, key=on_grid)
        chunks.append(
            Chunk(
                index=index,
                first=first,
                last=last,
                key_pts=key_pts[max(0, bisect_right(key_pts, first - pre_roll, key=on_grid) - 1)],
                end_pts=pts[after] if after < len(pts) else None,
            )
        )
    return Timeline(
        origin_pts=origin,
        time_base=time_base,
        frames=frames,
        still_frames=max(0, frames - 1 - on_grid(pts[-1])),
        chunks=tuple(chunks),
        audio_seconds={
            audio.name: max(Fraction(0), audio_end[audio.name] - origin * time_base) for audio in plan.audio
        },
    )
