"""Chunked work is what one pass over the whole source gives, frame for frame.

Every picture of these clips carries its number as black and white blocks, which survive any encoder.
The clips go through the real commands (cut, transcode, join) and the numbers are read back.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vod_operators.errors import ToolError
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


def make_clip(
    path: Path, frames: int, rate: str, *options: str, start: int = 0, pts: Sequence[int] | None = None
) -> Path:
    """Encode numbered pictures into ``path``.

    :param pts: when each picture is shown, in milliseconds; regular at ``rate`` if absent.
    """
    filters = []
    if pts is not None:
        filters = ["-vf", f"settb=1/1000,setpts={_lookup(pts, 0)}", "-enc_time_base", "1/1000"]
        filters += ["-fps_mode", "passthrough"]
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", rate, "-i", "-"]
    # A full range source would have its levels changed; here only the pattern counts.
    run_ffmpeg(*raw, *filters, "-pix_fmt", "yuv420p", *options, str(path), stdin=pictures(range(start, start + frames)))
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

    def plan(self, clip: Path, preset: Preset = PRESET) -> tuple[Plan, Timeline]:
        described = "\n".join(self.lines(probe.probe(TOOLS.ffprobe, clip.name)))
        source = probe.parse_probe(described, size_bytes=clip.stat().st_size)
        plan = make_plan(
            video_id="clip", source=source, preset=preset, chunk_seconds=1, chunk_seconds_is_asked=False
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

    def run(self, clip: Path, preset: Preset = PRESET) -> Result:
        plan, timeline = self.plan(clip, preset)
        parts: dict[str, list[Part]] = {rendition.name: [] for rendition in plan.renditions}
        for chunk in timeline.chunks:
            cut = f"{chunk.name}.nut"
            stream = plan.source.video.index
            self.lines(ffmpeg.cut_video(TOOLS.ffmpeg, clip.name, cut, stream=stream, chunk=chunk, timeline=timeline))
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


def one_pass(clip: Path, rate: Fraction, *, before: str = "") -> list[int]:
    """The numbers that one ffmpeg over the whole clip shows on the grid of ``rate``."""
    filters = f"{before}setpts=PTS-STARTPTS,fps={rate.numerator}/{rate.denominator}"
    raw = run_ffmpeg(
        "-noautorotate", "-i", str(clip), "-map", "0:v:0", "-vf", filters, "-fps_mode", "passthrough",
        "-f", "rawvideo", "-pix_fmt", "gray", "-",
    )  # fmt: skip
    return numbers_in(raw, WIDTH, HEIGHT)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    yield Pipeline(tmp_path)
