"""The measure itself: what is wrong is seen."""

from __future__ import annotations

import numpy as np
import pytest

from support.clips import SAMPLE_RATE, SOUND, clicks_in, luma, numbers_in


@pytest.mark.parametrize("size", [(128, 72), (64, 36), (853, 479), (16, 8)])
@pytest.mark.parametrize("levels", [(16, 235), (0, 255), (16, 143)])
def test_numbers_are_read_back(size: tuple[int, int], levels: tuple[int, int]) -> None:
    numbers = [0, 1, 2, 5, 4095, 4096, 16383]

    assert numbers_in(luma(numbers, *size, *levels)) == numbers


def test_a_blend_of_two_pictures_is_neither() -> None:
    first, second = luma([6]).astype(int), luma([7]).astype(int)

    assert numbers_in(((first + second) // 2).astype(np.uint8)) == [-1]


@pytest.mark.parametrize("parity", [0, 1])
def test_woven_fields_are_no_picture(parity: int) -> None:
    woven, other = luma([6]), luma([7])
    woven[:, parity::2] = other[:, parity::2]

    assert numbers_in(woven) == [-1]


def test_clicks_are_read_back() -> None:
    sound = SOUND.pcm(4)[:, 0]

    assert clicks_in(sound) == pytest.approx(SOUND.schedule(4), abs=1 / SAMPLE_RATE)
    moved = np.concatenate([np.zeros(1024, np.float32), sound])
    assert clicks_in(moved) == pytest.approx([p + 1024 / SAMPLE_RATE for p in SOUND.schedule(4)], abs=1e-4)
    assert clicks_in(np.zeros(48_000, np.float32)) == []
