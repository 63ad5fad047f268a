"""Sources of the part ``estimate``: 30 clips of ten kinds, 10 to 60 s, in three sizes and at five qualities.

They are small, because each is encoded: what an estimate has to learn does not depend on the size.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

from bench.media import CLIP, ffmpeg

RATE = 25
SIZES = ((256, 144), (480, 270), (640, 360))
SECOND = Path(os.environ.get("BENCH_CLIP_2", CLIP))
"""Another recording; without it, the first one again."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A source and how it is asked for."""

    name: str
    path: Path
    seconds: int
    chunk_seconds: int | None
    """Longer clips get ten chunks, to judge an estimate that is corrected while they are encoded."""


def _pictures(kind: str, width: int, height: int) -> tuple[list[str], str]:
    """ffmpeg's inputs of a kind of pictures, and its filters."""
    size = f"s={width}x{height}:r={RATE}"
    fit = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},fps={RATE}"

    def loop(path: Path) -> list[str]:
        return ["-stream_loop", "-1", "-i", str(path)]

    def made(graph: str) -> list[str]:
        return ["-f", "lavfi", "-i", graph]

    pan = "crop=iw*0.7:ih*0.7:(iw-ow)*(0.5+0.5*sin(t/3)):(ih-oh)*(0.5+0.5*cos(t/4))"
    match kind:
        case "cartoon":
            return loop(CLIP), fit
        case "cartoon-pan":
            return loop(CLIP), f"{pan},{fit}"
        case "cartoon-grain":
            return loop(CLIP), f"{fit},noise=alls=10:allf=t"
        case "bikes":
            return loop(SECOND), fit
        case "bikes-pan":
            return loop(SECOND), f"{pan},{fit}"
        case "pattern":
            return made(f"testsrc2={size}"), "null"
        case "cells":
            return made(
                f"life={size}:mold=20:ratio=0.2:seed=7:death_color=#203040:life_color=#e0f0ff"
            ), "null"
        case "gradient":
            return made(f"gradients={size}:speed=0.02:seed=7"), "noise=alls=3:allf=t"
        case "slides":
            still = "select='not(mod(n,50))',setpts=N/FRAME_RATE/TB"
            return loop(CLIP), f"fps={RATE},{still},setpts=PTS*75,{fit}"
        case "talk":  # a still picture with one small part that moves
            return loop(
                CLIP
            ), f"{fit},split[a][b];[a]loop=-1:1:0[s];[b]crop=iw/3:ih/3[m];[s][m]overlay=W/3:H/3"
    raise ValueError(kind)


KINDS = (
    "cartoon", "cartoon-pan", "cartoon-grain", "bikes", "bikes-pan", "pattern", "cells", "gradient",
    "slides", "talk",
)  # fmt: skip


def clips(folder: Path, count: int) -> list[Clip]:
    """The first ``count`` clips; they are always the same, and each is made when ``make`` is called."""
    draw = random.Random(22)
    chosen = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)] if number < 2 * len(KINDS) else draw.choice(KINDS)
        _, height = draw.choice(SIZES)
        seconds, crf = draw.choice((10, 12, 15, 18, 22, 27, 33, 40, 60)), draw.choice((17, 19, 21, 23, 26))
        name = f"{number:02}-{kind}-{height}p-{seconds}s-crf{crf}"
        chunk_seconds = None if seconds < 54 else 6
        chosen.append(
            Clip(name=name, path=folder / f"{name}.mp4", seconds=seconds, chunk_seconds=chunk_seconds)
        )
    draw.shuffle(chosen)
    return chosen


def make(clip: Clip) -> None:
    """Write the clip's file, if it is not there."""
    if clip.path.exists():
        return
    _, *kind, height, _, crf = clip.name.split("-")
    width, lines = next(size for size in SIZES if size[1] == int(height[:-1]))
    inputs, graph = _pictures("-".join(kind), width, lines)
    part = clip.path.with_suffix(".part.mp4")
    ffmpeg(
        *inputs, "-f", "lavfi", "-i", f"anoisesrc=a=0.05:r=48000:d={clip.seconds}",
        "-map", "0:v", "-map", "1:a", "-vf", graph,
        "-t", str(clip.seconds), "-r", str(RATE), "-c:v", "libx264", "-preset", "superfast", "-crf", crf[3:],
        "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac", "-b:a", "128k", str(part),
    )  # fmt: skip
    part.rename(clip.path)
