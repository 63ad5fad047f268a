"""Rule 6: what the master playlist declares of its variants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from vod_operators.check.attributes import Attributes
from vod_operators.check.presentation import Presentation, Track
from vod_operators.check.rule import Finding, Rule, has_ladder, has_master
from vod_operators.check.rules_bandwidth import variants, whole_variants
from vod_operators.check.rules_time import RATE_TOLERANCE, measured_rate


def _played_with(presentation: Presentation, track: Track, declared: Attributes) -> list[Track]:
    texts = presentation.members("SUBTITLES", declared.get("SUBTITLES"))
    subtitles = [presentation.tracks[item["URI"]] for item in texts if "URI" in item]
    return [track, *presentation.sounds(declared), *subtitles]


def _same_codec(a: str, b: str) -> bool:
    # Decoders are chosen by the first four parts. The rest tells colours in AV1, constraints in HEVC.
    parts = 4 if a.startswith(("av01", "hvc1", "hev1")) else 9
    return a.lower().split(".")[:parts] == b.lower().split(".")[:parts]


def _codecs(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in whole_variants(presentation):
        listed = [part.strip() for part in declared.get("CODECS", "").split(",") if part.strip()]
        formats = [f for t in _played_with(presentation, track, declared) for f in t.formats]
        actual = sorted({f.codecs for f in formats if f.codecs != "wvtt"})
        if not formats:
            continue
        missing = [codec for codec in actual if not any(_same_codec(codec, other) for other in listed)]
        extra = [codec for codec in listed if not any(_same_codec(codec, other) for other in actual)]
        if missing or extra:
            yield Finding(where=where, found=f'CODECS="{",".join(listed)}"', expected=",".join(actual))


def _resolution(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in variants(presentation):
        format = track.format("video")
        if format and declared.get("RESOLUTION") != (size := f"{format.width}x{format.height}"):
            words = f"RESOLUTION={declared.get('RESOLUTION', 'missing')}"
            yield Finding(where=where, found=words, expected=size)


def _frame_rate(presentation: Presentation) -> Iterator[Finding]:
    for where, track, declared in variants(presentation):
        text, rate = declared.get("FRAME-RATE", ""), measured_rate(track)
        if not rate:
            continue
        if not re.fullmatch(r"\d+(\.\d{1,3})?", text):
            words = f"FRAME-RATE={text or 'missing'}"
            yield Finding(where=where, found=words, expected=f"{float(rate):.3f}, at most three decimals")
            continue
        rates = [rate, *(stream.rate for _, stream in track.streams("video"))]
        if all(abs(Fraction(text) - candidate) > RATE_TOLERANCE for candidate in rates):
            yield Finding(where=where, found=f"FRAME-RATE={text}", expected=f"{float(rate):.3f}")


def _range(presentation: Presentation) -> Iterator[Finding]:
    formats = [(w, t.format("video"), a) for w, t, a in variants(presentation)]
    all_sdr = all(format is None or format.video_range == "SDR" for _, format, _ in formats)
    for where, format, declared in formats:
        value = declared.get("VIDEO-RANGE", "SDR" if all_sdr else "missing")
        if format and value != format.video_range:
            yield Finding(where=where, found=f"VIDEO-RANGE={value}", expected=format.video_range)


# fmt: off
RULES = (
    Rule(id="6.codecs", source="Apple 9.1", says="CODECS names what is played, and nothing else",
         applies=has_master, check=_codecs),
    Rule(id="6.resolution", source="Apple 9.2", says="RESOLUTION is that of the pictures",
         applies=has_ladder, check=_resolution),
    Rule(id="6.frame-rate", source="Apple 9.15", says="FRAME-RATE is that of the pictures, to three decimals",
         applies=has_ladder, check=_frame_rate),
    Rule(id="6.video-range", source="Apple 9.16", says="VIDEO-RANGE, unless all is SDR",
         applies=has_ladder, check=_range),
)
# fmt: on
