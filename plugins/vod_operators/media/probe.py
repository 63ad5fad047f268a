"""ffprobe's words -> ``Source`` and packet times. Builds the command and reads its output; runs nothing."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, cast

from vod_operators.errors import InvalidInputError
from vod_operators.media.admission import is_cover, positive
from vod_operators.media.ffmpeg import DEMUXERS, Argv
from vod_operators.media.models import AudioStream, Colour, Layout, Plan, Source, VideoStream
from vod_operators.media.plan import SoundSpan

PROBE_BYTES = 8_000_000
"""How much of a source ffprobe reads to know its streams."""

RATE_TOLERANCE = Fraction(1, 500)
"""Nominal and average rate of a constant-rate source differ by less than this part (declared
durations are rounded); the rates of a phone's or a screen recording's video differ by more."""

NEARLY_ALL_FRAMES = Fraction(21, 20)
"""A source whose average is this close below its nominal rate has that rate, with a few frames left out
or a last one that is shown for longer."""

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


def read_packets(tool: str, source: str, layout: Layout) -> Argv:
    """List every packet of a local file: one line each, in file order."""
    # fmt: off
    return [
        tool, "-hide_banner", "-loglevel", "error",
        "-protocol_whitelist", "file", "-format_whitelist", DEMUXERS,
        *(["-fflags", "+genpts"] if layout.derived_times else []),
        "-show_entries", "packet=stream_index,pts,dts,duration,flags", "-of", "compact=p=0:nk=0", source,
    ]
    # fmt: on


CODECS_WITH_GRADUAL_KEYS = ("h264", "hevc")
"""They may mark as key frames pictures from which a decoder recovers only by and by (intra refresh)."""


def first_frame(tool: str, chunk: str) -> Argv:
    """Decode the first picture of a cut chunk: prints its packet and its picture, if there is one."""
    # fmt: off
    return [
        tool, "-hide_banner", "-loglevel", "error",
        "-protocol_whitelist", "file", "-format_whitelist", "nut", "-read_intervals", "%+#2",
        "-show_entries", "packet=pts:frame=pts", "-of", "compact", chunk,
    ]
    # fmt: on


def shows_its_key_frame(lines: Sequence[str]) -> bool:
    """Whether what ``first_frame`` printed has the picture of the very first packet."""
    times = [(line.split("|")[0], line.partition("pts=")[2].split("|")[0]) for line in lines]
    packets = [pts for kind, pts in times if kind == "packet"]
    return ("frame", packets[0]) in times if packets else False


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


# --- packets --------------------------------------------------------------------------------


BLOCK_ALIGNED = ("wma", "atrac", "cook", "sipr", "ra_")
"""Sound codecs whose decoders need a size of blocks that NUT does not store."""


def layout_of(plan: Plan) -> Layout:
    """Of the source itself."""
    video = plan.source.video
    streams = {audio.track: audio.stream for audio in plan.audio}
    decoded = [track for track, stream in streams.items() if stream.codec.startswith(BLOCK_ALIGNED)]
    return Layout(
        video=(video.index, video.time_base) if video else None,
        sounds={track: (stream.index, stream.time_base) for track, stream in streams.items()},
        decoded_sounds={track: Fraction(1, streams[track].sample_rate) for track in decoded},
        # Where nothing is reordered ffmpeg would derive a time that is one frame late.
        derived_times=not (plan.source.container == "avi" and video and not video.reorders),
    )


def layout_of_repaired(text: str, layout: Layout) -> Layout:
    """Of what ``ffmpeg.repair`` made, from what ffprobe printed of it: the same streams, numbered anew."""
    streams = json.loads(text)["streams"]
    bases = [Fraction(stream["time_base"]) for stream in streams]
    shift = 1 if layout.video else 0
    places = {track: shift + n for n, track in enumerate(layout.sounds)}
    decoded = [t for t, n in places.items() if streams[n]["codec_name"].startswith(BLOCK_ALIGNED)]
    return Layout(
        video=(0, bases[0]) if layout.video else None,
        sounds={track: (n, bases[n]) for track, n in places.items()},
        decoded_sounds={track: Fraction(1, int(streams[places[track]]["sample_rate"])) for track in decoded},
    )


def why_rewrite(plan: Plan, packets: PacketTimes) -> str | None:
    """Why a file's packets have to be timed anew before they can be cut; None: they need not."""
    if packets.jumps and plan.source.container in CLOCKED_CONTAINERS:
        times = "once" if packets.jumps == 1 else f"{packets.jumps} times"
        return f"its clock is set anew {times} in mid-file"
    return None


def why_decode(plan: Plan, packets: PacketTimes) -> str | None:
    """Why a file has to be decoded once, from end to end, before it can be cut; None: it need not."""
    video = plan.source.video
    if video is None or not (packets.pts or packets.untimed):
        return None
    if packets.untimed:
        return "its pictures have no timestamps"
    if video.reorders and not packets.reordered and plan.source.container == "avi":
        return "its container does not say in which order pictures are shown"
    if packets.hides_inside:
        return "its edit list hides pictures between others"
    if packets.key_pts and _decoded_twice(plan, packets) > DECODED_TWICE * len(packets.pts):
        return "its key frames are too far apart to decode it in chunks"
    return None


DECODED_TWICE = 3
"""From so many times the whole video on, decoding it once for all chunks is cheaper, writing included."""


def _decoded_twice(plan: Plan, packets: PacketTimes) -> int:
    """How many frames chunks would decode only to get to their own first one."""
    pts, keys = packets.pts, packets.key_pts
    ticks = plan.seconds(plan.chunk_frames) / packets.video_time_base
    starts, begin = [], Fraction(pts[0])
    while (begin := begin + ticks) <= pts[-1]:
        starts.append(bisect_left(pts, begin))
    return sum(
        n - bisect_left(pts, keys[max(0, bisect_right(keys, pts[n]) - 1)]) for n in starts if n < len(pts)
    )


def why_packed(messages: Sequence[str]) -> str | None:
    """Why a file has to be decoded once, by what ``ffmpeg.decode_beginning`` said of it."""
    packed = any("packed" in line for line in messages)
    return "its B-frames are packed, two pictures in one packet" if packed else None


CLOCKED_CONTAINERS = ("mpegts", "mpeg", "ogg")
"""Recorded from broadcasts, or chained: ffmpeg takes a jump of their timestamps for a clock set anew,
not for a pause."""

JUMP_BACK_S, JUMP_AHEAD_S = Fraction(1, 10), 10
"""A decoding time that is so far from the one before it is of another clock; as ffmpeg judges."""


class PacketTimes:
    """When every frame of a file is shown, and where its sound begins and ends: 16 bytes a frame.

    Read all lines first, then ask.
    """

    def __init__(self, layout: Layout) -> None:
        self._video = layout.video[0] if layout.video else None
        self.video_time_base = layout.video[1] if layout.video else Fraction(1)
        self._layout = layout
        self._sounds = {index: (track, base) for track, (index, base) in layout.sounds.items()}
        self._heard: dict[str, tuple[int, int]] = {}
        self._shown: array[int] = array("q")
        self._hidden: array[int] = array("q")
        self._keys: array[int] = array("q")
        self._last_pts, self.last_duration = -(1 << 62), 0
        self._last_dts: dict[int, int] = {}
        self.reordered = False
        """Whether any picture is shown in another order than that of the file."""
        self.untimed = 0
        """Pictures whose container does not say when they are shown."""
        self.jumps = 0
        """How often the clock of the file was set anew."""
        self.corrupt = 0
        """Packets that the container knows to be damaged."""

    def read_line(self, line: str) -> None:
        """Take in one line of the output of ``read_packets``."""
        fields = dict(field.split("=", 1) for field in line.strip().split("|") if "=" in field)
        index = int(fields.get("stream_index", -1))
        if index != self._video and index not in self._sounds:
            return
        flags = fields.get("flags", "")
        self.corrupt += "C" in flags
        pts, dts = _ticks(fields.get("pts")), _ticks(fields.get("dts"))
        self._watch_clock(index, dts)
        pts = dts if pts is None else pts
        if pts is None:
            self.untimed += index == self._video
            return
        duration = _ticks(fields.get("duration")) or 0
        if index == self._video:
            self._add_frame(pts, duration, flags)
        else:
            track = self._sounds[index][0]
            first, last = self._heard.get(track, (pts, pts))
            self._heard[track] = min(pts, first), max(pts + duration, last)

    def _watch_clock(self, index: int, dts: int | None) -> None:
        if dts is None:
            return
        if index in self._last_dts:
            base = self.video_time_base if index == self._video else self._sounds[index][1]
            step = (dts - self._last_dts[index]) * base
            self.jumps += step < -JUMP_BACK_S or step > JUMP_AHEAD_S
        self._last_dts[index] = dts

    def _add_frame(self, pts: int, duration: int, flags: str) -> None:
        if "K" in flags:
            self._keys.append(pts)
        self.reordered |= bool(self._shown) and pts < self._shown[-1]
        if "D" in flags:  # hidden by an edit list
            self._hidden.append(pts)
            return
        self._shown.append(pts)
        if pts > self._last_pts:
            self._last_pts, self.last_duration = pts, duration

    @property
    def sounds(self) -> dict[str, SoundSpan]:
        """By track."""
        found = {}
        for track, (first, last) in self._heard.items():
            base = self._layout.sounds[track][1]
            cut_in = self._layout.decoded_sounds.get(track, base)
            found[track] = SoundSpan(time_base=cut_in, begin_s=first * base, end_s=last * base)
        return found

    @cached_property
    def pts(self) -> array[int]:
        """Of all frames that are shown, ascending."""
        return array("q", sorted(self._shown))

    @cached_property
    def key_pts(self) -> array[int]:
        """Of all key frames, ascending."""
        return array("q", sorted(self._keys))

    @cached_property
    def all_pts(self) -> array[int]:
        """Of all frames, hidden ones too, ascending."""
        return array("q", sorted([*self._shown, *self._hidden])) if self._hidden else self.pts

    @property
    def hides_inside(self) -> bool:
        """Whether an edit list hides frames between shown ones."""
        if not self._hidden or not self._shown:
            return False
        first, last = min(self._shown), max(self._shown)
        return any(first <= pts <= last for pts in self._hidden)


def _ticks(text: str | None) -> int | None:
    return None if text is None or text == "N/A" else int(text)
