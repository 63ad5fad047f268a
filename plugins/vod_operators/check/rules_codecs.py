"""Rules 1 to 3: how pictures are coded."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from vod_operators.check.presentation import Presentation, Track, seconds
from vod_operators.check.rule import Finding, Rule, has_fmp4, has_ladder, has_video
from vod_operators.check.rules_time import RATE_TOLERANCE, frame_s, measured_rate
from vod_operators.check.rules_variants import entry_of, has_pictures, pictures
from vod_operators.formats.facts import Format, Stream

Videos = list[tuple[Track, Format]]


def _avc(presentation: Presentation) -> Videos:
    return [(track, format) for track, format in presentation.videos() if format.entry.startswith("avc")]


def _hevc(presentation: Presentation) -> Videos:
    return [(track, format) for track, format in presentation.videos() if format.entry[:3] in ("hvc", "hev")]


def _avc_level(presentation: Presentation) -> Iterator[Finding]:
    for track, _ in _avc(presentation):
        for format in (f for f in track.formats if f.kind == "video"):
            if format.profile not in (66, 77, 88, 100) or format.level > 52:
                words = f"profile_idc {format.profile}, level {format.level / 10:g}"
                yield Finding(where=track.name, found=words, expected="at most High profile, level 5.2")


def _some_avc_41(presentation: Presentation) -> Iterator[Finding]:
    levels = [format.level for _, format in _avc(presentation)]
    if min(levels) > 41:
        yield Finding(
            where="variants", found=f"the lowest level is {min(levels) / 10:g}", expected="one of at most 4.1"
        )


def _hevc_container(presentation: Presentation) -> Iterator[Finding]:
    for track, _ in _hevc(presentation):
        if any(segment.container != "fmp4" for segment in track.segments):
            yield Finding(where=track.name, found="HEVC in MPEG-TS", expected="fragmented MP4")


def _hevc_level(presentation: Presentation) -> Iterator[Finding]:
    for track, format in _hevc(presentation):
        if format.profile not in (1, 2) or format.level > 153:
            words = f"general_profile_idc {format.profile}, level {format.level / 30:g}"
            yield Finding(where=track.name, found=words, expected="at most Main10, level 5.1")


def _entries(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("video"):
        for entry in {f.entry for f in track.formats if f.kind == "video"} & {"avc3", "avc2", "hev1", "dvhe"}:
            expected = "hvc1" if entry == "hev1" else "dvh1" if entry == "dvhe" else "avc1"
            yield Finding(where=track.name, found=f"sample entry {entry}", expected=expected)


def _idr(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("video"):
        for entry, stream in track.streams("video"):
            if not stream.starts_with_idr:
                found = "its first picture is not an IDR picture"
                yield Finding(where=track.place(entry), found=found, expected="an IDR picture")


def _runs(track: Track) -> list[list[Stream]]:
    """Its pictures between segments that are gaps (EXT-X-GAP) or cannot be read, segment by segment."""
    runs: list[list[Stream]] = [[]]
    for segment in track.segments:
        if segment.unreadable:
            runs.append([])
        elif stream := segment.stream("video"):
            runs[-1].append(stream)
    return [run for run in runs if run]


def _idr_interval(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("video"):
        longest = Fraction(0)
        for run in _runs(track):
            times = [key.at for stream in run for key in stream.keys if key.is_idr]
            times.append(run[-1].begin + run[-1].duration)
            longest = max([longest, *(b - a for a, b in pairwise(times))])
        if longest > 2 + frame_s(track, "video"):
            yield Finding(where=track.name, found=f"{seconds(longest)} without one", expected="one every 2 s")


def _progressive(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("video"):
        if any(format.interlaced for format in track.formats):
            yield Finding(where=track.name, found="coded as fields", expected="whole frames (deinterlaced)")


def _frame_rate(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("video"):
        if (rate := measured_rate(track)) > 60 + RATE_TOLERANCE:
            yield Finding(where=track.name, found=f"{float(rate):.3f} a second", expected="at most 60")


def _some_avc(presentation: Presentation) -> Iterator[Finding]:
    entries = {entry_of(track, declared) for _, track, declared in pictures(presentation)}
    families = sorted(entries - {""})
    if "" not in entries and not any(entry.startswith("avc") for entry in entries):
        yield Finding(where="variants", found=", ".join(families), expected="some H.264 variant")


def _some_sdr(presentation: Presentation) -> Iterator[Finding]:
    ranges = {
        track.video_range or declared.get("VIDEO-RANGE", "SDR")
        for _, track, declared in pictures(presentation)
    }
    if "SDR" not in ranges:
        yield Finding(where="variants", found=", ".join(sorted(ranges)), expected="some SDR variant")


# fmt: off
RULES = (
    Rule(id="1.h264-level", source="Apple 1.3b", says="H.264 is at most High, level 5.2",
         applies=lambda p: bool(_avc(p)), check=_avc_level),
    Rule(id="1.h264-4.1", source="Apple 1.3a", says="some H.264 variant is at most level 4.1", must=False,
         applies=lambda p: has_ladder(p) and bool(_avc(p)), check=_some_avc_41),
    Rule(id="1.hevc-container", source="Apple 1.5", says="HEVC is in fragmented MP4",
         applies=lambda p: bool(_hevc(p)), check=_hevc_container),
    Rule(id="1.hevc-level", source="Apple 1.6b", says="HEVC is at most Main10, level 5.1",
         applies=lambda p: bool(_hevc(p)), check=_hevc_level),
    Rule(id="1.sample-entry", source="Apple 1.10", says="sample entries are avc1 and hvc1", must=False,
         applies=lambda p: has_fmp4(p) and has_video(p), check=_entries),
    Rule(id="2.idr", source="Apple 7.4", says="every video segment starts with an IDR picture",
         applies=has_video, check=_idr),
    Rule(id="2.idr-interval", source="Apple 1.13", says="an IDR picture every 2 s", must=False,
         applies=has_video, check=_idr_interval),
    Rule(id="3.progressive", source="Apple 1.14", says="deinterlaced",
         applies=has_video, check=_progressive),
    Rule(id="3.frame-rate", source="Apple 1.19", says="at most 60 frames a second",
         applies=has_video, check=_frame_rate),
    # Only a warning: whoever knows the players may want a newer codec alone.
    Rule(id="3.h264", source="Apple 1.12", says="some variant is H.264", must=False,
         applies=has_pictures, check=_some_avc),
    Rule(id="3.sdr", source="Apple 1.24", says="some variant is SDR",
         applies=has_pictures, check=_some_sdr),
)
# fmt: on
