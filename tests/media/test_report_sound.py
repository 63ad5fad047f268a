"""What ffmpeg prints about a sound track -> its facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vod_operators.media.report_sound import Part, clipped_parts, loudness, read, silences

SILENCE = """\
frame:67   pts:68608   pts_time:1.429333
lavfi.silence_start=1.006604
frame:70   pts:71680   pts_time:1.493333
lavfi.silence_end=1.511333
lavfi.silence_duration=0.504729
frame:264  pts:270336  pts_time:5.632
lavfi.silence_start=5.209125
"""


def test_a_silence_without_an_end_lasts_to_the_end_of_the_track() -> None:
    assert list(silences(SILENCE.splitlines(), 6.0)) == [
        Part(start_s=1.007, end_s=1.511),
        Part(start_s=5.209, end_s=6.0),
    ]


def test_a_silence_begins_at_0_at_the_earliest() -> None:
    lines = ["frame:1 pts:0 pts_time:0", "lavfi.silence_start=-0.02", "lavfi.silence_end=0.6"]
    assert list(silences(lines, 6.0)) == [Part(start_s=0.0, end_s=0.6)]


def windows(*tens: Iterable[int]) -> Iterator[str]:
    """Windows of 10 ms, by their number, half of whose samples are clipped."""
    for number in (number for part in tens for number in part):
        yield f"frame:{number}    pts:{480 * number}       pts_time:{number / 100:g}"
        yield "lavfi.astats.Overall.DC_offset=0.500000"


def test_clipped_windows_are_joined_over_short_pauses() -> None:
    lines = windows(range(100, 130), range(145, 160))
    assert list(clipped_parts(lines, 48_000, 10)) == [Part(start_s=1.0, end_s=1.6, samples=45 * 240)]


def test_clipped_parts_that_are_short_or_sparse_are_not_told() -> None:
    assert list(clipped_parts(windows(range(100, 130)), 48_000, 10)) == []
    assert list(clipped_parts(windows(range(100, 200, 15)), 48_000, 10)) == []


def test_a_pause_ends_a_clipped_part() -> None:
    found = list(clipped_parts(windows(range(100), range(200, 300)), 48_000, 3))
    assert [(part.start_s, part.end_s) for part in found] == [(0.0, 1.0), (2.0, 3.0)]


def test_the_last_loudness_is_the_tracks() -> None:
    lines = """\
frame:0    pts:244800  pts_time:5.1
lavfi.r128.I=-20.000
lavfi.r128.LRA=1.000
lavfi.r128.true_peak=0.100
frame:1    pts:249600  pts_time:5.2
lavfi.r128.M=nan
lavfi.r128.I=-33.920
lavfi.r128.LRA=3.080
lavfi.r128.true_peak=0.295
""".splitlines()
    assert loudness(lines) == {"integrated_lufs": -33.9, "true_peak_db": -10.6, "range_lu": 3.1}


def test_the_loudness_of_silence() -> None:
    lines = ["lavfi.r128.I=-70.000", "lavfi.r128.LRA=0.000", "lavfi.r128.true_peak=0.000"]
    assert loudness(lines) == {"integrated_lufs": -70.0, "true_peak_db": -60.0, "range_lu": 0.0}
    assert loudness([]) == {}


def test_what_a_marker_holds_is_bounded() -> None:
    lines = [
        line
        for n in range(300)
        for line in (f"lavfi.silence_start={2 * n}", f"lavfi.silence_end={2 * n + 1}")
    ]
    found = read(lines, [], [], sample_rate=48_000, seconds=600)
    assert len(found.silent) == 200
    assert found.left_out == {"silent": 100}
