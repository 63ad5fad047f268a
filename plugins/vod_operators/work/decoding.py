"""Decodes runs of segments with ffmpeg for ``vod check --decode``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
            argv = decode_clips(self.tool, [clip])
            try:
                lines = self.runner.run(argv, folder=folder, limit_s=self.limit_s(float(media.seconds)))
            except ToolError as error:
                lines = error.stderr_tail.splitlines()
                if not error.is_answer:
                    raise
                if has_no_decoder(lines):
                    return None
                return Decoded(frames={}, complaint=tool_words(error.stderr_tail) or error.describe())
            frames = {kind: count_frames((folder / clip.counts(kind)).read_bytes()) for kind in clip.codecs}
        words = in_words("ffmpeg", faults_in(lines, [clip]))
        return Decoded(frames=frames, complaint=words[0] if words else None)
