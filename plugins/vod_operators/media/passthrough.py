"""Which frames of a source's AC-3 or E-AC-3 make up an output track, or why they cannot.

Frames of 1536 samples lie on another grid than the first picture. So an edit list hides the begin of the
first frames that are taken: the samples before the picture, and, where there is one, a whole frame more,
because a decoder overlaps each block with the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vod_operators.formats.dolby import UNIT_SAMPLES
from vod_operators.formats.facts import Format
from vod_operators.media.sound_codecs import DOLBY_RATE

FRAME_S = Fraction(UNIT_SAMPLES, DOLBY_RATE)

MAX_GAP_S = Fraction(1, 100)
"""How far a frame's time may be off the grid of the first one's: containers round times. As
``ffmpeg_sound.MIN_GAP_S``, from which on gaps are filled with silence."""

MAX_MISSING = UNIT_SAMPLES
"""How many samples before the picture the last frame may end, whose duration then goes on in silence: many
encoders keep their last 256 samples to themselves."""

MOST_EXTRA = 2 * UNIT_SAMPLES
"""Most samples of a track besides those that are heard."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Consecutive frames of a track."""

    first: int
    """How many frames of the track come before them."""
    frames: int
    priming: int
    """Samples of them that come before the first picture."""
    samples: int
    """Samples from the first picture to the end of the output; the last frame may have more, or less."""


def choose(times: Sequence[Fraction], samples: int) -> Taken | str:
    """The frames to take; or why they cannot be, in words.

    :param times: begin of each frame, in seconds from the first picture.
    :param samples: length of the output.
    """
    if not times:
        return "it has no frames with a time"
    for number, time in enumerate(times):
        off = time - times[0] - number * FRAME_S
        if abs(off) > MAX_GAP_S:
            return f"its frames have a gap or an overlap of {float(off):+.3f} s at {float(time):.3f} s"
    begin = round(times[0] * DOLBY_RATE)
    if begin > 0:
        return f"it begins {begin / DOLBY_RATE:.4f} s after the picture"
    first = max(0, -begin // UNIT_SAMPLES - 1)
    priming = -(begin + first * UNIT_SAMPLES)
    missing = samples - begin - len(times) * UNIT_SAMPLES
    if missing > MAX_MISSING:
        return f"it ends {missing / DOLBY_RATE:.4f} s before the picture"
    frames = min(-(-(samples + priming) // UNIT_SAMPLES), len(times) - first)
    return Taken(first=first, frames=frames, priming=priming, samples=samples)


def fault_of(samples: int, coded: Format | None, first: Format | None, entry: str) -> str | None:
    """Why an access unit cannot be taken, in words; None if it can.

    :param samples: that it has.
    :param coded: how it is coded; None if it cannot be understood.
    :param first: how the first unit of the track is coded.
    :param entry: sample entry of the rendition's codec.
    """
    if coded is None or coded.entry != entry:
        return "it is no whole frame of its codec"
    if coded.sample_rate != DOLBY_RATE:
        return f"it has {coded.sample_rate} samples a second, not {DOLBY_RATE}"
    if samples != UNIT_SAMPLES:
        return f"it has {samples} samples, not {UNIT_SAMPLES}"
    if first is not None and coded != first:
        return "its channels or its objects change on the way"
    return None
