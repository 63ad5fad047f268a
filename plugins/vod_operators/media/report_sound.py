"""Reads what ffmpeg wrote about a sound track: silences, clipped windows and loudness."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from pydantic import Field

from vod_operators.formats.base import Model
from vod_operators.media.ffmpeg_report import CLIPPED_KEY, SILENT_S, WINDOW_S
from vod_operators.media.loudness import SILENCE_LUFS

GAP_S = 0.2
"""Pause between clipped windows that does not end a clipped part: between the beats of a drum, say."""

LEAST_CLIPPED_S = 0.4
"""Shortest clipped part: half a second, less what a codec smears at its ends."""

CLIPPED_PART = 0.2
"""Least share of a clipped part's windows that are clipped."""

MOST_FOUND = 200
"""Most parts of a kind that a track records, with about 50 bytes each; the others are only counted."""

LEAST_PEAK_DB = -60.0
"""Lowest true peak that is told; ffmpeg writes it with three decimals."""


class Part(Model):
    """A part of a track, in seconds from the first picture."""

    start_s: float
    end_s: float
    samples: int = 0
    """About how many samples in it are clipped."""


class TrackFacts(Model):
    """What the report says of a sound track; a marker's fact."""

    silent: tuple[Part, ...] = ()
    clipped: tuple[Part, ...] = ()
    left_out: dict[str, int] = Field(default_factory=dict)
    """Kind -> parts that are not recorded."""
    integrated_lufs: float | None = None
    """EBU R128, of all of the source's channels; -70 for silence; None for less than 0.1 s."""
    true_peak_db: float | None = None
    range_lu: float | None = None


_TIME = re.compile(r"frame:\d+ +pts:-?\d+ +pts_time:(-?[\d.]+)")


def silences(lines: Iterable[str], seconds: float) -> Iterator[Part]:
    """The silences that ``ametadata`` printed.

    :param seconds: length of the track, where a silence without an end ends.
    """
    start = None
    for line in lines:
        name, _, value = line.strip().partition("=")
        if name == "lavfi.silence_start":
            start = max(0.0, float(value))
        elif name == "lavfi.silence_end" and start is not None:
            yield Part(start_s=round(start, 3), end_s=round(min(float(value), seconds), 3))
            start = None
    if start is not None and seconds - start >= SILENT_S:
        yield Part(start_s=round(start, 3), end_s=round(seconds, 3))


def clipped_parts(lines: Iterable[str], sample_rate: int, seconds: float) -> Iterator[Part]:
    """The clipped parts, from the windows that ``ametadata`` printed."""
    window = float(WINDOW_S)
    start, end, windows, samples = 0.0, -math.inf, 0, 0.0
    at = 0.0

    def part() -> Iterator[Part]:
        if end - start >= LEAST_CLIPPED_S and windows * window >= CLIPPED_PART * (end - start):
            yield Part(start_s=round(start, 3), end_s=round(min(end, seconds), 3), samples=round(samples))

    for line in lines:
        if match := _TIME.match(line):
            at = float(match[1])
        elif line.startswith(f"{CLIPPED_KEY}="):
            if at - end > GAP_S:
                yield from part()
                start, windows, samples = at, 0, 0.0
            end = at + window
            windows += 1
            samples += min(1.0, float(line.partition("=")[2])) * window * sample_rate
    yield from part()


def loudness(lines: Iterable[str]) -> dict[str, float]:
    """The last integrated loudness, loudness range and true peak that ``ametadata`` printed, as fields of
    ``TrackFacts``; empty if there are none."""
    last = dict(line.strip().partition("=")[::2] for line in lines)
    if "lavfi.r128.I" not in last:
        return {}
    peak = float(last.get("lavfi.r128.true_peak", "nan"))
    integrated, reach = float(last["lavfi.r128.I"]), float(last.get("lavfi.r128.LRA", "nan"))
    return {
        "integrated_lufs": round(
            max(SILENCE_LUFS, integrated if math.isfinite(integrated) else SILENCE_LUFS), 1
        ),
        "true_peak_db": round(max(LEAST_PEAK_DB, 20 * math.log10(peak)), 1) if peak > 0 else LEAST_PEAK_DB,
        "range_lu": round(reach, 1) if math.isfinite(reach) else 0.0,
    }


def read(
    silence: Iterable[str], clipped: Iterable[str], loud: Iterable[str], *, sample_rate: int, seconds: float
) -> TrackFacts:
    """The facts of a track of that length, from the lines of the three files."""
    found = {
        "silent": list(silences(silence, seconds)),
        "clipped": list(clipped_parts(clipped, sample_rate, seconds)),
    }
    return TrackFacts(
        **{kind: tuple(parts[:MOST_FOUND]) for kind, parts in found.items()},
        left_out={kind: len(parts) - MOST_FOUND for kind, parts in found.items() if len(parts) > MOST_FOUND},
        **loudness(loud),
    )
