"""Peak memory of every step, on a short and on a long video: `make bench PARTS=memory`.

Each step runs the real operator in a process of its own, outside Airflow. Printed is the largest
resident size, in MB, of the task's process (Airflow's imports included) and of the largest tool it
started (ffmpeg, ffprobe, packager), for 3 and for 30 minutes. They must not grow with the video.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PRESET = {
    "title": "Bench",
    "description": "One rendition that encodes quickly into a large file.",
    "ladders": [
        {
            "encoder": "libx264",
            "encoder_preset": "ultrafast",
            "rungs": [
                {
                    "name": "360p",
                    "width": 640,
                    "height": 360,
                    "crf": 16,
                    "max_bitrate_bps": 6_000_000,
                    "buffer_bits": 6_000_000,
                }
            ],
        }
    ],
    "audio": {"bitrate_bps": 128_000},
}


def compare(minutes: Sequence[int], say: Callable[[str], None]) -> dict[str, Any]:
    """Minutes -> step -> MB of the task's process and of its largest tool."""
    with tempfile.TemporaryDirectory(prefix="vod-bench-") as name:
        return {str(length): measure(Path(name), length, say) for length in minutes}


def table(found: dict[str, Any]) -> list[str]:
    heads = "".join(f"{f'{m} min: task':>16}{'tool':>8}" for m in found)
    lines = [f"{'MB':<10}{heads}   ratio of task"]
    for task in next(iter(found.values())):
        rows = [steps[task] for steps in found.values()]
        cells = "".join(f"{own:>16.0f}{tool:>8.0f}" for own, tool in rows)
        lines.append(f"{task:<10}{cells}{rows[-1][0] / rows[0][0]:>10.2f}")
    return lines


def measure(root: Path, minutes: int, say: Callable[[str], None]) -> dict[str, tuple[float, float]]:
    """Task -> MB of the task's process and of its largest tool."""
    source, home = generate(root, minutes), root / str(minutes)
    (home / "presets").mkdir(parents=True)
    (home / "presets" / "bench.json").write_text(json.dumps(PRESET))
    env = os.environ | {
        "AIRFLOW_HOME": str(home / "airflow"),
        "VOD_TEMP_URI": (home / "tmp").as_uri(),
        "VOD_RESULTS_URI": (home / "results").as_uri(),
        "VOD_WORK_DIR": str(home / "work"),
        "VOD_PRESETS_DIR": str(home / "presets"),
        "VOD_SOURCE_ALLOW": json.dumps([root.as_uri()]),
    }
    peaks: dict[str, tuple[float, float]] = {}

    def run(task: str, operator: str, **given: Any) -> Any:
        say(f"{minutes} minutes: {task}")
        out = subprocess.run(
            [sys.executable, __file__, task, operator, json.dumps(given)],
            env=env,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        answer = json.loads(out.stdout.splitlines()[-1])
        old = peaks.get(task, (0.0, 0.0))
        peaks[task] = (max(old[0], answer["task_mb"]), max(old[1], answer["tool_mb"]))
        return answer["result"]

    found = run("prepare", "prepare.VodPrepareOperator", video_id="v", source=source.as_uri(), preset="bench")
    plan = found["pushed"]["plan"]
    for chunk in run("split", "split.VodSplitOperator", plan=plan, source=source.as_uri()):
        run(
            "transcode", "transcode.VodTranscodeChunkOperator", plan=plan, source=source.as_uri(), chunk=chunk
        )
    for track in found["returned"]:
        run("audio", "audio.VodEncodeAudioOperator", plan=plan, source=source.as_uri(), track=track)
    run("pictures", "pictures.VodPicturesOperator", plan=plan)
    for track in found["pushed"]["tracks"]:
        run("segment", "segment.VodSegmentHlsOperator", plan=plan, track=track)
    run("publish", "publish.VodPublishOperator", plan=plan)
    return peaks


def generate(root: Path, minutes: int) -> Path:
    """A 1080p29.97 video of 8 Mb/s with stereo sound; one minute is made and repeated."""
    import imageio_ffmpeg

    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    minute = root / "minute.mp4"
    if not minute.exists():
        inputs = ["-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30000/1001:d=60"]
        inputs += ["-f", "lavfi", "-i", "sine=440:r=48000:d=60"]
        codecs = [
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-b:v",
            "8M",
            "-g",
            "120",
            "-c:a",
            "aac",
            "-ac",
            "2",
        ]
        subprocess.run([*ffmpeg, *inputs, *codecs, "-shortest", str(minute)], check=True)
    path = root / f"{minutes}.mp4"
    loop = ["-stream_loop", str(minutes - 1), "-i", str(minute), "-c", "copy"]
    subprocess.run([*ffmpeg, *loop, str(path)], check=True)
    return path


def step(task: str, operator: str, given: dict[str, Any]) -> dict[str, Any]:
    """Run one operator here, and say what it took."""
    from importlib import import_module

    module, name = operator.split(".")
    instance = getattr(import_module(f"vod_operators.operators.{module}"), name)(task_id=task, **given)
    run = SimpleNamespace(dag_id="bench", run_id="bench", start_date=None)
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(task_id=task, map_index=-1, xcom_push=pushed.__setitem__)
    begin, spent = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    returned = instance.execute({"dag_run": run, "ti": ti})
    wall_s, used = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_SELF)
    result = {"returned": returned, "pushed": pushed} if pushed else returned
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tools = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    cpu_s = used.ru_utime + used.ru_stime - spent.ru_utime - spent.ru_stime
    return {"result": result, "task_mb": own, "tool_mb": tools, "wall_s": wall_s, "cpu_s": cpu_s}


if __name__ == "__main__":
    print(json.dumps(step(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
