"""Times of all packets of a file, and whether the file can be cut between packets as it is."""

from __future__ import annotations

import json
import operator
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import islice

from vod_operators.errors import InvalidInputError
from vod_operators.media.ffmpeg import Argv, ffprobe
from vod_operators.media.models import Chunk, Layout, Plan, Timeline
from vod_operators.media.plan import SoundSpan
from vod_operators.media.probe import CLOCKED_CONTAINERS


def read_packets(tool: str, source: str, layout: Layout) -> Argv:
    """List every packet of a local file, a line each, in file order."""
    options = ["-fflags", "+genpts"] if layout.derived_times else []
    return _list(tool, source, "stream_index,pts,dts,duration,flags", options, layout.transport)


def read_times(tool: str, source: str, layout: Layout) -> Iterator[Argv]:
    """Commands that list what ``PacketTimes`` needs of an MP4. They read only its index.

    Of a sound track it needs only the length, so only two packets are listed: sound has most of the packets.
    """
    if layout.video:
        yield read_index(tool, source, stream=layout.video[0])
    for stream, _ in layout.sounds.values():
        yield read_index(tool, source, stream=stream, ends_only=True)


def read_index(tool: str, source: str, *, stream: int, ends_only: bool = False) -> Argv:
    """List the packets of one stream of an MP4, with their places in the file.

    Reads only the index; the media may be missing.

    :param ends_only: list only the first and the last packet.
    """
    # No parser: it would read the packets, and holes in the file would make it change their flags.
    options = ["-fflags", "+nofillin+noparse", "-select_streams", str(stream)]
    if ends_only:
        options += ["-read_intervals", f"%+#1,{PAST_EVERY_END_S}%"]
    return _list(tool, source, "stream_index,pts,dts,duration,size,pos,flags", options)


PAST_EVERY_END_S = 10**9
"""A seek target past any end: ffprobe then yields the stream's last packet."""


def _list(tool: str, source: str, entries: str, options: Sequence[str], transport: bool = False) -> Argv:
    return ffprobe(
        tool, *options,
        "-show_entries", f"packet={entries}:packet_side_data=side_data_type", "-of", "compact=p=0:nk=0",
        "-o", "pipe:1",  # written in blocks; by default ffprobe flushes stdout after every line
        source, transport=transport,
    )  # fmt: skip


EXACT_CONTAINERS = {"mp4", "matroska"}
INDEXED_VIDEO = ("h264", "hevc", "av1", "vp9", "prores", "dnxhd", "mjpeg", "mpeg4", "mpeg2video")
INDEXED_SOUND = ("aac", "alac", "ac3", "eac3", "pcm_")
"""Prefixes of codecs whose packets ffmpeg describes the same by an MP4's index alone as with the media."""


def has_index(plan: Plan) -> bool:
    """Whether ``read_index`` can list the source's packets, provided that its MP4 is not fragmented."""
    source = plan.source
    return (
        "mp4" in source.container.split(",")
        and source.video is not None
        and source.video.codec in INDEXED_VIDEO
        and all(audio.stream.codec.startswith(INDEXED_SOUND) for audio in plan.audio)
    )


def ends_early(messages: Sequence[str], packets: PacketTimes) -> bool:
    """Whether a file is shorter than its index says, by the messages and packets of ``read_times``."""
    return packets.corrupt > 0 or any("partial file" in line for line in messages)


class PacketBytes:
    """Byte ranges of one stream's packets, from the lines of ``read_index``. Takes 16 bytes a packet."""

    def __init__(self) -> None:
        self._places = array("q")

    def read_line(self, line: str) -> None:
        """Take in one line."""
        packet = _PACKET.match(line)
        if packet and (place := _byte_range(packet[5], packet[6])):
            self._places.extend(place)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """``(begin, end)`` of each packet in bytes, half-open, ascending."""
        places = self._places
        order = range(0, len(places), 2)
        if any(places[n] > places[n + 2] for n in order[:-1]):
            order = sorted(order, key=places.__getitem__)  # type: ignore[assignment]
        return ((places[n], places[n + 1]) for n in order)


_PACKET = re.compile(
    r"stream_index=(\d+)\|pts=([^|]*)\|dts=([^|]*)\|duration=([^|]*)(?:\|size=([^|]*)\|pos=([^|]*))?\|flags=([^|]*)"
)
"""ffprobe prints fields in this order, whatever the order in which they are requested."""

_SETTINGS = re.compile(r"side_data_type=(?:New Extradata|Param Change|Palette)")
"""Types of side data that change a decoder's configuration."""


def _byte_range(size: str | None, begin: str | None) -> tuple[int, int] | None:
    first, length = _ticks(begin), _ticks(size)
    return (first, first + length) if first is not None and length else None


CODECS_WITH_GRADUAL_KEYS = ("h264", "hevc")
"""Codecs that may flag a picture as a key frame though decoders recover from it gradually (intra refresh)."""


def first_frame(tool: str, chunk: str) -> Argv:
    """Decode the first picture of a cut chunk. Prints its packet, and the picture if there is one."""
    return ffprobe(
        tool, "-read_intervals", "%+#2", "-show_entries", "packet=pts:frame=pts", "-of", "compact", chunk,
        formats="nut,mov",
    )  # fmt: skip


def shows_its_key_frame(lines: Sequence[str]) -> bool:
    """Whether the first packet gave a picture, by what ``first_frame`` printed."""
    times = [(line.split("|")[0], line.partition("pts=")[2].split("|")[0]) for line in lines]
    packets = [pts for kind, pts in times if kind == "packet"]
    return ("frame", packets[0]) in times if packets else False


def layout_of(plan: Plan, timeline: Timeline | None = None) -> Layout:
    """The layout of the source itself.

    :param timeline: once the packets have been read; they may show that sound must be decoded.
    """
    video = plan.source.video
    streams = {audio.track: audio.stream for audio in plan.audio}
    right_sounds = {audio.track: audio.right.index for audio in plan.audio if audio.right}
    decoded = {track for track, stream in streams.items() if stream.carrier == "decoded"}
    decoded |= {*right_sounds}
    if timeline is not None:
        decoded |= {track for track, sound in timeline.sounds.items() if sound.decoded}
    return Layout(
        video=(video.index, video.time_base) if video else None,
        sounds={track: (stream.index, stream.time_base) for track, stream in streams.items()},
        video_carrier="mov" if video and video.carrier == "mov" else "nut",
        sample_bases={track: Fraction(1, stream.sample_rate) for track, stream in streams.items()},
        decoded_sounds=tuple(sorted(decoded)),
        right_sounds=right_sounds,
        transport=plan.source.is_transport,
        begins_late=plan.source.begins_late,
        texts={f"text-{n}": text.index for n, text in enumerate(plan.source.texts)},
        copied_texts=tuple(f"text-{n}" for n, text in enumerate(plan.source.texts) if text.codec == "webvtt"),
        seeks_exactly=bool(EXACT_CONTAINERS & set(plan.source.container.split(","))),
        # In an AVI without reordered pictures, ffmpeg would derive times that are one frame late.
        derived_times=not (plan.source.container == "avi" and video and not video.reorders),
    )


def layout_of_repaired(text: str, layout: Layout) -> Layout:
    """The layout of the output of ``ffmpeg.repair``: the same streams, renumbered.

    :param text: ffprobe's JSON of that file.
    :param layout: layout of the source.
    """
    streams = json.loads(text)["streams"]
    bases = [Fraction(stream["time_base"]) for stream in streams]
    shift = 1 if layout.video else 0
    places = {track: shift + n for n, track in enumerate(layout.sounds)}
    return Layout(
        video=(0, bases[0]) if layout.video else None,
        sounds={track: (n, bases[n]) for track, n in places.items()},
    )


def why_rewrite(plan: Plan, packets: PacketTimes) -> str | None:
    """Why a file must be rewritten with new timestamps before it is cut, in words; None if it need not."""
    if packets.jumps and plan.source.container in CLOCKED_CONTAINERS:
        times = "once" if packets.jumps == 1 else f"{packets.jumps} times"
        return f"its clock is reset {times} in mid-file"
    return None


def refuse_clock(plan: Plan, packets: PacketTimes) -> None:
    """:raises InvalidInputError: the clock runs back, in a container where that is no clock reset."""
    # In MP4 it may rightly run back: an edit list may show an earlier part later.
    ordered = plan.source.container in CLOCKED_CONTAINERS or "mp4" in plan.source.container.split(",")
    if packets.jumps_back and not ordered:
        raise InvalidInputError(
            f"source: its clock jumps back {packets.jumps_back} times in mid-file: it consists of several "
            "recordings; give each by itself, or join them with a tool that rewrites timestamps"
        )


def why_decode(plan: Plan, packets: PacketTimes) -> str | None:
    """Why a whole file must be decoded once before it can be cut, in words; None if it need not."""
    video = plan.source.video
    if video is None or not (packets.pts or packets.untimed):
        return None
    if packets.untimed:
        return "its pictures have no timestamps"
    if video.reorders and not packets.reordered and plan.source.container in ("avi", "asf"):
        return "its container does not say in which order pictures are shown"
    if packets.hides_inside:
        return "its edit list hides pictures between others"
    if packets.new_settings:
        return "the coding of its pictures changes in mid-file"
    if video.carrier == "decoded":
        return f"its {video.codec} pictures cannot be cut as they are"
    if packets.key_pts and _decoded_twice(plan, packets) > DECODED_TWICE * len(packets.pts):
        return "its key frames are too far apart to decode it in chunks"
    return None


DECODED_TWICE = 3
"""Above this ratio of frames decoded in vain to all frames, it is cheaper to decode and write all once."""


def _decoded_twice(plan: Plan, packets: PacketTimes) -> int:
    """Number of frames that all chunks together would decode before their own first ones."""
    pts, keys = packets.pts, packets.key_pts
    ticks = plan.seconds(plan.chunk_frames) / packets.video_time_base
    starts, begin = [], Fraction(pts[0])
    while (begin := begin + ticks) <= pts[-1]:
        starts.append(bisect_left(pts, begin))
    return sum(
        n - bisect_left(pts, keys[max(0, bisect_right(keys, pts[n]) - 1)]) for n in starts if n < len(pts)
    )


PACKED = "packed"
"""In what MPEG-4's decoder says of files with two pictures in one packet, which are not damaged."""


def why_packed(messages: Sequence[str]) -> str | None:
    """Why a whole file must be decoded once, by the messages of ``ffmpeg.decode_beginning``; or None."""
    packed = any(PACKED in line for line in messages)
    return "its B-frames are packed, two pictures in one packet" if packed else None


JUMP_BACK_S, JUMP_AHEAD_S = Fraction(1, 10), 10
"""A step of the decoding time by more than this means a reset clock; ffmpeg judges the same."""


class PacketTimes:
    """Times of every frame of a file, and begin and end of its sound. Takes 16 bytes a frame.

    Read all lines first; the results are valid after that. ``layout`` then also names the sound that must be
    decoded because its coding changes in mid-file.
    """

    def __init__(self, layout: Layout) -> None:
        self._video = layout.video[0] if layout.video else None
        self.video_time_base = layout.video[1] if layout.video else Fraction(1)
        self.layout = layout
        self._sounds = {index: track for track, (index, _) in layout.sounds.items()}
        self._heard: dict[str, tuple[int, int]] = {}
        self._shown: array[int] = array("q")
        self._hidden: array[int] = array("q")
        self._keys: array[int] = array("q")
        # PTS, DTS, first byte and end of each picture, in file order.
        self._ranges = [array("q") for _ in range(4)]
        self._last_pts, self.last_duration = -(1 << 62), 0
        self._last_dts: dict[int, int] = {}
        streams = [layout.video, *layout.sounds.values()]
        # Limits of each stream in ticks. Integers, because every packet is compared with them.
        self._steady = {
            index: (-(JUMP_BACK_S // base), JUMP_AHEAD_S // base)
            for index, base in (stream for stream in streams if stream)
        }
        self.reordered = False
        """Whether pictures are shown in another order than that of the file."""
        self.untimed = 0
        """Number of pictures without a timestamp."""
        self.jumps = 0
        """How often the file's clock was reset."""
        self.jumps_back = 0
        """How often it was reset to an earlier time."""
        self.corrupt = 0
        """Number of packets that are flagged as damaged."""
        self.new_settings = False
        """Whether the pictures' codec parameters change in mid-file; a cut file cannot carry that."""

    def read_line(self, line: str) -> None:
        """Take in one line of the output of ``read_packets`` or ``read_times``."""
        packet = _PACKET.match(line)
        if packet is None:
            return
        index = int(packet[1])
        if index != self._video and index not in self._sounds:
            return
        _, pts_text, dts_text, duration_text, size, begin, flags = packet.groups()
        # Damage before the first key frame does not matter: those pictures are not shown.
        self.corrupt += "C" in flags and (self._video is None or bool(self._keys))
        if len(line) > packet.end() and index in self._last_dts and _SETTINGS.search(line, packet.end()):
            self._note_change(index)
        pts, dts = _ticks(pts_text), _ticks(dts_text)
        self._watch_clock(index, dts)
        pts = dts if pts is None else pts
        if pts is None:
            self.untimed += index == self._video
            return
        duration = _ticks(duration_text) or 0
        if index == self._video:
            self._add_frame(pts, duration, flags)
            self._add_range(pts, dts, _byte_range(size, begin))
        else:
            track = self._sounds[index]
            first, last = self._heard.get(track, (pts, pts))
            self._heard[track] = min(pts, first), max(pts + duration, last)

    def _note_change(self, index: int) -> None:
        if index == self._video:
            self.new_settings = True
        elif (track := self._sounds[index]) not in self.layout.decoded_sounds:
            decoded = (*self.layout.decoded_sounds, track)
            self.layout = self.layout.model_copy(update={"decoded_sounds": decoded})

    def _watch_clock(self, index: int, dts: int | None) -> None:
        if dts is None:
            return
        if index in self._last_dts:
            back, ahead = self._steady[index]
            step = dts - self._last_dts[index]
            self.jumps += not back <= step <= ahead
            self.jumps_back += step < back
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

    def _add_range(self, pts: int, dts: int | None, place: tuple[int, int] | None) -> None:
        if dts is not None and place is not None:
            for values, value in zip(self._ranges, (pts, dts, *place), strict=True):
                values.append(value)

    def needed(self, chunk: Chunk) -> int:
        """Least number of packets that the cut of that chunk must hold."""
        every, end = self.all_pts, chunk.end_pts
        return (len(every) if end is None else bisect_right(every, end)) - bisect_left(every, chunk.key_pts)

    def byte_range(self, chunk: Chunk) -> tuple[int, int] | None:
        """Bytes ``[begin, end)`` of an indexed file that hold the chunk's packets; None if unknown."""
        pts, dts, begins, ends = self._ranges
        if not self._has_ranges:
            return None
        begin = bisect_left(dts, chunk.key_pts - self._most_ahead)
        # ``cut_video`` ends by decoding time, a millisecond late.
        margin = 1 - (-1 // (1000 * self.video_time_base))
        end = len(dts) if chunk.end_pts is None else bisect_right(dts, chunk.end_pts + margin)
        inside = [n for n in range(begin, end) if pts[n] >= chunk.key_pts]
        if not inside:
            return None
        return min(begins[n] for n in inside), max(ends[n] for n in inside)

    @cached_property
    def _has_ranges(self) -> bool:
        pts, dts, *_ = self._ranges
        return 0 < len(pts) == len(self.all_pts) and not any(map(operator.gt, dts, islice(dts, 1, None)))

    @cached_property
    def _most_ahead(self) -> int:
        pts, dts, *_ = self._ranges
        return max(map(operator.sub, pts, dts), default=0)

    @property
    def sounds(self) -> dict[str, SoundSpan]:
        """Track -> begin and end of its sound."""
        spans = {}
        for track, (first, last) in self._heard.items():
            base = self.layout.sounds[track][1]
            decoded = track in self.layout.decoded_sounds
            spans[track] = SoundSpan(
                time_base=self.layout.sample_bases[track] if decoded else base,
                begin_s=first * base,
                end_s=last * base,
                decoded=decoded,
            )
        return spans

    @cached_property
    def pts(self) -> array[int]:
        """Timestamps of all frames that are shown, ascending."""
        return array("q", sorted(self._shown))

    @cached_property
    def key_pts(self) -> array[int]:
        """Timestamps of all key frames, ascending."""
        return array("q", sorted(self._keys))

    @cached_property
    def all_pts(self) -> array[int]:
        """Timestamps of all frames, with hidden ones, ascending."""
        return array("q", sorted([*self._shown, *self._hidden])) if self._hidden else self.pts

    @property
    def hides_inside(self) -> bool:
        """Whether an edit list hides frames between those that are shown."""
        if not self._hidden or not self._shown:
            return False
        first, last = min(self._shown), max(self._shown)
        return any(first <= pts <= last for pts in self._hidden)


def _ticks(text: str | None) -> int | None:
    return None if text is None or text == "N/A" else int(text)
