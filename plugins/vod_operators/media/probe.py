"""ffprobe's words -> ``Source`` and packet times. Builds the command and reads its output; runs nothing."""

from __future__ import annotations

import json
from array import array
from fractions import Fraction
from typing import Any, Literal, cast

from vod_operators.errors import InvalidInputError
from vod_operators.media.ffmpeg import DEMUXERS, Argv
from vod_operators.media.models import AudioStream, Plan, Source, VideoStream

PROBE_BYTES = 8_000_000
"""How much of a source ffprobe reads to know its streams."""

RATE_TOLERANCE = Fraction(1, 500)
"""Nominal and average rate of a constant-rate source differ by less than this part (declared
durations are rounded); the rates of a phone's or a screen recording's video differ by more."""

NEARLY_ALL_FRAMES = Fraction(21, 20)
"""A source whose average is this close below its nominal rate has that rate, with a few frames left out
or a last one that is shown for longer."""

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


def read_packets(tool: str, source: str) -> Argv:
    """List every packet of a local file: one line each, in file order."""
    # fmt: off
    return [
        tool, "-hide_banner", "-loglevel", "error",
        "-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-fflags", "+genpts",
        "-show_entries", "packet=stream_index,pts,dts,duration,flags", "-of", "compact=p=0:nk=0", source,
    ]
    # fmt: on


# --- probe ----------------------------------------------------------------------------------


def parse_probe(text: str, *, size_bytes: int) -> Source:
    """What ffprobe printed, as a ``Source``.

    :raises InvalidInputError: there is no video in it, or what ffprobe says of it makes no sense.
    """
    data = json.loads(text)
    streams = data.get("streams", [])
    container = data.get("format", {})
    pictures = [
        stream
        for stream in streams
        if stream.get("codec_type") == "video"
        and not stream.get("disposition", {}).get("attached_pic")
        and not stream.get("disposition", {}).get("timed_thumbnails")
    ]
    if not pictures:
        kinds = (
            ", ".join(f"{s.get('codec_type', 'unknown')} ({s.get('codec_name', '?')})" for s in streams)
            or "none"
        )
        raise InvalidInputError(f"source: it has no video stream; its streams: {kinds}")
    best = max(pictures, key=lambda stream: bool(stream.get("disposition", {}).get("default")))
    return Source(
        container=container.get("format_name", "unknown"),
        size_bytes=size_bytes,
        duration_ms=_milliseconds(container.get("duration") or best.get("duration")),
        bitrate_bps=_int(container.get("bit_rate")),
        video=_video(best),
        audio=tuple(_audio(stream) for stream in streams if _is_sound(stream)),
    )


def track_facts(text: str) -> dict[str, Any]:
    """What ffprobe printed of one of our own tracks, as fields of ``hls.Track``."""
    stream = json.loads(text)["streams"][0]
    facts: dict[str, Any] = {
        "codecs": stream["mime_codec_string"],
        "timescale": Fraction(stream["time_base"]).denominator,
    }
    if stream["codec_type"] == "video":
        return facts | {"width": stream["width"], "height": stream["height"]}
    return facts | {"channels": stream["channels"], "sample_rate": int(stream["sample_rate"])}


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
    nominal, average = _fraction(stream.get("r_frame_rate")), _fraction(stream.get("avg_frame_rate"))
    rate, variable = frame_rate(nominal, average)
    if rate is None:
        raise InvalidInputError(f"{where} ({stream['codec_name']}): its frame rate cannot be told")
    return VideoStream(
        index=stream["index"],
        codec=stream["codec_name"],
        profile=stream.get("profile"),
        width=stream["width"],
        height=stream["height"],
        sample_aspect=_fraction(stream.get("sample_aspect_ratio", "").replace(":", "/")) or Fraction(1),
        rotation=_rotation(stream),
        frame_rate=rate,
        variable_rate=variable,
        time_base=Fraction(stream["time_base"]),
        pixel_format=stream.get("pix_fmt", "unknown"),
        interlaced=stream.get("field_order", "progressive") in ("tt", "bb", "tb", "bt"),
        color_range=stream.get("color_range"),
        color_space=stream.get("color_space"),
        color_transfer=stream.get("color_transfer"),
        color_primaries=stream.get("color_primaries"),
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
        language=None if language in (None, "", "und") else language,
        title=tags.get("title"),
        default=bool(stream.get("disposition", {}).get("default")),
        bitrate_bps=_int(stream.get("bit_rate")),
    )


def frame_rate(nominal: Fraction | None, average: Fraction | None) -> tuple[Fraction | None, bool]:
    """The rate of the output grid, and whether the source's rate varies.

    A constant rate is kept, snapped to the standard one that it is a rounding of. A variable rate
    goes onto its nominal rate if it nearly is that; otherwise onto the standard rate next above its
    average, so that few frames are dropped.
    """
    if nominal is None or average is None:
        known = nominal or average
        return (_snap(known), False) if known else (None, False)
    if abs(nominal - average) <= RATE_TOLERANCE * nominal:
        return _snap(nominal), False
    if average <= nominal <= average * NEARLY_ALL_FRAMES and _snap(nominal) in STANDARD_RATES:
        return _snap(nominal), True
    snapped = _snap(average)
    if snapped in STANDARD_RATES:
        return snapped, True
    return next((rate for rate in STANDARD_RATES if rate >= average), STANDARD_RATES[-1]), True


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


def _int(value: str | None) -> int | None:
    return int(value) if value and value.isdigit() and int(value) > 0 else None


def _fraction(value: str | None) -> Fraction | None:
    try:
        found = Fraction(value or "0")
    except (ValueError, ZeroDivisionError):
        return None
    return found if found > 0 else None


def _milliseconds(value: str | None) -> int | None:
    try:
        return round(float(value) * 1000) if value else None
    except ValueError:
        return None


# --- packets --------------------------------------------------------------------------------


class PacketTimes:
    """When every frame of a source is shown, and where its sound ends: 16 bytes a frame."""

    def __init__(self, plan: Plan) -> None:
        self._video = plan.source.video.index
        self._audio = {audio.stream.index: audio for audio in plan.audio}
        self._shown: array[int] = array("q")
        self._keys: array[int] = array("q")
        self._all: array[int] = array("q")
        self._last_pts, self.last_duration = -(1 << 62), 0
        self.audio_end: dict[str, Fraction] = {}
        """Rendition name -> end of its last packet, seconds of the source's clock."""

    def read_line(self, line: str) -> None:
        """Take in one line of the output of ``read_packets``."""
        fields = dict(field.split("=", 1) for field in line.strip().split("|") if "=" in field)
        index = int(fields.get("stream_index", -1))
        pts = fields.get("pts", "N/A")
        pts = fields.get("dts", "N/A") if pts == "N/A" else pts
        if pts == "N/A":
            return
        duration = int(fields["duration"]) if fields.get("duration", "N/A") != "N/A" else 0
        if index == self._video:
            self._add_frame(int(pts), duration, fields.get("flags", ""))
        elif index in self._audio:
            audio = self._audio[index]
            end = (int(pts) + duration) * audio.stream.time_base
            self.audio_end[audio.name] = max(end, self.audio_end.get(audio.name, end))

    def _add_frame(self, pts: int, duration: int, flags: str) -> None:
        self._all.append(pts)
        if "K" in flags:
            self._keys.append(pts)
        if "D" not in flags:  # hidden by an edit list
            self._shown.append(pts)
            if pts > self._last_pts:
                self._last_pts, self.last_duration = pts, duration

    @property
    def pts(self) -> array[int]:
        """Of all frames that are shown, ascending."""
        return array("q", sorted(self._shown))

    @property
    def key_pts(self) -> array[int]:
        """Of all key frames, ascending."""
        return array("q", sorted(self._keys))

    @property
    def all_pts(self) -> array[int]:
        """Of all frames, hidden ones too, ascending."""
        return array("q", sorted(self._all))
