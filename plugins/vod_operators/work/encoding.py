"""What encoding tasks are given, and the check that this host can run the planned encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vod_operators.errors import InvalidInputError, ToolError
from vod_operators.media import ffmpeg
from vod_operators.media.encoders import ENCODERS
from vod_operators.media.encryption import TrackKeys
from vod_operators.media.ffmpeg_sound import try_sound_encoder
from vod_operators.media.models import AudioRendition, Rendition, Timeline
from vod_operators.media.sound_codecs import CODECS
from vod_operators.runners.base import Runner
from vod_operators.runners.progress import Progress
from vod_operators.work.cutting import Cutter
from vod_operators.work.job import Job
from vod_operators.work.source import Original
from vod_operators.work.worker import Worker


@dataclass(frozen=True, kw_only=True)
class EncodingTask:
    """What the encoders of a chunk and of a sound track have in common."""

    worker: Worker
    job: Job
    timeline: Timeline
    original: Original | None
    """The source, if this task cuts its packets from it; None if the split stored them."""
    keys: Mapping[str, TrackKeys]
    """Track -> keys with which the packager encrypts it; none if it does not."""
    report: Callable[[Progress], None]

    def cutter(self, folder: Path) -> Cutter:
        """What cuts packets in the task's scratch folder."""
        return Cutter(self.worker.runner, self.worker.tools, self.timeline, folder)


def require_encoders(runner: Runner, tool: str, renditions: tuple[Rendition, ...], *, hardware: bool) -> None:
    """Encode one frame with each encoder of the renditions.

    :param tool: ffmpeg.
    :param hardware: try the encoders that need a device, such as a GPU; else only those that need none.
    :raises InvalidInputError: an encoder cannot be opened on this host.
    """
    first = {rendition.encoder: rendition for rendition in reversed(renditions)}
    for encoder, rendition in first.items():
        if ENCODERS[encoder].hardware != hardware:
            continue
        needs = "let VOD_TRANSCODE_QUEUE name hosts with a GPU and its driver" if hardware else OTHER_FFMPEG
        _try(runner, ffmpeg.try_encoder(tool, rendition), encoder, needs)


def require_sound_encoders(runner: Runner, tool: str, sounds: Sequence[AudioRendition]) -> None:
    """Encode a moment of silence with each encoder of the sound but AAC's own, which every ffmpeg has.

    :param tool: ffmpeg.
    :raises InvalidInputError: this ffmpeg lacks an encoder, or it does not take the rendition.
    """
    first = {audio.codec: audio for audio in reversed(sounds) if audio.codec != "aac"}
    for codec, audio in first.items():
        _try(runner, try_sound_encoder(tool, audio), CODECS[codec].encoder, OTHER_FFMPEG)


OTHER_FFMPEG = "let VOD_FFMPEG name an ffmpeg that has it"


def _try(runner: Runner, argv: Sequence[str], encoder: str, needs: str) -> None:
    """Run a trial of an encoder.

    :param needs: what would help.
    :raises InvalidInputError: it fails.
    """
    try:
        runner.run(argv, folder=Path("/"))
    except ToolError as error:
        if not error.is_answer:
            raise
        said = next((line for line in error.stderr_tail.splitlines() if line.strip()), error.describe())
        raise InvalidInputError(
            f"preset: {encoder} cannot encode on this host: {said}; {needs}, or ask for another preset"
        ) from error
