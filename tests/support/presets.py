"""Presets that encode fast, in small pieces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def _rung(name: str, width: int, height: int, crf: int, bps: int) -> dict[str, Any]:
    box = {"name": name, "width": width, "height": height}
    return box | {"crf": crf, "max_bitrate_bps": bps, "buffer_bits": bps}


LADDER: dict[str, Any] = {
    "encoder": "libx264",
    "encoder_preset": "veryfast",
    "rungs": [
        _rung("half", 64, 36, 20, 600_000),
        _rung("full", 128, 72, 20, 900_000),
        # Made only of sources that are larger, at the source's own size.
        _rung("own", 7680, 4320, 23, 9_000_000),
    ],
}

PRESET: dict[str, Any] = {
    "title": "exact",
    "description": "Chunks and segments of one second, so that a short clip has many joins.",
    "gop_seconds": 1,
    "segment_gops": 1,
    "ladders": [LADDER],
    "audio": {"channels": 2, "sample_rate": 48000, "bitrate_bps": 128_000},
}


def write_preset(folder: Path, name: str = "tiny", **changes: Any) -> Path:
    """Two tiny renditions, chunks of one second."""
    folder.mkdir(parents=True, exist_ok=True)
    ladder = LADDER | {"rungs": LADDER["rungs"][:2]}
    preset = PRESET | {"title": name, "ladders": [ladder]} | changes
    (folder / f"{name}.json").write_text(json.dumps(preset), "utf-8")
    return folder
