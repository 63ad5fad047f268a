"""Loudness by EBU R128: what was measured -> one constant gain for a whole sound track.

Linear: no compressor, no gain that changes, so that a mix stays what it is. Where a peak leaves no room for
all of the gain, the track stays quieter, and ``video.json`` says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vod_operators.errors import VerificationError
from vod_operators.media.base import Model

MAX_TRUE_PEAK_DB = -1.0
"""dBTP. EBU R128: what a codec adds must not clip."""

TOLERANCE_LU = 0.5

PEAK_TOLERANCE_DB = 0.1
"""What is measured is rounded to this."""

SILENCE_LUFS = -70.0
"""The gate of BS.1770: nothing is ever quieter."""


class Loudness(Model):
    """Of a whole track, as ffmpeg's ``ebur128`` says."""

    integrated_lufs: float
    true_peak_db: float
    """dBTP."""


class Gain(Model):
    """What is done to a track."""

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
    """Of the result, measured."""
    true_peak_db: float
    """dBTP of the result, measured."""


def parse(lines: Sequence[str]) -> Loudness:
    """The summary that ``ebur128`` prints at its end.

    :param lines: ffmpeg's messages.
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
    """What brings a track to the target; nothing for silence."""
    if measured.integrated_lufs <= SILENCE_LUFS:
        return Gain(db=0, peak_limited=False)
    wanted = target_lufs - measured.integrated_lufs
    room = MAX_TRUE_PEAK_DB - measured.true_peak_db
    return Gain(db=round(min(wanted, room), 2), peak_limited=wanted > room)


def softer(gain: Gain, result: Loudness) -> Gain | None:
    """A smaller gain, if encoding has driven a peak too high; else None."""
    over = result.true_peak_db - MAX_TRUE_PEAK_DB
    if over <= PEAK_TOLERANCE_DB or gain.db == 0:
        return None
    return Gain(db=round(gain.db - over, 2), peak_limited=True)


def check(name: str, target_lufs: int, source: Loudness, gain: Gain, result: Loudness) -> Normalised:
    """What was done.

    :raises VerificationError: the result is louder or quieter than the gain should have made it.
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
