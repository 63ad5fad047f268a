"""Which frames of a source are taken, by hand-worked numbers. A frame has 1536 samples, 32 ms."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vod_operators.formats.facts import Format
from vod_operators.media.passthrough import Taken, choose, fault_of

SAMPLE = Fraction(1, 48_000)


def times(first: int, count: int) -> list[Fraction]:
    return [(first + 1536 * number) * SAMPLE for number in range(count)]


@pytest.mark.parametrize(
    ("first", "count", "samples", "taken"),
    [
        pytest.param(0, 2, 3072, (0, 2, 0), id="on-the-grid"),
        pytest.param(0, 9, 3073, (0, 3, 0), id="one-sample-more"),
        pytest.param(-256, 9, 3072, (0, 3, 256), id="priming"),
        pytest.param(-256, 3, 4352, (0, 3, 256), id="to-the-last-sample"),
        pytest.param(-256, 3, 4353 + 1535, (0, 3, 256), id="a-frame-less"),
        # The second frame holds sample 0; the first one is decoded with it.
        pytest.param(-1536, 9, 1536, (0, 2, 1536), id="a-frame-before"),
        pytest.param(-3000, 9, 1536, (0, 3, 3000), id="in-the-second-frame"),
        pytest.param(-3072, 9, 1536, (1, 2, 1536), id="two-frames-before"),
        pytest.param(-48_000, 99, 96_000, (30, 64, 1920), id="a-second-before"),
    ],
)
def test_choice(first: int, count: int, samples: int, taken: tuple[int, int, int]) -> None:
    found = choose(times(first, count), samples)
    begin, frames, priming = taken
    assert found == Taken(first=begin, frames=frames, priming=priming, samples=samples)


@pytest.mark.parametrize(
    ("heard", "samples", "why"),
    [
        ([], 1, "no frames"),
        (times(1, 9), 3072, "it begins 0.0000 s after the picture"),
        (times(4800, 9), 3072, "it begins 0.1000 s after the picture"),
        (times(-256, 3), 4353 + 1536, "it ends 0.0320 s before the picture"),
        (times(0, 100), 158_400, "it ends 0.1000 s before the picture"),
        ([*times(0, 4), *times(1536 * 5, 4)], 3072, "a gap or an overlap of +0.032 s at 0.160 s"),
        ([*times(0, 4), *times(1536 * 3, 4)], 3072, "a gap or an overlap of -0.032 s at 0.096 s"),
    ],
)
def test_refusal(heard: list[Fraction], samples: int, why: str) -> None:
    found = choose(heard, samples)
    assert isinstance(found, str) and why in found


def test_rounded_times_are_no_gaps() -> None:
    """Matroska has milliseconds, MPEG-TS 90 kHz."""
    rounded = [Fraction(round(time * 1000), 1000) for time in times(-300, 999)]
    assert isinstance(choose(rounded, 48_000), Taken)


def test_units() -> None:
    first = Format(kind="audio", codecs="ec-3", entry="ec-3", channels=6, sample_rate=48_000, joc=16)
    plain = first.model_copy(update={"joc": 0})
    assert fault_of(1536, first, None, "ec-3") is None
    assert fault_of(1536, first, first, "ec-3") is None
    assert "change on the way" in (fault_of(1536, plain, first, "ec-3") or "")
    assert "44100 samples a second" in (
        fault_of(1536, first.model_copy(update={"sample_rate": 44_100}), None, "ec-3") or ""
    )
    assert "it has 768 samples" in (fault_of(768, first, None, "ec-3") or "")
    assert "no whole frame" in (fault_of(1536, first, None, "ac-3") or "")
    assert "no whole frame" in (fault_of(0, None, None, "ac-3") or "")
