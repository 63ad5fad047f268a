"""Rules 4 to 7: bitrates, what the master playlist declares of its variants, and the ladder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from vod_operators.check.attributes import Attributes
from vod_operators.check.declared import CODEC, PICTURES, TEXT, declares_pictures, listed_codecs
from vod_operators.check.presentation import Presentation, Track
from vod_operators.check.rule import Finding, Rule, has_master, has_video, is_ended
from vod_operators.check.rules_time import RATE_TOLERANCE, measured_rate
from vod_operators.check.tags import FORMS, INTEGER
from vod_operators.formats.facts import Format
from vod_operators.formats.rates import rate_bps

TOLERANCE = Fraction(1, 10)

ROUNDING = Fraction(1, 1000)
"""Measured rates are computed from EXTINF, which are rounded."""

FIRST_BPS = 2_000_000

BASES = {"dvh1": ("hvc1", "hev1"), "dvhe": ("hvc1", "hev1"), "dva1": ("avc1", "avc3"),
         "dvav": ("avc1", "avc3"), "dav1": ("av01",)}  # fmt: skip
"""Codecs of enhancements -> those of their base layers."""


def _with_sound(presentation: Presentation, track: Track, declared: Attributes) -> dict[str, int]:
    """Measured rates of a variant with the largest sound that plays with it, by attribute."""
    sounds = [sound for sound in presentation.sounds(declared) if sound is not track]
    return {
        "AVERAGE-BANDWIDTH": track.average_bps + max((sound.average_bps for sound in sounds), default=0),
        "BANDWIDTH": track.peak_bps + max((sound.peak_bps for sound in sounds), default=0),
    }


def number(declared: Attributes, name: str) -> int | None:
    """An attribute that is a whole number; None if it is absent or not a number."""
    value = declared.get(name, "")
    return int(value) if re.fullmatch(INTEGER, value) else None


def all_variants(presentation: Presentation) -> Iterator[tuple[str, Track, Attributes]]:
    """Place (for messages), track and attributes of each variant."""
    for number, (track, declared) in enumerate(presentation.variants(), start=1):
        yield f"variant {number}, {track.name}", track, declared


def variants(presentation: Presentation) -> Iterator[tuple[str, Track, Attributes]]:
    """As ``all_variants``, of those whose playlist could be read."""
    for where, track, declared in all_variants(presentation):
        if track.segments:
            yield where, track, declared


def whole_variants(presentation: Presentation) -> Iterator[tuple[str, Track, Attributes]]:
    """As ``variants``, without those that name a group without members: nobody knows what it would hold."""
    for where, track, declared in variants(presentation):
        if not presentation.missing_groups(declared):
            yield where, track, declared


def pictures(presentation: Presentation) -> Iterator[tuple[str, Track, Attributes]]:
    """As ``all_variants``, of those with pictures; of media that cannot be read, their attributes tell."""
    for where, track, declared in all_variants(presentation):
        if track.format("video") or (not track.formats and declares_pictures(declared)):
            yield where, track, declared


def has_pictures(presentation: Presentation) -> bool:
    """Some variant has pictures, as far as media or attributes tell."""
    return any(True for _ in pictures(presentation))


def _measured(presentation: Presentation, track: Track, declared: Attributes) -> bool:
    """Whether the sizes of all segments that play with a variant are known."""
    tracks = [track, *presentation.sounds(declared)]
    return all(t.segments and (e.gap or s.size_bytes) for t in tracks for e, s in t.pairs())


def sizes_of(format: Format) -> list[str]:
    """What RESOLUTION may be: the size of the pictures, or that on the screen, rounded to either side."""
    shown = format.shown_width
    widths = [format.width, *((shown, shown - 1, shown + 1) if shown else ())]
    return [f"{width}x{format.height}" for width in widths]


def far_off(where: str, declared: Attributes, name: str, measured: int) -> Iterator[Finding]:
    """A finding if an attribute is there, and differs by more than 10 % from what was measured."""
    value = number(declared, name)
    if value is not None and abs(measured - value) > TOLERANCE * value:
        yield Finding(where=where, found=f"{name}={value}", expected=f"{measured} within 10 %")


def _bandwidth(presentation: Presentation, name: str) -> Iterator[Finding]:
    for where, track, declared in whole_variants(presentation):
        tracks = [track, *presentation.sounds(declared)]
        has_target = name != "BANDWIDTH" or all(t.playlist.target_s for t in tracks)
        if has_target and _measured(presentation, track, declared):
            yield from far_off(where, declared, name, _with_sound(presentation, track, declared)[name])


def _peak_ratio(presentation: Presentation) -> Iterator[Finding]:
    for track in presentation.of_kind("video"):
        average, peak = track.average_bps, track.peak_bps
        if peak > 2 * average:
            words = f"peak {peak} b/s, average {average} b/s"
            yield Finding(where=track.name, found=words, expected="at most twice the average")


def _largest_sum(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in variants(presentation):
        bandwidth = number(declared, "BANDWIDTH")
        measured = _with_sound(presentation, track, declared)["BANDWIDTH"]
        if bandwidth is not None and bandwidth < measured * (1 - ROUNDING):
            yield Finding(where=where, found=f"BANDWIDTH={bandwidth}", expected=f"at least {measured}")


def _average_declared(presentation: Presentation) -> Iterator[Finding]:
    for where, _, declared in all_variants(presentation):
        average, peak = number(declared, "AVERAGE-BANDWIDTH"), number(declared, "BANDWIDTH")
        if "AVERAGE-BANDWIDTH" not in declared:
            yield Finding(where=where, found="no AVERAGE-BANDWIDTH", expected="AVERAGE-BANDWIDTH")
        elif average is not None and peak is not None and average > peak:
            words = f"AVERAGE-BANDWIDTH={average}"
            yield Finding(where=where, found=words, expected=f"at most BANDWIDTH={peak}")


def _played_with(presentation: Presentation, track: Track, declared: Attributes) -> list[Track]:
    texts = presentation.members("SUBTITLES", declared.get("SUBTITLES"))
    subtitles = [presentation.tracks[item["URI"]] for item in texts if "URI" in item]
    return [track, *presentation.sounds(declared), *subtitles]


def same_codec(a: str, b: str) -> bool:
    """Whether two names of codecs stand for the same decoder."""
    # Decoders are chosen by the first four parts. The rest tells colours in AV1, constraints in HEVC.
    parts = 4 if a.startswith(("av01", "hvc1", "hev1")) else 9
    return a.lower().split(".")[:parts] == b.lower().split(".")[:parts]


def _codecs(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in all_variants(presentation):
        listed = listed_codecs(declared)
        played = _played_with(presentation, track, declared)
        formats = [f for t in played for f in t.formats]
        actual = sorted({f.codecs for f in formats if f.codecs != "wvtt"})
        if not listed:
            yield Finding(where=where, found="no CODECS", expected=",".join(actual) or "CODECS")
        for codec in listed:
            if not CODEC.fullmatch(codec):
                yield Finding(where=where, found=f"{codec!r} in CODECS", expected="the form of RFC 6381")
        if not listed or presentation.missing_groups(declared):
            continue
        if not formats:
            if presentation.sounds(declared) and all(PICTURES.match(c) or TEXT.match(c) for c in listed):
                words = f'CODECS="{",".join(listed)}"'
                yield Finding(where=where, found=words, expected=f"that of AUDIO={declared['AUDIO']} too")
            continue
        missing = [codec for codec in actual if not any(same_codec(codec, other) for other in listed)]
        extra = [codec for codec in listed if not any(same_codec(codec, other) for other in actual)]
        if missing or (extra and not any(t.unreadable for t in played)):
            yield Finding(where=where, found=f'CODECS="{",".join(listed)}"', expected=",".join(actual))


def is_enhanced(track: Track, declared: Attributes) -> bool:
    """Whether LCEVC makes the pictures larger, by how much only its decoder knows."""
    codecs = listed_codecs(declared) + listed_codecs(declared, "SUPPLEMENTAL-CODECS")
    is_told = any(codec.startswith("lvc1") for codec in codecs)
    return is_told or any(stream.enhanced for _, stream in track.streams("video"))


def _resolution(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in pictures(presentation):
        # After a discontinuity the size may be another.
        sizes = [size for format in track.formats if format.kind == "video" for size in sizes_of(format)]
        if is_enhanced(track, declared):
            sizes = []
        if "RESOLUTION" not in declared or (sizes and declared["RESOLUTION"] not in sizes):
            words = f"RESOLUTION={declared.get('RESOLUTION', 'missing')}"
            yield Finding(where=where, found=words, expected=(sizes or ["RESOLUTION"])[0])


def _frame_rate(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in pictures(presentation):
        text, rate = declared.get("FRAME-RATE", ""), measured_rate(track)
        if not re.fullmatch(r"\d{1,20}(\.\d{1,3})?", text):
            words = f"FRAME-RATE={text or 'missing'}"
            expected = f"{float(rate):.3f}" if rate else "FRAME-RATE"
            yield Finding(where=where, found=words, expected=f"{expected}, at most three decimals")
            continue
        if not rate:
            continue
        rates = [rate, *(stream.rate for _, stream in track.streams("video"))]
        if all(abs(Fraction(text) - candidate) > RATE_TOLERANCE for candidate in rates):
            yield Finding(where=where, found=f"FRAME-RATE={text}", expected=f"{float(rate):.3f}")


def _range(presentation: Presentation) -> Iterator[Finding]:
    ranges = [(w, t.video_range, a) for w, t, a in pictures(presentation)]
    all_sdr = all((found or declared.get("VIDEO-RANGE", "SDR")) == "SDR" for _, found, declared in ranges)
    for where, found, declared in ranges:
        value = declared.get("VIDEO-RANGE", "SDR" if all_sdr else "missing")
        if value == "missing" or (found and value != found):
            expected = found or "VIDEO-RANGE, as others have"
            yield Finding(where=where, found=f"VIDEO-RANGE={value}", expected=expected)
    # Of I-frames only the init segment is read, which need not tell HLG.
    may_be_hlg = {"SDR", "HLG"} if any(found == "HLG" for _, found, _ in ranges) else set()
    for uri, declared in presentation.i_frame_streams:
        track = presentation.i_frames[uri]
        found, told = track.video_range, declared.get("VIDEO-RANGE")
        if found and told and told != found and not {told, found} <= may_be_hlg:
            yield Finding(where=track.name, found=f"VIDEO-RANGE={told}", expected=found)


def _several(presentation: Presentation) -> Iterator[Finding]:
    # Two variants may play the same pictures with other sound.
    rates = {t.playlist.uri: t.average_bps or number(a, "BANDWIDTH") for _, t, a in pictures(presentation)}
    if len(set(rates.values())) < 2:
        yield Finding(where="variants", found="one video bitrate", expected="at least two")


def entry_of(track: Track, declared: Attributes) -> str:
    """Sample entry of a variant's pictures; of media that cannot be read as CODECS tells, empty if not."""
    format = track.format("video")
    told = (codec.split(".")[0] for codec in listed_codecs(declared) if PICTURES.match(codec))
    return format.entry if format else next(told, "")


def _first(presentation: Presentation) -> Iterator[Finding]:
    ladder = [(track, declared) for _, track, declared in pictures(presentation)]
    family = [a for t, a in ladder if entry_of(t, a) == entry_of(*ladder[0])]
    rates = [number(a, "AVERAGE-BANDWIDTH") or number(a, "BANDWIDTH") or 0 for a in family]
    nearest = min(rates, key=lambda rate: abs(rate - FIRST_BPS))
    # These rates include sound, so two variants about as near are equally good.
    if abs(rates[0] - FIRST_BPS) > abs(nearest - FIRST_BPS) + FIRST_BPS / 5:
        yield Finding(where="first variant", found=f"{rates[0]} b/s", expected=f"the one of {nearest} b/s")


def _size(track: Track, declared: Attributes) -> tuple[int, int]:
    """Width and height on the screen; of media that cannot be read RESOLUTION, or zeros."""
    if format := track.format("video"):
        return format.shown_width or format.width, format.height
    told = re.fullmatch(FORMS["RESOLUTION"], declared.get("RESOLUTION", ""))
    width, height = told[0].split("x") if told else ("0", "0")
    return int(width), int(height)


def _aspect(presentation: Presentation) -> Iterator[Finding]:
    sizes = {where: _size(track, declared) for where, track, declared in pictures(presentation)}
    known = {where: size for where, size in sizes.items() if all(size)}
    largest = max(known.values(), key=lambda size: size[1], default=(0, 0))
    for where, (width, height) in known.items():
        if abs(Fraction(width * largest[1], largest[0]) - height) > 2:  # sides are even
            words = f"{width}x{height}"
            yield Finding(where=where, found=words, expected=f"the shape of {largest[0]}x{largest[1]}")


def _scores(presentation: Presentation) -> Iterator[Finding]:
    for where, _, declared in all_variants(presentation):
        if "SCORE" not in declared:
            yield Finding(where=where, found="no SCORE", expected="SCORE, as other variants have")


def _supplemental(presentation: Presentation) -> Iterator[Finding]:
    for where, declared in presentation.listed():
        bases = listed_codecs(declared)
        for codec in listed_codecs(declared, "SUPPLEMENTAL-CODECS"):
            names = BASES.get(codec[:4], ())
            if not any(base.startswith(names) for base in bases) if names else not bases:
                expected = f"{' or '.join(names) or 'its base'} in CODECS"
                yield Finding(where=where, found=f"SUPPLEMENTAL-CODECS {codec}", expected=expected)


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
         applies=lambda p: has_master(p) and is_ended(p), check=lambda p: _bandwidth(p, "AVERAGE-BANDWIDTH")),
    Rule(id="4.peak", source="Apple 1.27", says="measured peak within 10 % of BANDWIDTH",
         applies=lambda p: has_master(p) and is_ended(p), check=lambda p: _bandwidth(p, "BANDWIDTH")),
    Rule(id="4.peak-ratio", source="Apple 1.30", says="peak is at most 200 % of the average", must=False,
         applies=lambda p: has_video(p) and is_ended(p), check=_peak_ratio),
    Rule(id="4.bitrate", source="RFC 8216bis 4.4.4.8", says="EXT-X-BITRATE is within 10 % of each segment",
         applies=_declares_bitrate, check=_bitrate),
    Rule(id="5.bandwidth", source="Apple 9.13", says="BANDWIDTH is the largest sum with its sound",
         applies=lambda p: has_master(p) and is_ended(p), check=_largest_sum),
    Rule(id="5.average", source="Apple 9.14", says="AVERAGE-BANDWIDTH is there, and within BANDWIDTH",
         applies=has_master, check=_average_declared),
    Rule(id="6.codecs", source="Apple 9.1", says="CODECS names what is played, and nothing else",
         applies=has_master, check=_codecs),
    Rule(id="6.resolution", source="Apple 9.2", says="RESOLUTION is that of the pictures",
         applies=has_pictures, check=_resolution),
    Rule(id="6.frame-rate", source="Apple 9.15", says="FRAME-RATE is that of the pictures, to three decimals",
         applies=has_pictures, check=_frame_rate),
    Rule(id="6.video-range", source="Apple 9.16", says="VIDEO-RANGE, unless all is SDR",
         applies=has_pictures, check=_range),
    Rule(id="6.supplemental", source="RFC 8216bis 4.4.6.2", says="CODECS has the base of SUPPLEMENTAL-CODECS",
         applies=lambda p: any("SUPPLEMENTAL-CODECS" in a for _, a in p.listed()), check=_supplemental),
    Rule(id="6.score", source="Apple 9.19", says="SCORE of all variants or of none",
         applies=lambda p: any("SCORE" in a for _, a in p.variants()), check=_scores),
    Rule(id="7.bitrates", source="Apple 9.9", says="at least two video bitrates",
         applies=has_pictures, check=_several),
    Rule(id="7.first", source="Apple 1.32", says="the first variant is about 2000 kb/s", must=False,
         applies=has_pictures, check=_first),
    Rule(id="7.aspect", source="Apple 1.33", says="one aspect ratio", must=False,
         applies=has_pictures, check=_aspect),
)
# fmt: on
