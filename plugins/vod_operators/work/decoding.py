"""Decodes finished media with ffmpeg, for ``vod check --decode`` and for the tasks that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from vod_operators.check.decode import Decoded, Media
from vod_operators.errors import ToolError
from vod_operators.media.damage import in_words
from vod_operators.media.decoding import Clip, count_frames, decode_clips, faults_in, has_no_decoder
from vod_operators.runners.base import Runner
from vod_operators.toolwords import tool_words

MEDIA = "media"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What ffmpeg made of clips."""

    error: ToolError | None
    """Why it gave up; None if it did not."""
    faults: list[str]
    """Complaints of the decoders."""
    frames: Mapping[str, int]
    """Decoded frames, by the names of the files that list them (``Clip.counts``)."""


def decode(
    runner: Runner,
    tool: str,
    clips: Sequence[Clip],
    folder: Path,
    *,
    threads: int = 0,
    limit_s: float | None = None,
) -> Outcome | None:
    """Decode a folder's clips in one command; None if this ffmpeg has no decoder for one of them.

    :param threads: as for ``decode_clips``.
    :raises ToolError: ffmpeg was killed, or lacked means.
    """
    try:
        lines = runner.run(decode_clips(tool, clips, threads=threads), folder=folder, limit_s=limit_s)
    except ToolError as error:
        if not error.is_answer:
            raise
        if has_no_decoder(error.stderr_tail.splitlines()):
            return None
        return Outcome(error=error, faults=[], frames={})
    listings = [clip.counts(kind) for clip in clips for kind in clip.codecs]
    frames = {name: count_frames((folder / name).read_bytes()) for name in listings}
    return Outcome(error=None, faults=faults_in(lines, clips), frames=frames)


@dataclass(frozen=True, kw_only=True)
class FfmpegDecoder:
    """A decoder for ``check``; a run lies on this host's disk while it is decoded."""

    runner: Runner
    tool: str
    scratch: Callable[[float], AbstractContextManager[Path]]
    """A temporary folder with room for so many bytes."""
    limit_s: Callable[[float], float]
    """Most seconds for decoding so many seconds of media."""

    def decode(self, media: Media, blocks: Iterator[bytes]) -> Decoded | None:
        """As ``check.decode.Decoder`` says.

        :raises ToolKilledError: ffmpeg reached a limit.
        :raises NoRoomError: the disk has no room for the run.
        """
        clip = Clip(file=MEDIA, container=media.container, codecs=media.codecs)
        with self.scratch(media.size_bytes) as folder:
            with (folder / MEDIA).open("wb") as file:
                file.writelines(blocks)
            limit_s = self.limit_s(float(media.seconds))
            outcome = decode(self.runner, self.tool, [clip], folder, limit_s=limit_s)
        if outcome is None:
            return None
        if error := outcome.error:
            return Decoded(frames={}, complaint=tool_words(error.stderr_tail) or error.describe())
        words = in_words("ffmpeg", outcome.faults)
        frames = {kind: outcome.frames[clip.counts(kind)] for kind in clip.codecs}
        return Decoded(frames=frames, complaint=words[0] if words else None)
