"""ffprobe's output -> ``Source``. Builds the command and reads its output; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from vod_operators.errors import InvalidInputError
from vod_operators.media.admission import length_of, positive, stream_id, where
from vod_operators.media.ffmpeg import SEARCHED, Argv, command, ffprobe, source_input
from vod_operators.media.frames import FrameFacts
from vod_operators.media.hdr import HDR10_PLUS, SourceHdr, dolby_vision, source_hdr
from vod_operators.media.models import AudioStream, Chapter, Colour, Scan, Source, TextStream, VideoStream
from vod_operators.media.names import clean_name
from vod_operators.media.orientation import Crop, DisplayMatrix, parse_matrix
from vod_operators.media.streams import describes_video, lowered_tags, pictures_of

PROBE_BYTES = 8_000_000
"""Bytes of a source that ffprobe reads to find its streams."""

RATE_TOLERANCE = Fraction(1, 500)
"""Largest relative difference between nominal and average rate at a constant rate. It is not 0, because
declared durations are rounded. Recordings of phones and screens, with variable rates, exceed it."""

NEARLY_ALL_FRAMES = Fraction(21, 20)
"""A source whose average rate is this close below its nominal rate has the nominal one, with a few frames
missing or a last one that is shown longer."""

CLOCKED_CONTAINERS = ("mpegts", "mpeg", "ogg")
"""Containers of broadcasts or chained streams: ffmpeg takes a jump of their timestamps for a clock reset, not
for a pause."""

SD_WIDTH, SD_HEIGHT = 1024, 576
"""A larger picture without declared colours is taken for BT.709."""

UNCONVERTIBLE = {"bt1361e", "smpte428", "smpte2085", "ictcp", "ipt-c2", "ycgco-re", "ycgco-ro"}
"""Matrices and transfers that ffmpeg names but none of its filters can convert."""

RGB_PIXELS = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8")

STANDARD_RATES = tuple(
    sorted(
        [Fraction(rate) for rate in (24, 25, 30, 48, 50, 60, 100, 120)]
        + [Fraction(rate, 1001) for rate in (24_000, 30_000, 60_000, 120_000)]
    )
)


def probe(tool: str, source: str, *, transport: bool = False, thorough: bool = False) -> Argv:
    """Describe the streams of a local file as JSON.

    :param transport: whether it is MPEG-TS.
    :param thorough: read on until each announced stream is found, to the end of the file if need be.
    """
    size, time = (SEARCHED, SEARCHED) if thorough else (PROBE_BYTES, 20_000_000)
    return ffprobe(
        tool, "-probesize", str(size), "-analyzeduration", str(time), "-show_format", "-show_streams",
        "-show_programs", "-show_chapters", "-of", "json", source, transport=transport,
    )  # fmt: skip


def first_obus(tool: str, source: str, output: str, *, stream: int, transport: bool) -> Argv:
    """Copy the first picture of an AV1 stream into a file of OBUs.

    :param tool: ffmpeg.
    """
    media = source_input(source, transport=transport)[str(stream)]
    return command(tool, media.output(output, format="obu", codec="copy", **{"frames:v": 1}))


FIRST_PACKETS = 400
"""Packets of some seconds of picture and sound."""


def first_packets(
    tool: str, source: str, *, transport: bool, stream: int | None = None, count: int = FIRST_PACKETS
) -> Argv:
    """List the first packets of a local file with their times and places, a line each.

    :param stream: index of the only stream to list; None: all.
    """
    selection = [] if stream is None else ["-select_streams", str(stream)]
    return ffprobe(
        tool, "-fflags", "+genpts", *selection, "-read_intervals", f"%+#{count}", "-show_entries",
        "packet=stream_index,pts,dts,pos,size,flags", "-of", "compact=p=0:nk=0", source, transport=transport,
    )  # fmt: skip


# --- probe ----------------------------------------------------------------------------------


def parse_probe(
    data: Mapping[str, Any],
    *,
    size_bytes: int,
    seen: FrameFacts | None = None,
    packet_times: Mapping[int, Sequence[int]] | None = None,
) -> Source:
    """ffprobe's JSON as a ``Source``.

    :param data: the JSON, parsed.
    :param seen: facts of its pictures, which count more than the header's.
    :param packet_times: stream index -> timestamps of its first packets, in file order.
    :raises InvalidInputError: it has neither picture nor sound, or its picture cannot be used.
    """
    streams = data.get("streams", [])
    container = data.get("format", {})
    pictures = pictures_of(streams)
    sounds = [stream for stream in streams if _is_sound(stream)]
    if not pictures and not sounds:
        kinds = [f"{s.get('codec_type', 'unknown')} ({s.get('codec_name', '?')})" for s in streams]
        raise InvalidInputError(
            f"source: it has neither picture nor sound; its streams: {', '.join(kinds) or 'none'}"
        )
    best = pictures[0] if pictures else None
    return Source(
        container=container.get("format_name", "unknown"),
        size_bytes=size_bytes,
        duration_ms=_duration_ms(container, [*pictures[:1], *streams]),
        bitrate_bps=_int(container.get("bit_rate")),
        video=_video(best, seen, (packet_times or {}).get(best["index"], ())) if best else None,
        audio=tuple(map(_audio, sounds)),
        texts=tuple(_text(stream) for stream in streams if _why_no_text(stream) is None),
        chapters=_chapters(data),
        container_ids=frozenset(map(stream_id, (*pictures[:1], *sounds))),
        skipped=(
            *(f"{where(stream)}: another picture; the first one is published" for stream in pictures[1:]),
            *(reason for stream in streams if (reason := _why_no_text(stream))),
        ),
    )


def _duration_ms(container: Mapping[str, Any], streams: Sequence[Mapping[str, Any]]) -> int | None:
    """The declared duration of a file, or else of the first stream that has one; None if it is not known."""
    if container.get("format_name") in CLOCKED_CONTAINERS:
        return None  # ffprobe subtracts the first time from the last, which a clock reset makes wrong
    declared = (str(float(length_of(container)) or ""), *(stream.get("duration") for stream in streams))
    return next((duration for text in declared if (duration := _milliseconds(text))), None)


MAX_CHAPTERS = 1000


def _chapters(data: Mapping[str, Any]) -> tuple[Chapter, ...]:
    chapters = []
    for chapter in data.get("chapters", [])[:MAX_CHAPTERS]:
        base = positive(chapter.get("time_base"))
        begin, end = chapter.get("start"), chapter.get("end")
        if base and isinstance(begin, int) and isinstance(end, int) and begin <= end:
            title = clean_name(chapter.get("tags", {}).get("title", "")) or None
            chapters.append(Chapter(start_s=begin * base, end_s=end * base, title=title))
    return tuple(chapters)


def _is_sound(stream: dict[str, Any]) -> bool:
    return (
        stream.get("codec_type") == "audio"
        and bool(stream.get("codec_name"))
        and bool(stream.get("channels"))
        and stream.get("sample_rate", "0") != "0"
    )


def _video(stream: Mapping[str, Any], seen: FrameFacts | None, packet_times: Sequence[int]) -> VideoStream:
    name = f"source: video stream {stream['index']}"
    if not stream.get("codec_name"):
        raise InvalidInputError(
            f"{name}: its codec ({stream.get('codec_tag_string', '?')}) is not one ffmpeg can decode"
        )
    if not stream.get("width") or not stream.get("height"):
        raise InvalidInputError(
            f"{name} ({stream['codec_name']}): it has no picture size, so it cannot be decoded"
        )
    declared: Scan = (
        "interlaced"
        if stream.get("field_order", "progressive") in ("tt", "bb", "tb", "bt")
        else "progressive"
    )
    scan = seen.scan if seen and seen.count else declared
    rate = _rate(stream, seen, packet_times, interlaced=scan != "progressive")
    if rate is None:
        raise InvalidInputError(f"{name} ({stream['codec_name']}): its frame rate is unknown")
    height = stream["height"]
    if seen and seen.fields_apart and stream["codec_name"] == "hevc":
        height, rate = 2 * height, rate / 2
    colour = _colour(stream)
    return VideoStream(
        index=stream["index"],
        codec=stream["codec_name"],
        profile=stream.get("profile"),
        width=stream["width"],
        height=height,
        fields_apart=height != stream["height"],
        crop=_crop(stream),
        sample_aspect=positive(stream.get("sample_aspect_ratio", "").replace(":", "/")) or Fraction(1),
        display_matrix=(seen and seen.display_matrix) or _display_matrix(stream),
        frame_rate=rate,
        time_base=Fraction(stream["time_base"]),
        pixel_format=stream.get("pix_fmt", "unknown"),
        scan=scan,
        field_order=seen.field_order if seen else None,
        first_pts=seen.first_pts if seen else None,
        reorders=bool(stream.get("has_b_frames")),
        colour=colour,
        peak_nits=_peak_nits(stream),
        hdr=_hdr(stream, seen) if colour.hdr else None,
        bitrate_bps=_int(stream.get("bit_rate")),
        language=_language(stream),
    )


def _rate(
    stream: Mapping[str, Any], seen: FrameFacts | None, packet_times: Sequence[int], *, interlaced: bool
) -> Fraction | None:
    """The frame rate by header, examined pictures and packet times; None if it is unknown."""
    nominal, average = positive(stream.get("r_frame_rate")), positive(stream.get("avg_frame_rate"))
    is_timed = 2 * len(packet_times) > stream.get("nb_read_packets", 0) or not packet_times
    if nominal and average and is_timed:
        average = min(average, nominal)  # the nominal rate is that of the smallest steps
    elif average and not is_timed:
        nominal = average  # few packets have times, so the rate is that which the pictures declare
    base = Fraction(stream["time_base"]) if "time_base" in stream else Fraction(0)
    measured = steady_rate(packet_times, base)
    if interlaced and seen and seen.least_step:
        step = seen.least_step * base
        # A rate of twice as many as there are pictures counts fields.
        if nominal and 1.9 < step * nominal < 2.1:
            nominal /= 2
            average = min(average, nominal) if average else None
        if measured and 1.9 < step * measured < 2.1:
            measured /= 2
    if interlaced and nominal and average and abs(nominal - 2 * average) <= RATE_TOLERANCE * nominal:
        nominal = average  # the nominal rate counted fields
    rate = frame_rate(nominal, average)
    if rate is not None and measured and _is_wrong(rate, measured, stream, seen):
        return _snap(measured)
    return rate


def _tagged(stream: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that ``AudioStream`` and ``TextStream`` share."""
    disposition = stream.get("disposition", {})
    return {
        "index": stream["index"],
        "codec": stream["codec_name"],
        "language": _language(stream),
        "title": lowered_tags(stream).get("title"),
        "default": bool(disposition.get("default")),
        "hearing_impaired": bool(disposition.get("hearing_impaired")),
        "commentary": bool(disposition.get("comment")),
    }


def _language(stream: Mapping[str, Any]) -> str | None:
    language = lowered_tags(stream).get("language")
    return None if language in (None, "", "und") else language


def _audio(stream: dict[str, Any]) -> AudioStream:
    return AudioStream(
        **_tagged(stream),
        channels=stream["channels"],
        channel_layout=stream.get("channel_layout"),
        sample_rate=int(stream["sample_rate"]),
        time_base=Fraction(stream["time_base"]),
        start_s=stream["start_pts"] * Fraction(stream["time_base"]) if "start_pts" in stream else None,
        describes_video=describes_video(stream),
        bitrate_bps=_int(stream.get("bit_rate")),
    )


TEXT_CODECS = ("mov_text", "subrip", "ass", "webvtt", "text")
"""Subtitle codecs that ffmpeg converts to WebVTT."""

BITMAP_CODECS = {
    "hdmv_pgs_subtitle": "PGS", "dvd_subtitle": "VobSub", "dvb_subtitle": "DVB", "xsub": "XSUB",
}  # fmt: skip


def _why_no_text(stream: dict[str, Any]) -> str | None:
    """Why a subtitle stream cannot become a text track, in words; None if it can, empty for other streams."""
    if stream.get("codec_type") != "subtitle":
        return ""
    codec = stream.get("codec_name", "unknown")
    # WebVTT in MP4 (``wvtt``) is wrapped in boxes, which ffmpeg takes for text.
    if codec in TEXT_CODECS and stream.get("codec_tag_string") != "wvtt":
        return None
    language = clean_name(stream.get("tags", {}).get("language", "und"))
    name = f"subtitle stream {stream['index']}" + (f" ({language})" if language != "und" else "")
    if codec in BITMAP_CODECS:
        return f"{name}: {BITMAP_CODECS[codec]} subtitles are pictures, not text"
    return f"{name}: {codec} cannot be read as text"


def _text(stream: dict[str, Any]) -> TextStream:
    return TextStream(**_tagged(stream), forced=bool(stream.get("disposition", {}).get("forced")))


BELIEVED_RATE = 60
"""Highest nominal rate that is believed where the rate varies: higher ones are mostly a common multiple of
its steps."""


def frame_rate(nominal: Fraction | None, average: Fraction | None) -> Fraction | None:
    """The source's frame rate for the output grid; None if neither rate is known.

    A constant rate is kept, snapped to the standard rate that it is a rounding of. A variable rate becomes
    its average if that is a standard rate (film in a broadcast). Otherwise it becomes its nominal rate if
    that is one, so that no frame is dropped; otherwise the next standard rate above its average.
    """
    if nominal is None or average is None:
        single = nominal or average
        return _snap(single) if single else None
    if abs(nominal - average) <= RATE_TOLERANCE * nominal:
        return _snap(nominal)
    if average <= nominal <= average * NEARLY_ALL_FRAMES and _snap(nominal) in STANDARD_RATES:
        return _snap(nominal)
    for rate in (_snap(average), _snap(nominal)):
        if rate in STANDARD_RATES and rate <= BELIEVED_RATE:
            return rate
    return next((rate for rate in STANDARD_RATES if rate >= average), STANDARD_RATES[-1])


LEAST_STEPS = 24
"""Least number of steps between pictures that a rate is measured from."""

HELD_BACK = 16
"""Latest pictures that are not counted, because packets between them may still come: a decoder reorders 16 at
most (H.264, A.3.1)."""


def steady_rate(times: Sequence[int], time_base: Fraction) -> Fraction | None:
    """The rate of pictures at steady intervals; None if they are not steady, or too few.

    Film with 3:2 pulldown flags (shown for three fields and two in turn) counts as steady.

    :param times: timestamps in ticks, in file order.
    """
    ordered = sorted(times)[: -HELD_BACK or None]
    steps = [later - earlier for earlier, later in pairwise(ordered)]
    if len(steps) < LEAST_STEPS or min(steps) <= 0:
        return None
    mean = Fraction(sum(steps), len(steps))
    if _all_near(steps, mean):
        return 1 / (mean * time_base)
    pairs = [first + second for first, second in zip(steps[::2], steps[1::2], strict=False)]
    mean = Fraction(sum(pairs), 2 * len(pairs))
    # Each time may be off by a tick, so ticks must be short against the steps.
    is_pulldown = min(steps) > 60 and abs(2 * max(steps) - 3 * min(steps)) <= 6
    return 1 / (mean * time_base) if is_pulldown and _all_near(pairs, 2 * mean) else None


def _all_near(steps: Sequence[int], mean: Fraction) -> bool:
    # Containers round times to a tick. Allow for that only where ticks are much shorter than steps.
    tolerance = max(Fraction(mean > 8), mean * RATE_TOLERANCE)
    return all(abs(step - mean) <= tolerance for step in steps)


LEAST_SHARE = Fraction(3, 4)
"""Least step between pictures, as a share of the measured mean, to trust the mean. Pulldown has 0.8."""


def _is_wrong(
    declared: Fraction, measured: Fraction, stream: Mapping[str, Any], seen: FrameFacts | None
) -> bool:
    """Whether the header's rate is wrong.

    A rate that is too low is, because it would lose pictures. One that is too high is believed if pictures
    elsewhere in the file may come as fast.
    """
    if measured > declared * NEARLY_ALL_FRAMES:
        return True
    if measured * NEARLY_ALL_FRAMES >= declared or seen is None or seen.least_step is None:
        return False
    return seen.least_step * Fraction(stream["time_base"]) * measured > LEAST_SHARE


def _snap(rate: Fraction) -> Fraction:
    nearest = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    # 24 and 23.976 differ by a thousandth; a rounded declaration is within a quarter of that.
    if abs(nearest - rate) <= nearest / 4000:
        return nearest
    return rate.limit_denominator(1001)


def _display_matrix(stream: Mapping[str, Any]) -> DisplayMatrix | None:
    matrices = (parse_matrix(data.get("displaymatrix", "")) for data in stream.get("side_data_list", []))
    return next(filter(None, matrices), None)


def _crop(stream: Mapping[str, Any]) -> Crop:
    """The container's crop (Matroska's PixelCrop, MP4's clean aperture).

    :raises InvalidInputError: it leaves nothing of the picture.
    """
    for side_data in stream.get("side_data_list", []):
        if side_data.get("side_data_type") == "Frame Cropping":
            sides = [int(side_data.get(f"crop_{side}", 0)) for side in Crop._fields]
            crop = Crop(*sides)
            if crop.left + crop.right >= stream["width"] or crop.top + crop.bottom >= stream["height"]:
                raise InvalidInputError(
                    f"source: video stream {stream['index']}: its crop ({', '.join(map(str, sides))} pixels) "
                    f"leaves nothing of {stream['width']}x{stream['height']}"
                )
            return crop
    return Crop()


def _colour(stream: Mapping[str, Any]) -> Colour:
    """The declared colours. Missing ones are guessed as players do: by pixel format, then by size.

    :raises InvalidInputError: the colours cannot be converted.
    """
    _refuse_unconvertible(stream)
    pixels = stream.get("pix_fmt") or ""
    rgb = pixels.startswith(RGB_PIXELS)
    matrix = "gbr" if rgb else _declared(stream, "color_space")
    if not rgb and matrix == "gbr":  # a wrong tag: these pixels are not RGB
        matrix = None
    primaries, transfer = _declared(stream, "color_primaries"), _declared(stream, "color_transfer")
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


def _declared(stream: Mapping[str, Any], name: str) -> str | None:
    value: str | None = stream.get(name)
    return None if value in (None, "unknown", "reserved") else value


def _refuse_unconvertible(stream: Mapping[str, Any]) -> None:
    """:raises InvalidInputError: no filter of ffmpeg converts the stream's colours."""
    unknown = UNCONVERTIBLE & {_declared(stream, name) for name in ("color_space", "color_transfer")}
    for side_data in stream.get("side_data_list", []):
        if side_data.get("dv_profile") and side_data.get("dv_bl_signal_compatibility_id") == 0:
            unknown.add(f"Dolby Vision profile {side_data['dv_profile']} without another layer")
    if unknown:
        raise InvalidInputError(
            f"source: video stream {stream['index']}: its colours ({', '.join(sorted(unknown))}) cannot be "
            "converted; export it as SDR, HDR10 or HLG"
        )


def _hdr(stream: Mapping[str, Any], seen: FrameFacts | None) -> SourceHdr:
    if seen is None:
        return source_hdr(stream, (), (), ())
    dynamic = seen.dynamic_metadata
    if any(dolby_vision(side_data) for side_data in stream.get("side_data_list", [])):
        dynamic = tuple(name for name in dynamic if name == HDR10_PLUS)  # the container tells the profile
    return source_hdr(stream, seen.static_metadata, dynamic, seen.remarks)


def _peak_nits(stream: Mapping[str, Any]) -> int | None:
    peaks = [
        Fraction(value)
        for side_data in stream.get("side_data_list", [])
        for name in ("max_content", "max_luminance")
        if (value := side_data.get(name))
    ]
    return int(peaks[0]) if peaks and peaks[0] >= 1 else None


def _int(value: str | None) -> int | None:
    return int(value) if value and value.isdecimal() and int(value) > 0 else None


def _milliseconds(value: str | None) -> int | None:
    try:
        return max(0, round(float(value) * 1000)) if value else None
    except (ValueError, OverflowError):  # not a number, or infinite
        return None
