"""What CODECS and other attributes tell of media, whether or not these can be read."""

from __future__ import annotations

import re

from vod_operators.check.attributes import Attributes
from vod_operators.check.presentation import Presentation, Track
from vod_operators.formats.facts import Kind

PICTURES = re.compile(r"avc[1-4]|hvc1|hev1|vvc1|vvi1|dvh[1e]|dva[1v]|dav1|av01|vp0[89]|mp4v|lvc1")
"""Beginnings of CODECS of pictures."""

CODEC = re.compile(r"avc[1-4]\.[0-9A-Fa-f]{6}|(?!avc[1-4]\.)[\w+-]{4}(\..+)?")
"""Form of an element of CODECS (RFC 6381)."""

SOUND = re.compile(r"mp4a|ac-[34]|ec[-+]3|alac|fLaC|flac|[Oo]pus|apac|dts|mh[am]1")
"""Beginnings of CODECS of sound."""

TEXT = re.compile(r"stpp|wvtt|c608|c708")
"""Beginnings of CODECS of subtitles."""

OF_PICTURES = ("RESOLUTION", "FRAME-RATE", "VIDEO-RANGE", "VIDEO")
"""Attributes that tell of pictures where CODECS does not."""

TYPES: dict[str, Kind] = {"AUDIO": "audio", "VIDEO": "video", "SUBTITLES": "text"}
"""TYPE of EXT-X-MEDIA -> what its playlist holds."""


def listed_codecs(declared: Attributes, name: str = "CODECS") -> list[str]:
    """The codecs in an attribute."""
    return [part.strip() for part in declared.get(name, "").split(",") if part.strip()]


def declares_pictures(declared: Attributes) -> bool:
    """Whether the attributes of a variant tell that it has pictures."""
    codecs = listed_codecs(declared)
    if any(PICTURES.match(codec) for codec in codecs):
        return True
    is_other = bool(codecs) and all(SOUND.match(codec) or TEXT.match(codec) for codec in codecs)
    return not is_other and any(name in declared for name in OF_PICTURES)


def kinds(presentation: Presentation) -> dict[str, Kind]:
    """URI of each track -> its main kind; of what cannot be read TYPE and CODECS tell, if they do."""
    told: dict[str, Kind] = {}
    for track, declared in presentation.variants():
        if declares_pictures(declared):
            told[track.playlist.uri] = "video"
        elif any(SOUND.match(codec) for codec in listed_codecs(declared)):
            told[track.playlist.uri] = "audio"
    for item in presentation.renditions:
        if "URI" in item and item.get("TYPE") in TYPES:
            told.setdefault(item["URI"], TYPES[item["TYPE"]])
    return told | {uri: track.kind for uri, track in presentation.tracks.items() if track.kind}


def listing(presentation: Presentation, *wanted: Kind) -> list[Track]:
    """Tracks of these kinds whose playlists list segments, in the order of the multivariant playlist."""
    known = kinds(presentation)
    return [
        track
        for uri, track in presentation.tracks.items()
        if known.get(uri) in wanted and track.playlist.entries
    ]
