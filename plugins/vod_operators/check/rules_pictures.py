"""Rule 13: I-frame playlists."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from vod_operators.check.declared import CODEC, SOUND, listed_codecs
from vod_operators.check.presentation import Presentation, Track, seconds
from vod_operators.check.rule import Finding, Rule, has_i_frames, has_ladder, has_master, is_ended
from vod_operators.check.rules_variants import far_off, has_pictures, is_enhanced, same_codec, sizes_of

PICTURE_S = Fraction(11, 10)
"""A second, plus a frame at rates that do not divide a second."""


def family(codecs: str) -> str:
    """The part before the first dot. All profiles of a codec are one family."""
    return codecs.split(".")[0]


def _pictures(presentation: Presentation) -> dict[str, list[Track]]:
    """Family -> its I-frame playlists."""
    playlists: dict[str, list[Track]] = {}
    for track in presentation.i_frames.values():
        format = track.format("video")
        codecs = next(
            (a.get("CODECS", "") for uri, a in presentation.i_frame_streams if uri == track.playlist.uri), ""
        )
        playlists.setdefault(family(format.codecs if format else codecs), []).append(track)
    return playlists


def _has_pictures(presentation: Presentation) -> Iterator[Finding]:
    if not presentation.i_frame_streams:
        yield Finding(where="variants", found="no EXT-X-I-FRAME-STREAM-INF", expected="at least one")


def _has_each_family(presentation: Presentation) -> Iterator[Finding]:
    families = {family(format.codecs) for _, format in presentation.videos()}
    listed = _pictures(presentation).keys()
    for name in sorted(families - listed if "mjpg" not in listed else ()):
        yield Finding(where=f"{name} variants", found="no EXT-X-I-FRAME-STREAM-INF", expected="at least one")


def _pictures_declared(presentation: Presentation) -> Iterator[Finding]:
    are_enhanced = any(is_enhanced(track, declared) for track, declared in presentation.variants())
    for uri, declared in presentation.i_frame_streams:
        track = presentation.i_frames[uri]
        format = track.format("video")
        for name in ("CODECS", "RESOLUTION"):
            if name not in declared:
                yield Finding(where=track.name, found=f"no {name}", expected=name)
        for codec in listed_codecs(declared):
            if not CODEC.fullmatch(codec) or SOUND.match(codec):
                yield Finding(
                    where=track.name, found=f"{codec!r} in CODECS", expected="that of pictures only"
                )
        if format is None:
            continue
        sizes = sizes_of(format)
        if declared.get("RESOLUTION", sizes[0]) not in sizes and not are_enhanced:
            yield Finding(where=track.name, found=f"RESOLUTION={declared['RESOLUTION']}", expected=sizes[0])
        told = declared.get("CODECS", format.codecs)
        # What comes after the depth of AV1 may be left out.
        if told.lower() != format.codecs.lower() and not (
            format.entry == "av01" and same_codec(told, format.codecs)
        ):
            yield Finding(where=track.name, found=f"CODECS={declared['CODECS']}", expected=format.codecs)


def _only(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.i_frames.values():
        if not (track.playlist.is_i_frames_only or track.playlist.unreadable):
            tag = "EXT-X-I-FRAMES-ONLY"
            yield Finding(where=track.name, found=f"no {tag}", expected=tag)


def _faults(presentation: Presentation, at_begin: bool, expected: str) -> Iterator[Finding]:
    for track in presentation.i_frames.values():
        for fault in [fault for fault in track.faults if fault.at_begin == at_begin][:5]:
            yield Finding(where=track.place(fault.entry), found=fault.found, expected=expected)


def _dense(presentation: Presentation) -> Iterator[Finding]:
    for name, tracks in _pictures(presentation).items():
        steps = {
            track.name: max(
                (entry.extinf or Fraction(0) for entry in track.playlist.entries), default=Fraction(9)
            )
            for track in tracks
            if not track.playlist.unreadable
        }
        if not steps:
            continue
        densest = min(steps, key=lambda track: steps[track])
        if steps[densest] > PICTURE_S:
            words = f"{seconds(steps[densest])} between pictures of {densest}"
            yield Finding(
                where=f"{name} I-frame playlists", found=words, expected="one a second in one of them"
            )


def _i_frame_rates(presentation: Presentation) -> Iterator[Finding]:
    for uri, declared in presentation.i_frame_streams:
        track = presentation.i_frames[uri]
        if track.peak_bps:
            yield from far_off(track.name, declared, "BANDWIDTH", track.peak_bps)


# fmt: off
RULES = (
    Rule(id="13.i-frames", source="Apple 6.1", says="I-frame playlists",
         applies=has_pictures, check=_has_pictures),
    # Only a warning: AirPlay alone requires it.
    Rule(id="13.families", source="Apple 6.13", says="I-frame playlists for every video codec", must=False,
         applies=lambda p: has_ladder(p) and has_i_frames(p), check=_has_each_family),
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
