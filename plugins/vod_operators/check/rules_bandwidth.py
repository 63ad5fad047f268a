"""Rules 4, 5 and 7: bitrates, and the ladder."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from vod_operators.check.attributes import Attributes
from vod_operators.check.presentation import Presentation, Track
from vod_operators.check.rule import Finding, Rule, has_ladder, has_master, has_video, is_ended
from vod_operators.check.rules_media import missing_groups
from vod_operators.formats.rates import rate_bps

TOLERANCE = Fraction(1, 10)

ROUNDING = Fraction(1, 1000)
"""Measured rates are computed from EXTINF, which are rounded."""

FIRST_BPS = 2_000_000


def _with_sound(presentation: Presentation, track: Track, declared: Attributes) -> tuple[int, int]:
    """Average and peak bitrate of a variant with the largest sound that plays with it."""
    sounds = [sound for sound in presentation.sounds(declared) if sound is not track]
    average = track.average_bps + max((sound.average_bps for sound in sounds), default=0)
    return average, track.peak_bps + max((sound.peak_bps for sound in sounds), default=0)


def number(declared: Attributes, name: str) -> int | None:
    """An attribute that is a whole number; None if it is absent or not a number."""
    value = declared.get(name, "")
    return int(value) if value.isdecimal() else None


def variants(presentation: Presentation) -> Iterator[tuple[str, Track, Attributes]]:
    """Place (for messages), track and attributes of each variant that could be read."""
    for number, (track, declared) in enumerate(presentation.variants(), start=1):
        if track.segments:
            yield f"variant {number}, {track.name}", track, declared


def whole_variants(presentation: Presentation) -> Iterator[tuple[str, Track, Attributes]]:
    """As ``variants``, without those that name a group without members: nobody knows what it would hold."""
    for where, track, declared in variants(presentation):
        if not missing_groups(presentation, declared):
            yield where, track, declared


def _average(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in whole_variants(presentation):
        average, (measured, _) = (
            number(declared, "AVERAGE-BANDWIDTH"),
            _with_sound(presentation, track, declared),
        )
        if average is not None and abs(measured - average) > TOLERANCE * average:
            yield Finding(
                where=where, found=f"AVERAGE-BANDWIDTH={average}", expected=f"{measured} within 10 %"
            )


def _peak(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in whole_variants(presentation):
        bandwidth, (_, measured) = number(declared, "BANDWIDTH"), _with_sound(presentation, track, declared)
        if bandwidth is not None and abs(measured - bandwidth) > TOLERANCE * bandwidth:
            yield Finding(where=where, found=f"BANDWIDTH={bandwidth}", expected=f"{measured} within 10 %")


def _peak_ratio(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("video"):
        average, peak = track.average_bps, track.peak_bps
        if peak > 2 * average:
            words = f"peak {peak} b/s, average {average} b/s"
            yield Finding(where=track.name, found=words, expected="at most twice the average")


def _largest_sum(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in variants(presentation):
        bandwidth, (_, measured) = number(declared, "BANDWIDTH"), _with_sound(presentation, track, declared)
        if bandwidth is not None and bandwidth < measured * (1 - ROUNDING):
            yield Finding(where=where, found=f"BANDWIDTH={bandwidth}", expected=f"at least {measured}")


def _average_declared(presentation: Presentation) -> Iterator[Finding]:
    for where, _, declared in variants(presentation):
        if "AVERAGE-BANDWIDTH" not in declared:
            yield Finding(where=where, found="no AVERAGE-BANDWIDTH", expected="AVERAGE-BANDWIDTH")


def _several(presentation: Presentation) -> Iterator[Finding]:
    rates = {track.average_bps for track in presentation.of_kind("video")}
    if len(rates) < 2:
        yield Finding(where="variants", found="one video bitrate", expected="at least two")


def _first(presentation: Presentation) -> Iterator[Finding]:
    variants = [(t, a) for t, a in presentation.variants() if t.kind == "video"]
    family = [(t, a) for t, a in variants if _entry(t) == _entry(variants[0][0])]
    rates = [number(a, "AVERAGE-BANDWIDTH") or number(a, "BANDWIDTH") or 0 for _, a in family]
    nearest = min(rates, key=lambda rate: abs(rate - FIRST_BPS))
    # These rates include sound, so two variants about as near are equally good.
    if abs(rates[0] - FIRST_BPS) > abs(nearest - FIRST_BPS) + FIRST_BPS / 5:
        yield Finding(where="first variant", found=f"{rates[0]} b/s", expected=f"the one of {nearest} b/s")


def _entry(track: Track) -> str:
    format = track.format("video")
    return format.entry if format else ""


def _aspect(presentation: Presentation) -> Iterator[Finding]:
    sizes = [(track, f.width, f.height) for track, f in presentation.videos() if f.height]
    largest = max(sizes, key=lambda size: size[1], default=None)
    for track, width, height in sizes:
        assert largest is not None
        if abs(Fraction(width * largest[2], largest[1]) - height) > 2:  # sides are even
            words = f"{width}x{height}"
            yield Finding(where=track.name, found=words, expected=f"the shape of {largest[1]}x{largest[2]}")


def _declares_bitrate(presentation: Presentation) -> bool:
    return any(entry.bitrate_kbps for t in presentation.tracks.values() for entry in t.playlist.entries)


def _bitrate(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.tracks.values():
        for entry, segment in track.pairs():
            if not entry.bitrate_kbps or not entry.extinf or not segment.size_bytes:
                continue
            declared, measured = 1000 * entry.bitrate_kbps, rate_bps(segment.size_bytes, entry.extinf, 1)
            if abs(declared - measured) > TOLERANCE * measured:
                words = f"EXT-X-BITRATE:{entry.bitrate_kbps}"
                yield Finding(
                    where=track.place(entry), found=words, expected=f"{measured // 1000} within 10 %"
                )
                break


# fmt: off
RULES = (
    Rule(id="4.average", source="Apple 1.26", says="measured average within 10 % of AVERAGE-BANDWIDTH",
         applies=lambda p: has_master(p) and is_ended(p), check=_average),
    Rule(id="4.peak", source="Apple 1.27", says="measured peak within 10 % of BANDWIDTH",
         applies=lambda p: has_master(p) and is_ended(p), check=_peak),
    Rule(id="4.peak-ratio", source="Apple 1.30", says="peak is at most 200 % of the average", must=False,
         applies=lambda p: has_video(p) and is_ended(p), check=_peak_ratio),
    Rule(id="4.bitrate", source="RFC 8216bis 4.4.4.8", says="EXT-X-BITRATE is within 10 % of each segment",
         applies=_declares_bitrate, check=_bitrate),
    Rule(id="5.bandwidth", source="Apple 9.13", says="BANDWIDTH is the largest sum with its sound",
         applies=lambda p: has_master(p) and is_ended(p), check=_largest_sum),
    Rule(id="5.average", source="Apple 9.14", says="AVERAGE-BANDWIDTH is there",
         applies=has_master, check=_average_declared),
    Rule(id="7.bitrates", source="Apple 9.9", says="at least two video bitrates",
         applies=has_ladder, check=_several),
    Rule(id="7.first", source="Apple 1.32", says="the first variant is about 2000 kb/s", must=False,
         applies=has_ladder, check=_first),
    Rule(id="7.aspect", source="Apple 1.33", says="one aspect ratio", must=False,
         applies=has_ladder, check=_aspect),
)
# fmt: on
