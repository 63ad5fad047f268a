"""Loudness: what ebur128 says, and the gain that follows."""

from __future__ import annotations

import pytest

from vod_operators.errors import VerificationError
from vod_operators.media import loudness
from vod_operators.media.loudness import Gain, Loudness

SUMMARY = """[Parsed_ebur128_5 @ 0x55d0] Summary:

  Integrated loudness:
    I:         -27.4 LUFS
    Threshold: -37.6 LUFS

  Loudness range:
    LRA:         3.2 LU
    Threshold: -47.6 LUFS
    LRA low:   -29.1 LUFS
    LRA high:  -25.9 LUFS

  True peak:
    Peak:       -6.3 dBFS
[out#0/null @ 0x55d1] video:0KiB audio:750KiB
"""


def test_the_summary_is_read() -> None:
    found = loudness.parse(SUMMARY.splitlines())

    assert found == Loudness(integrated_lufs=-27.4, true_peak_db=-6.3)
    silent = SUMMARY.replace("-27.4", "-70.0").replace("-6.3", "-inf")
    assert loudness.parse(silent.splitlines()) == Loudness(integrated_lufs=-70, true_peak_db=-140)
    with pytest.raises(VerificationError, match="could not be measured: x"):
        loudness.parse(["x"])


@pytest.mark.parametrize(
    ("lufs", "peak", "target", "gain"),
    [
        (-27.4, -6.3, -23, Gain(db=4.4, peak_limited=False)),
        (-12.0, 0.4, -16, Gain(db=-4.0, peak_limited=False)),
        (-27.4, -6.3, -16, Gain(db=5.3, peak_limited=True)),  # 11.4 wanted, 5.3 to -1 dBTP
        (-23.0, 0.5, -23, Gain(db=-1.5, peak_limited=True)),
        (-70.0, -140, -23, Gain(db=0, peak_limited=False)),
    ],
)
def test_gain(lufs: float, peak: float, target: int, gain: Gain) -> None:
    assert loudness.gain_to(target, Loudness(integrated_lufs=lufs, true_peak_db=peak)) == gain


def test_what_the_codec_adds_is_taken_off_again() -> None:
    gain = Gain(db=5.3, peak_limited=True)

    assert loudness.softer(gain, Loudness(integrated_lufs=-22, true_peak_db=-0.95)) is None
    assert loudness.softer(gain, Loudness(integrated_lufs=-22, true_peak_db=-0.4)) == Gain(
        db=4.7, peak_limited=True
    )


def test_a_wrong_result_is_seen() -> None:
    source, gain = Loudness(integrated_lufs=-27.4, true_peak_db=-6.3), Gain(db=4.4, peak_limited=False)

    done = loudness.check("audio-0", -23, source, gain, Loudness(integrated_lufs=-22.6, true_peak_db=-1.8))
    assert (done.lufs, done.gain_db, done.source_lufs, done.target_lufs) == (-22.6, 4.4, -27.4, -23)
    with pytest.raises(VerificationError, match=r"audio-0: has -22\.4 LUFS, planned -23\.0"):
        loudness.check("audio-0", -23, source, gain, Loudness(integrated_lufs=-22.4, true_peak_db=-1.8))
