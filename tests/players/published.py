"""A published video at the edge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Film:
    """A published video."""

    folder: Path
    url: str
    """Of that folder at the edge."""

    def manifest(self, name: str) -> str:
        """URL of its ``index.m3u8`` or ``manifest.mpd``."""
        if name == "manifest.mpd" and self.transport_stream:
            pytest.skip("DASH is not made of MPEG-TS")
        return f"{self.url}/{name}"

    @property
    def transport_stream(self) -> bool:
        """Whether its segments are MPEG-TS."""
        return any(self.folder.glob("v-*/*/*.ts"))
