"""Ladders of codecs other than H.264."""

from __future__ import annotations

from typing import Any

from support.presets import LADDER

HEVC: dict[str, Any] = LADDER | {"encoder": "libx265", "encoder_preset": "ultrafast"}
AV1: dict[str, Any] = LADDER | {"encoder": "libsvtav1", "encoder_preset": "12"}
