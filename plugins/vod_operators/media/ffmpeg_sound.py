"""Sound -> argv: encoding one whole track, and measuring its loudness."""

from __future__ import annotations

from fractions import Fraction

import ffmpeg

from vod_operators.media.ffmpeg import BARE, ENCODING, LOCAL_ONLY, LOSSLESS_SOUND, Argv, command, guard_ticks
from vod_operators.media.models import AudioRendition

MIN_GAP_S = 0.01
"""Sound is put back in its place when its timestamps are so far from where it is: less than an AAC frame, so
that one that is lost is seen; more than containers round timestamps by."""


def decode_audio(tool: str, source: str, output: str, *, audio: AudioRendition) -> Argv:
    """Decode one cut sound track whose channels or rate change on the way, into one of the rendition's.

    The filters of ``encode_audio`` count samples from its beginning to its end, and would begin anew.
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
) -> Argv:
    """Encode one whole sound track as AAC, from output time 0, of exactly so many samples.

    Silence is added only before a track that starts after the video, and where the source's
    timestamps have a gap; what comes before the video's first frame is cut.

    :param time_base: of the file's sound.
    :param gain_db: of the whole track.
    """
    sound = _whole_sound(source, audio, time_base, samples)
    if gain_db:
        sound = _as_encoded(sound, audio).filter("volume", f"{gain_db:g}dB", precision="float")
    out = sound.output(
        output,
        format="mp4",
        movflags="+default_base_moof+delay_moov+skip_sidx+skip_trailer",
        frag_duration=2_000_000,
        **BARE,
        fflags="+bitexact",
        ac=audio.channels,
        ar=audio.sample_rate,
        **{"c:a": "aac", "b:a": audio.bitrate_bps},
    )
    return command(tool, out, *ENCODING)


def measure_loudness(
    tool: str, source: str, *, audio: AudioRendition, time_base: Fraction, samples: int
) -> Argv:
    """Tell the loudness of what ``encode_audio`` would encode, as its last messages (EBU R128)."""
    sound = _as_encoded(_whole_sound(source, audio, time_base, samples), audio)
    return command(tool, _measured(sound), *ENCODING, *_SUMMARY)


def measure_encoded(tool: str, source: str) -> Argv:
    """Tell the loudness of an encoded track, as its last messages (EBU R128)."""
    return command(tool, _measured(ffmpeg.input(source, **LOCAL_ONLY)["a:0"]), *ENCODING, *_SUMMARY)


_SUMMARY = ("-loglevel", "info")
"""The filter tells its result at this level only."""


def _whole_sound(
    source: str, audio: AudioRendition, time_base: Fraction, samples: int
) -> ffmpeg.nodes.FilterableStream:
    """Exactly so many samples of a cut track, from output time 0."""
    guard = guard_ticks(time_base)
    return (
        as_rendition(ffmpeg.input(source, format="nut", **LOCAL_ONLY)["a:0"], audio)
        .filter("asettb", f"{time_base.numerator}/{time_base.denominator}")
        .filter("asetpts", f"PTS-{guard}")
        .filter("aresample", audio.sample_rate, **{"async": 1, "min_hard_comp": MIN_GAP_S, "first_pts": 0})
        .filter("apad", whole_len=samples)
        .filter("atrim", end_sample=samples)
    )


def as_rendition(
    sound: ffmpeg.nodes.FilterableStream, audio: AudioRendition
) -> ffmpeg.nodes.FilterableStream:
    """In a layout that ffmpeg can mix down: of ambisonics, what two cardioid microphones hear that point to
    the left and to the right.

    The channels are W, Y, Z, X ... (ACN), normalised as SN3D: W hears all around, Y left less right. What
    comes with them in stereo is added to its side.
    """
    if not audio.stream.is_ambisonic:
        return sound
    # "<", not "=", which ffmpeg-python escapes beyond recognition. It also scales the gains of each side to a
    # sum of one: that changes them only where there is stereo besides.
    left, right = "0.5*c0+0.5*c1", "0.5*c0-0.5*c1"
    if (audio.stream.channel_layout or "").endswith("+stereo"):
        last = audio.stream.channels - 1
        left, right = f"{left}+c{last - 1}", f"{right}+c{last}"
    return sound.filter("pan", f"stereo|c0<{left}|c1<{right}")


def _as_encoded(sound: ffmpeg.nodes.FilterableStream, audio: AudioRendition) -> ffmpeg.nodes.FilterableStream:
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[audio.channels]
    return sound.filter("aformat", sample_fmts="fltp", channel_layouts=layout)


def _measured(sound: ffmpeg.nodes.FilterableStream) -> ffmpeg.nodes.OutputStream:
    return sound.filter("ebur128", peak="true", framelog="quiet").output("-", format="null")
