"""The local Airflow that the tests visit."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from support.clips import SOUND, clip
from support.tools import ROOT

SHOTS = ROOT / "build" / "screenshots"
"""Kept, to be looked at."""


@dataclass(frozen=True, kw_only=True)
class LocalAirflow:
    """What `make up` started."""

    url: str
    home: Path
    settings: dict[str, str]
    passwords: dict[str, str]

    @property
    def results(self) -> Path:
        return Path(unquote(urlsplit(self.settings["VOD_RESULTS_URI"]).path))

    def source(self, name: str, frames: int, sounds: int = 1) -> Path:
        """A film of numbered pictures, where requests may read it."""
        film = clip(name, frames=frames, size=(768, 432), sound=[SOUND] * sounds)
        folder = self.home / "originals" / "browser" / uuid.uuid4().hex[:8]
        folder.mkdir(parents=True)
        return Path(shutil.copy(film, folder))
