"""What is encoded and measured of a window."""

from __future__ import annotations

from fractions import Fraction

import pytest
from plans import a_plan, a_rendition

from vod_operators.media import probing
from vod_operators.media.choice import ProbeScore
from vod_operators.media.models import Plan, Rendition, Window


def rung(name: str, width: int, cap: int, vmaf: float | None = 90) -> Rendition:
    made = a_rendition(name, width, width * 9 // 16 // 2 * 2)
    return made.model_copy(update={"max_bitrate_bps": cap, "target_vmaf": vmaf})


def plan_of(*renditions: Rendition) -> Plan:
    return a_plan().model_copy(update={"renditions": renditions, "lookahead_frames": 30})


def test_renditions_of_one_size_are_encoded_once() -> None:
    low, high, fixed = rung("low", 640, 1000), rung("high", 640, 2000), rung("fixed", 640, 3000, None)
    small, large = rung("small", 320, 500), rung("large", 1280, 3000)
    plan = plan_of(small, low, high, fixed, large)
    assert [made.name for made in probing.probed(plan)] == ["small", "low", "high", "large"]
    groups = probing.alike(plan, probing.probed(plan))
    assert [[made.name for made in group] for group in groups] == [["large"], ["high", "low"], ["small"]]


def test_the_smallest_rung_has_gops_of_its_own() -> None:
    first, second = rung("first", 320, 1000), rung("second", 320, 2000)
    assert len(probing.alike(plan_of(first, second), [first, second])) == 2


@pytest.mark.parametrize(("size", "capped"), [(12_000, False), (13_000, True)])
def test_a_cap_may_bind_from_half_of_it_on(size: int, capped: bool) -> None:
    window = Window(index=0, first=0, last=50, key_pts=0, end_pts=None)
    score = ProbeScore(crf=20, bytes=size, vmaf=90)  # in 2 s: 48 or 52 kb/s
    assert probing.may_be_capped(rung("r", 320, 100_000), window, score, Fraction(25)) == capped


def test_what_vmaf_cannot_measure_is_not_analysed() -> None:
    assert probing.probed(plan_of(rung("tiny", 30, 1000), rung("small", 320, 500)))[0].name == "small"


def test_frames_are_measured_by_the_length_of_the_window() -> None:
    two = Window(index=3, first=300, last=350, key_pts=0, end_pts=None)
    four = Window(index=0, first=0, last=100, key_pts=0, end_pts=None)
    assert len(probing.measured_frames(two, 25)) == 12
    assert len(probing.measured_frames(four, 25)) == 24
    short = Window(index=0, first=0, last=2, key_pts=0, end_pts=None)
    assert probing.measured_frames(short, 25) == []


def test_raw_bytes_are_of_all_that_is_decoded() -> None:
    plan = plan_of(rung("low", 320, 1000), rung("high", 640, 2000))
    # 80 frames of 640x360, 12 triples of it and of 320x180, one and a half bytes a pixel.
    raw = (80 * 640 * 360 + 36 * 640 * 360 + 36 * 320 * 180) * 3 // 2
    assert probing.raw_bytes(plan, 80, range(12)) == raw + probing.OVERHEAD
