"""Rules of what decoders find, and of what pictures themselves tell of their order."""

from __future__ import annotations

from collections.abc import Iterator

from vod_operators.check.presentation import Presentation
from vod_operators.check.rule import Finding, Rule, has_video


def _decoded(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        for where, found, expected in (track.undecodable or [])[:5]:
            yield Finding(where=where, found=found, expected=expected)


def _composition(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        for entry, stream in track.streams("video"):
            if stream.lacks_composition:
                yield Finding(
                    where=track.place(entry),
                    found="B pictures, and times that show all pictures in decoding order",
                    expected="composition times in the order of the pictures",
                )
                break


# fmt: off
RULES = (
    Rule(id="10.composition", source="ISO 14496-12 8.6.1.1", says="times show pictures in their own order",
         applies=has_video, check=_composition),
    Rule(id="18.decodes", source="RFC 8216bis 3", says="all can be decoded, with --decode",
         applies=lambda p: any(track.undecodable is not None for track in p.tracks.values()), check=_decoded),
)
# fmt: on
