"""Which streams of a file belong to the video, and what they are for: from what ffprobe printed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vod_operators.media.admission import is_cover, where

Stream = Mapping[str, Any]

_DESCRIPTION = re.compile(r"(?i:audio.?descri|descri(?:bed|ptive) (?:video|audio))|\bAD\b")
"""Titles of audio descriptions, where the container has no flag for them (MP4)."""

_DESCRIPTION_LANGUAGES = ("qad",)
"""French broadcasters' code of an audio description."""


def pictures_of(streams: Sequence[Stream]) -> list[Stream]:
    """Streams of moving pictures, best first: the default one, then those whose size is known."""
    pictures = [s for s in streams if s.get("codec_type") == "video" and not is_cover(s)]
    return sorted(pictures, key=lambda s: (not s.get("disposition", {}).get("default"), not s.get("width")))


def of_other_programmes(data: Mapping[str, Any]) -> dict[int, str]:
    """Streams of a broadcast that do not belong to the picture's programme, each with the reason.

    Without any picture it is the first programme that has sound.

    :param data: what ffprobe printed, parsed.
    """
    programmes = data.get("programs", [])
    members = [{stream["index"] for stream in programme.get("streams", [])} for programme in programmes]
    streams = {stream["index"]: stream for stream in data.get("streams", [])}
    sounds = [stream for stream in streams.values() if stream.get("codec_type") == "audio"]
    candidates = [stream["index"] for stream in (*pictures_of(list(streams.values())), *sounds)]
    chosen = next((own for index in candidates for own in members if index in own), None)
    if chosen is None:
        return {}
    left_out: dict[int, str] = {}
    for programme, own in zip(programmes, members, strict=True):
        name = programme.get("tags", {}).get("service_name") or programme.get("program_num", "?")
        for index in sorted(own - chosen - left_out.keys()):
            if streams.get(index, {}).get("codec_type") in ("video", "audio", "subtitle"):
                left_out[index] = f"{where(streams[index])}: it is of another programme ({name})"
    return left_out


def without(data: Mapping[str, Any], left_out: Collection[int]) -> dict[str, Any]:
    """The same without these streams."""
    return {**data, "streams": [s for s in data.get("streams", []) if s["index"] not in left_out]}


def describes_video(stream: Stream) -> bool:
    """Whether a sound track is an audio description."""
    disposition = stream.get("disposition", {})
    tags = {key.lower(): value for key, value in stream.get("tags", {}).items()}
    return bool(
        disposition.get("visual_impaired")
        or disposition.get("descriptions")
        or tags.get("language") in _DESCRIPTION_LANGUAGES
        or _DESCRIPTION.search(tags.get("title") or tags.get("handler_name") or "")
    )
