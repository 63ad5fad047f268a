"""Selects the streams of a file that belong to the video, from ffprobe's JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vod_operators.media.admission import is_cover, stream_id, where

Stream = Mapping[str, Any]

_DESCRIPTION = re.compile(r"(?i:audio.?descri|descri(?:bed|ptive) (?:video|audio))|\bAD\b")
"""Titles of audio descriptions, where the container has no flag for them (MP4)."""

_DESCRIPTION_LANGUAGES = ("qad",)
"""French broadcasters' language code for audio descriptions."""


DEFAULT_PIXELS = 5_000_000
"""Pixels that the default flag is worth when ffmpeg chooses a video stream."""


def pictures_of(streams: Sequence[Stream]) -> list[Stream]:
    """The video streams without cover art, best first.

    As in ffmpeg's choice, the largest is best, with a bonus for the default. A stream of a single packet
    comes last: it is a thumbnail.
    """

    def rank(stream: Stream) -> tuple[bool, int]:
        pixels = (stream.get("width") or 0) * (stream.get("height") or 0)
        default = bool(stream.get("disposition", {}).get("default"))
        return stream.get("nb_read_packets") == 1, -(pixels + default * DEFAULT_PIXELS)

    return sorted((s for s in streams if s.get("codec_type") == "video" and not is_cover(s)), key=rank)


def parts_of_others(data: Mapping[str, Any]) -> dict[int, str]:
    """Unknown sound streams with the PID of a known one, as AC-3 inside TrueHD has: index -> reason."""
    sounds = [s for s in data["streams"] if s.get("codec_type") == "audio"]
    known = {stream_id(s) for s in sounds if s.get("channels") and stream_id(s) > 0}
    return {
        s["index"]: f"{where(s)}: it is part of another stream"
        for s in sounds
        if not s.get("channels") and stream_id(s) in known
    }


def media_of(streams: Sequence[Stream]) -> list[Stream]:
    """The video and audio streams, without cover art."""
    return [s for s in streams if s.get("codec_type") in ("video", "audio") and not is_cover(s)]


def with_counts(data: Mapping[str, Any], counts: Mapping[int, int]) -> dict[str, Any]:
    """ffprobe's data with ``nb_read_packets`` of each stream.

    :param counts: stream index -> packets in the beginning of the file.
    """
    streams = [{**stream, "nb_read_packets": counts.get(stream["index"], 0)} for stream in data["streams"]]
    return {**data, "streams": streams}


def of_other_programmes(data: Mapping[str, Any]) -> dict[int, str]:
    """Streams that do not belong to the best picture's programme: index -> reason.

    Without a picture, the programme of the first sound is kept.
    """
    programmes = data.get("programs", [])
    members = [{stream["index"] for stream in programme.get("streams", [])} for programme in programmes]
    streams = {stream["index"]: stream for stream in data.get("streams", [])}
    sounds = [stream for stream in streams.values() if stream.get("codec_type") == "audio"]
    candidates = [stream["index"] for stream in (*pictures_of(list(streams.values())), *sounds)]
    programme_streams = next(
        (indexes for index in candidates for indexes in members if index in indexes), None
    )
    if programme_streams is None:
        return {}
    left_out: dict[int, str] = {}
    for programme, indexes in zip(programmes, members, strict=True):
        name = programme.get("tags", {}).get("service_name") or programme.get("program_num", "?")
        for index in sorted(indexes - programme_streams - left_out.keys()):
            if streams.get(index, {}).get("codec_type") in ("video", "audio", "subtitle"):
                left_out[index] = f"{where(streams[index])}: it belongs to another programme ({name})"
    return left_out


def without(data: Mapping[str, Any], left_out: Collection[int]) -> dict[str, Any]:
    """ffprobe's data without the streams of these indexes."""
    return {**data, "streams": [s for s in data.get("streams", []) if s["index"] not in left_out]}


def lowered_tags(stream: Stream) -> dict[str, str]:
    """A stream's tags; how their names are written depends on the container."""
    return {key.lower(): value for key, value in stream.get("tags", {}).items()}


def describes_video(stream: Stream) -> bool:
    """Whether a sound track is an audio description."""
    disposition = stream.get("disposition", {})
    tags = lowered_tags(stream)
    return bool(
        disposition.get("visual_impaired")
        or disposition.get("descriptions")
        or tags.get("language") in _DESCRIPTION_LANGUAGES
        or _DESCRIPTION.search(tags.get("title") or tags.get("handler_name") or "")
    )
