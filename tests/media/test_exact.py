"""Chunked work is what one pass over the whole source gives, frame for frame.

Every picture of these clips carries its number as black and white blocks, which survive any encoder.
The clips go through the real commands (cut, transcode, join) and the numbers are read back.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vod_operators.media import ffmpeg, probe
from vod_operators.media.isobmff import Part, first_sample, join, read_fragments, starts_with_idr
from vod_operators.media.models import AudioRung, Plan, Preset, Rung, Timeline
from vod_operators.media.plan import make_plan, plan_timeline
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.tools import Tools

TOOLS = Tools()
BLOCK, COLUMNS, ROWS = 16, 8, 2
WIDTH, HEIGHT = BLOCK * COLUMNS, BLOCK * ROWS

PRESET = Preset(
    name="one-second",
    title="one second",
    description="Segments of one second, so that a short clip has many joins.",
    encoder="libx264",
    encoder_preset="veryfast",
    gop_seconds=1,
    segment_gops=1,
    rungs=(
        Rung(name="half", width=64, height=16, crf=23, max_bitrate_bps=500_000, buffer_bits=500_000),
        Rung(name="full", width=128, height=32, crf=23, max_bitrate_bps=500_000, buffer_bits=500_000),
    ),
    audio=AudioRung(bitrate_bps=64_000),
)


def pictures(numbers: Iterable[int]) -> bytes:
    """Gray pictures that carry their number, least significant bit first."""
    bits = np.array([[n >> bit & 1 for bit in range(COLUMNS * ROWS)] for n in numbers], np.uint8)
    blocks = (16 + 219 * bits).reshape(-1, ROWS, COLUMNS)
    return blocks.repeat(BLOCK, 1).repeat(BLOCK, 2).tobytes()


def numbers_in(raw: bytes, width: int, height: int) -> list[int]:
    """The numbers that gray pictures of any size carry."""
    shown = np.frombuffer(raw, np.uint8).reshape(-1, ROWS, height // ROWS, COLUMNS, width // COLUMNS)
    bits = shown.mean(axis=(2, 4)).reshape(-1, ROWS * COLUMNS) > 125
    return [int(n) for n in bits @ (1 << np.arange(ROWS * COLUMNS))]


def run_ffmpeg(*options: str, stdin: bytes | None = None) -> bytes:
    command = [TOOLS.ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *options]
    if stdin is not None:
        command.remove("-nostdin")
    return subprocess.run(command, input=stdin, check=True, stdout=subprocess.PIPE).stdout


def make_clip(path: Path, frames: int, rate: str, *options: str, pts: Sequence[int] | None = None) -> Path:
    """Encode numbered pictures into ``path``.

    :param pts: when each picture is shown, in milliseconds; regular at ``rate`` if absent.
    """
    filters = []
    if pts is not None:
        filters = ["-vf", f"settb=1/1000,setpts={_lookup(pts, 0)}", "-enc_time_base", "1/1000"]
        filters += ["-fps_mode", "passthrough"]
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", rate, "-i", "-"]
    output = ["-pix_fmt", "yuv420p", *options, str(path)]
    run_ffmpeg(*raw, *filters, *output, stdin=pictures(range(frames)))
    return path


def _lookup(values: Sequence[int], first: int) -> str:
    """``values[N - first]`` as an ffmpeg expression; a tree, because its depth is limited."""
    if len(values) == 1:
        return str(values[0])
    half = len(values) // 2
    upper = first + half
    return f"if(lt(N\\,{upper})\\,{_lookup(values[:half], first)}\\,{_lookup(values[half:], upper)})"


def x264(*, gop: int, b_frames: int = 3, open_gop: bool = True, more: str = "") -> list[str]:
    params = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:b-pyramid=normal"
    params += f":open-gop={int(open_gop)}{more}"
    return ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-x264-params", params]


@dataclass(frozen=True, kw_only=True)
class Result:
    plan: Plan
    timeline: Timeline
    numbers: dict[str, list[int]]
    """Rendition -> the numbers in its frames, in the order of presentation."""


class Pipeline:
    """What the operators do, without Airflow and without stores."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = LocalRunner()

    def lines(self, argv: list[str]) -> list[str]:
        found: list[str] = []
        self.runner.run(argv, folder=self.folder, on_line=found.append)
        return found

    def plan(self, clip: Path, chunk_seconds: int = 1) -> tuple[Plan, Timeline]:
        described = "\n".join(self.lines(probe.probe(TOOLS.ffprobe, clip.name)))
        source = probe.parse_probe(described, size_bytes=clip.stat().st_size)
        plan = make_plan(
            video_id="clip",
            source=source,
            preset=PRESET,
            chunk_seconds=chunk_seconds,
            chunk_seconds_is_asked=False,
        )
        packets = probe.PacketTimes(plan)
        self.runner.run(
            probe.read_packets(TOOLS.ffprobe, clip.name), folder=self.folder, on_line=packets.read_line
        )
        timeline = plan_timeline(
            plan=plan,
            pts=packets.pts,
            key_pts=packets.key_pts,
            last_duration=packets.last_duration,
            audio_end=packets.audio_end,
        )
        return plan, timeline

    def run(self, clip: Path, chunk_seconds: int = 1) -> Result:
        plan, timeline = self.plan(clip, chunk_seconds)
        parts: dict[str, list[Part]] = {rendition.name: [] for rendition in plan.renditions}
        for chunk in timeline.chunks:
            cut = f"{chunk.name}.nut"
            index = plan.source.video.index
            self.lines(
                ffmpeg.cut_video(TOOLS.ffmpeg, clip.name, cut, stream=index, chunk=chunk, timeline=timeline)
            )
            outputs = {name: f"{chunk.name}-{name}.mp4" for name in parts}
            self.lines(
                ffmpeg.transcode_chunk(TOOLS.ffmpeg, cut, outputs, plan=plan, chunk=chunk, timeline=timeline)
            )
            for name, file in outputs.items():
                self.check_key_frames(self.folder / file, plan)
                part = Part(
                    name=f"{chunk.name}/{name}",
                    blocks=[(self.folder / file).read_bytes()],
                    decode_time=chunk.first * plan.frame_ticks,
                    samples=chunk.frames,
                    sample_ticks=plan.frame_ticks,
                )
                parts[name].append(part)
        numbers = {}
        for rendition in plan.renditions:
            track = self.folder / f"{rendition.name}.mp4"
            track.write_bytes(b"".join(join(parts[rendition.name])))
            raw = run_ffmpeg(
                "-i", str(track), "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"
            )
            numbers[rendition.name] = numbers_in(raw, rendition.width, rendition.height)
            self.check_times(track, plan, timeline.frames)
        return Result(plan=plan, timeline=timeline, numbers=numbers)

    def check_key_frames(self, path: Path, plan: Plan) -> None:
        """An IDR picture at each GOP, and nowhere else."""
        frames = 0
        with path.open("rb") as file:
            for fragment in read_fragments(file):
                assert frames % plan.gop_frames == 0
                assert starts_with_idr(first_sample(file, fragment))
                frames += len(fragment.durations)

    def check_times(self, track: Path, plan: Plan, frames: int) -> None:
        """Presentation times of the joined track: every frame of the grid once, from 0."""
        show = ["-show_entries", "packet=pts", "-of", "csv=p=0"]
        times = self.lines([TOOLS.ffprobe, "-loglevel", "error", *show, track.name])
        shown = sorted(int(time.strip(",")) for time in times)
        assert shown == [n * plan.frame_ticks for n in range(frames)]


def one_pass(clip: Path, rate: Fraction) -> list[int]:
    """The numbers that one ffmpeg over the whole clip shows on the grid of ``rate``."""
    filters = f"setpts=PTS-STARTPTS,fps={rate.numerator}/{rate.denominator}"
    raw = run_ffmpeg(
        "-noautorotate", "-i", str(clip), "-map", "0:v:0", "-vf", filters, "-fps_mode", "passthrough",
        "-f", "rawvideo", "-pix_fmt", "gray", "-",
    )  # fmt: skip
    return numbers_in(raw, WIDTH, HEIGHT)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


MPEG2 = ["-c:v", "mpeg2video", "-bf", "2", "-q:v", "2", "-g", "12"]
MPEG4 = ["-c:v", "mpeg4", "-bf", "2", "-q:v", "2", "-g", "20"]
HEVC = "keyint=30:min-keyint=30:scenecut=0:open-gop=1:bframes=4:log-level=error"


@pytest.mark.parametrize(
    ("file", "frames", "rate", "options", "chunks"),
    [
        # 4 whole seconds of 30 frames; the last 10 of 130 are fewer than a GOP, so they join the fourth.
        pytest.param("clip.mp4", 130, "30000/1001", x264(gop=40), 4, id="29.97-open-gop"),
        pytest.param("clip.mp4", 75, "25", x264(gop=33, open_gop=False), 3, id="closed-gop"),
        pytest.param("clip.mkv", 130, "30000/1001", x264(gop=40), 4, id="matroska-ms"),
        pytest.param("clip.ts", 130, "30000/1001", x264(gop=40), 4, id="mpeg-ts"),
        # Reordered over 4 frames of 0.2 s: more than what ffmpeg seeks back by.
        pytest.param("clip.ts", 30, "5", x264(gop=7, b_frames=8), 6, id="mpeg-ts-slow"),
        pytest.param("clip.flv", 64, "30000/1001", x264(gop=40), 2, id="flv"),
        pytest.param("clip.avi", 60, "25", MPEG4, 2, id="avi-without-pts"),
        pytest.param("clip.mpg", 60, "25", [*MPEG2, "-f", "vob"], 2, id="mpeg-ps"),
        pytest.param("clip.mp4", 60, "25", ["-c:v", "libx265", "-x265-params", HEVC], 2, id="hevc-open-gop"),
        pytest.param("clip.mp4", 90, "30", x264(gop=30, more=":intra-refresh=1"), 3, id="one-key-frame"),
        pytest.param("clip.mp4", 13, "2", x264(gop=5), 6, id="2-fps"),
        pytest.param("clip.mp4", 1, "25", x264(gop=25), 1, id="one-frame"),
        pytest.param("clip.mp4", 2, "25", x264(gop=25), 1, id="two-frames"),
    ],
)
def test_every_frame_once_and_in_order(
    pipeline: Pipeline, file: str, frames: int, rate: str, options: list[str], chunks: int
) -> None:
    clip = make_clip(pipeline.folder / file, frames, rate, *options)

    result = pipeline.run(clip)

    assert result.plan.frame_rate == Fraction(rate)
    assert len(result.timeline.chunks) == chunks
    assert result.numbers == {name: list(range(frames)) for name in result.numbers}
    assert set(result.numbers) == {"half", "full"}


@pytest.mark.parametrize(
    ("file", "options"),
    [
        pytest.param("clip.mp4", x264(gop=70), id="mp4"),
        pytest.param("clip.mkv", x264(gop=70), id="matroska"),
        pytest.param("clip.ts", x264(gop=70), id="mpeg-ts"),
        pytest.param("clip.flv", x264(gop=70), id="flv"),
        pytest.param("clip.avi", MPEG4, id="avi"),
    ],
)
def test_seeking_lands_before_the_key_frame(pipeline: Pipeline, file: str, options: list[str]) -> None:
    """Chunks beyond ``SEEK_MARGIN_S`` are reached by seeking, each container in its own way."""
    clip = make_clip(pipeline.folder / file, 700, "25", *options)

    result = pipeline.run(clip, chunk_seconds=6)

    assert [(chunk.first, chunk.last) for chunk in result.timeline.chunks] == [
        (0, 150), (150, 300), (300, 450), (450, 600), (600, 700),
    ]  # fmt: skip
    assert result.numbers["full"] == list(range(700))


# Irregular steps between 10 and 250 ms, so that pictures are left out and repeated.
STEPS = [16, 17, 33, 34, 40, 50, 100, 200, 33, 10, 66, 250]
VARIABLE = [0, *(sum(STEPS[n % 12] for n in range(count)) for count in range(1, 70))]


@pytest.mark.parametrize(
    ("file", "pts"),
    [
        pytest.param("clip.mp4", VARIABLE, id="mp4"),
        pytest.param("clip.mkv", VARIABLE, id="matroska"),
        pytest.param("clip.mp4", [n * 33 + 3500 * (n >= 30) for n in range(60)], id="gap"),
        pytest.param("clip.mp4", [*VARIABLE[:29], VARIABLE[28] + 4000], id="last-after-gap"),
    ],
)
def test_variable_rate_is_one_pass(pipeline: Pipeline, file: str, pts: list[int]) -> None:
    clip = make_clip(pipeline.folder / file, len(pts), "30", *x264(gop=25), pts=pts)

    result = pipeline.run(clip)

    expected = one_pass(clip, result.plan.frame_rate)
    assert len(result.timeline.chunks) > 3
    assert result.numbers == {"half": expected, "full": expected}


def test_last_picture_shown_for_seconds(pipeline: Pipeline) -> None:
    """A picture that stands for longer than a chunk at the end fills the chunks after its own."""
    whole = make_clip(pipeline.folder / "whole.mp4", 40, "25", *x264(gop=10, b_frames=0))
    clip = pipeline.folder / "clip.mp4"
    # The last packet lasts 3 s: 75 frames at 25 fps.
    longer = "setts=pts=PTS:dts=DTS:duration=if(eq(N\\,39)\\,3/TB\\,DURATION)"
    run_ffmpeg("-i", str(whole), "-c", "copy", "-bsf:v", longer, str(clip))

    result = pipeline.run(clip)

    rate = result.plan.frame_rate
    shown = result.numbers["full"]
    assert shown[-1] == 39
    assert len(result.timeline.chunks) >= 4
    assert abs(len(shown) / rate - Fraction(39, 25) - 3) <= 1 / rate
    assert sorted(shown) == shown


def test_trimmed_start_is_hidden(pipeline: Pipeline) -> None:
    """An edit list hides the packets before the cut; they are decoded, never shown."""
    whole = make_clip(pipeline.folder / "whole.mp4", 100, "25", *x264(gop=30, open_gop=False))
    clip = pipeline.folder / "clip.mp4"
    run_ffmpeg("-ss", "0.6", "-i", str(whole), "-c", "copy", str(clip))

    result = pipeline.run(clip)

    assert result.numbers["full"] == list(range(15, 100))
    assert result.timeline.chunks[0].key_pts < result.timeline.origin_pts


def test_faster_than_allowed_is_divided(pipeline: Pipeline) -> None:
    clip = make_clip(pipeline.folder / "clip.mp4", 250, "120", *x264(gop=50))

    result = pipeline.run(clip)

    assert result.plan.frame_rate == 60
    assert result.numbers["full"] == one_pass(clip, Fraction(60))
    assert len(result.numbers["full"]) == 125
