"""Rule 13: I-frame playlists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from vod_operators.check.presentation import Presentation, Track, seconds
from vod_operators.check.rule import (
    Finding,
    Rule,
    has_i_frames,
    has_ladder,
    has_master,
    is_ended,
)
from vod_operators.check.rules_bandwidth import TOLERANCE, number

PICTURE_S = Fraction(11, 10)
"""A second, plus a frame at rates that do not divide a second."""

Attributes = Mapping[str, str]


def family(codecs: str) -> str:
    """The part before the first dot. All profiles of a codec are one family."""
    return codecs.split(".")[0]


def _families(found: Presentation) -> set[str]:
    return {family(f.codecs) for t in found.of_kind("video") if (f := t.format("video"))}


def _pictures(found: Presentation) -> dict[str, list[Track]]:
    """Family -> its I-frame playlists."""
    listed: dict[str, list[Track]] = {}
    for track in found.i_frames.values():
        known = track.format("video")
        declared = found.master.i_frames if found.master else []
        codecs = next((a.get("CODECS", "") for uri, a in declared if uri == track.playlist.uri), "")
        listed.setdefault(family(known.codecs if known else codecs), []).append(track)
    return listed


def _has_pictures(found: Presentation) -> Iterator[Finding]:
    for name in sorted(_families(found) - _pictures(found).keys()):
        yield Finding(where=f"{name} variants", found="no EXT-X-I-FRAME-STREAM-INF", expected="at least one")


def _pictures_declared(found: Presentation) -> Iterator[Finding]:
    for uri, declared in found.master.i_frames if found.master else []:
        track = found.i_frames[uri]
        known = track.format("video")
        for name in ("CODECS", "RESOLUTION"):
            if name not in declared:
                yield Finding(where=track.name, found=f"no {name}", expected=name)
        if known is None:
            continue
        size = f"{known.width}x{known.height}"
        if declared.get("RESOLUTION", size) != size:
            yield Finding(where=track.name, found=f"RESOLUTION={declared['RESOLUTION']}", expected=size)
        if declared.get("CODECS", known.codecs).lower() != known.codecs.lower():
            yield Finding(where=track.name, found=f"CODECS={declared['CODECS']}", expected=known.codecs)


def _only(found: Presentation) -> Iterator[Finding]:
    for track in found.i_frames.values():
        if not track.playlist.is_i_frames_only:
            tag = "EXT-X-I-FRAMES-ONLY"
            yield Finding(where=track.name, found=f"no {tag}", expected=tag)


def _faults(found: Presentation, at_begin: bool, expected: str) -> Iterator[Finding]:
    for track in found.i_frames.values():
        for fault in [fault for fault in track.faults if fault.at_begin == at_begin][:5]:
            where = f"{track.name}: {fault.entry.uri.rsplit('/', 1)[-1]}"
            yield Finding(where=where, found=fault.found, expected=expected)


def _dense(found: Presentation) -> Iterator[Finding]:
    for name, tracks in _pictures(found).items():
        steps = {
            track.name: max(
                (entry.extinf or Fraction(0) for entry in track.playlist.entries), default=Fraction(9)
            )
            for track in tracks
        }
        best = min(steps, key=lambda track: steps[track])
        if steps[best] > PICTURE_S:
            words = f"{seconds(steps[best])} between pictures of {best}"
            yield Finding(
                where=f"{name} I-frame playlists", found=words, expected="one a second in one of them"
            )


def _i_frame_rates(found: Presentation) -> Iterator[Finding]:
    for uri, declared in found.master.i_frames if found.master else []:
        track, told = found.i_frames[uri], number(declared, "BANDWIDTH")
        measured = track.peak_bps
        if told is not None and measured and abs(measured - told) > TOLERANCE * told:
            yield Finding(where=track.name, found=f"BANDWIDTH={told}", expected=f"{measured} within 10 %")


# fmt: off
RULES = (
    Rule(id="13.i-frames", source="Apple 6.1", says="I-frame playlists for every video codec",
         applies=has_ladder, check=_has_pictures),
    Rule(id="13.declared", source="Apple 9.3, 9.4", says="CODECS and RESOLUTION of I-frames are right",
         applies=lambda p: has_master(p) and has_i_frames(p), check=_pictures_declared),
    Rule(id="13.only", source="Apple 6.8", says="EXT-X-I-FRAMES-ONLY",
         applies=has_i_frames, check=_only),
    Rule(id="13.begin", source="Apple 6.10", says="byte ranges begin with the picture's moof or packet",
         applies=has_i_frames, check=lambda p: _faults(p, True, "the first byte that decoding it needs")),
    Rule(id="13.picture", source="RFC 8216bis 4.4.3.6", says="each entry is one whole I-frame",
         applies=has_i_frames, check=lambda p: _faults(p, False, "one whole IDR picture")),
    Rule(id="13.dense", source="Apple 6.2", says="an I-frame a second, in one playlist of each codec",
         must=False, applies=lambda p: has_master(p) and has_i_frames(p), check=_dense),
    Rule(id="4.i-frames", source="Apple 1.27", says="measured peak of I-frame playlists within 10 %",
         applies=lambda p: bool(p.master and p.i_frames) and is_ended(p), check=_i_frame_rates),
)
# fmt: on
