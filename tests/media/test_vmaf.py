"""VMAF of chosen frames: which are chosen, the score of each, and what is made of them."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import ffmpeg
import pytest

from support.tools import CLIP, FFMPEG, generate
from vod_operators.media import vmaf
from vod_operators.media.ffmpeg import command
from vod_operators.media.vmaf import Raw, WindowScore


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``encoded.mp4`` of 320x180, 60 frames, and ``full.yuv``, what its encoder was given."""
    folder = tmp_path_factory.mktemp("vmaf")
    picture = ("-vf", "scale=320:180:flags=bicubic", "-an", "-frames:v", "60", "-fps_mode", "passthrough")
    generate(folder / "full.yuv", "-i", str(CLIP), *picture, "-f", "rawvideo", "-pix_fmt", "yuv420p")
    generate(
        folder / "encoded.mp4", "-i", str(CLIP), *picture, "-c:v", "libx264", "-crf", "33", "-threads", "1",
        "-movflags", "frag_keyframe+delay_moov",
    )  # fmt: skip
    return folder


def run(argv: list[str], folder: Path) -> None:
    subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=300)


def full_run(folder: Path, scale: str = "null") -> list[float]:
    """ffmpeg's own VMAF of all frames."""
    graph = (
        f"[0:v]settb=1/25,setpts=N,{scale}[a];[1:v]settb=1/25,setpts=N,{scale}[b];"
        "[a][b]libvmaf=log_fmt=json:log_path=full.json"
    )
    run(
        [FFMPEG, "-v", "error", "-i", "encoded.mp4", "-f", "rawvideo", "-s", "320x180", "-r", "25",
         "-i", "full.yuv", "-lavfi", graph, "-f", "null", "-"],
        folder,
    )  # fmt: skip
    return [f["metrics"]["vmaf"] for f in json.loads((folder / "full.json").read_text())["frames"]]


def taken(folder: Path, raw: Raw, chosen: list[int], scale: tuple[int, int] | None = None) -> None:
    """Write the reference for these points."""
    size = {"video_size": (320, 180), "pixel_format": "yuv420p", "framerate": 25}
    stream = ffmpeg.input("full.yuv", format="rawvideo", **size)["v:0"]
    if scale:
        stream = stream.filter("scale", *scale, flags="bicubic")
    run(command(FFMPEG, vmaf.write_reference(stream, raw, chosen)), folder)


@pytest.mark.parametrize("chosen", [[1], [5], [4, 7, 10], vmaf.points(0, 60, 7), vmaf.points(0, 60, 20)])
def test_each_point_has_the_score_of_a_full_run(encoded: Path, chosen: list[int]) -> None:
    native, large = Raw(file="n.yuv", width=320, height=180), Raw(file="l.yuv", width=640, height=360)
    taken(encoded, native, chosen)
    taken(encoded, large, chosen, large.size)
    run(vmaf.compare(FFMPEG, "encoded.mp4", chosen, {"n.json": native, "l.json": large}, threads=2), encoded)

    whole, scaled = full_run(encoded), full_run(encoded, "scale=640:360:flags=bicubic")
    assert vmaf.scores((encoded / "n.json").read_text()) == [whole[n] for n in chosen]
    assert vmaf.scores((encoded / "l.json").read_text()) == [scaled[n] for n in chosen]
    assert max(whole) - min(whole) > 1  # so that another frame's score would be seen


def test_files_compared_together_have_the_scores_of_each_alone(encoded: Path) -> None:
    movflags = ("-movflags", "frag_keyframe+delay_moov")
    generate(
        encoded / "worse.mp4", "-i", str(encoded / "encoded.mp4"), "-crf", "40", "-threads", "1", *movflags
    )
    chosen = vmaf.points(0, 60, 9)
    some = [chosen[place] for place in (0, 3, 4, 8)]
    native, large = Raw(file="n.yuv", width=320, height=180), Raw(file="l.yuv", width=640, height=360)
    taken(encoded, native, chosen)
    taken(encoded, large, some, large.size)
    files = ("encoded.mp4", "worse.mp4")
    instances = [
        vmaf.Instance(log="n.json", raw=native, places=tuple(range(9)), of=files),
        vmaf.Instance(log="l.json", raw=large, places=(0, 3, 4, 8), of=files),
    ]
    run(vmaf.compare_together(FFMPEG, dict.fromkeys(files, chosen), instances), encoded)
    together = [vmaf.scores((encoded / log).read_text()) for log in ("n.json", "l.json")]
    for turn, file in enumerate(files):
        run(vmaf.compare(FFMPEG, file, chosen, {"n.json": native}), encoded)
        assert together[0][turn::2] == vmaf.scores((encoded / "n.json").read_text())
        run(vmaf.compare(FFMPEG, file, some, {"l.json": large}), encoded)
        assert together[1][turn::2] == vmaf.scores((encoded / "l.json").read_text())
    assert together[0][0] > together[0][1] + 1


def test_some_triples_of_a_reference_have_the_scores_of_all(encoded: Path) -> None:
    chosen = vmaf.points(0, 60, 9)
    raw = Raw(file="n.yuv", width=320, height=180)
    taken(encoded, raw, chosen)
    run(vmaf.compare(FFMPEG, "encoded.mp4", chosen, {"all.json": raw}), encoded)
    instance = vmaf.Instance(
        log="some.json", raw=raw, places=(0, 1, 2), of=("encoded.mp4",), triples=(1, 4, 8)
    )
    some = {"encoded.mp4": [chosen[place] for place in (1, 4, 8)]}
    run(vmaf.compare_together(FFMPEG, some, [instance]), encoded)
    of_all = vmaf.scores((encoded / "all.json").read_text())
    assert vmaf.scores((encoded / "some.json").read_text()) == [of_all[place] for place in (1, 4, 8)]


def test_doubt_about_a_mean_comes_from_steps_not_from_a_trend() -> None:
    assert vmaf.doubt([90, 94, 90, 94, 90]) == pytest.approx((4 * 16 / (2 * 4 * 5)) ** 0.5)
    assert vmaf.doubt([90.0, 90.1, 90.2, 90.3, 90.4]) < 0.05
    assert vmaf.doubt([90, 90, 90]) == float("inf")


def test_tags_of_colours_do_not_count(encoded: Path) -> None:
    """The same pictures, tagged: ffmpeg would convert them to the untagged reference's supposed colours."""
    tags = "h264_metadata=colour_primaries=1:transfer_characteristics=1:matrix_coefficients=1"
    movflags = ("-movflags", "frag_keyframe+delay_moov")
    source = ("-i", str(encoded / "encoded.mp4"), "-c", "copy")
    generate(encoded / "tagged.mp4", *source, "-bsf:v", f"{tags}:video_full_range_flag=0", *movflags)
    raw = Raw(file="t.yuv", width=320, height=180)
    taken(encoded, raw, [5, 30])
    found = []
    for file in ("encoded.mp4", "tagged.mp4"):
        run(vmaf.compare(FFMPEG, file, [5, 30], {"t.json": raw}), encoded)
        found.append(vmaf.scores((encoded / "t.json").read_text()))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("frames", "count", "expected"), [(50, 1, 1), (50, 8, 8), (3, 5, 1), (7, 5, 2), (2, 1, 0), (9, 3, 3)]
)
def test_points_lie_apart_and_inside(frames: int, count: int, expected: int) -> None:
    for turn in range(40):
        found = vmaf.points(100, frames, count, turn=turn)
        assert len(found) == expected
        assert all(101 <= n <= 100 + frames - 2 for n in found)
        assert all(b - a >= vmaf.TRIPLE for a, b in pairwise(found))


def test_points_meet_all_phases_of_a_gop_alike() -> None:
    found = [n for turn in range(400) for n in vmaf.points(0, 48, 2, turn=2 * turn)]
    for period in (4, 6):
        counts = [sum(n % period == phase for n in found) for phase in range(period)]
        assert max(counts) <= 1.5 * min(counts)


def test_a_log_that_is_none_is_refused() -> None:
    for text in ("", "{}", '{"frames": [{"frameNum": 3}]}', "[]"):
        with pytest.raises(ValueError, match="libvmaf"):
            vmaf.scores(text)
    with pytest.raises(ValueError, match="no numbers"):
        vmaf.scores('{"frames": [{"frameNum": 3, "metrics": {"vmaf": NaN}}]}')


def test_merge() -> None:
    windows = [
        WindowScore(first=0, frames=50, native=(90.0, 94.0), at_1080p=(80.0, None)),
        WindowScore(first=100, frames=50, native=(80.0, 84.0), at_1080p=(None, None)),
        WindowScore(first=150, frames=25, native=(70.0,), at_1080p=(None,)),
        WindowScore(first=175, frames=25, native=(), at_1080p=()),
    ]
    quality = vmaf.merge(windows, Fraction(25))
    assert quality is not None and quality.native is not None and quality.at_1080p is not None
    # (92 * 50 + 82 * 50 + 70 * 25) / 125
    assert quality.native.mean == 83.6
    assert (quality.native.worst, quality.native.worst_at_s) == (70.0, 6.0)
    assert quality.native.p5 == 70.0
    # One pair alone: native - 10. (80 * 25 + 84 * 25 + 72 * 50 + 60 * 25) / 125
    assert quality.at_1080p.mean == 73.6
    assert quality.measured_s == 5.0
    assert quality.model == "vmaf_v0.6.1"


def test_nothing_measured_has_no_quality() -> None:
    assert vmaf.merge([], Fraction(25)) is None
    assert vmaf.merge([WindowScore(first=0, frames=50, native=())], Fraction(25)) is None


def test_scores_at_1080p_are_inferred_along_a_line() -> None:
    native = [60.0, 70.0, 80.0, 90.0, 65.0, 75.0, 85.0, 95.0]
    windows = [
        WindowScore(first=50 * n, frames=50, native=(x, x + 1), at_1080p=(0.5 * x + 20, None))
        for n, x in enumerate(native)
    ]
    assert vmaf.inferred(windows)[0] == pytest.approx((50.0, 50.5))
    assert vmaf.inferred(windows)[7] == pytest.approx((67.5, 68.0))


def test_what_is_too_small_for_its_own_size_has_a_score_at_1080p() -> None:
    windows = [WindowScore(first=0, frames=25, native=(None, None), at_1080p=(50.0, 60.0))]
    quality = vmaf.merge(windows, Fraction(25))
    assert quality is not None and quality.native is None and quality.at_1080p is not None
    assert quality.at_1080p.mean == 55.0


def test_scores_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="at_1080p: of 1 points, native of 2"):
        WindowScore(first=0, frames=50, native=(1.0, 2.0), at_1080p=(1.0,))


def test_measured_key_frames_count_for_those_of_all_windows() -> None:
    plain = WindowScore(first=50, frames=50, native=(60.0, 62.0))
    quality = vmaf.merge(
        [WindowScore(first=0, frames=50, native=(90.0, 60.0, 62.0), of_key=True), plain], Fraction(25)
    )
    assert quality is not None and quality.native is not None
    assert quality.native.mean == pytest.approx((90 * 2 + 61 * 98) / 100, abs=0.01)
    assert quality.native.worst == 61
    alone = vmaf.merge([plain], Fraction(25))
    assert alone is not None and alone.native is not None and alone.native.mean == 61
