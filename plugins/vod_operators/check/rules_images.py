"""Rules 13 of storyboards: image playlists, by "Image Media Playlist for HLS" 0.4."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from vod_operators.check.attributes import Attributes
from vod_operators.check.declared import listed_codecs
from vod_operators.check.playlist import time_of
from vod_operators.check.presentation import Presentation, seconds
from vod_operators.check.rule import Finding, Rule
from vod_operators.check.tags import IMAGES

SIZE = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")

NEEDED, NEEDED_OF_TILES = ("BANDWIDTH", "CODECS", "RESOLUTION", "URI"), ("RESOLUTION", "LAYOUT", "DURATION")

SPECIFICATION = "Image Media Playlist 0.4"


def _streams(presentation: Presentation) -> list[Attributes]:
    return presentation.master.lists.get(IMAGES, []) if presentation.master else []


def _pair(value: str | None) -> tuple[int, int] | None:
    """Two numbers as in ``640x360``; None if it is something else."""
    match = SIZE.fullmatch(value or "")
    return (int(match[1]), int(match[2])) if match else None


def _declared(presentation: Presentation) -> Iterator[Finding]:
    for item in _streams(presentation):
        for name in NEEDED:
            if name not in item:
                yield Finding(where=IMAGES, found=f"no {name}", expected=name)
    for track in presentation.images.values():
        playlist = track.playlist
        if playlist.unreadable:
            yield Finding(where=playlist.name, found=playlist.unreadable, expected="an image playlist")
        elif "EXT-X-IMAGES-ONLY" not in playlist.tags:
            tag = "EXT-X-IMAGES-ONLY"
            yield Finding(where=playlist.name, found=f"no {tag}", expected=tag)
        for error in playlist.errors[:5]:
            if "EXT-X-TARGETDURATION" not in error:  # which image playlists may ignore
                yield Finding(where=playlist.name, found=error, expected="the form of RFC 8216bis 4")


def _tiles(presentation: Presentation) -> Iterator[Finding]:
    for item in _streams(presentation):
        track = presentation.images.get(item.get("URI", ""))
        if track is None:
            continue
        largest = _pair(item.get("RESOLUTION"))
        for entry, image in zip(track.playlist.entries, track.images, strict=True):
            if entry.gap:
                continue
            where = f"{track.playlist.name}: {entry.uri.rsplit('/', 1)[-1]}"
            if isinstance(image, str):
                yield Finding(where=where, found=image, expected="an image")
                continue
            if image.kind not in listed_codecs(item):
                yield Finding(where=where, found=f"a {image.kind}", expected=item.get("CODECS", "CODECS"))
            shown = (image.width, image.height)
            if entry.tiles is not None:
                size, layout = _pair(entry.tiles.get("RESOLUTION")), _pair(entry.tiles.get("LAYOUT"))
                if not (size and layout and time_of(entry.tiles, "DURATION")):
                    words = "EXT-X-TILES " + ",".join(f"{k}={v}" for k, v in entry.tiles.items())
                    yield Finding(where=where, found=words, expected=", ".join(NEEDED_OF_TILES))
                    continue
                whole = (size[0] * layout[0], size[1] * layout[1])
                if shown != whole:
                    words = f"{shown[0]}x{shown[1]} pixels"
                    yield Finding(where=where, found=words, expected=f"{whole[0]}x{whole[1]} by EXT-X-TILES")
                shown = size
            if largest and (shown[0] > largest[0] or shown[1] > largest[1]):
                words = f"{shown[0]}x{shown[1]} pixels"
                yield Finding(where=where, found=words, expected=f"at most {item['RESOLUTION']}")


def _span(presentation: Presentation) -> Iterator[Finding]:
    lasts = [track.playlist.duration for track in presentation.tracks.values() if track.playlist.entries]
    for track in presentation.images.values():
        entries = track.playlist.entries
        if not entries or not lasts:
            continue
        tiles = entries[-1].tiles
        step = (time_of(tiles, "DURATION") if tiles else None) or entries[-1].extinf or Fraction(0)
        if abs(track.playlist.duration - max(lasts)) > step:
            words = seconds(track.playlist.duration)
            yield Finding(where=track.playlist.name, found=words, expected=seconds(max(lasts)))


# fmt: off
RULES = (
    Rule(id="13.images", source=SPECIFICATION, says="image playlists are declared, and have their form",
         applies=lambda p: bool(_streams(p)), check=_declared),
    Rule(id="13.tiles", source=SPECIFICATION, says="images are of the kind and size that are declared",
         applies=lambda p: bool(p.images), check=_tiles),
    Rule(id="13.images-span", source=SPECIFICATION, says="images span the presentation", must=False,
         applies=lambda p: bool(p.images), check=_span),
)
# fmt: on
