"""One chunk's packets, or a whole sound track's, out of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vod_operators.errors import VerificationError
from vod_operators.media import ffmpeg, packets
from vod_operators.media.models import Chunk, Layout, Plan, Timeline
from vod_operators.runners.base import Runner, output
from vod_operators.runners.tools import Tools
from vod_operators.work.source import Original

SOURCE = "source"
"""The original's name in a scratch folder."""


@dataclass(frozen=True)
class Cutter:
    """Copies packets, in a task's scratch folder."""

    runner: Runner
    tools: Tools
    timeline: Timeline
    folder: Path

    def chunk(self, file: str, name: str, *, layout: Layout, chunk: Chunk) -> None:
        """A chunk's packets out of ``file`` into ``name``.

        :raises VerificationError: there are fewer than it needs.
        """
        argv = ffmpeg.cut_video(
            self.tools.ffmpeg, file, name, layout=layout, chunk=chunk, timeline=self.timeline
        )
        written = ffmpeg.packets_written(output(self.runner, argv, self.folder))
        if written < chunk.packets:
            raise VerificationError(
                f"{chunk.name}: {written} packets were cut where frames [{chunk.first}, {chunk.last}) "
                f"need {chunk.packets}"
            )

    def sound(self, file: str, name: str, *, layout: Layout, track: str) -> None:
        """A whole sound track's packets."""
        argv = ffmpeg.cut_audio(
            self.tools.ffmpeg, file, name, layout=layout, track=track, timeline=self.timeline
        )
        self.runner.run(argv, folder=self.folder)

    def chunk_in_place(self, original: Original, name: str, *, plan: Plan, chunk: Chunk) -> None:
        """The same out of the source itself: of a remote one its index and the chunk's bytes are fetched.

        :raises InvalidInputError: the source is not what it was when the run began.
        """
        source = self.folder / SOURCE
        with original.unchanged():
            if original.local is not None or chunk.byte_range is None:
                original.place(source)
            else:
                original.place_index(source)
                original.add(source, chunk.byte_range)
            self.chunk(SOURCE, name, layout=packets.layout_of(plan, self.timeline), chunk=chunk)
        source.unlink()

    def sound_in_place(self, original: Original, name: str, *, plan: Plan, track: str) -> None:
        """As ``chunk_in_place``."""
        source, layout = self.folder / SOURCE, packets.layout_of(plan, self.timeline)
        with original.unchanged():
            if original.local is not None:
                original.place(source)
            else:
                original.place_index(source)
                right = [layout.right_sounds[track]] if track in layout.right_sounds else []
                for stream in [layout.sounds[track][0], *right]:
                    places = packets.PacketBytes()
                    argv = packets.read_index(self.tools.ffprobe, SOURCE, stream=stream)
                    self.runner.run(argv, folder=self.folder, on_line=places.read_line)
                    original.add_scattered(source, places.ranges())
            self.sound(SOURCE, name, layout=layout, track=track)
        source.unlink()
