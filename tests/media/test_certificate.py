"""Which frames of a chunk are measured, by what that may cost."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from vod_operators.media import certificate
from vod_operators.media.certificate import sample_of
from vod_operators.media.models import Chunk, Plan, Source, Timeline, VideoStream
from vod_operators.media.plan import make_plan
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.probing import probed
from vod_operators.media.vmaf import TRIPLE


def plan_of(preset: str = "h264", width: int = 1920, height: int = 1080) -> Plan:
    video = VideoStream(
        index=0, codec="h264", width=width, height=height, frame_rate=Fraction(25),
        time_base=Fraction(1, 12800), pixel_format="yuv420p",
    )  # fmt: skip
    source = Source(
        container="mov", size_bytes=10**9, duration_ms=240_000, bitrate_bps=20_000_000, video=video
    )
    return make_plan(
        video_id="v",
        source=source,
        preset=load_preset(preset, None),
        chunk_seconds=None,
        chunk_seconds_is_asked=False,
    )


def timeline_of(frames: int, chunk_frames: int) -> Timeline:
    chunks = tuple(
        Chunk(index=n, first=first, last=min(frames, first + chunk_frames), key_pts=0, end_pts=None)
        for n, first in enumerate(range(0, frames, chunk_frames))
    )
    return Timeline(origin_pts=0, time_base=Fraction(1, 12800), frames=frames, chunks=chunks, sounds={})


@pytest.mark.parametrize("preset", ["h264", "h264_small", "hevc", "av1"])
def test_a_long_video_stays_within_the_budget(preset: str) -> None:
    plan, timeline = plan_of(preset), timeline_of(25 * 1200, 3000)
    found = [sample_of(plan, chunk, timeline) for chunk in timeline.chunks]
    points = sum(len(sample.references.points) for sample in found)
    screen = sum(len(sample.references.at_screen) for sample in found)
    pixels = sum(made.width * made.height for made in plan.renditions)
    large = sum(certificate.needs_screen(made, plan) for made in plan.renditions)
    spent = certificate.VMAF_S * (points * pixels + screen * large * 1920 * 1080)
    assert spent <= 0.05 * timeline.frames * certificate._encode_s(plan)
    assert points >= 150
    assert 0.4 <= screen / points <= 0.6
    assert all(sample.references.size_bytes <= certificate.MAX_BYTES for sample in found)


@pytest.mark.parametrize("frames", [3, 4, 49, 51, 100, 250, 3001])
def test_triples_lie_in_the_chunk_and_apart(frames: int) -> None:
    plan, timeline = plan_of("h264_small"), timeline_of(frames, 3000)
    for chunk in timeline.chunks:
        sample = sample_of(plan, chunk, timeline)
        points = sample.references.points
        assert all(chunk.first + 1 <= n <= chunk.last - 2 for n in points)
        assert all(b - a >= TRIPLE for a, b in pairwise(points))
        assert set(sample.references.at_screen) <= set(points)
        if chunk.frames >= TRIPLE:
            assert points and sample.references.at_screen


@pytest.mark.parametrize("frames", [130, 250, 3100])
def test_first_frames_of_gops_have_their_share(frames: int) -> None:
    plan, timeline = plan_of("h264"), timeline_of(frames, 3000)
    for chunk in timeline.chunks:
        chunk = chunk.model_copy(update={"lead_in": min(chunk.first, 2 * plan.gop_frames)})
        windows = sample_of(plan, chunk, timeline).windows
        keys = [window.first for window in windows if window.of_key]
        assert 0 not in keys
        assert len(windows) / 10 <= len(keys) <= max(1, len(windows) / 2)
        assert all(len(window.points) > 1 for window in windows if window.of_key)
        points = [n for window in windows for n in window.points]
        assert all(b - a >= TRIPLE for a, b in pairwise(points))


@pytest.mark.parametrize(("frames", "chunk_frames"), [(250, 3000), (500, 3000), (500, 100)])
def test_a_short_video_has_enough_frames_whatever_they_cost(frames: int, chunk_frames: int) -> None:
    plan, timeline = plan_of("h264_small", 640, 272), timeline_of(frames, chunk_frames)
    found = [sample_of(plan, chunk, timeline).references for chunk in timeline.chunks]
    assert 46 <= sum(len(references.points) for references in found) <= 60
    assert all(0.4 <= len(one.at_screen) / len(one.points) <= 0.6 for one in found)


def test_two_frames_are_not_measured() -> None:
    timeline = timeline_of(2, 3000)
    assert sample_of(plan_of(), timeline.chunks[0], timeline).windows == ()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), (1920, 1080)),
        ((3840, 2160), (1920, 1080)),
        ((640, 480), (1440, 1080)),
        ((608, 1080), (1080, 1918)),  # upright, on an upright screen
    ],
)  # fmt: skip
def test_the_size_on_a_screen(size: tuple[int, int], expected: tuple[int, int]) -> None:
    plan = plan_of("h264_hevc", *size)
    assert certificate.screen_of(plan) == expected


@pytest.mark.parametrize(("width", "height"), [(1920, 16), (16, 1920)])
def test_pictures_too_narrow_for_a_screen_are_not_compared_there(width: int, height: int) -> None:
    """libvmaf crashes on pictures of 16 lines."""
    plan, timeline = plan_of("h264_title", width, height), timeline_of(100, 50)
    assert sample_of(plan, timeline.chunks[0], timeline).windows == ()
    assert probed(plan) == ()
    plan = plan_of("h264_title", 1920, 18)
    assert sample_of(plan, timeline.chunks[0], timeline).references.screen is not None
    assert probed(plan) != ()


def test_references_of_one_size_are_written_once_and_the_screen_of_the_largest() -> None:
    plan, timeline = plan_of("h264"), timeline_of(500, 3000)
    references = sample_of(plan, timeline.chunks[0], timeline).references
    files = [
        raw.file
        for made in plan.renditions
        for raw, _ in references.of(made, is_largest=made is plan.renditions[-1])
    ]
    assert len(files) == len(set(files))
    assert files[-1] == "reference-screen.yuv"
    assert {raw.file for raw in references.native.values()} == set(files[:-1])


def test_renditions_encoded_again_have_their_own_references() -> None:
    plan, timeline = plan_of("h264"), timeline_of(500, 3000)
    references = sample_of(plan, timeline.chunks[0], timeline, only=["360p"]).references
    assert list(references.native) == ["360p"]
    assert references.of_source
