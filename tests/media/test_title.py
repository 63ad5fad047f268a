"""The ladder by title, on curves that were measured on clips of several kinds (docs/decisions/033)."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest

from support.sources import a_source
from vod_operators.media.choice import Chosen
from vod_operators.media.curve import Curve, Point
from vod_operators.media.models import Rendition
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.renditions import plan_renditions
from vod_operators.media.title import Measured, Size, choose_ladder, size_of

CLIPS = json.loads((Path(__file__).parent / "title-curves.json").read_text("utf-8"))
"""Clip -> ``source`` (width, height, bits a second), and ``curves``: ``WIDTHxHEIGHT`` -> CRF, b/s and VMAF
at 1080p of three encodes with the settings of ``h264``, without caps."""

EASY = ("cartoon", "talk", "screen")


def measured_of(clip: str) -> dict[Size, Measured]:
    def size(text: str) -> Size:
        width, height = text.split("x")
        return int(width), int(height)

    return {
        size(text): Measured(
            curve=Curve([Point(crf=crf, bitrate_bps=bps, vmaf=vmaf) for crf, bps, vmaf in points])
        )
        for text, points in CLIPS[clip]["curves"].items()
    }


def renditions_of(clip: str, preset: str) -> tuple[Rendition, ...]:
    width, height, bps = CLIPS[clip]["source"]
    return plan_renditions(a_source(width=width, height=height, bitrate_bps=bps), load_preset(preset))


def by_title(clip: str) -> dict[str, Chosen]:
    return choose_ladder(renditions_of(clip, "h264_title"), measured_of(clip))


def kept(choice: dict[str, Chosen]) -> list[tuple[float, float, str]]:
    """Bitrate, VMAF and name of each rung, ascending."""
    return sorted(
        (chosen.bitrate_bps or 0, chosen.vmaf or 0, name)
        for name, chosen in choice.items()
        if chosen.crf is not None
    )


def fixed(clip: str) -> list[tuple[float, float]]:
    """Bitrate and VMAF of the rungs of ``h264``. One at its cap has its cap's bitrate."""
    measured, rungs = measured_of(clip), []
    for rendition in renditions_of(clip, "h264"):
        own = measured[size_of(rendition)]
        crf = max(rendition.crf, own.crf_at(rendition.max_bitrate_bps, rendition) or own.curve.points[-1].crf)
        rungs.append((min(own.curve.bitrate_bps(crf), rendition.max_bitrate_bps), own.curve.vmaf(crf)))
    return rungs


def envelope(rungs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that a player would choose: none with fewer bits looks as good."""
    best: list[tuple[float, float]] = []
    for bps, vmaf in sorted(rungs):
        if not best or vmaf > best[-1][1]:
            best.append((bps, vmaf))
    return best


def log_rate(ladder: list[tuple[float, float]], vmaf: float) -> float:
    (low, low_vmaf), (high, high_vmaf) = next(pair for pair in pairwise(ladder) if vmaf <= pair[1][1])
    share = (vmaf - low_vmaf) / (high_vmaf - low_vmaf)
    return math.log(low) + share * (math.log(high) - math.log(low))


def bd_rate(before: list[tuple[float, float]], after: list[tuple[float, float]]) -> float:
    """Mean difference of bits at equal VMAF: -0.3 is 30 % fewer."""
    before, after = envelope(before), envelope(after)
    low, high = max(before[0][1], after[0][1]), min(before[-1][1], after[-1][1])
    steps = [low + (high - low) * (n + 0.5) / 100 for n in range(100)]
    return math.exp(sum(log_rate(after, v) - log_rate(before, v) for v in steps) / 100) - 1


# --- against the fixed ladder, on measured curves --------------------------------------------


@pytest.mark.parametrize("clip", CLIPS)
def test_no_clip_needs_more_bits_than_with_the_fixed_ladder(clip: str) -> None:
    assert bd_rate(fixed(clip), [rung[:2] for rung in kept(by_title(clip))]) < 0


def test_cartoons_talking_heads_and_screens_need_a_quarter_less() -> None:
    saved = [bd_rate(fixed(clip), [rung[:2] for rung in kept(by_title(clip))]) for clip in EASY]
    assert sum(saved) / len(saved) < -0.25
    assert max(saved) < -0.2


@pytest.mark.parametrize("clip", CLIPS)
def test_each_rung_is_worth_its_bits(clip: str) -> None:
    rungs = kept(by_title(clip))
    slots = {rendition.name: rendition for rendition in renditions_of(clip, "h264_title")}
    assert slots[rungs[0][2]].width <= 640
    assert rungs[0][0] <= 215_000
    for (bps, vmaf, name), (more_bps, better, larger) in pairwise(rungs):
        assert better - vmaf >= 2
        assert more_bps >= 1.45 * bps
        assert slots[larger].width >= slots[name].width
        assert slots[larger].max_bitrate_bps > more_bps
        if bps > 145_000 and better < 90:
            assert more_bps <= 2.4 * bps


@pytest.mark.parametrize("clip", CLIPS)
def test_the_largest_rate_is_for_what_viewers_see(clip: str) -> None:
    measured, rungs = measured_of(clip), kept(by_title(clip))
    best = max(own.curve.vmaf(own.curve.points[0].crf) for own in measured.values())
    slots = renditions_of(clip, "h264_title")
    at_cap = rungs[-1][0] >= 0.8 * max(slot.max_bitrate_bps for slot in slots)
    assert rungs[-1][1] <= 95.3
    assert rungs[-1][1] >= min(95.0, best - 0.6) - 0.1 or at_cap


@pytest.mark.parametrize("clip", CLIPS)
def test_what_is_left_out_has_a_reason(clip: str) -> None:
    for name, chosen in by_title(clip).items():
        if chosen.crf is None:
            assert chosen.why, name
        else:
            assert chosen.points, name


# --- curves worked out by hand ---------------------------------------------------------------

WIDE = a_source()
SMALL, LARGE = (640, 360), (1920, 1080)


def straight(high_bps: float, high_vmaf: float, low_bps: float, low_vmaf: float) -> Measured:
    """A curve from CRF 20 to 36 that is straight over the logarithm of the bitrate."""
    middle = Point(crf=28, bitrate_bps=math.sqrt(high_bps * low_bps), vmaf=(high_vmaf + low_vmaf) / 2)
    return Measured(
        curve=Curve(
            [
                Point(crf=20, bitrate_bps=high_bps, vmaf=high_vmaf),
                middle,
                Point(crf=36, bitrate_bps=low_bps, vmaf=low_vmaf),
            ]
        )
    )


def a_slot(name: str, size: Size, cap: int, crf: float = 25, encoder: str = "libx264") -> Rendition:
    return Rendition(
        name=name,
        width=size[0],
        height=size[1],
        crf=crf,
        max_bitrate_bps=cap,
        buffer_bits=cap,
        encoder=encoder,
        encoder_preset="fast",
        profile="high",
    )


SLOTS = (
    a_slot("360p-low", SMALL, 300_000, crf=36),
    a_slot("360p", SMALL, 1_200_000),
    a_slot("1080p-low", LARGE, 1_600_000),
    a_slot("1080p-mid", LARGE, 3_200_000),
    a_slot("1080p", LARGE, 12_000_000),
)
CROSSING = {
    # 360p: 60 at 150 kb/s, 80 at 2400 kb/s: 5 for each doubling. 1080p: 65 at 500 kb/s, 97 at 8000 kb/s: 8
    # for each. At 500 kb/s 360p has 68.7; at 1000 kb/s 73.7 and 1080p 73: they cross at 1174 kb/s, with
    # 74.8.
    SMALL: straight(2_400_000, 80, 150_000, 60),
    LARGE: straight(8_000_000, 97, 500_000, 65),
}


def test_the_size_changes_where_the_curves_cross() -> None:
    choice = choose_ladder(SLOTS, CROSSING)
    rungs = kept(choice)
    # 95 is at 8000 / 2^(2/8) = 6727 kb/s: 45 times 150 kb/s, in seven steps of 1.72.
    assert [round(bps / 1000) for bps, _, _ in rungs[-1:]] == [pytest.approx(6727, rel=0.02)]
    assert {name for bps, _, name in rungs if bps > 1_250_000} == {"1080p-low", "1080p-mid", "1080p"} & set(
        choice
    )
    assert all(name.startswith("360p") for bps, _, name in rungs if bps < 1_100_000)


def test_a_slot_that_would_add_less_than_two_is_left_out_with_the_reason() -> None:
    # At 1080p all of 70 to 300 kb/s is between 94 and 95.4: one rung of it is enough.
    flat = {SMALL: straight(200_000, 60, 60_000, 50), LARGE: straight(300_000, 95.4, 70_000, 94)}
    choice = choose_ladder(SLOTS, flat)
    assert [name for _, _, name in kept(choice)] == ["360p-low", "1080p-low"]
    assert choice["1080p"].why == "adds 0.5 VMAF over 1080p-low"
    assert choice["360p"].why is not None
    assert "and 1080p-low 9" in choice["360p"].why


def test_rungs_of_one_size_share_its_slots_from_the_smallest_cap_up() -> None:
    """A cartoon of 200 kb/s is best at 720p down to 60 kb/s; its top must not take the only slot for less."""
    size, small = (1280, 720), (640, 360)
    slots = [
        a_slot("360p", small, 300_000, crf=38),
        *(a_slot(f"720p-{cap}", size, 1000 * cap) for cap in (900, 1800)),
    ]
    large = straight(200_000, 94, 50_000, 80)
    choice = choose_ladder(slots, {small: straight(150_000, 70, 30_000, 50), size: large})
    assert all(choice[name].crf is not None for name in ("360p", "720p-900", "720p-1800"))
    rates = [choice[name].bitrate_bps or 0 for name in ("360p", "720p-900", "720p-1800")]
    assert rates == sorted(rates) and rates[2] == pytest.approx(200_000, rel=0.05)


def test_a_lively_video_gets_the_slot_that_holds_its_peaks() -> None:
    flat = {SMALL: straight(200_000, 60, 60_000, 50), LARGE: straight(300_000, 95.4, 70_000, 94)}
    lively = {size: Measured(curve=own.curve, burst=20) for size, own in flat.items()}
    slots = (SLOTS[0], a_slot("1080p-low", LARGE, 400_000), *SLOTS[2:][1:])
    assert [name for _, _, name in kept(choose_ladder(slots, flat))] == ["360p-low", "1080p-low"]
    assert [name for _, _, name in kept(choose_ladder(slots, lively))] == ["360p-low", "1080p-mid"]


def test_two_bitrates_are_made_even_where_the_second_adds_little() -> None:
    tiny = {SMALL: straight(200_000, 95.5, 60_000, 94.8)}
    choice = choose_ladder(SLOTS[:2], tiny)
    (low, _, first), (high, _, second) = kept(choice)
    assert (first, second) == ("360p-low", "360p")
    assert high >= 1.45 * low


def test_sizes_above_the_screen_are_not_judged() -> None:
    slots = (*SLOTS, a_slot("2160p", (3840, 2160), 17_000_000))
    assert "2160p" not in choose_ladder(slots, CROSSING)


def test_what_cannot_be_analysed_gets_one_rung_of_each_size() -> None:
    choice = choose_ladder(SLOTS, {})
    assert {name: chosen.crf for name, chosen in choice.items() if chosen.crf is not None} == {
        "360p-low": 36, "1080p": 25,
    }  # fmt: skip


def test_encoders_that_take_whole_numbers_get_them() -> None:
    slots = [a_slot(slot.name, size_of(slot), slot.max_bitrate_bps, 36, "libsvtav1") for slot in SLOTS]
    crfs = [chosen.crf for chosen in choose_ladder(slots, CROSSING).values() if chosen.crf is not None]
    assert len(crfs) > 3
    assert all(crf == round(crf) for crf in crfs)
