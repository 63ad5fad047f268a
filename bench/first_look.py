"""What it takes to find a source good: `make bench PARTS=first_look`.

Of an H.264 MP4 of each length: seconds of the whole inspection in the first task, and of the part of it that
tries whether each stream can be cut (a second of it, decoded from the file and from the cut).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.media import CLIP, ffmpeg


def measure(folder: Path, repeat: int, minutes: Sequence[int], say: Callable[[str], None]) -> dict[str, Any]:
    """Minutes -> seconds of ``inspection`` and of its ``trial``, of each run."""
    found = {}
    for length in minutes:
        path = folder / f"first-look-{length}.mp4"
        if not path.exists():
            say(f"making {length} minutes")
            ffmpeg(
                "-stream_loop", "-1", "-i", str(CLIP), "-t", str(60 * length), "-c", "copy", str(path)
            )  # fmt: skip
        say(f"{length} minutes")
        runs = [_look(path) for _ in range(repeat)]
        found[str(length)] = {name: [run[name] for run in runs] for name in runs[0]}
    return found


def _look(source: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="vod-bench-") as name:
        os.environ.setdefault("AIRFLOW_HOME", name)
        from vod_operators.runners.local import LocalRunner
        from vod_operators.runners.tools import Tools
        from vod_operators.settings import get_settings
        from vod_operators.work import inspection
        from vod_operators.work.source import Excerpt

        path = Path(name, "source")
        path.symlink_to(source)
        excerpt = Excerpt(path, source.stat().st_size)
        runner, tools, limits = LocalRunner(), Tools(), get_settings().limits
        begin = time.monotonic()
        found = inspection.inspect(runner, tools, excerpt, limits=limits)
        whole, begin = time.monotonic() - begin, time.monotonic()
        tried = inspection.Trial(runner, tools, excerpt, found).streams_that_can_be_cut()
        assert found.video is not None and found.video.index in tried, "the trial did not end at once"
        return {"inspection": whole, "trial": time.monotonic() - begin}


def table(found: dict[str, Any]) -> list[str]:
    lines = [f"{'minutes':<10}{'inspection s':>14}{'its trial s':>14}   medians"]
    for minutes, runs in found.items():
        whole, trial = (statistics.median(runs[name]) for name in ("inspection", "trial"))
        lines.append(f"{minutes:<10}{whole:>14.2f}{trial:>14.2f}")
    return lines
