"""What a chunked encode is compared by with one pass: VMAF, bits, and the decoder's buffer.

At the cap x264 is sensitive: with cuts every 0.7 s and its coarsest quantiser, a buffer filled to 89 %
instead of 90 % at the start changes single pictures by 30 VMAF many seconds later. So the hard clip stays
within what x264 can show (quantisers of 28 to 45, all of it at the cap), and has no cut within ``NEAR``
frames of a join.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.clips import media, run_ffmpeg
from support.published import Published
from support.tools import FFMPEG, ffprobe
from vod_operators.media.presets.model import Rung

CLIPS = Path(os.environ["EXACT_CLIPS"]) if "EXACT_CLIPS" in os.environ else None
"""Folder with clips that are no part of the repository. Not ``VOD_...``: the tests remove those variables."""

REPORT = Path(os.environ["EXACT_REPORT"]) if "EXACT_REPORT" in os.environ else None
"""The tables are added to this file."""

RATE = 25
SECONDS = 30
FRAMES = RATE * SECONDS
NEAR = 10
"""Frames before and after a join that must look as in one pass."""

INITIAL_FILL = 0.9
"""Of its buffer, which x264 lets the decoder fill before the first picture is shown (``vbv-init``)."""


# --- sources --------------------------------------------------------------------------------


def looped(clip: Path, width: int, height: int) -> Path:
    """30 s of a clip, again and again, in nearly its own quality."""

    def build(path: Path) -> None:
        run_ffmpeg(
            "-stream_loop", "-1", "-i", str(clip), "-an",
            "-vf", f"fps={RATE},scale={width}:{height}:flags=bicubic,trim=end_frame={FRAMES}",
            "-c:v", "libx264", "-preset", "ultrafast", "-crf", "6", "-threads", "1", str(path),
        )  # fmt: skip

    return media("clip.mp4", build, "looped", clip.name, clip.stat().st_size, width, height, SECONDS)


def hard() -> Path:
    """30 s of noise, cuts, fades and a still picture at 640x360, which the 360p rung's cap holds down."""
    size = f"s=640x360:r={RATE}"
    pictures = [
        f"mandelbrot={size}:start_scale=0.1:end_pts=300,noise=alls=4:allf=t",
        f"testsrc2={size},noise=alls=10:allf=t",
        f"perlin={size}:octaves=6:persistence=0.7:tscale=1.5:random_mode=seed:seed=5,noise=alls=12:allf=t",
        "life=s=80x45:r=5:mold=10:ratio=0.4:seed=4,scale=640:360:flags=bicubic,fps=25,noise=alls=8:allf=t",
        f"zoneplate={size}:ku=8:kv=4:kt=6:kx2=12:ky2=9:kt2=1:precision=10,noise=alls=12:allf=t",
        f"smptehdbars={size},noise=alls=6:allf=p",
    ]
    # Picture, frames. A scene of 90 frames stands over each join (every 150 frames), 60 before it and 30
    # after; between them cuts every 0.7 s.
    scenes = [(0, 30)]
    for part, over in enumerate((3, 1, 2, 4, 0)):
        quick = ((part + 1) % 5, 18), ((2 * part + 2) % 6, 18), ((3 * part + 3) % 5, 24)
        scenes += [*quick, (over, 90)]
    chains, labels, at, before = [], "", 0, -1
    for number, (picture, frames) in enumerate(scenes):
        shown = min(frames, FRAMES - at)
        picture = (picture + 1) % 5 if picture == before else picture
        chain = f"{pictures[picture]},trim=start_frame={7 * number}:end_frame={7 * number + shown}"
        chain += f",setpts=N/{RATE}/TB,format=yuv420p,setsar=1"
        if number % 8 == 4:
            chain += ",fade=in:0:25"
        elif frames == 90:
            chain += ",fade=out:65:25"
        chains.append(f"{chain}[scene{number}]")
        labels += f"[scene{number}]"
        at, before = at + shown, picture
    graph = ";".join([*chains, f"{labels}concat=n={len(scenes)}:v=1[out]"])

    def build(path: Path) -> None:
        run_ffmpeg(
            "-filter_complex", graph, "-map", "[out]", "-r", str(RATE), "-frames:v", str(FRAMES),
            "-c:v", "libx264", "-preset", "ultrafast", "-crf", "6", "-threads", "1", str(path),
        )  # fmt: skip

    return media("clip.mp4", build, "hard", graph)


# --- the measure ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Encode:
    """One rendition as published."""

    bits: NDArray[np.int64]
    """Of each picture, in decoding order."""
    vmaf: NDArray[np.float64]
    """Of each picture, as shown."""

    @classmethod
    def of(cls, video: Published, name: str, source: Path) -> Encode:
        playlist = video.playlist(name)
        packets = ffprobe(playlist, "-allowed_extensions", "ALL", "-show_entries", "packet=size")["packets"]
        track = next(track for track in video.tracks("video") if track["name"] == name)
        return cls(
            bits=np.array([8 * int(packet["size"]) for packet in packets]),
            vmaf=vmaf(playlist, source, track["width"], track["height"]),
        )

    def lowest_fill(self, rung: Rung) -> float:
        """The least that is left in the decoder's buffer, part of it; below 0 it ran dry.

        The bucket that ``max_bitrate_bps`` fills and every picture empties at once, over the whole stream.
        """
        fill, lowest = INITIAL_FILL * rung.buffer_bits, 1.0
        for bits in self.bits:
            fill -= bits
            lowest = min(lowest, fill / rung.buffer_bits)
            fill = min(max(fill, 0) + rung.max_bitrate_bps / RATE, rung.buffer_bits)
        return lowest

    def peak(self, rung: Rung, segment_frames: int) -> float:
        """Most bits in any 0.5 to 1.5 segments, part of the cap (Apple HLS authoring: the peak bitrate)."""
        total = np.concatenate([[0], np.cumsum(self.bits)])
        windows = range(segment_frames // 2, segment_frames * 3 // 2 + 1)
        rates = [float((total[n:] - total[:-n]).max()) / n * RATE for n in windows if n < len(total)]
        return max(rates) / rung.max_bitrate_bps


def vmaf(encoded: Path, source: Path, width: int, height: int) -> NDArray[np.float64]:
    """VMAF of each picture against the source scaled to its size, without loss."""
    grid = f"settb=1/{RATE},setpts=N"
    with tempfile.TemporaryDirectory() as folder:
        graph = f"[1:v]scale={width}:{height}:flags=bicubic,format=yuv420p,setsar=1,{grid}[source];"
        graph += (
            f"[0:v]setsar=1,{grid}[encoded];[encoded][source]libvmaf=n_threads=2:log_fmt=json:log_path=log"
        )
        command = [FFMPEG, "-v", "error", "-nostdin", "-i", str(encoded), "-i", str(source)]
        command += ["-filter_complex", graph, "-fps_mode", "passthrough", "-f", "null", "-"]
        subprocess.run(command, cwd=folder, check=True)
        log: dict[str, Any] = json.loads((Path(folder) / "log").read_text("utf-8"))
    return np.array([frame["metrics"]["vmaf"] for frame in log["frames"]])


@dataclass(frozen=True)
class Seams:
    """A chunked encode against one pass."""

    name: str
    chunked: Encode
    whole: Encode
    rung: Rung
    segment_frames: int
    joins: Sequence[int]
    """Frames that a chunk begins with, but the first."""

    @property
    def at_joins(self) -> list[float]:
        """Mean VMAF gained (lost, if below 0) within ``NEAR`` frames of each join."""
        gained = self.chunked.vmaf - self.whole.vmaf
        return [float(gained[join - NEAR : join + NEAR].mean()) for join in self.joins]

    @property
    def worst_picture(self) -> float:
        """VMAF that the worst picture near a join gained."""
        gained = self.chunked.vmaf - self.whole.vmaf
        return min(float(gained[join - NEAR : join + NEAR].min()) for join in self.joins)

    @property
    def mean(self) -> float:
        """Mean VMAF gained over all."""
        return float(self.chunked.vmaf.mean() - self.whole.vmaf.mean())

    @property
    def size(self) -> float:
        """By how much it is larger: 0.01 is 1 %."""
        return float(self.chunked.bits.sum() / self.whole.bits.sum() - 1)

    @property
    def lowest_fill(self) -> tuple[float, float]:
        """Chunked, one pass."""
        return self.chunked.lowest_fill(self.rung), self.whole.lowest_fill(self.rung)

    @property
    def peak(self) -> tuple[float, float]:
        """Chunked, one pass."""
        chunked, whole = (
            encode.peak(self.rung, self.segment_frames) for encode in (self.chunked, self.whole)
        )
        return chunked, whole

    @property
    def row(self) -> str:
        """One line of the table."""
        average = float(self.whole.bits.sum()) * RATE / len(self.whole.bits) / self.rung.max_bitrate_bps
        fill, peak = self.lowest_fill, self.peak
        return (
            f"{self.name:14}{self.whole.vmaf.mean():8.2f}{average:8.2f}{min(self.at_joins):8.2f}"
            f"{self.worst_picture:8.2f}{self.mean:8.2f}{self.size:8.2%}"
            f"{fill[0]:9.1%}{fill[1]:8.1%}{peak[0]:8.2f}{peak[1]:6.2f}"
        )


TITLE = """
                  one pass      chunked against one pass (VMAF)            lowest fill      peak/cap
rendition         VMAF bits/cap   joins picture    mean    size  chunked one pass chunked  pass
"""


def report(table: Sequence[Seams]) -> None:
    """Print the figures, and add them to ``REPORT``."""
    text = TITLE + "\n".join(seams.row for seams in table) + "\n"
    print(text)
    if REPORT is not None:
        with REPORT.open("a", encoding="utf-8") as file:
            file.write(text)
