"""What pictures at several places say."""

from __future__ import annotations

from fractions import Fraction

from vod_operators.media.frames import byte_ranges, parse_frames, places

PROGRESSIVE, TOP, BOTTOM = "0|top_field_first=0", "1|top_field_first=1", "1|top_field_first=0"


def frames(*kinds: str, step: int = 40) -> list[str]:
    return [f"pts={n * step}|interlaced_frame={kind}" for n, kind in enumerate(kinds)]


def test_scan_is_that_of_all_pictures() -> None:
    assert parse_frames(frames(PROGRESSIVE, PROGRESSIVE)).scan == "progressive"
    assert parse_frames(frames(TOP, TOP)).scan == "interlaced"
    assert parse_frames(frames(PROGRESSIVE, TOP)).scan == "mixed"
    assert parse_frames([]).count == 0


def test_the_order_of_fields_is_told_where_all_agree() -> None:
    assert parse_frames(frames(BOTTOM, BOTTOM)).field_order == "bff"
    assert parse_frames(frames(BOTTOM, TOP)).field_order is None


def test_the_least_step_is_told_of_enough_pictures() -> None:
    assert parse_frames(frames(*[PROGRESSIVE] * 8)).least_step == 40
    assert parse_frames(frames(*[PROGRESSIVE] * 5)).least_step is None
    assert parse_frames(["pts=N/A|interlaced_frame=0|top_field_first=0"]).least_step is None


def test_a_matrix_in_the_pictures_is_read() -> None:
    line = (
        "pts=0|interlaced_frame=0|top_field_first=0|side_datum/3x3_displaymatrix:displaymatrix="
        "\\n00000000:  0  65536  0\\n00000001:  -65536  0  0\\n"
    )
    matrix = parse_frames([line]).display_matrix
    assert matrix is not None and matrix.degrees == 90


def test_places_and_bytes() -> None:
    assert places(Fraction(2), Fraction(16)) == [2, 4, 6, 8, 10, 12, 14, 16]
    assert places(Fraction(2), None) == []
    assert list(byte_ranges(["size=10|pos=5", "size=N/A|pos=7", "size=3|pos=N/A"])) == [(5, 15)]
