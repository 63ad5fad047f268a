"""Tries in the first task whether the source's streams can be cut and pass the plan's filters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vod_operators.errors import InvalidInputError, ToolError, ToolOverdueError
from vod_operators.media import frames, trial
from vod_operators.media.damage import complaints, filters_failed
from vod_operators.media.ffmpeg import gave_a_frame
from vod_operators.media.models import AudioStream, Carrier, Plan, Source, VideoStream
from vod_operators.runners.base import Runner, output
from vod_operators.runners.tools import Tools
from vod_operators.work.source import Excerpt

LIMIT_S = 60
"""Limit of each command. A command works on a second of media, but may have to search for it."""

CUT, DECODED, DIRECT = "cut", "cut.decoded", "source.decoded"
"""Files beside the source: the cut, the decoded cut, and the decoded source."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """Runs the tools on the file that ``prepare`` has of a source."""

    runner: Runner
    tools: Tools
    excerpt: Excerpt

    @property
    def folder(self) -> Path:
        """The file's folder, in which the tools run."""
        return self.excerpt.path.parent

    @property
    def name(self) -> str:
        """The file's name."""
        return self.excerpt.path.name

    def run(
        self,
        argv: Sequence[str],
        *,
        limit_s: float = LIMIT_S,
        on_line: Callable[[str], None] | None = None,
    ) -> list[str] | None:
        """The tool's messages; None if it fails or is too slow, which is a result here and not an error."""
        try:
            return self.runner.run(argv, folder=self.folder, on_line=on_line, limit_s=limit_s)
        except ToolOverdueError:
            return None
        except ToolError as error:
            if not error.is_answer:
                raise
            log.info("%s", error)
            return None


@dataclass(frozen=True)
class Trial(Look):
    """Tries the streams of a probed source."""

    source: Source
    at_hand: Mapping[int, int] = field(default_factory=dict)
    """By stream: how many of its first packets the excerpt holds; more are fetched if an index tells where
    they are."""

    def streams_that_can_be_cut(self) -> set[int]:
        """Indexes of the streams that decode the same after they were copied into NUT.

        Most streams do, so all are tried by one command. The others are left to ``choose_carriers``.
        """
        video = self.source.video
        if video is not None and video.scan == "interlaced":
            video = None  # ``choose_carriers`` also has to find out the field order
        if video is not None and self._obtain(video.index, trial.PACKETS) < trial.PACKETS:
            video = None
        packets = trial.SOUND_PACKETS
        sounds = [sound for sound in self.source.audio if self._obtain(sound.index, packets) == packets]
        return self._pass_together(video, sounds)

    def choose_carriers(self, *, can_be_cut: Collection[int], changing: Collection[int]) -> Source:
        """The same source, with the carrier that each stream is cut into.

        :param can_be_cut: what ``streams_that_can_be_cut`` returned.
        :param changing: streams with several sample descriptions; a cut file can hold only one.
        """
        video = self.source.video
        if video is not None:
            carrier: Carrier = "decoded"
            if video.index in can_be_cut:
                carrier = "nut"
            elif video.index not in changing:
                carrier = self._carrier_of(video, self._obtain(video.index, trial.PACKETS))
            is_told = video.scan != "interlaced" or carrier == "decoded" or self._tells_fields()
            order = None if is_told else video.field_order or "tff"
            video = video.model_copy(update={"carrier": carrier, "field_order": order})
        sounds = []
        for sound in self.source.audio:
            can_cut = sound.index not in changing and (
                sound.index in can_be_cut
                or self._can_cut(sound, self._obtain(sound.index, trial.SOUND_PACKETS))
            )
            sounds.append(sound.model_copy(update={"carrier": "nut" if can_cut else "decoded"}))
        return self.source.model_copy(update={"video": video, "audio": tuple(sounds)})

    def try_filters(self, plan: Plan) -> None:
        """Decode the beginning of each stream through the plan's filters, and discard the output.

        :raises InvalidInputError: the filters cannot convert it, so no later step could.
        """
        video = self.source.video
        if video is not None:
            colour = video.colour
            self._require(
                trial.filter_pictures(self.tools.ffmpeg, self.name, plan=plan),
                f"its pictures ({video.codec}, {video.pixel_format}, {video.width}x{video.height}, colours "
                f"{colour.primaries}, {colour.transfer}, {colour.matrix})",
                "export it as SDR in BT.709, HDR10 or HLG",
            )
        for audio in plan.audio:
            stream = audio.stream
            # A surround rendition of the same stream needs fewer filters.
            if audio.right is None and audio.name == audio.track:
                self._require(
                    trial.filter_sound(
                        self.tools.ffmpeg,
                        self.name,
                        audio=audio,
                        transport=self.source.is_transport,
                        begins_late=self.source.begins_late,
                    ),
                    f"its audio stream {stream.index} ({stream.codec}, {stream.channels} channels, "
                    f"{stream.channel_layout or 'unknown layout'})",
                    "mix it down to stereo or 5.1",
                )

    def _require(self, argv: Sequence[str], what: str, remedy: str) -> None:
        """Run a command that must output a frame.

        :param what: the stream, for the message.
        :param remedy: advice, for the message.
        :raises InvalidInputError: it outputs none, because filters failed.
        """
        lines: list[str] = []
        try:
            messages = self.runner.run(argv, folder=self.folder, on_line=lines.append, limit_s=LIMIT_S)
        except ToolError as error:
            if not error.is_answer:
                raise
            messages = error.stderr_tail.splitlines()
        if not gave_a_frame(lines) and filters_failed(messages):
            raise InvalidInputError(f"source: {what} cannot be converted by ffmpeg's filters; {remedy}")

    def _obtain(self, stream: int, packets: int) -> int:
        """Fetch a stream's first packets if need be; returns how many of them can be tried."""
        if self.excerpt.is_whole:
            return packets
        if self.excerpt.has_index:
            argv = frames.list_packets(self.tools.ffprobe, self.name, stream=stream, times=(), count=packets)
            self.excerpt.add(frames.byte_ranges(output(self.runner, argv, self.folder)))
            return packets
        if not self.at_hand.get(stream):  # the first picture is larger than the excerpt's beginning
            self.excerpt.complete()
            return packets
        return min(packets, self.at_hand[stream])

    def _pass_together(self, video: VideoStream | None, sounds: Sequence[AudioStream]) -> set[int]:
        """Indexes of those streams that decode the same from NUT as from the source."""
        indexes = [sound.index for sound in sounds]
        if video is None and not indexes:
            return set()
        tool = self.tools.ffmpeg
        said = self.run(
            trial.try_together(
                tool,
                self.name,
                video=None if video is None else video.index,
                sounds=indexes,
                transport=self.source.is_transport,
            )
        )
        more = None if said is None else self.run(trial.decode_together(tool, video=video, sounds=indexes))
        passed: set[int] = set()
        if said is None or more is None:
            return passed
        for stream in (video, *sounds):
            if stream is None or set(complaints(more, stream.codec)) - set(complaints(said, stream.codec)):
                continue
            direct, cut = (
                (self.folder / f"{kind}-{stream.index}").read_bytes() for kind in ("direct", "decoded")
            )
            if isinstance(stream, AudioStream):
                is_same = bool(direct) and trial.same_sound(direct, cut)
            else:
                pictures = trial.read_hashes(direct)[: trial.PICTURES]
                is_same = bool(pictures) and trial.same_pictures(pictures, trial.read_hashes(cut))
            if is_same:
                passed.add(stream.index)
        return passed

    def _carrier_of(self, video: VideoStream, packets: int) -> Carrier:
        """The first carrier whose cut decodes like the source; ``decoded`` if none does."""
        source, tool = self.name, self.tools.ffmpeg
        compared = max(1, packets - (trial.PACKETS - trial.PICTURES))
        argv = trial.decode_pictures(
            tool, source, DIRECT, stream=video.index, transport=self.source.is_transport, count=packets
        )
        direct, said = self._decode(argv, DIRECT, video.codec)
        pictures = trial.read_hashes(direct)[:compared]
        carriers: tuple[Carrier, ...] = ("nut", "mov")
        for carrier in carriers:
            argv = trial.cut_pictures(
                tool,
                source,
                CUT,
                stream=video.index,
                transport=self.source.is_transport,
                carrier=carrier,
                count=packets,
            )
            if self.run(argv) is None:
                continue
            cut, more = self._decode(trial.decode_cut_pictures(tool, CUT, DECODED), DECODED, video.codec)
            if trial.same_pictures(pictures, trial.read_hashes(cut)) and more <= said:
                return carrier
        return "decoded"

    def _decode(self, argv: Sequence[str], file: str, codec: str) -> tuple[bytes, set[str]]:
        """The content of the written file, and the decoder's complaints."""
        path = self.folder / file
        path.unlink(missing_ok=True)
        messages = self.run(argv)
        written = path.read_bytes() if path.exists() else b""
        return written, set(complaints(messages or [], codec))

    def _tells_fields(self) -> bool:
        """Whether the pictures of the last cut are still marked as interlaced."""
        argv = frames.read_frames(
            self.tools.ffprobe, CUT, stream=0, times=(), count=frames.PICTURES, transport=False
        )
        return frames.parse_frames(output(self.runner, argv, self.folder)).scan != "progressive"

    def _can_cut(self, sound: AudioStream, packets: int) -> bool:
        """Whether the cut decodes to the same samples as the source."""
        source, tool = self.name, self.tools.ffmpeg
        compared = max(1, packets - (trial.SOUND_PACKETS - trial.SOUND_FRAMES))
        stream, transport, late = sound.index, self.source.is_transport, self.source.begins_late
        argv = trial.decode_sound(
            tool,
            source,
            DIRECT,
            stream=stream,
            transport=transport,
            begins_late=late,
            count=compared,
        )
        direct, said = self._decode(argv, DIRECT, sound.codec)
        argv = trial.cut_sound(
            tool, source, CUT, stream=stream, transport=transport, begins_late=late, count=packets
        )
        if self.run(argv) is None:
            return False
        cut, more = self._decode(trial.decode_cut_sound(tool, CUT, DECODED), DECODED, sound.codec)
        return trial.same_sound(direct, cut) and more <= said
