"""``vod check`` of a whole film: nine renditions and sound, made by ffmpeg from a few seconds that repeat."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from vod_operators.runners.tools import Tools

LADDER = [
    (234, 50),
    (270, 120),
    (360, 240),
    (432, 360),
    (540, 660),
    (720, 1000),
    (720, 1500),
    (1080, 2000),
    (1080, 2600),
]
"""Height and kb/s of each rendition: two hours have 8 GB."""

REPEATED_S = 12


def film(folder: Path, minutes: int, say: Callable[[str], None]) -> Path:
    """The master playlist of a film of so many minutes; it is made once."""
    made = folder / f"check-{minutes}"
    if (made / "master.m3u8").exists():
        return made / "master.m3u8"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    tool = [Tools().ffmpeg, "-v", "error", "-nostdin", "-y"]
    sound = made / "sound.mp4"
    tone = ["-f", "lavfi", "-i", f"sine=r=48000:d={REPEATED_S}", "-c:a", "aac", "-b:a", "128k"]
    subprocess.run([*tool, *tone, sound], check=True)
    inputs: list[Path] = []
    for height, kbps in LADDER:
        say(f"encoding {height}p at {kbps} kb/s")
        path = made / f"{height}-{kbps}.mp4"
        noise = f"testsrc2=s={height * 16 // 18 * 2}x{height}:r=25:d={REPEATED_S},noise=alls=20:allf=t"
        subprocess.run(
            [*tool, "-f", "lavfi", "-i", noise, "-c:v", "libx264", "-preset", "veryfast", "-bf", "3",
             "-pix_fmt", "yuv420p", "-g", "50", "-sc_threshold", "0", "-flags", "+cgop", "-b:v", f"{kbps}k",
             "-maxrate", f"{kbps}k", "-bufsize", f"{kbps}k", path],
            check=True,
        )  # fmt: skip
        inputs.append(path)
    say(f"repeating them for {minutes} minutes")
    argv: list[str | Path] = [*tool]
    for path in [*inputs, sound]:
        argv += ["-stream_loop", str(minutes * 60 // REPEATED_S - 1), "-i", path]
    for number in range(len(inputs) + 1):
        argv += ["-map", str(number)]
    streams = [*(f"v:{n},agroup:sound" for n in range(len(inputs))), "a:0,agroup:sound,default:yes"]
    argv += [
        "-c", "copy", "-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod",
        "-hls_segment_type", "fmp4", "-hls_flags", "independent_segments",
        "-master_pl_name", "master.m3u8", "-var_stream_map", " ".join(streams),
        "-hls_segment_filename", "%v/%d.m4s", "%v/index.m3u8",
    ]  # fmt: skip
    subprocess.run(argv, cwd=made, check=True)
    return made / "master.m3u8"


def measure(folder: Path, repeat: int, minutes: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds, CPU seconds, peak memory and bytes read of one check, by run."""
    master = film(folder, minutes, say)
    size = sum(path.stat().st_size for path in master.parent.rglob("*.m4s"))
    runs = []
    for n in range(repeat):
        say(f"run {n + 1} of {repeat}")
        runs.append(_run(master))
    return {"minutes": minutes, "renditions": len(LADDER), "media_mb": size / 1e6, "runs": runs}


def _run(master: Path) -> dict[str, float]:
    begin = time.monotonic()
    process = psutil.Popen(
        [sys.executable, "-m", "vod_operators.cli.main", "check", str(master), "--json"],
        stdout=subprocess.PIPE,
    )
    read = cpu = peak = 0.0
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        with process.oneshot():
            times = process.cpu_times()
            read, cpu = process.io_counters().read_chars / 1e6, times.user + times.system
            peak = max(peak, process.memory_info().rss / 1e6)
        time.sleep(0.05)
    verdicts = json.loads(process.communicate()[0])
    assert verdicts, "the check said nothing"
    return {"wall_s": time.monotonic() - begin, "cpu_s": cpu, "peak_mb": peak, "read_mb": read}


def table(found: dict[str, Any]) -> list[str]:
    """The lines to print."""
    lines = [
        f"{found['minutes']} minutes, {found['renditions']} renditions and sound, {found['media_mb']:.0f} MB",
        f"{'wall':>10}{'CPU':>10}{'memory':>12}{'read':>12}",
    ]
    lines += [
        f"{run['wall_s']:>8.1f} s{run['cpu_s']:>8.1f} s{run['peak_mb']:>9.0f} MB{run['read_mb']:>9.0f} MB"
        for run in found["runs"]
    ]
    return lines
