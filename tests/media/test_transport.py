"""MPEG-TS that is not as planned is seen."""

from __future__ import annotations

import subprocess
from fractions import Fraction

import pytest

from media.plans import a_plan
from support.tools import generate
from vod_operators.errors import VerificationError
from vod_operators.media import ffmpeg, transport
from vod_operators.runners.tools import Tools


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Three of 50 pictures and one of ten, an IDR picture each second."""
    folder = tmp_path_factory.mktemp("ts")
    generate(
        folder / "track.mp4", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=6.4", "-c:v", "libx264",
        "-preset", "ultrafast", "-bf", "2", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0",
        "-movflags", ffmpeg.FRAGMENTED, "-video_track_timescale", "12800",
    )  # fmt: skip
    argv = ffmpeg.package(
        Tools().packager, "track.mp4", kind="video", segment=Fraction(2), fragment=Fraction(1), transport=True
    )
    subprocess.run(argv, cwd=folder, check=True)
    return [(path.name, path.read_bytes()) for path in sorted(folder.glob("seg-*.ts"))]


def test_a_track_is_measured(segments: list[tuple[str, bytes]]) -> None:
    facts = transport.measure_pictures(segments, a_plan())

    assert [segment.samples for segment in facts["segments"]] == [50, 50, 50, 10]
    assert [segment.ticks for segment in facts["segments"]] == [25_600, 25_600, 25_600, 5120]
    assert [(key.segment, key.ticks) for key in facts["key_frames"]] == [
        (0, 12_800), (0, 12_800), (1, 12_800), (1, 12_800), (2, 12_800), (2, 12_800), (3, 5120),
    ]  # fmt: skip
    assert (facts["width"], facts["height"], facts["timescale"]) == (128, 96, 12_800)


def test_a_missing_segment_is_a_gap(segments: list[tuple[str, bytes]]) -> None:
    with pytest.raises(VerificationError, match="counter"):
        transport.measure_pictures([segments[0], segments[2]], a_plan())


def test_a_lost_packet_is_seen(segments: list[tuple[str, bytes]]) -> None:
    name, data = segments[0]
    with pytest.raises(VerificationError, match="counter"):
        transport.measure_pictures([(name, data[: 10 * 188] + data[11 * 188 :])], a_plan())


def test_another_rate_is_seen(segments: list[tuple[str, bytes]]) -> None:
    with pytest.raises(VerificationError, match=r"seg-00002.ts: begins at 2.10000 s, not at 1.76667 s"):
        transport.measure_pictures(segments, a_plan(rate=Fraction(30)))


def test_a_segment_without_idr_is_seen(segments: list[tuple[str, bytes]]) -> None:
    name, data = segments[0]
    broken = data.replace(b"\x00\x00\x01\x65", b"\x00\x00\x01\x41", 1)
    assert broken != data
    with pytest.raises(VerificationError, match="does not start with an IDR picture"):
        transport.measure_pictures([(name, broken)], a_plan())
