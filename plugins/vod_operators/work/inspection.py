"""Probes the source in the first task, and refuses one that cannot be transcoded."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from vod_operators.errors import InvalidInputError, ToolError, ToolKilledError, ToolOverdueError
from vod_operators.formats import av1, boxes
from vod_operators.media import admission, ffmpeg, frames, probe, protection, streams
from vod_operators.media.damage import complaints
from vod_operators.media.frames import FrameFacts
from vod_operators.media.hdr import HDR10_PLUS, with_pictures
from vod_operators.media.models import Source
from vod_operators.runners.base import Runner, output
from vod_operators.runners.tools import Tools
from vod_operators.work.source import Excerpt
from vod_operators.work.trial import Look, Trial

PATIENCE_S = 5
"""Limit of a search for packets or first frames; a stream that takes longer is assumed to be good."""

log = logging.getLogger(__name__)


def inspect(runner: Runner, tools: Tools, excerpt: Excerpt, *, limits: admission.Limits) -> Source:
    """The source's streams, checked, with the container that each stream's cuts use.

    :param excerpt: the source; more of it is fetched where what is there does not suffice.
    :raises InvalidInputError: it cannot be transcoded; the message says why, and what would be accepted.
    """
    with excerpt.path.open("rb") as opened:
        head = opened.read(probe.PROBE_BYTES)
        admission.check_beginning(head)
        packets = protection.transport_packets(head)
        protection.check(protection.scrambled(packets) if packets else protection.protected_tracks(opened))
        changing = set() if packets else boxes.tracks_with_several_descriptions(opened)
    look = _Inspection(runner, tools, excerpt, is_transport=packets is not None)
    data, left_out, begins_late = _choose_streams(look, limits, packets)
    first = look.first_packets(data)
    left_out |= first.empty
    had_picture = bool(streams.pictures_of(data["streams"]))
    data = streams.with_counts(streams.without(data, left_out), first.counts)
    for reason in left_out.values():
        log.warning("left out: %s", reason)
    is_empty = not streams.media_of(data["streams"])
    if first.empty and (is_empty or (had_picture and not streams.pictures_of(data["streams"]))):
        raise InvalidInputError(f"source: nothing of it can be read: {'; '.join(left_out.values())}")
    try:
        seen = look.frames(data)
        source = probe.parse_probe(data, size_bytes=excerpt.size_bytes, seen=seen, packet_times=first.times)
    except (ValueError, ArithmeticError) as error:  # a damaged header may claim anything
        raise InvalidInputError("source: what its header says makes no sense; it is damaged") from error
    source = look.with_first_obus(source, seen)
    source = source.model_copy(
        update={"begins_late": begins_late, "skipped": (*left_out.values(), *source.skipped)}
    )
    trial = Trial(runner, tools, excerpt, source, first.count_at_hand)
    can_be_cut = trial.streams_that_can_be_cut()
    used = {sound.index for sound in source.audio} | ({source.video.index} if source.video else set())
    doubtful = (used & first.at_hand) - can_be_cut
    look.require_frames([stream for stream in data["streams"] if stream["index"] in doubtful])
    track_ids = {stream["index"]: admission.stream_id(stream) for stream in data["streams"]}
    is_changing = {index for index, track in track_ids.items() if track in changing}
    return trial.choose_carriers(can_be_cut=can_be_cut, changing=is_changing)


def _choose_streams(
    look: _Inspection, limits: admission.Limits, packets: Collection[int] | None
) -> tuple[dict[str, Any], dict[int, str], bool]:
    """ffprobe's description of the streams to use, why others are left out (by index), and whether a stream
    begins so late that the whole source had to be read.

    :raises InvalidInputError: as ``inspect``.
    """
    data, begins_late = look.ask(), False
    left_out = streams.of_other_programmes(data)
    if any(_is_unknown(stream) for stream in streams.without(data, left_out)["streams"]):
        # A stream is announced, but has no packet near the beginning. Only the whole file tells what it is,
        # or that it is empty.
        look.excerpt.complete()
        data, begins_late = look.ask(thorough=True), True
        left_out = streams.of_other_programmes(data)
    left_out |= streams.parts_of_others(streams.without(data, left_out))
    left_out |= admission.check_probe(
        streams.without(data, left_out),
        limits=limits,
        decoders=decoders(look.runner, look.tools),
        present=packets,
    )
    return streams.without(data, left_out), left_out, begins_late


def _is_unknown(stream: dict[str, Any]) -> bool:
    return stream.get("codec_type") == "audio" and not (
        stream.get("channels") and admission.positive(stream.get("sample_rate"))
    )


def decoders(runner: Runner, tools: Tools) -> frozenset[str]:
    """Names of the codecs that this worker's ffmpeg decodes; ffprobe may be another build."""
    return admission.decoders_of("\n".join(output(runner, ffmpeg.list_codecs(tools.ffmpeg), Path("/"))))


@dataclass
class _FirstPackets:
    """The first packets of each stream, and how many of them the excerpt holds."""

    at_hand: set[int] = field(default_factory=set)
    """Streams whose first key frame the excerpt holds. Without it a sparse copy decodes to nothing."""
    count_at_hand: Counter[int] = field(default_factory=Counter)
    """By stream: how many of its first packets the excerpt holds without a gap."""
    counts: Counter[int] = field(default_factory=Counter)
    """By stream: its packets among the first of the file."""
    times: dict[int, list[int]] = field(default_factory=dict)
    """By stream: PTS, or else DTS, of its packets in file order; empty if the container has neither."""
    empty: dict[int, str] = field(default_factory=dict)
    """Streams without packets, each with the reason to report."""


@dataclass(frozen=True)
class _Inspection(Look):
    is_transport: bool

    def ask(self, *, thorough: bool = False) -> dict[str, Any]:
        """ffprobe's description of the format and the streams.

        :param thorough: read the whole file for streams that begin late.
        :raises InvalidInputError: the source is no media that ffprobe can read.
        """
        argv = probe.probe(self.tools.ffprobe, self.name, transport=self.is_transport, thorough=thorough)
        try:
            text = "\n".join(output(self.runner, argv, self.folder))
        except ToolKilledError:
            raise
        except ToolError as error:
            # A damaged header may ask for impossible memory too, but then the demuxer prints further lines.
            if error.lacks_means and len(error.stderr_tail.strip().splitlines()) == 1:
                raise
            why = admission.why_unreadable(error.stderr_tail)
            raise InvalidInputError(
                f"source: it is not a video that can be read: {why}; expected {admission.MEDIA}"
            ) from error
        data: dict[str, Any] = json.loads(text)
        return data

    def first_packets(self, data: dict[str, Any]) -> _FirstPackets:
        """The first packets of each stream; one without any near the beginning is searched to the end."""
        found = _FirstPackets()
        broken: set[int] = set()
        for line in self._list():
            packet = dict(part.split("=", 1) for part in line.split("|") if "=" in part)
            index = int(packet["stream_index"])
            times = found.times.setdefault(index, [])
            known = [packet[name] for name in ("pts", "dts") if packet.get(name, "N/A") != "N/A"]
            times += [int(time) for time in known[:1]]
            found.counts[index] += 1
            place, size = packet.get("pos", ""), packet.get("size", "")
            is_placed = place.isdecimal() and size.isdecimal()
            there = self.excerpt.is_whole or (
                is_placed and self.excerpt.holds(int(place), int(place) + int(size))
            )
            if "K" in packet.get("flags", "") and there and not found.count_at_hand[index]:
                found.at_hand.add(index)
            if there and index not in broken:
                found.count_at_hand[index] += 1
            elif not there:
                broken.add(index)
        for stream in streams.media_of(data["streams"]):
            index = stream["index"]
            if not found.counts[index] and not self._has_packet(index):
                found.empty[index] = f"{admission.where(stream)}: it holds no packets that can be read"
        if self.excerpt.is_whole:
            found.at_hand = {stream["index"] for stream in data["streams"]}
        return found

    def _list(self, stream: int | None = None, count: int = probe.FIRST_PACKETS) -> list[str]:
        lines: list[str] = []
        argv = probe.first_packets(
            self.tools.ffprobe, self.name, transport=self.is_transport, stream=stream, count=count
        )
        # In a sparse copy ffprobe may search the zeros for hours; the packets listed until the limit count.
        limit_s = None if self.excerpt.is_whole else PATIENCE_S
        with suppress(ToolOverdueError):
            self.runner.run(argv, folder=self.folder, on_line=lines.append, limit_s=limit_s)
        return [line for line in lines if line.startswith("stream_index=")]

    def _has_packet(self, stream: int) -> bool:
        if not self.excerpt.has_index:
            self.excerpt.complete()
        return bool(self._list(stream, 1))

    def frames(self, data: dict[str, Any]) -> FrameFacts | None:
        """Facts of decoded pictures at several places, or only at the beginning of a sparse copy without an
        index. None if there is no video.
        """
        pictures = streams.pictures_of(data["streams"])
        if not pictures:
            return None
        stream = pictures[0]["index"]
        container = data.get("format", {})
        length = admission.positive(container.get("duration"))
        start = Fraction(str(container.get("start_time") or 0))
        clocked = container.get("format_name") in probe.CLOCKED_CONTAINERS
        count = frames.PICTURES_UNINDEXED if clocked else frames.PICTURES
        times = frames.places(start, length)
        if not self.excerpt.is_whole:
            if self.excerpt.has_index:
                listing = frames.list_packets(
                    self.tools.ffprobe, self.name, stream=stream, times=times, count=count
                )
                self.excerpt.add(frames.byte_ranges(output(self.runner, listing, self.folder)))
            else:
                times = []
        argv = frames.read_frames(
            self.tools.ffprobe,
            self.name,
            stream=stream,
            times=times,
            count=count,
            transport=self.is_transport,
        )
        lines: list[str] = []
        self.run(argv, limit_s=PATIENCE_S, on_line=lines.append)
        return frames.parse_frames(lines)

    def with_first_obus(self, source: Source, seen: FrameFacts | None) -> Source:
        """The source with the HDR metadata of its first picture, of AV1 that this ffprobe cannot decode."""
        video = source.video
        if video is None or video.hdr is None or video.codec != "av1" or (seen and seen.count):
            return source
        path = self.folder / "first.obu"
        self.run(
            probe.first_obus(
                self.tools.ffmpeg, self.name, path.name, stream=video.index, transport=self.is_transport
            ),
            limit_s=PATIENCE_S,
        )
        data = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        try:
            metadata, dynamic = av1.static_metadata(data), [HDR10_PLUS] * av1.is_hdr10_plus(data)
        except IndexError:  # cut off
            return source
        told = with_pictures(video.hdr, metadata, dynamic)
        return source.model_copy(update={"video": video.model_copy(update={"hdr": told})})

    def require_frames(self, described: Iterable[dict[str, Any]]) -> None:
        """:raises InvalidInputError: nothing can be decoded of a stream."""
        for stream in described:
            if not self.gives_a_frame(stream["index"], stream["codec_name"]):
                raise admission.undecodable(
                    stream,
                    f"nothing of its first {ffmpeg.DECODED_S} s gives a frame; it is damaged or encrypted",
                )

    def gives_a_frame(self, stream: int, codec: str) -> bool:
        """Whether a frame can be decoded.

        Also true if decoding takes too long, or if packets begin so late that the decoder has nothing to say.
        """
        lines: list[str] = []
        argv = ffmpeg.decode_first_frame(
            self.tools.ffmpeg, self.name, stream=stream, transport=self.is_transport
        )
        try:
            messages = self.runner.run(argv, folder=self.folder, on_line=lines.append, limit_s=PATIENCE_S)
        except ToolOverdueError:
            return True
        except ToolError as error:
            if not error.is_answer:
                raise
            log.info("%s", error)
            return ffmpeg.gave_a_frame(lines)
        return ffmpeg.gave_a_frame(lines) or not complaints(messages, codec)
