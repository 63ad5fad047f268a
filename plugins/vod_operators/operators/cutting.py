"""One chunk's packets, or a whole sound track's, out of a file."""

from __future__ import annotations

from pathlib import Path

from vod_operators.errors import VerificationError
from vod_operators.media import ffmpeg, packets
from vod_operators.media.models import Chunk, Layout, Plan, Timeline
from vod_operators.operators.source import Original
from vod_operators.runners.base import Runner, output
from vod_operators.runners.tools import Tools

SOURCE = "source"
"""The original's name in a scratch folder."""


def cut_chunk(
    runner: Runner,
    tools: Tools,
    file: str,
    name: str,
    *,
    layout: Layout,
    chunk: Chunk,
    timeline: Timeline,
    folder: Path,
) -> None:
    """Copy a chunk's packets out of ``file`` into ``name``.

    :raises VerificationError: there are fewer than it needs.
    """
    argv = ffmpeg.cut_video(tools.ffmpeg, file, name, layout=layout, chunk=chunk, timeline=timeline)
    written = ffmpeg.packets_written(output(runner, argv, folder))
    if written < chunk.packets:
        raise VerificationError(
            f"{chunk.name}: {written} packets were cut where frames [{chunk.first}, {chunk.last}) "
            f"need {chunk.packets}"
        )


def cut_chunk_in_place(
    runner: Runner,
    tools: Tools,
    original: Original,
    name: str,
    *,
    plan: Plan,
    chunk: Chunk,
    timeline: Timeline,
    folder: Path,
) -> None:
    """The same out of the source itself: of a remote one its index and the chunk's bytes are fetched.

    :raises InvalidInputError: the source is not what it was when the run began.
    """
    with original.unchanged():
        if original.local is not None or chunk.byte_range is None:
            original.place(folder / SOURCE)
        else:
            original.place_index(folder / SOURCE)
            original.add(folder / SOURCE, chunk.byte_range)
        layout = packets.layout_of(plan)
        cut_chunk(runner, tools, SOURCE, name, layout=layout, chunk=chunk, timeline=timeline, folder=folder)
    (folder / SOURCE).unlink()


def cut_sound(
    runner: Runner, tools: Tools, file: str, name: str, *, layout: Layout, track: str, timeline: Timeline,
    folder: Path,
) -> None:  # fmt: skip
    """Copy a whole sound track's packets out of ``file`` into ``name``."""
    argv = ffmpeg.cut_audio(tools.ffmpeg, file, name, layout=layout, track=track, timeline=timeline)
    runner.run(argv, folder=folder)


def cut_sound_in_place(
    runner: Runner,
    tools: Tools,
    original: Original,
    name: str,
    *,
    plan: Plan,
    track: str,
    timeline: Timeline,
    folder: Path,
) -> None:
    """The same out of the source itself; as ``cut_chunk_in_place``."""
    layout = packets.layout_of(plan)
    with original.unchanged():
        if original.local is not None:
            original.place(folder / SOURCE)
        else:
            original.place_index(folder / SOURCE)
            found = packets.PacketBytes()
            argv = packets.read_index(tools.ffprobe, SOURCE, stream=layout.sounds[track][0])
            runner.run(argv, folder=folder, on_line=found.read_line)
            original.add_scattered(folder / SOURCE, found.ranges())
        cut_sound(runner, tools, SOURCE, name, layout=layout, track=track, timeline=timeline, folder=folder)
    (folder / SOURCE).unlink()
