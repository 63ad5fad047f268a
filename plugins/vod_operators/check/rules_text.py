"""Rules 15 of the formats of subtitles: WebVTT and IMSC1."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from vod_operators.check.attributes import Attributes
from vod_operators.check.presentation import Presentation, Track, seconds
from vod_operators.check.rule import Finding, Rule, is_ended
from vod_operators.formats.sample_entries import TEXT

APART_S = Fraction(1, 2)
"""How much the times of two formats may differ, which round times in ways of their own."""


def _imsc(presentation: Presentation) -> list[Track]:
    tracks = presentation.of_kind("text")
    return [track for track in tracks if any(format.entry == "stpp" for format in track.formats)]


def _text_profile(presentation: Presentation) -> Iterator[Finding]:
    for track in _imsc(presentation):
        for entry, segment in track.pairs():
            if segment.not_text_profile:
                where, found = track.place(entry), f"a document that {segment.not_text_profile}"
                yield Finding(where=where, found=found, expected="IMSC1 of the text profile")
                break


def _subtitles(presentation: Presentation) -> list[tuple[Attributes, Track]]:
    """Attributes and track of each SUBTITLES rendition."""
    items = [item for item in presentation.renditions if item.get("TYPE") == "SUBTITLES" and "URI" in item]
    return [(item, presentation.tracks[item["URI"]]) for item in items]


def _kind(presentation: Presentation) -> Iterator[Finding]:
    for item, track in _subtitles(presentation):
        others = sorted({format.entry for format in track.formats} - TEXT.keys())
        media = {segment.container for segment in track.segments} & {"ts", "aac"}
        if others or media:
            where = f"SUBTITLES {item.get('GROUP-ID', '')}/{item.get('NAME', '')}"
            found = ", ".join(others or sorted(media))
            yield Finding(where=where, found=found, expected="WebVTT, or stpp in fragmented MP4")


def _shown(track: Track) -> tuple[Fraction, Fraction] | None:
    """Begin of its first cue and end of its last one, on the media's clock; None if it has none."""
    spans = [
        (segment.cues.begin + segment.cues.offset, segment.cues.end + segment.cues.offset)
        for segment in track.segments
        if segment.cues
    ]
    return (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else None


def _both_formats(presentation: Presentation) -> list[tuple[str, Track, Track]]:
    """Name, WebVTT track and IMSC1 track of each member of groups in both formats."""
    imsc = {track.playlist.uri for track in _imsc(presentation)}
    by_name: dict[str, list[Track]] = {}
    for item, track in _subtitles(presentation):
        if track.kind == "text" and not track.unreadable:
            by_name.setdefault(item.get("NAME", ""), []).append(track)
    return [
        (name, first, other)
        for name, tracks in by_name.items()
        for first in tracks[:1]
        for other in tracks[1:]
        if (first.playlist.uri in imsc) != (other.playlist.uri in imsc)
    ]


def _same_content(presentation: Presentation) -> Iterator[Finding]:
    for name, first, other in _both_formats(presentation):
        one, two = _shown(first), _shown(other)
        if one == two:
            continue
        is_far = not (one and two) or any(abs(a - b) > APART_S for a, b in zip(one, two, strict=True))
        if is_far:
            yield Finding(
                where=f"{other.name}, {name}",
                found=_words(two),
                expected=f"{_words(one)}, as in {first.name}",
            )


def _words(span: tuple[Fraction, Fraction] | None) -> str:
    return f"cues from {seconds(span[0])} to {seconds(span[1])}" if span else "no cues"


# fmt: off
RULES = (
    Rule(id="15.text-profile", source="RFC 8216bis 3.1.5", says="IMSC1 is of the text profile",
         applies=lambda p: bool(_imsc(p)), check=_text_profile),
    Rule(id="15.kind", source="Apple 5.2, 5.4", says="subtitles are WebVTT, or IMSC1 in fragmented MP4",
         applies=lambda p: any(track.kind for _, track in _subtitles(p)), check=_kind),
    Rule(id="15.formats", source="RFC 8216bis 4.4.6.1.1", says="WebVTT and IMSC1 of one name show the same",
         must=False, applies=lambda p: is_ended(p) and bool(_both_formats(p)), check=_same_content),
)
# fmt: on
