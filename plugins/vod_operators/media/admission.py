"""Decides which sources are admitted: by a file's first bytes, its streams, and its size.

Pure: the functions take what ffprobe printed and what the file holds. Their errors say what was found and
what is expected. The real guard is ffprobe's list of demuxers; the checks here only give better messages.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any

from pydantic import Field

from vod_operators.errors import InvalidInputError
from vod_operators.formats.base import Model
from vod_operators.media.models import clock
from vod_operators.media.protection import encrypted
from vod_operators.toolwords import tool_words

MEDIA = "a media file such as MP4, MOV, Matroska, WebM, MPEG-TS, AVI or MXF"

HEAD_BYTES = 4096
"""Bytes of a file's beginning by which a playlist, an image or a text is recognised."""

MAX_SAMPLE_ASPECT = 10
"""Real anamorphic pixels are at most 4:1. A picture beyond this limit would be shown as a line."""


class Limits(Model):
    """Upper limits of a source. The setting ``VOD_NAME`` sets the limit ``name``."""

    max_source_bytes: int = Field(gt=0)
    max_duration_s: int = Field(gt=0)
    max_pixels: int = Field(gt=0)
    max_frame_rate: int = Field(gt=0)
    max_streams: int = Field(gt=0)


def check_size(size_bytes: int, limits: Limits) -> None:
    """Check the size before anything is downloaded.

    :raises InvalidInputError: the file is larger than allowed.
    """
    if size_bytes > limits.max_source_bytes:
        raise over_limit("its size is", f"{size_bytes} bytes", limits, "max_source_bytes")


def check_duration(seconds: Fraction | float, limits: Limits) -> None:
    """:raises InvalidInputError: the source is longer than allowed."""
    if seconds > limits.max_duration_s:
        raise over_limit("it lasts", f"{float(seconds):.0f} s ({clock(seconds)})", limits, "max_duration_s")


def over_limit(claim: str, value: str, limits: Limits, name: str) -> InvalidInputError:
    """The error of a source that exceeds the limit of that name."""
    return InvalidInputError(
        f"source: {claim} {value}; the limit is {getattr(limits, name)} (VOD_{name.upper()})"
    )


# --- what the file is -----------------------------------------------------------------------

_IMAGES = (
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"BM....\0\0\0\0....[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftyp(?:hei[cxms]|hev[cxms]|mif[12]|msf1)", "HEIC"),
    # Motion JPEG 2000 has the same signature and another brand.
    (rb"\0\0\0\x0cjP  \r\n\x87\n....ftypjp[2xm]", "JPEG 2000"),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
)

_PLAYLISTS = (
    (r"#EXTM3U", "an HLS or M3U playlist"),
    (r"(?:<\?xml.*?)?<MPD\b", "a DASH manifest"),
    (r"(?:<\?xml.*?)?<SmoothStreamingMedia\b", "a Smooth Streaming manifest"),
    (r"(?:<\?xml.*?)?<(?:smil|asx|playlist)\b", "a playlist"),
    (r"ffconcat version|(?:#[^\n]*\n\s*)*file\s+(?:'[^'\n]*'|\S+)\s*(?:\n|\Z)", "an ffconcat list"),
    (r"v=0\r?\n(?:.*\n)?[oscmt]=", "a session description (SDP)"),
    (r"\[(?:playlist|reference)\]", "a PLS playlist"),
)
"""Beginnings of texts that only name media."""

_MEDIA_IN_TEXT = b"YUV4MPEG2 "
"""Header of raw video. It is text, and grey pictures after it may look like text as well."""


def check_beginning(head: bytes) -> None:
    """:raises InvalidInputError: by its first bytes, the file is an image, a playlist or a text."""
    for pattern, name in _IMAGES:
        if re.match(pattern, head, re.DOTALL):
            raise InvalidInputError(f"source: it is an image ({name}), not a video; expected {MEDIA}")
    text = _text(head[:HEAD_BYTES])
    if text is None:
        return
    names = [name for start, name in _PLAYLISTS if re.match(start, text, re.DOTALL | re.IGNORECASE)]
    if names or _is_list_of_files(text):
        name = names[0] if names else "a playlist"
        raise InvalidInputError(
            f"source: it is {name}, which only lists media; give the media file itself: {MEDIA}"
        )
    kind = "a web page (HTML)" if re.match(r"<!doctype html|<html", text, re.IGNORECASE) else "a text"
    raise InvalidInputError(f"source: it is {kind}, not a video; expected {MEDIA}")


def _is_list_of_files(text: str) -> bool:
    """Whether each line is a path or a URL: an M3U playlist without its header."""
    lines = [line.partition("?")[0].rstrip() for line in text.splitlines() if line.strip()]
    complete_lines = lines[:-1] if len(text) >= HEAD_BYTES - 3 else lines  # the last one may be cut
    return bool(complete_lines) and all(re.search(r"^[^<{].*\.\w{2,4}$", line) for line in complete_lines)


def _text(head: bytes) -> str | None:
    """The text without a byte order mark and leading blanks; None if the bytes are not text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", "ignore")
    elif head.startswith(_MEDIA_IN_TEXT):
        return None
    else:
        try:
            text = head.decode("utf-8")
        except UnicodeDecodeError as error:
            if len(head) - error.start > 3:  # otherwise the head only ends inside a character
                return None
            text = head[: error.start].decode("utf-8")
    text = text.lstrip("\ufeff \t\r\n")
    return None if not text or re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", text) else text


_REASONS = (
    ("moov atom not found", "the index (moov) is missing: the upload is incomplete"),
    (
        "Function not implemented",
        "it is compressed (zlib), which cannot be read; rewrite it without compression",
    ),
    ("End of file", "nothing that can be shown or heard was found in it"),
)


def why_unreadable(stderr: str) -> str:
    """Why ffprobe could not read a file, in one phrase for a person."""
    if refusal := re.search(r"\[(\S+) @ \S+\] Format not on whitelist", stderr):
        return f"its format ({refusal[1]}) is not one that is accepted"
    for words, reason in _REASONS:
        if words in stderr:
            return reason
    return tool_words(stderr) or ("ffprobe does not recognise it" if stderr.strip() else "no message")


def decoders_of(listing: str) -> frozenset[str]:
    """Names of the codecs that ffmpeg decodes, from the output of ``ffmpeg.list_codecs``."""
    return frozenset(re.findall(r"^ D\S{5} ([a-z0-9_]+)", listing, re.M))


# --- what is in it --------------------------------------------------------------------------

_SAMPLE_AES = (0xDB, 0xCF, 0xC1, 0xC2)
"""Stream types of encrypted H.264, AAC, AC-3 and E-AC-3 (Apple, MPEG-2 Stream Encryption Format for HLS)."""

_SPATIAL = ("apple_apac", "apac")
"""Spatial sound of an iPhone. Only Apple's decoder reads it; the stream beside it holds the same sound."""

_MEASURED_ENDS = ("mpegts", "mpeg", "mpegvideo", "h264", "hevc")
"""Formats that declare no duration. ffprobe computes one from the last timestamps or the bitrate, and a
discontinuity may turn a minute into a day. The split checks the length that it counts."""


def check_probe(
    data: Mapping[str, Any],
    *,
    limits: Limits,
    decoders: Collection[str],
    present: Collection[int] | None = None,
) -> dict[int, str]:
    """Check that a probed source can be transcoded; returns index -> reason of each stream to leave out.

    :param data: ffprobe's JSON, parsed.
    :param decoders: names of the codecs that ffmpeg decodes.
    :param present: PIDs of which packets were found; None if it is no MPEG-TS.
    :raises InvalidInputError: it exceeds a limit, is encrypted, or has a stream that cannot be decoded.
    """
    streams, container = data.get("streams", []), data.get("format", {})
    name = str(container.get("format_name", ""))
    count = sum(stream.get("codec_type") != "attachment" for stream in streams)
    if count > limits.max_streams:
        raise over_limit("it has", f"{count} streams", limits, "max_streams")
    if "ASF_Protection_Type" in container.get("tags", {}):
        raise encrypted("it", "Windows Media DRM")
    for stream in streams:
        _check_protection(stream, name)
    if name not in _MEASURED_ENDS:
        check_duration(length_of(container), limits)
    pictures = [s for s in streams if s.get("codec_type") == "video" and not is_cover(s)]
    sounds = [s for s in streams if s.get("codec_type") == "audio"]
    if not pictures and not sounds:
        kinds = ", ".join(f"{s.get('codec_type', 'unknown')} ({_codec(s)})" for s in streams) or "none"
        raise InvalidInputError(
            f"source: it has neither picture nor sound that can be decoded; its streams: {kinds}"
        )
    for picture in pictures:
        _check_picture(picture, limits, decoders)
    left_out = {}
    for sound in sounds:
        if _codec(sound) in _SPATIAL and len(sounds) > 1:
            left_out[sound["index"]] = f"{where(sound)}: its sound is also in another stream"
        elif not _check_sound(sound, decoders, present):
            left_out[sound["index"]] = f"{where(sound)}: it is announced, but holds no packets"
    return left_out


def length_of(container: Mapping[str, Any]) -> Fraction:
    """Declared length of a file in seconds; 0 if it declares none.

    An MP4 that was cut out of a long stream declares its end on that stream's clock: the start is subtracted.
    """
    length = positive(container.get("duration")) or Fraction(0)
    if "mp4" in str(container.get("format_name", "")).split(","):
        length -= min(length, positive(container.get("start_time")) or Fraction(0))
    return length


def is_cover(stream: Mapping[str, Any]) -> bool:
    """Whether a video stream is cover art or thumbnails."""
    disposition = stream.get("disposition", {})
    return bool(disposition.get("attached_pic") or disposition.get("timed_thumbnails"))


def _check_protection(stream: Mapping[str, Any], container: str) -> None:
    if "enc_key_id" in stream.get("tags", {}):
        raise encrypted(f"its {where(stream)}", "ContentEncryption of Matroska and WebM")
    if container == "mpegts" and int(stream.get("codec_tag", "0"), 16) in _SAMPLE_AES:
        raise encrypted(f"its {where(stream)}", "SAMPLE-AES of HLS")


def _check_picture(stream: Mapping[str, Any], limits: Limits, decoders: Collection[str]) -> None:
    name = f"its {where(stream)}"
    _check_codec(stream, decoders)
    width, height = stream.get("width") or 0, stream.get("height") or 0
    if width * height > limits.max_pixels:
        raise over_limit(f"{name} has", f"{width}x{height} = {width * height} pixels", limits, "max_pixels")
    # One of the two may be the clock's rate: the nominal one in Matroska, the average in AVI.
    rate = min(
        filter(None, map(positive, (stream.get("avg_frame_rate"), stream.get("r_frame_rate")))), default=0
    )
    if rate > limits.max_frame_rate:
        raise over_limit(f"{name} has", f"{float(rate):g} frames a second", limits, "max_frame_rate")
    aspect = positive(str(stream.get("sample_aspect_ratio", "")).replace(":", "/")) or Fraction(1)
    if not Fraction(1, MAX_SAMPLE_ASPECT) <= aspect <= MAX_SAMPLE_ASPECT:
        raise InvalidInputError(
            f"source: {name} has pixels of {aspect.numerator}:{aspect.denominator}; expected an "
            f"aspect from 1:{MAX_SAMPLE_ASPECT} to {MAX_SAMPLE_ASPECT}:1"
        )


def _check_sound(
    stream: Mapping[str, Any], decoders: Collection[str], present: Collection[int] | None
) -> bool:
    """Whether the stream holds any packets."""
    if not stream.get("channels") or not positive(stream.get("sample_rate")):
        if present is not None and stream_id(stream) not in present:
            return False
        raise undecodable(stream, "its channels and sample rate are unknown")
    _check_codec(stream, decoders)
    return True


def _check_codec(stream: Mapping[str, Any], decoders: Collection[str]) -> None:
    if stream.get("codec_name") not in decoders:
        raise undecodable(stream, "ffmpeg has no decoder for it")


def undecodable(stream: Mapping[str, Any], reason: str) -> InvalidInputError:
    """The error of a probed stream that cannot be decoded."""
    return InvalidInputError(
        f"source: its {where(stream)} cannot be decoded: {reason}; remove the stream or re-encode it"
    )


def where(stream: Mapping[str, Any]) -> str:
    """``audio stream 1 (aac)``: how messages name a probed stream."""
    return f"{stream.get('codec_type')} stream {stream.get('index')} ({_codec(stream)})"


def _codec(stream: Mapping[str, Any]) -> str:
    tag = str(stream.get("codec_tag_string", ""))
    return str(stream.get("codec_name") or tag.replace("[0]", "") or "unknown codec")


def stream_id(stream: Mapping[str, Any]) -> int:
    """A probed stream's id in its container: PID of MPEG-TS, track id of MP4; -1 if it has none."""
    try:
        return int(stream.get("id", "-1"), 16)
    except ValueError:
        return -1


def positive(value: Any) -> Fraction | None:
    """The number that ``"1.5"`` or ``"30000/1001"`` stands for; None if it is not above 0 or no number."""
    try:
        number = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        return None
    return number if number > 0 else None
