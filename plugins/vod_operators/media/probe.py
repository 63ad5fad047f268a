"""ffprobe's words -> ``Source``. Builds the command and reads its output; runs nothing."""

from __future__ import annotations

import json
from collections.abc import Collection
from fractions import Fraction
from typing import Any, Literal, cast

from vod_operators.errors import InvalidInputError
from vod_operators.media.admission import is_cover, positive
from vod_operators.media.ffmpeg import DEMUXERS, Argv
from vod_operators.media.models import AudioStream, Colour, Source, TextStream, VideoStream

PROBE_BYTES = 8_000_000
"""How much of a source ffprobe reads to know its streams."""

RATE_TOLERANCE = Fraction(1, 500)
"""Nominal and average rate of a constant-rate source differ by less than this part (declared
durations are rounded); the rates of a phone's or a screen recording's video differ by more."""

NEARLY_ALL_FRAMES = Fraction(21, 20)
"""A source whose average is this close below its nominal rate has that rate, with a few frames left out
or a last one that is shown for longer."""

CLOCKED_CONTAINERS = ("mpegts", "mpeg", "ogg")
"""Recorded from broadcasts, or chained: ffmpeg takes a jump of their timestamps for a clock set anew,
not for a pause."""

SD_WIDTH, SD_HEIGHT = 1024, 576
"""Above this an untagged picture is taken for BT.709."""

UNCONVERTIBLE = {"bt1361e", "smpte428", "smpte2085", "ictcp", "ipt-c2", "ycgco-re", "ycgco-ro"}
"""Matrices and transfers that ffmpeg names but no filter of it computes."""

RGB_PIXELS = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8")

STANDARD_RATES = tuple(
    Fraction(rate)
    for rate in (
        "24000/1001",
        "24",
        "25",
        "30000/1001",
        "30",
        "48",
        "50",
        "60000/1001",
        "60",
        "100",
        "120000/1001",
        "120",
    )
)


def probe(tool: str, source: str) -> Argv:
    """Describe the streams of a local file as JSON."""
    # fmt: off
    return [
        tool, "-hide_banner", "-loglevel", "error",
        "-protocol_whitelist", "file", "-format_whitelist", DEMUXERS,
        "-probesize", str(PROBE_BYTES), "-analyzeduration", "20000000",
        "-show_format", "-show_streams", "-of", "json", source,
    ]
    # fmt: on


def first_packets(tool: str, source: str) -> Argv:
    """Where the first packets of a local file lie: one line each."""
    # fmt: off
    return [
        tool, "-hide_banner", "-loglevel", "error",
        "-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-read_intervals", "%+#60",
        "-show_entries", "packet=stream_index,pos,size,flags", "-of", "compact=p=0:nk=0", source,
    ]
    # fmt: on


# --- probe ----------------------------------------------------------------------------------


def parse_probe(text: str, *, size_bytes: int, without: Collection[int] = ()) -> Source:
    """What ffprobe printed, as a ``Source``.

    :param without: indexes of streams to leave out.
    :raises InvalidInputError: neither picture nor sound is in it, or what ffprobe says makes no sense.
    """
    data = json.loads(text)
    streams = [stream for stream in data.get("streams", []) if stream["index"] not in without]
    container = data.get("format", {})
    pictures = [stream for stream in streams if stream.get("codec_type") == "video" and not is_cover(stream)]
    sounds = tuple(_audio(stream) for stream in streams if _is_sound(stream))
    if not pictures and not sounds:
        kinds = (
            ", ".join(f"{s.get('codec_type', 'unknown')} ({s.get('codec_name', '?')})" for s in streams)
            or "none"
        )
        raise InvalidInputError(f"source: it has neither picture nor sound; its streams: {kinds}")
    best = max(pictures, key=lambda stream: bool(stream.get("disposition", {}).get("default")), default=None)
    declared = [container.get("duration"), *(stream.get("duration") for stream in (best or {}, *streams))]
    if container.get("format_name") in CLOCKED_CONTAINERS:
        declared = []  # only the difference of the last and the first time of its clock
    return Source(
        container=container.get("format_name", "unknown"),
        size_bytes=size_bytes,
        duration_ms=next((found for text in declared if (found := _milliseconds(text))), None),
        bitrate_bps=_int(container.get("bit_rate")),
        video=_video(best) if best else None,
        audio=sounds,
        texts=tuple(_text(stream) for stream in streams if _why_no_text(stream) is None),
        skipped=tuple(why for stream in streams if (why := _why_no_text(stream))),
    )


def _is_sound(stream: dict[str, Any]) -> bool:
    return (
        stream.get("codec_type") == "audio"
        and bool(stream.get("codec_name"))
        and bool(stream.get("channels"))
        and stream.get("sample_rate", "0") != "0"
    )


def _video(stream: dict[str, Any]) -> VideoStream:
    where = f"source: video stream {stream['index']}"
    if not stream.get("codec_name"):
        raise InvalidInputError(
            f"{where}: its codec ({stream.get('codec_tag_string', '?')}) is not one ffmpeg can decode"
        )
    if not stream.get("width") or not stream.get("height"):
        raise InvalidInputError(
            f"{where} ({stream['codec_name']}): it has no picture size, so it cannot be decoded"
        )
    nominal, average = positive(stream.get("r_frame_rate")), positive(stream.get("avg_frame_rate"))
    if nominal and average:
        average = min(average, nominal)  # nominal is the rate of the finest steps
    interlaced = stream.get("field_order", "progressive") in ("tt", "bb", "tb", "bt")
    if interlaced and nominal and average and abs(nominal - 2 * average) <= RATE_TOLERANCE * nominal:
        nominal = average  # it counted fields
    rate = frame_rate(nominal, average)
    if rate is None:
        raise InvalidInputError(f"{where} ({stream['codec_name']}): its frame rate cannot be told")
    return VideoStream(
        index=stream["index"],
        codec=stream["codec_name"],
        profile=stream.get("profile"),
        width=stream["width"],
        height=stream["height"],
        sample_aspect=positive(stream.get("sample_aspect_ratio", "").replace(":", "/")) or Fraction(1),
        rotation=_rotation(stream),
        frame_rate=rate,
        time_base=Fraction(stream["time_base"]),
        pixel_format=stream.get("pix_fmt", "unknown"),
        interlaced=interlaced,
        reorders=bool(stream.get("has_b_frames")),
        colour=_colour(stream),
        peak_nits=_peak_nits(stream),
        bitrate_bps=_int(stream.get("bit_rate")),
    )


def _audio(stream: dict[str, Any]) -> AudioStream:
    tags = {key.lower(): value for key, value in stream.get("tags", {}).items()}
    language = tags.get("language")
    return AudioStream(
        index=stream["index"],
        codec=stream["codec_name"],
        channels=stream["channels"],
        sample_rate=int(stream["sample_rate"]),
        time_base=Fraction(stream["time_base"]),
        start_s=stream["start_pts"] * Fraction(stream["time_base"]) if "start_pts" in stream else None,
        language=None if language in (None, "", "und") else language,
        title=tags.get("title"),
        default=bool(stream.get("disposition", {}).get("default")),
        bitrate_bps=_int(stream.get("bit_rate")),
    )


TEXT_CODECS = ("mov_text", "subrip", "ass", "webvtt", "text")
"""Subtitles that ffmpeg turns into WebVTT."""

BITMAP_CODECS = {
    "hdmv_pgs_subtitle": "PGS", "dvd_subtitle": "VobSub", "dvb_subtitle": "DVB", "xsub": "XSUB",
}  # fmt: skip


def _why_no_text(stream: dict[str, Any]) -> str | None:
    """Why a stream becomes no text track: the reason in words; empty if it is not of subtitles at all."""
    if stream.get("codec_type") != "subtitle":
        return ""
    codec = stream.get("codec_name", "unknown")
    # WebVTT in MP4 is cut into boxes, which ffmpeg takes for text.
    if codec in TEXT_CODECS and stream.get("codec_tag_string") != "wvtt":
        return None
    language = stream.get("tags", {}).get("language", "und")
    where = f"subtitle stream {stream['index']}" + (f" ({language})" if language != "und" else "")
    if codec in BITMAP_CODECS:
        return f"{where}: {BITMAP_CODECS[codec]} subtitles are pictures, not text"
    return f"{where}: {codec} cannot be read as text"


def _text(stream: dict[str, Any]) -> TextStream:
    tags = {key.lower(): value for key, value in stream.get("tags", {}).items()}
    language, disposition = tags.get("language"), stream.get("disposition", {})
    return TextStream(
        index=stream["index"],
        codec=stream["codec_name"],
        language=None if language in (None, "", "und") else language,
        title=tags.get("title"),
        default=bool(disposition.get("default")),
        forced=bool(disposition.get("forced")),
        hearing_impaired=bool(disposition.get("hearing_impaired")),
    )


BELIEVED_RATE = 60
"""Faster nominal rates of a variable one are a common multiple of its steps more often than a rate."""


def frame_rate(nominal: Fraction | None, average: Fraction | None) -> Fraction | None:
    """The rate of the output grid.

    A constant rate is kept, snapped to the standard one that it is a rounding of. A variable rate
    goes onto its nominal rate if that is a standard one: then no frame is dropped; unless its average is
    one too (film in a broadcast). Else onto the standard rate next above its average.
    """
    if nominal is None or average is None:
        known = nominal or average
        return _snap(known) if known else None
    if abs(nominal - average) <= RATE_TOLERANCE * nominal:
        return _snap(nominal)
    if average <= nominal <= average * NEARLY_ALL_FRAMES and _snap(nominal) in STANDARD_RATES:
        return _snap(nominal)
    for rate in (_snap(average), _snap(nominal)):
        if rate in STANDARD_RATES and rate <= BELIEVED_RATE:
            return rate
    return next((rate for rate in STANDARD_RATES if rate >= average), STANDARD_RATES[-1])


def _snap(rate: Fraction) -> Fraction:
    nearest = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    # 24 and 23.976 are a thousandth apart; a rounded declaration is nearer than a quarter of that.
    if abs(nearest - rate) <= nearest / 4000:
        return nearest
    return rate.limit_denominator(1001)


def _rotation(stream: dict[str, Any]) -> Literal[0, 90, 180, 270]:
    for side_data in stream.get("side_data_list", []):
        if "rotation" in side_data:
            # ffprobe counts counter-clockwise, and what it says is how the picture is stored.
            turned = round(-float(side_data["rotation"]) / 90) * 90 % 360
            return cast(Literal[0, 90, 180, 270], turned)
    return 0


def _colour(stream: dict[str, Any]) -> Colour:
    """What is declared; what is not is what players take it for: by the kind of pixels, then by size.

    :raises InvalidInputError: they would be shown wrong.
    """
    pixels = stream.get("pix_fmt") or ""
    rgb = pixels.startswith(RGB_PIXELS)

    def declared(name: str) -> str | None:
        value: str | None = stream.get(name)
        return None if value in (None, "unknown", "reserved") else value

    named = (declared("color_space"), declared("color_transfer"))
    unknown = {name for name in named if name in UNCONVERTIBLE}
    for side_data in stream.get("side_data_list", []):
        if side_data.get("dv_profile") and side_data.get("dv_bl_signal_compatibility_id") == 0:
            unknown.add(f"Dolby Vision profile {side_data['dv_profile']} without another layer")
    if unknown:
        raise InvalidInputError(
            f"source: video stream {stream['index']}: its colours ({', '.join(sorted(unknown))}) cannot be "
            "converted; export it as SDR, HDR10 or HLG"
        )

    matrix = "gbr" if rgb else declared("color_space")
    if not rgb and matrix == "gbr":  # what cannot be is not believed
        matrix = None
    primaries, transfer = declared("color_primaries"), declared("color_transfer")
    if rgb or primaries == "bt709" or matrix == "bt709":
        guess = ("bt709", "bt709", "bt709")
    elif (primaries or matrix or "").startswith("bt2020") or transfer in ("smpte2084", "arib-std-b67"):
        guess = ("bt2020", "bt2020-10", "bt2020nc")
    elif stream["height"] > SD_HEIGHT or stream["width"] > SD_WIDTH:
        guess = ("bt709", "bt709", "bt709")
    elif stream["height"] in (576, 288) or "bt470bg" in (primaries, matrix):
        guess = ("bt470bg", "smpte170m", "bt470bg")
    else:
        guess = ("smpte170m", "smpte170m", "smpte170m")
    return Colour(
        primaries=primaries or guess[0],
        transfer=transfer or guess[1],
        matrix=matrix or guess[2],
        full_range=rgb or pixels.startswith("yuvj") or stream.get("color_range") == "pc",
    )


def _peak_nits(stream: dict[str, Any]) -> int | None:
    found = [
        Fraction(value)
        for side_data in stream.get("side_data_list", [])
        for name in ("max_content", "max_luminance")
        if (value := side_data.get(name))
    ]
    return int(found[0]) if found and found[0] >= 1 else None


def _int(value: str | None) -> int | None:
    return int(value) if value and value.isdecimal() and int(value) > 0 else None


def _milliseconds(value: str | None) -> int | None:
    try:
        return max(0, round(float(value) * 1000)) if value else None
    except (ValueError, OverflowError):  # not a number, or not a finite one
        return None
