"""Source + preset -> renditions. Integers and fractions only; reads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vod_operators.errors import InvalidInputError
from vod_operators.media.encoders import ENCODERS, profile_of
from vod_operators.media.hdr import Hdr, SourceHdr
from vod_operators.media.models import AudioRendition, AudioStream, Rendition, Source, VideoStream
from vod_operators.media.names import language_name, language_tag, unique_title
from vod_operators.media.presets.model import Conditions, Ladder, Preset, Rung
from vod_operators.media.presets.sound import AudioRung
from vod_operators.media.sound_codecs import (
    DOLBY_RATE,
    OPUS_RATE,
    STEREO_BPS,
    SUFFIXES,
    SURROUND_SUFFIX,
    SoundCodec,
)

SOURCE_SIZE_GAIN = Fraction(5, 4)
"""A source with this many times the pixels of the largest rung it fills also gets one of its own size."""

NEARLY_FULL = Fraction(51, 50)
"""A source this close below a rung's box (1904x1072, say) counts as filling the rung."""

LEAST_BITRATES = 2
"""Least renditions of each codec, as far as the ladder has rungs (Apple HLS authoring 9.9)."""

SURROUND = 6
"""Channels of 5.1."""


def meets(when: Conditions, source: Source) -> bool:
    """Whether a source meets a rung's conditions. An unknown bitrate meets any minimum."""
    video = source.video
    assert video is not None
    width, height = video.display_size
    aspect, rate, bitrate = width / height, float(video.natural_rate), video.bitrate_bps or source.bitrate_bps
    return (
        (when.min_width is None or width >= when.min_width)
        and (when.min_height is None or height >= when.min_height)
        and (when.min_bitrate_bps is None or bitrate is None or bitrate >= when.min_bitrate_bps)
        and (when.min_frame_rate is None or rate >= when.min_frame_rate)
        and (when.max_frame_rate is None or rate <= when.max_frame_rate)
        and (when.min_aspect is None or aspect >= when.min_aspect)
        and (when.max_aspect is None or aspect <= when.max_aspect)
    )


def _scale(video: VideoStream, rung: Rung) -> Fraction:
    """Factor that fits the upright source into the rung's box; above 1 it would be upscaled."""
    width, height = video.display_size
    box = (rung.height, rung.width) if height > width else (rung.width, rung.height)
    return min(Fraction(box[0], width), Fraction(box[1], height))


def _even(length: Fraction | int) -> int:
    """The nearest even number, at least 2."""
    return max(2, 2 * round(Fraction(length) / 2))


def _rendition(video: VideoStream, ladder: Ladder, rung: Rung) -> Rendition:
    width, height = video.display_size
    scale = _scale(video, rung)
    if scale >= 1:  # the source's own size, rounded down to even: never upscaled
        size = (max(2, width - width % 2), max(2, height - height % 2))
    else:
        size = (_even(width * scale), _even(height * scale))
    return Rendition(
        name=rung.name,
        encoder=ladder.encoder,
        encoder_preset=ladder.encoder_preset,
        width=size[0],
        height=size[1],
        crf=ENCODERS[ladder.encoder].probed_crfs[1] if rung.crf is None else rung.crf,
        target_vmaf=rung.quality.vmaf if rung.quality else None,
        max_bitrate_bps=rung.max_bitrate_bps,
        buffer_bits=rung.buffer_bits,
        profile=rung.profile or profile_of(ladder.encoder, ladder.bit_depth),
        bit_depth=ladder.bit_depth,
        hdr=_hdr(video) if ladder.dynamic_range == "hdr" else None,
    )


def _hdr(video: VideoStream) -> Hdr:
    told = video.hdr or SourceHdr()
    assert video.colour.hdr
    return Hdr(range=video.colour.hdr, chroma_location=told.chroma_location, metadata=told.metadata)


def plan_renditions(source: Source, preset: Preset) -> tuple[Rendition, ...]:
    """The video renditions of all ladders, smallest first. They keep the aspect ratio and never upscale."""
    if source.video is None:
        return ()
    renditions = [
        rendition
        for ladder in preset.ladders
        if ladder.dynamic_range == "sdr" or source.video.colour.hdr
        for rendition in _climb(ladder, source, source.video)
    ]
    return tuple(sorted(renditions, key=lambda rendition: rendition.width * rendition.height))


def ladders_left_out(source: Source, preset: Preset) -> tuple[str, ...]:
    """The HDR ladders that a source has no dynamic range for, in words for a person."""
    if source.video is None or source.video.colour.hdr:
        return ()
    return tuple(
        f"HDR renditions ({ENCODERS[ladder.encoder].codec.upper()}): the source is SDR"
        for ladder in preset.ladders
        if ladder.dynamic_range == "hdr"
    )


def _climb(ladder: Ladder, source: Source, video: VideoStream) -> list[Rendition]:
    """The renditions of one ladder: its rungs that the source can fill.

    If the source is clearly larger than the largest of them, the next rung is added at the source's own size;
    of a ladder by title, all rungs with that rung's box.
    If it fills fewer than two, further rungs are added at that size until there are two bitrates.

    :raises InvalidInputError: all of them are smaller than the encoder's least size.
    """
    rungs = [rung for rung in ladder.rungs if meets(rung.when, source)] or [ladder.rungs[0]]
    filled = [rung for rung in rungs if _scale(video, rung) <= NEARLY_FULL]
    larger = [rung for rung in rungs if _scale(video, rung) > NEARLY_FULL]
    renditions = [_rendition(video, ladder, rung) for rung in filled]
    box = None
    for rung in larger:
        own_size = _rendition(video, ladder, rung)
        pixels = own_size.width * own_size.height
        is_slot = ladder.by_title and (rung.width, rung.height) == box
        if (
            len(renditions) >= LEAST_BITRATES
            and pixels < SOURCE_SIZE_GAIN * renditions[-1].width * renditions[-1].height
            and not is_slot
        ):
            break
        renditions.append(own_size)
        box = rung.width, rung.height
    min_side = ENCODERS[ladder.encoder].min_side
    large_enough = [
        rendition for rendition in renditions if min(rendition.width, rendition.height) >= min_side
    ]
    if not large_enough:
        raise InvalidInputError(
            f"source: its picture of {renditions[-1].width}x{renditions[-1].height} is too small for "
            f"{ladder.encoder}, which needs {min_side} on each side; ask for a preset with another encoder"
        )
    return large_enough


def plan_audio(source: Source, preset: Preset) -> tuple[tuple[AudioRendition, ...], tuple[str, ...]]:
    """The audio renditions, and the sound that is left out, in words for a person.

    Each sound track of the source gets one rendition with the preset's channels, titles are unique, and one
    is the default, unless all of them are for some listeners only. Then each track with at least six channels
    gets those in 5.1 that the preset asks for, the others one in stereo of Dolby's codecs beside them, and
    each track one in Opus.
    """
    pair, skipped = _mono_pair(source, preset)
    streams: list[tuple[AudioStream, AudioStream | None]] = [(stream, None) for stream in source.audio]
    if pair:
        streams = [(pair[0].model_copy(update={"channels": 2}), pair[1])]
    plain = [number for number, (stream, _) in enumerate(streams) if not stream.is_special]
    default = next((n for n in plain if streams[n][0].default), plain[0] if plain else None)
    renditions, titles = [], set[str]()
    for i, (stream, right) in enumerate(streams):
        language = language_tag(stream.language)
        title = unique_title(stream.title or language_name(language), i + 1, "Audio", titles)
        renditions.append(
            AudioRendition(
                name=f"audio-{i}",
                track=f"audio-{i}",
                stream=stream,
                right=right,
                codec="he-aac" if preset.audio.profile == "he" else "aac",
                channels=preset.audio.channels,
                sample_rate=preset.audio.sample_rate,
                bitrate_bps=preset.audio.bitrate_bps,
                loudness_lufs=None if preset.audio.loudness == "off" else preset.audio.loudness,
                language=language,
                title=title,
                default=i == default,
            )
        )
    return tuple(renditions + _others(renditions, preset.audio)), skipped


def _others(stereo: Sequence[AudioRendition], asked: AudioRung) -> list[AudioRendition]:
    """The renditions of the same tracks in 5.1 and in other codecs."""
    surround = [
        sound for sound in stereo if sound.stream.channels >= SURROUND and not sound.stream.is_ambisonic
    ]
    found: list[AudioRendition] = []
    if asked.surround_bitrate_bps:
        found += [
            sound.model_copy(
                update={
                    "name": sound.name + SURROUND_SUFFIX,
                    "codec": "aac",
                    "channels": SURROUND,
                    "bitrate_bps": asked.surround_bitrate_bps,
                }
            )
            for sound in surround
        ]
    dolby: list[tuple[SoundCodec, int | None]] = [
        ("ac3", asked.ac3_bitrate_bps),
        ("eac3", asked.eac3_bitrate_bps),
    ]
    facts: dict[str, Any]
    for codec, bitrate_bps in dolby:
        # A player that lacks the codec must leave out the whole group, so all members have it.
        for sound in stereo if surround and bitrate_bps else ():
            is_surround = sound in surround
            channels = SURROUND if is_surround else sound.channels
            facts = {
                "name": sound.name + SUFFIXES[codec],
                "codec": codec,
                "channels": channels,
                "bitrate_bps": bitrate_bps if is_surround else STEREO_BPS[codec],
                "sample_rate": DOLBY_RATE,
                "passthrough": asked.passthrough
                and sound.right is None
                and sound.stream.codec == codec
                and sound.stream.channels >= channels,
            }
            found.append(sound.model_copy(update=facts))
    for sound in stereo if asked.opus_bitrate_bps else ():
        facts = {
            "name": sound.name + SUFFIXES["opus"],
            "codec": "opus",
            "bitrate_bps": asked.opus_bitrate_bps,
            "sample_rate": OPUS_RATE,
        }
        found.append(sound.model_copy(update=facts))
    return found


MASTERS = ("mxf", "mov", "gxf")
"""Containers of cameras and broadcasters, in which each channel may be a track of its own."""


def _mono_pair(
    source: Source, preset: Preset
) -> tuple[tuple[AudioStream, AudioStream] | None, tuple[str, ...]]:
    """Left and right track of a master whose channels are tracks (else None), and what is left out, in words.

    SMPTE and EBU recommend left and right on tracks 1 and 2. Mono tracks of a file for viewers are something
    else, languages for instance. They are told apart by container, compression, language and sample rate.
    """
    tracks = source.audio
    is_master = any(name in MASTERS for name in source.container.split(","))
    if (
        preset.audio.mono_tracks == "separate"
        or len(tracks) < 2
        or not is_master
        or not all(track.channels == 1 and track.codec.startswith("pcm_") for track in tracks)
        or len({(track.language, track.sample_rate, track.codec) for track in tracks}) > 1
    ):
        return None, ()
    left_out = tuple(
        f"audio stream {track.index} ({track.codec}): a mono track beside the first two, which are "
        'left and right; a preset with "mono_tracks": "separate" keeps each'
        for track in tracks[2:]
    )
    return (tracks[0], tracks[1]), left_out
