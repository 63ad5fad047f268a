"""Display matrices, as ffmpeg turns pictures by them."""

from __future__ import annotations

import pytest

from vod_operators.media.orientation import DisplayMatrix, parse_matrix

ONE = 65536


@pytest.mark.parametrize(
    ("matrix", "filters", "words", "swaps"),
    [
        ((ONE, 0, 0, ONE), (), (), False),
        ((-ONE, 0, 0, ONE), (("hflip",),), ("mirrored",), False),
        ((ONE, 0, 0, -ONE), (("vflip",),), ("flipped vertically",), False),
        ((-ONE, 0, 0, -ONE), (("hflip",), ("vflip",)), ("rotated 180",), False),
        ((0, ONE, -ONE, 0), (("transpose", "clock"),), ("rotated 90",), True),
        ((0, -ONE, ONE, 0), (("transpose", "cclock"),), ("rotated 270",), True),
        ((0, ONE, ONE, 0), (("transpose", "cclock_flip"),), ("rotated 90", "mirrored"), True),
        ((0, -ONE, -ONE, 0), (("transpose", "clock_flip"),), ("rotated 270", "mirrored"), True),
        ((46340, -46340, 46340, 46340), (("rotate", "315*PI/180"),), ("rotated 315",), False),
        ((0, 0, 0, ONE), (), (), False),  # a column without length turns nothing
    ],
)
def test_eight_orientations(
    matrix: tuple[int, int, int, int],
    filters: tuple[tuple[str, ...], ...],
    words: tuple[str, ...],
    swaps: bool,
) -> None:
    display = DisplayMatrix(*matrix)
    assert (display.filters, display.words, display.swaps_sides) == (filters, words, swaps)


def test_what_ffprobe_prints() -> None:
    text = (
        "\n00000000:            0      -65536           0"
        "\n00000001:       -65536           0           0"
        "\n00000002:            0           0  1073741824\n"
    )
    assert parse_matrix(text) == (0, -ONE, -ONE, 0)
    assert parse_matrix("") is None
