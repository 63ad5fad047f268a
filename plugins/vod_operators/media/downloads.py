"""Which files to download are made of a video, and what is told of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from vod_operators.errors import InvalidInputError
from vod_operators.formats.base import Model, Name
from vod_operators.media.models import AudioRendition, Plan
from vod_operators.media.presets.downloads import AUDIO, BEST, FOLDER, MOST, check_downloads
from vod_operators.media.presets.model import Preset
from vod_operators.media.sound_codecs import is_plain

CODECS = ("h264", "hevc", "av1")
"""In the order of how many players have them."""

TYPES = {".mp4": "video/mp4", ".m4a": "audio/mp4"}
"""End of a file's name -> content type."""


class File(Model):
    """A file that is joined from renditions."""

    asked: tuple[Name, ...]
    """As the preset or the request names it: ``best`` and ``1080p`` may be one file."""
    rendition: Name | None
    """Its pictures; None: sound only."""
    sounds: tuple[Name, ...]
    """Its sound tracks, the default first."""

    @property
    def stem(self) -> str:
        """The rendition that it is named by."""
        return self.rendition or self.sounds[0]

    @property
    def tracks(self) -> tuple[str, ...]:
        """All renditions that it is joined from, pictures first."""
        return (*([self.rendition] if self.rendition else []), *self.sounds)

    @property
    def step(self) -> str:
        """Names its marker; no rendition has such a name."""
        return step_of(self.stem)

    def name(self, video_id: str) -> str:
        """Its file name, under which people keep it."""
        return f"{video_id}-{self.stem}{'.mp4' if self.rendition else '.m4a'}"


def step_of(stem: str) -> str:
    """Name of a file's marker.

    :param stem: the rendition that the file is named by.
    """
    return f"{FOLDER}-{stem}"


class Download(Model):
    """A file to download, as published."""

    names: tuple[str, ...]
    """What the preset or the request calls it."""
    uri: str
    """Relative to ``video.json``."""
    kind: Literal["video", "audio"]
    renditions: tuple[str, ...]
    """That it was joined from."""
    size_bytes: int
    duration_s: float
    """Of the longest track."""


def files_of(plan: Plan) -> list[File]:
    """The files of a video, in the order that they were asked for, none twice.

    :param plan: with what was chosen for the video.
    """
    stereo = _stereo(plan)
    found: dict[str, File] = {}
    for asked in plan.downloads:
        for file in _files(plan, asked, stereo):
            earlier = found.get(file.stem)
            names = (*earlier.asked, asked) if earlier else (asked,)
            found[file.stem] = file.model_copy(update={"asked": names})
    return list(found.values())


def _files(plan: Plan, asked: str, stereo: Sequence[AudioRendition]) -> list[File]:
    if asked == AUDIO:
        return [File(asked=(asked,), rendition=None, sounds=(audio.name,)) for audio in stereo]
    name = _best(plan) if asked == BEST else asked
    if name is None or all(rendition.name != name for rendition in plan.renditions):
        return []
    return [File(asked=(asked,), rendition=name, sounds=tuple(audio.name for audio in stereo))]


def _stereo(plan: Plan) -> list[AudioRendition]:
    """The sound that every player has, the default first."""
    sounds = [audio for audio in plan.audio if is_plain(audio.name)]
    return sorted(sounds, key=lambda audio: not audio.default)


def _best(plan: Plan) -> str | None:
    """The last rendition of the codec that most players have; None if there is only sound."""
    for codec in CODECS:
        if names := [made.name for made in plan.sdr if made.codec == codec]:
            return names[-1]
    return None


def missing(plan: Plan) -> list[str]:
    """What was asked for and cannot be made of this video, in words for a person.

    :param plan: with what was chosen for the video.
    """
    made = {name for file in files_of(plan) for name in file.asked}
    reasons = {
        AUDIO: "the source has no sound",
        BEST: "the source has no picture; ask for audio",
    }
    return [
        f"download {name!r} left out: {reasons.get(name, 'this video has no such rendition')}"
        for name in plan.downloads
        if name not in made
    ]


# --- of a request ---------------------------------------------------------------------------


def downloads_schema() -> dict[str, Any]:
    """JSON schema of the request's ``downloads``."""
    return {"items": {"type": "string", "maxLength": 64}, "maxItems": MOST, "uniqueItems": True}


def parse_downloads(text: str, preset: Preset) -> tuple[str, ...] | None:
    """The request's ``downloads``, from JSON; None if it leaves them to the preset.

    :raises InvalidInputError: they are malformed, or cannot be made with the preset.
    """
    if text.strip() in ("", "None", "null"):
        return None
    try:
        names = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"downloads: it is no JSON: {error}") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > MOST:
        raise InvalidInputError(f'downloads: it must be a list of at most {MOST} names: ["720p", "best"]')
    rungs = [rung.name for ladder in preset.ladders for rung in ladder.rungs]
    try:
        check_downloads(names, rungs, container=preset.container, encryption=preset.encryption)
    except ValueError as error:
        raise InvalidInputError(str(error)) from None
    return tuple(names)
