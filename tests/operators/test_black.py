"""One chunk of which nothing can be decoded is shown black, and belongs to the track of the other chunks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.clips import run_ffmpeg
from support.presets import LADDER, write_preset
from support.settings import configure
from support.steps import Steps
from support.tools import FFMPEG

SIZE, RATE, CHUNK_S = (128, 72), 25, 2


def tagged(primaries: int, transfer: int, matrix: int) -> tuple[str, ...]:
    """Options for H.264 with these colours, as numbers of H.273."""
    colours = f"colour_primaries={primaries}:transfer_characteristics={transfer}:matrix_coefficients={matrix}"
    return ("-pix_fmt", "yuv420p", "-bsf:v", f"h264_metadata={colours}")


SOURCES: dict[str, tuple[str, ...]] = {
    "untagged": ("-pix_fmt", "yuv420p"),
    "bt709": tagged(1, 1, 1),
    "ntsc": tagged(6, 6, 6),
    "pal": tagged(5, 6, 5),
    "bt2020": tagged(9, 14, 9),
    "full-range": ("-pix_fmt", "yuvj420p"),
    "topleft": ("-pix_fmt", "yuv420p", "-bsf:v", "h264_metadata=chroma_sample_loc_type=2"),
    "444": ("-pix_fmt", "yuv444p"),
    "rgb": ("-c:v", "libx264rgb", "-pix_fmt", "bgr24"),
}

OTHERS: dict[str, dict[str, Any]] = {
    "hevc": {"ladders": [LADDER | {"encoder": "libx265", "encoder_preset": "superfast"}]},
    "av1": {"ladders": [LADDER | {"encoder": "libsvtav1", "encoder_preset": "12"}]},
    "10-bit": {"ladders": [LADDER | {"encoder": "libx265", "encoder_preset": "superfast", "bit_depth": 10}]},
}
"""Presets that differ from H.264 with 8 bits."""

CASES = [
    pytest.param(SOURCES["untagged"], {}, 1, id="first"),
    *(pytest.param(options, {}, 2, id=name) for name, options in SOURCES.items()),
    *(pytest.param(SOURCES["ntsc"], preset, 2, id=name) for name, preset in OTHERS.items()),
]


@pytest.mark.parametrize(("options", "preset", "black"), CASES)
def test_one_chunk_is_black(
    options: tuple[str, ...],
    preset: dict[str, Any],
    black: int,
    stores: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An ffmpeg that decodes nothing of the first or the second of two chunks."""
    blind = tmp_path / "ffmpeg"
    blind.write_text(
        f'#!/bin/sh\ncase "$*" in *end_pts={2 * CHUNK_S * RATE}*) number=2;; *) number=1;; esac\n'
        f'case "$number $*" in "{black} "*chunk.nut*filter_complex*movflags*)\n'
        'echo "[h264 @ 0x1] non-existing PPS 0 referenced" >&2\n'
        f'echo "Could not open encoder before EOF" >&2; exit 234;; esac\nexec "{FFMPEG}" "$@"\n'
    )
    blind.chmod(0o755)
    presets = write_preset(stores / "presets", **preset)
    configure(monkeypatch, ffmpeg=str(blind), presets_dir=str(presets), certificate="true")
    source = tmp_path / "film.mp4"
    run_ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=s=256x144:r={RATE}:d={2 * CHUNK_S}", "-c:v", "libx264",
        "-preset", "veryfast", "-g", str(CHUNK_S * RATE), *options, str(source),
    )  # fmt: skip

    Steps(video_id="film", source=source.as_uri(), chunk_seconds=CHUNK_S).run("release")

    results = stores / "results/film"
    (damage,) = json.loads((results / "video.json").read_text("utf-8"))["source"]["damage"]
    assert "shown black" in damage
    chunks = luma(next(results.rglob("full/index.m3u8"))).reshape(2, -1)
    assert chunks[black - 1].max() <= 18
    assert chunks[2 - black].max() > 150


def luma(playlist: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Brightness of all pixels of all pictures, in limited range, one after the other."""
    raw = subprocess.run(
        [FFMPEG, "-v", "error", "-nostdin", "-allowed_extensions", "ALL", "-i", str(playlist),
         "-vf", "extractplanes=y", "-pix_fmt", "gray", "-f", "rawvideo", "-"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    pictures = np.frombuffer(raw, np.uint8)
    assert pictures.size == 2 * CHUNK_S * RATE * SIZE[0] * SIZE[1]
    return pictures
