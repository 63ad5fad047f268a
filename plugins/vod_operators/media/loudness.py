"""Loudness by EBU R128: measured loudness -> one constant gain for a whole sound track.

A constant gain without compression keeps the mix as it is. Where a peak leaves no room for the whole gain,
the track stays quieter, and ``video.json`` says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vod_operators.errors import VerificationError
from vod_operators.formats.base import Model

MAX_TRUE_PEAK_DB = -1.0
"""dBTP (EBU R128). The headroom keeps peaks that a codec adds from clipping."""

TOLERANCE_LU = 0.5

PEAK_TOLERANCE_DB = 0.1
"""The filter rounds its measurements to this."""

SILENCE_LUFS = -70.0
"""The absolute gate of ITU-R BS.1770: the lowest loudness that can be measured."""


class Loudness(Model):
    """Loudness of a whole track, as ffmpeg's ``ebur128`` measures it."""

    integrated_lufs: float
    true_peak_db: float
    """dBTP."""


class Gain(Model):
    """The gain that a track gets."""

    db: float
    peak_limited: bool
    """Whether the target would have driven a peak above ``MAX_TRUE_PEAK_DB``."""


class Normalised(Model):
    """What was done to a track, and what came of it."""

    target_lufs: int
    source_lufs: float
    gain_db: float
    peak_limited: bool
    """The target would have driven a peak above -1 dBTP, so the track is quieter."""
    lufs: float
    """Measured on the result."""
    true_peak_db: float
    """dBTP, measured on the result."""


def parse(lines: Sequence[str]) -> Loudness:
    """The loudness from the summary that ``ebur128`` prints at its end.

    :param lines: ffmpeg's messages.
    :raises VerificationError: they hold no summary.
    """
    text = "\n".join(lines)
    integrated = re.search(r"\n\s+I:\s+(-?[\d.]+|-?inf|nan) LUFS", text)
    peak = re.search(r"\n\s+Peak:\s+(-?[\d.]+|-?inf|nan) dBFS", text)
    if not integrated or not peak:
        raise VerificationError(f"the loudness could not be measured: {lines[-1] if lines else 'no message'}")
    return Loudness(
        integrated_lufs=max(SILENCE_LUFS, float(integrated[1])),
        true_peak_db=max(2 * SILENCE_LUFS, float(peak[1])),
    )


def gain_to(target_lufs: int, measured: Loudness) -> Gain:
    """The gain that brings a track to the target, as far as its peak allows; 0 dB for silence."""
    if measured.integrated_lufs <= SILENCE_LUFS:
        return Gain(db=0, peak_limited=False)
    wanted = target_lufs - measured.integrated_lufs
    room = MAX_TRUE_PEAK_DB - measured.true_peak_db
    return Gain(db=round(min(wanted, room), 2), peak_limited=wanted > room)


def softer(gain: Gain, result: Loudness) -> Gain | None:
    """A smaller gain, if a peak of the encoded track is too high; otherwise None."""
    over = result.true_peak_db - MAX_TRUE_PEAK_DB
    if over <= PEAK_TOLERANCE_DB or gain.db == 0:
        return None
    return Gain(db=round(gain.db - over, 2), peak_limited=True)


MIN_DIALOGUE_LUFS, MAX_DIALOGUE_LUFS = -31, -1
"""What ``dialnorm`` can tell (ETSI TS 102 366, 4.4.2.8)."""


def dialogue(measured: Loudness, gain: Gain) -> int:
    """What Dolby's decoders are told of a track's loudness after its gain."""
    return max(MIN_DIALOGUE_LUFS, min(MAX_DIALOGUE_LUFS, round(measured.integrated_lufs + gain.db)))


def check(name: str, target_lufs: int, source: Loudness, gain: Gain, result: Loudness) -> Normalised:
    """The record of a track's normalisation.

    :raises VerificationError: the result's loudness is not that of the source plus the gain.
    """
    expected = source.integrated_lufs + gain.db
    heard = result.integrated_lufs
    if source.integrated_lufs > SILENCE_LUFS and abs(heard - expected) > TOLERANCE_LU:
        raise VerificationError(f"{name}: has {heard:.1f} LUFS, planned {expected:.1f}")
    return Normalised(
        target_lufs=target_lufs,
        source_lufs=source.integrated_lufs,
        gain_db=gain.db,
        peak_limited=gain.peak_limited,
        lufs=heard,
        true_peak_db=result.true_peak_db,
    )
