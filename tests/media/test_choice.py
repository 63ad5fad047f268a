"""Which CRF is chosen for a quality, by hand-worked curves."""

from __future__ import annotations

from typing import Any

import pytest
from plans import a_plan, a_rendition

from vod_operators.media.choice import (
    Choice,
    Chosen,
    ProbeScore,
    WindowScores,
    choose,
    choose_one,
    corrections,
    merge,
)
from vod_operators.media.curve import Curve, Point
from vod_operators.media.models import Rendition


def wanted(vmaf: float, **fields: Any) -> Rendition:
    return a_rendition().model_copy(update={"target_vmaf": vmaf, "max_bitrate_bps": 1_000_000, **fields})


def points(*found: tuple[float, float], bps: float = 100_000, at_cap: float = 0) -> tuple[Point, ...]:
    return tuple(Point(crf=crf, vmaf=vmaf, bitrate_bps=bps, at_cap=at_cap) for crf, vmaf in found)


# 98 - (crf - 17)^2 / 16: 97.75 at 19, 91.75 at 27, 77.75 at 35.
BENT = points((19, 97.75), (27, 91.75), (35, 77.75))


@pytest.mark.parametrize(("crf", "vmaf"), [(19, 97.75), (21, 97.0), (25, 94.0), (33, 82.0)])
def test_a_curve_is_a_parabola_through_three_points(crf: float, vmaf: float) -> None:
    assert Curve(BENT).vmaf(crf) == pytest.approx(vmaf)


def test_outside_the_probed_range_a_curve_goes_straight_on() -> None:
    curve = Curve(BENT)
    assert curve.vmaf(37) == pytest.approx(77.75 - 2 * 2.25, abs=0.02)  # its slope at 35 is -18 / 8
    assert curve.vmaf(15) == pytest.approx(97.75 + 4 * 0.25, abs=0.05)
    assert Curve(points((19, 99.9), (27, 96), (35, 80))).vmaf(10) == 100


def test_a_curve_never_rises_with_the_crf() -> None:
    """The parabola through these has its top near 23; it holds only behind it."""
    curve = Curve(points((19, 95), (27, 95.2), (35, 80)))
    assert [round(curve.vmaf(crf), 3) for crf in (19, 23, 27, 31)] == [95, 95.1, 95.2, 89.525]
    capped = Curve(points((19, 90.1), (27, 90), (35, 60)))
    assert all(capped.vmaf(crf) <= 90.2 for crf in range(15, 36))


def test_the_bitrate_follows_the_bend_where_an_encoder_begins_to_store_noise() -> None:
    """x264 `fast`, a talking head with a camera's noise at 720p; measured at CRF 23: 1335 kb/s."""
    measured = (
        (20, 93.4, 6_010_000, 1),
        (26, 90.7, 519_000, 0),
        (32, 85.9, 193_000, 0),
        (38, 76.7, 92_000, 0),
    )
    curve = Curve(
        [Point(crf=crf, vmaf=vmaf, bitrate_bps=bps, at_cap=cap) for crf, vmaf, bps, cap in measured]
    )
    assert curve.bitrate_bps(23) == pytest.approx(1_335_000, rel=0.12)
    assert [round(curve.bitrate_bps(crf), -3) for crf, *_ in measured] == [bps for *_, bps, _ in measured]
    # Below the cap the bitrate of the points at it is flat, and says nothing of the rest.
    flat = ((20, 90, 229_000, 1), (26, 89, 226_000, 1), (32, 80, 174_000, 0), (38, 70, 92_000, 0))
    curve = Curve([Point(crf=crf, vmaf=vmaf, bitrate_bps=bps, at_cap=cap) for crf, vmaf, bps, cap in flat])
    assert curve.bitrate_bps(35) == pytest.approx((174_000 * 92_000) ** 0.5, rel=0.12)


def test_the_bitrate_of_a_curve_is_exponential() -> None:
    both = Point(crf=20, vmaf=95, bitrate_bps=800_000), Point(crf=30, vmaf=85, bitrate_bps=200_000)
    assert Curve(both).bitrate_bps(25) == pytest.approx(400_000)


@pytest.mark.parametrize(
    ("vmaf", "crf"),
    [
        (94, 25),
        (97, 21),
        (82, 33),
        (30, 39),  # four beyond the last that was probed
        (99.9, 15.9),  # not reached: 0.3 below the 98.75 of CRF 15
    ],
)
def test_the_highest_crf_that_reaches_the_target_is_chosen(vmaf: float, crf: float) -> None:
    assert choose_one(wanted(vmaf), BENT).crf == pytest.approx(crf, abs=0.3)


def test_svt_av1_gets_a_whole_number() -> None:
    av1 = wanted(93, encoder="libsvtav1", encoder_preset="8")
    chosen = choose_one(av1, points((22, 97), (36, 93.4), (50, 84)))
    assert chosen.crf is not None and chosen.crf % 1 == 0


def test_a_target_beyond_the_cap_is_told() -> None:
    flat = points((19, 88.2), (27, 88.0), (35, 71), at_cap=0.9)
    chosen = choose_one(wanted(93), flat)
    assert chosen.capped and chosen.why is not None
    assert chosen.why.startswith("VMAF 88.0 instead of 93 is expected: the cap allows no more")
    assert chosen.crf is not None and chosen.crf > 26  # a lower one only adds bits


def test_what_is_better_than_asked_at_the_last_crf_is_told() -> None:
    chosen = choose_one(wanted(80), points((19, 99), (27, 98), (35, 97)))
    assert (chosen.crf, chosen.capped) == (39, False)
    assert chosen.why is not None and "CRF 39 is the limit" in chosen.why


def window(number: int, frames: int, *scores: tuple[float, int, float]) -> WindowScores:
    found = tuple(ProbeScore(crf=crf, bytes=size, vmaf=vmaf) for crf, size, vmaf in scores)
    return WindowScores(window=number, frames=frames, renditions={"360p": found} if found else {})


def test_windows_count_by_their_length() -> None:
    windows = [
        window(0, 50, (20, 10_000, 90), (30, 5_000, 80)),
        window(1, 25, (20, 8_000, 96), (30, 1_000, 92)),
        window(2, 50),  # nothing of it can be decoded
    ]
    first, second = merge("360p", windows, 60_000, 25)
    assert (first.crf, first.vmaf, first.bitrate_bps) == (20, 92, 48_000)  # 18000 bytes in 3 s
    assert (second.crf, second.vmaf, second.bitrate_bps) == (30, 84, 16_000)
    # The short window is at 64 kb/s; the cap is 60.
    assert (first.at_cap, second.at_cap) == (pytest.approx(1 / 3), 0)


def test_a_video_that_cannot_be_analysed_gets_the_usual_crf() -> None:
    chosen = choose([wanted(93)], [window(0, 50)], 25).renditions["360p"]
    assert chosen.crf == 25 and chosen.why is not None


def test_the_plan_takes_what_was_chosen() -> None:
    plan = a_plan().model_copy(
        update={"renditions": (wanted(90, name="low"), wanted(93, name="mid"), a_rendition("high", 256, 192))}
    )
    assert plan.is_open and [made.name for made in plan.targets] == ["low", "mid"]
    chosen = plan.chosen(Choice(renditions={"low": Chosen(crf=None), "mid": Chosen(crf=21.5)}))
    assert [(made.name, made.crf) for made in chosen.renditions] == [("mid", 21.5), ("high", 25)]
    assert not a_plan().is_open


@pytest.mark.parametrize(
    ("measured", "again"),
    [
        (94.9, None),
        (93.1, None),
        # 2 below the curve, which needs 96 for it: 98 - (crf - 17)^2 / 16 = 96 at 22.66.
        (92.0, 22.6),
        # 2 above: 92 is enough, at 26.8.
        (96.0, 26.8),
    ],
)
def test_what_misses_its_target_is_encoded_again(measured: float, again: float | None) -> None:
    choice = Choice(renditions={"360p": choose_one(wanted(94), BENT)})
    made = wanted(94, crf=25)
    found = corrections([made], choice, {"360p": measured})
    assert found == ({} if again is None else {"360p": pytest.approx(again, abs=0.11)})


def test_what_cannot_get_better_is_not_encoded_again() -> None:
    flat = points((19, 88.2), (27, 88.0), (35, 71), at_cap=0.9)
    capped = choose_one(wanted(93), flat)
    made = wanted(93, crf=capped.crf)
    assert corrections([made], Choice(renditions={"360p": capped}), {"360p": 87.0}) == {}
    assert corrections([made], Choice(renditions={"360p": capped}), {}) == {}
