"""Argv that encode or copy a whole sound track, or measure its loudness."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import ffmpeg

from vod_operators.formats.dolby import ENTRIES as DOLBY
from vod_operators.formats.dolby import UNIT_SAMPLES
from vod_operators.media import ffmpeg_report, filters
from vod_operators.media.ffmpeg import (
    BARE,
    ENCODING,
    LOCAL_ONLY,
    LOSSLESS_SOUND,
    Argv,
    command,
    ffprobe,
    guard_ticks,
)
from vod_operators.media.models import AudioRendition
from vod_operators.media.passthrough import Taken
from vod_operators.media.sound_codecs import CODECS, DOLBY_RATE

MIN_GAP_S = 0.01
"""Smallest gap between timestamps and samples that is filled. It is less than an AAC frame (at least 21 ms at
48 kHz), so that a lost frame is noticed, and more than containers round timestamps by."""


def decode_audio(tool: str, source: str, output: str, *, audio: AudioRendition) -> Argv:
    """Decode one cut sound track, whose channels or rate change, into the rendition's.

    Such a change would restart the filters of ``encode_audio``, which must count all samples of the track.
    """
    sound = ffmpeg.input(source, format="nut", **LOCAL_ONLY)["a:0"]
    out = sound.output(
        output, format="nut", ac=audio.channels, ar=audio.sample_rate, **{"c:a": LOSSLESS_SOUND}
    )
    return command(tool, out, *ENCODING)


def encode_audio(
    tool: str,
    source: str,
    output: str,
    *,
    audio: AudioRendition,
    time_base: Fraction,
    samples: int,
    gain_db: float = 0,
    dialogue_lufs: int | None = None,
    report: bool = False,
) -> Argv:
    """Encode one whole sound track, from output time 0, of exactly ``samples`` samples.

    Silence fills gaps in the source's timestamps, the time before a track that starts after the video, and
    the end of a track that is too short. Sound before the video's first frame is cut.

    :param time_base: time base of the sound in the file.
    :param samples: length of the output, at the rendition's sample rate.
    :param gain_db: gain of the whole track.
    :param dialogue_lufs: what Dolby's decoders are told of the loudness (``dialnorm``), which they then bring
        to -31; None: that it has that, so that they play it as it is.
    :param report: whether to write the files of ``ffmpeg_report`` too.
    """
    unflushed = CODECS[audio.codec].unflushed
    sound, facts = _whole_sound(source, audio, time_base, samples + unflushed), []
    if report:
        copies = sound.filter_multi_output("asplit", 2)
        sound = copies.stream(0)
        facts = ffmpeg_report.write_sound_facts(copies.stream(1), audio, samples)
    if gain_db:
        sound = _as_encoded(sound, audio).filter("volume", f"{gain_db:g}dB", precision="float")
    out = sound.output(
        output,
        **_FRAGMENTED_SOUND,
        ac=audio.channels,
        ar=audio.sample_rate,
        **_encoder(audio, dialogue_lufs),
        **({"bsf:a": f"setts=duration=min(DURATION\\,{samples}-PTS)"} if unflushed else {}),
    )
    return command(tool, ffmpeg.merge_outputs(out, *facts), *ENCODING)


_FRAGMENTED_SOUND: Mapping[str, Any] = {
    "format": "mp4",
    "movflags": "+default_base_moof+delay_moov+skip_sidx+skip_trailer",
    "frag_duration": 2_000_000,
    **BARE,
    "fflags": "+bitexact",
}


def _encoder(audio: AudioRendition, dialogue_lufs: int | None) -> dict[str, Any]:
    codec = CODECS[audio.codec]
    options: dict[str, Any] = {"c:a": codec.encoder, "b:a": audio.bitrate_bps}
    options |= {f"{name}:a": value for name, value in codec.options}
    if dialogue_lufs is not None and codec.family in DOLBY:
        options["dialnorm"] = dialogue_lufs
    return options


def try_sound_encoder(tool: str, audio: AudioRendition) -> Argv:
    """Encode a moment of silence as that rendition and discard it: fails if this host's ffmpeg cannot."""
    source = f"anullsrc=channel_layout={LAYOUTS[audio.channels]}:sample_rate={audio.sample_rate}"
    silence = ffmpeg.input(source, format="lavfi", t=0.2)["a:0"]
    return command(tool, silence.output("pipe:1", format="null", **_encoder(audio, None)))


def list_packets(tool: str, source: str) -> Argv:
    """List the times of a cut track's packets, in seconds, a line each."""
    return ffprobe(tool, "-f", "nut", "-select_streams", "a:0", "-show_entries", "packet=pts_time", "-of",
                   "csv=p=0", source)  # fmt: skip


def take_frames(tool: str, source: str, output: str, *, taken: Taken) -> Argv:
    """Write the frames of a cut track that are taken, without a container: NUT takes E-AC-3 for AC-3."""
    drop = f"noise=amount=0:drop=lt(n\\,{taken.first})+gte(n\\,{taken.first + taken.frames})"
    sound = ffmpeg.input(source, format="nut", **LOCAL_ONLY)["a:0"]
    return command(tool, sound.output(output, format="data", codec="copy", **{"bsf:a": drop}), *ENCODING)


def copy_audio(tool: str, source: str, output: str, *, audio: AudioRendition, taken: Taken) -> Argv:
    """Copy what ``take_frames`` wrote, with the times that it has in the output, and an edit list."""
    place = f"(N*{UNIT_SAMPLES}-{taken.priming})"
    lasts = f"if(eq(N\\,{taken.frames - 1})\\,{taken.samples}-{place}\\,{UNIT_SAMPLES})"
    # The demuxer counts in 90 kHz, which is fine enough for each sample.
    place, lasts = (f"round({samples}/{DOLBY_RATE}/TB)" for samples in (place, lasts))
    sound = ffmpeg.input(source, format=audio.codec, **LOCAL_ONLY)["a:0"]
    times = f"setts=pts={place}:dts={place}:duration={lasts}"
    out = sound.output(output, **_FRAGMENTED_SOUND, codec="copy", **{"bsf:a": times})
    return command(tool, out, *ENCODING)


def decode_copied(tool: str, source: str) -> Argv:
    """Decode a whole track and discard it: only the decoder's messages are wanted."""
    sound = ffmpeg.input(source, err_detect="crccheck", **LOCAL_ONLY)["a:0"]
    return command(tool, sound.output("-", format="null"), *ENCODING)


def measure_loudness(
    tool: str, source: str, *, audio: AudioRendition, time_base: Fraction, samples: int
) -> Argv:
    """Measure the loudness of what ``encode_audio`` would encode; the last messages tell it (EBU R128)."""
    sound = _as_encoded(_whole_sound(source, audio, time_base, samples), audio)
    return command(tool, _measured(sound), *ENCODING, *_SUMMARY)


def measure_encoded(tool: str, source: str) -> Argv:
    """Measure the loudness of an encoded track; the last messages tell it (EBU R128)."""
    return command(tool, _measured(ffmpeg.input(source, **LOCAL_ONLY)["a:0"]), *ENCODING, *_SUMMARY)


_SUMMARY = ("-loglevel", "info")
"""The filter ``ebur128`` prints its summary at level ``info``."""


def _whole_sound(source: str, audio: AudioRendition, time_base: Fraction, samples: int) -> filters.Stream:
    """Exactly ``samples`` samples of a cut track, from output time 0."""
    guard = guard_ticks(time_base)
    return (
        as_rendition(ffmpeg.input(source, format="nut", **LOCAL_ONLY)["a:0"], audio)
        .filter("asettb", f"{time_base.numerator}/{time_base.denominator}")
        .filter("asetpts", f"PTS-{guard}")
        .filter("aresample", audio.sample_rate, **{"async": 1, "min_hard_comp": MIN_GAP_S, "first_pts": 0})
        .filter("apad", whole_len=samples)
        .filter("atrim", end_sample=samples)
    )


def as_rendition(sound: filters.Stream, audio: AudioRendition) -> filters.Stream:
    """The sound in a layout that ffmpeg can mix down; ambisonics become stereo.

    Left and right are what two cardioid microphones would record, one pointing to each side. The channels are
    W, Y, Z, X ... (ACN) in SN3D: W is omnidirectional, Y is left minus right. A stereo pair that comes with
    the sound field is added to its sides.
    """
    if not audio.stream.is_ambisonic:
        return sound
    # "<" instead of "=", which ffmpeg-python escapes wrongly. "<" also normalises the gains of each side to a
    # sum of 1, which changes them only where a stereo pair is added.
    left, right = "0.5*c0+0.5*c1", "0.5*c0-0.5*c1"
    if (audio.stream.channel_layout or "").endswith("+stereo"):
        last = audio.stream.channels - 1
        left, right = f"{left}+c{last - 1}", f"{right}+c{last}"
    return sound.filter("pan", f"stereo|c0<{left}|c1<{right}")


LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
"""Channels -> ffmpeg's name of the layout that they are encoded in."""


def _as_encoded(sound: filters.Stream, audio: AudioRendition) -> filters.Stream:
    return sound.filter("aformat", sample_fmts="fltp", channel_layouts=LAYOUTS[audio.channels])


def _measured(sound: filters.Stream) -> filters.Output:
    return sound.filter("ebur128", peak="true", framelog="quiet").output("-", format="null")
