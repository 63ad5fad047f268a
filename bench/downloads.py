"""How long a file to download takes that is joined from a gigabyte of segments, beside a plain copy of it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench import media

SECONDS = 80

PRESET = {
    "title": "Bench",
    "description": "One rendition that encodes quickly into a gigabyte.",
    "ladders": [
        {
            "encoder": "libx264",
            "encoder_preset": "ultrafast",
            "rungs": [
                {
                    "name": "720p",
                    "width": 1280,
                    "height": 720,
                    "crf": 1,
                    "max_bitrate_bps": 100_000_000,
                    "buffer_bits": 100_000_000,
                }
            ],
        }
    ],
    "audio": {"bitrate_bps": 128_000},
    "downloads": ["720p"],
}


def measure(folder: Path, repeat: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Wall and CPU seconds a gigabyte of joining the file, and of copying it, by run."""
    home = folder / f"downloads-{os.getpid()}"
    (home / "presets").mkdir(parents=True)
    (home / "presets" / "bench.json").write_text(json.dumps(PRESET))
    source = home / "noise.mp4"
    say("making a source")
    media.ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=s=1280x720:r=25:d={SECONDS},noise=alls=60:allf=t",
        "-f", "lavfi", "-i", f"sine=440:r=48000:d={SECONDS}",
        "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "100M", "-g", "50", "-pix_fmt", "yuv420p",
        "-c:a", "aac", "-ac", "2", str(source),
    )  # fmt: skip
    env = os.environ | {
        "AIRFLOW_HOME": str(home / "airflow"),
        "VOD_TEMP_URI": (home / "tmp").as_uri(),
        "VOD_RESULTS_URI": (home / "results").as_uri(),
        "VOD_WORK_DIR": str(home / "work"),
        "VOD_PRESETS_DIR": str(home / "presets"),
        "VOD_SOURCE_ALLOW": json.dumps([home.as_uri()]),
    }

    def run(task: str, operator: str, **given: Any) -> dict[str, Any]:
        out = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("memory.py")), task, operator, json.dumps(given)],
            env=env,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        answer: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
        return answer

    uri = source.as_uri()
    say("encoding a gigabyte")
    found = run("prepare", "prepare.VodPrepareOperator", video_id="v", source=uri, preset="bench")["result"]
    plan = found["pushed"]["plan"]
    for chunk in run("split", "split.VodSplitOperator", plan=plan, source=uri)["result"]:
        run("transcode", "transcode.VodTranscodeChunkOperator", plan=plan, source=uri, chunk=chunk)
    for track in found["returned"]:
        run("audio", "audio.VodEncodeAudioOperator", plan=plan, source=uri, track=track)
    (track,) = (track for track in found["pushed"]["tracks"] if "download" in track)
    runs = []
    for n in range(repeat):
        say(f"run {n + 1} of {repeat}")
        for marker in (home / "tmp").rglob("*download*.done.json"):
            marker.unlink()
        answer = run("segment", "segment.VodSegmentHlsOperator", plan=plan, track=track)
        (made,) = (home / "results").rglob("downloads/*.mp4")
        runs.append({"joined": answer["wall_s"], "joined_cpu": answer["cpu_s"], **_copied(made)})
        gigabytes = made.stat().st_size / 1e9
        made.unlink()
    shutil.rmtree(home)
    return {"gigabytes": gigabytes, "runs": runs}


def _copied(path: Path) -> dict[str, float]:
    """Wall and CPU seconds of a plain copy."""
    target = path.with_suffix(".copy")
    begin, spent = time.monotonic(), _cpu_s()
    with path.open("rb") as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
    found = {"copied": time.monotonic() - begin, "copied_cpu": _cpu_s() - spent}
    target.unlink()
    return found


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def table(found: dict[str, Any]) -> list[str]:
    """The lines to print."""
    lines = [f"{found['gigabytes']:.2f} GB; seconds a GB{'wall':>12}{'CPU':>8}"]
    for name in ("joined", "copied"):
        wall, cpu = (
            median(run[key] for run in found["runs"]) / found["gigabytes"] for key in (name, f"{name}_cpu")
        )
        lines.append(f"{name:<25}{wall:>12.2f}{cpu:>8.2f}")
    return lines
