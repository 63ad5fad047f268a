"""Checks that this host can run the planned encoders, by encoding one frame with each."""

from __future__ import annotations

from pathlib import Path

from vod_operators.errors import InvalidInputError, ToolError
from vod_operators.media import ffmpeg
from vod_operators.media.encoders import ENCODERS
from vod_operators.media.models import Rendition
from vod_operators.runners.base import Runner


def require_encoders(runner: Runner, tool: str, renditions: tuple[Rendition, ...], *, hardware: bool) -> None:
    """Encode one frame with each encoder of the renditions.

    :param tool: ffmpeg.
    :param hardware: try the encoders that need a device, such as a GPU; else only those that need none.
    :raises InvalidInputError: an encoder cannot be opened on this host.
    """
    first = {rendition.encoder: rendition for rendition in reversed(renditions)}
    for encoder, rendition in first.items():
        if ENCODERS[encoder].hardware == hardware:
            _try(runner, tool, rendition)


def _try(runner: Runner, tool: str, rendition: Rendition) -> None:
    try:
        runner.run(ffmpeg.try_encoder(tool, rendition), folder=Path("/"))
    except ToolError as error:
        if not error.is_answer:
            raise
        said = next((line for line in error.stderr_tail.splitlines() if line.strip()), error.describe())
        needs = (
            "let VOD_TRANSCODE_QUEUE name hosts with a GPU and its driver"
            if ENCODERS[rendition.encoder].hardware
            else "let VOD_FFMPEG name an ffmpeg that has it"
        )
        raise InvalidInputError(
            f"preset: {rendition.encoder} cannot encode on this host: {said}; {needs}, "
            "or ask for another preset"
        ) from error
