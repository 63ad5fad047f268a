"""The real operators on one source, in one call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.presets import PRESET
from support.published import Published
from support.settings import configure
from support.steps import Steps


class Publisher:
    """Publishes sources with the settings and the preset of a test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch

    def __call__(
        self,
        source: Path,
        *,
        chunk_seconds: int = 1,
        preset: dict[str, Any] | None = None,
        subtitles: Sequence[dict[str, Any]] = (),
        tries: int = 1,
        **settings: str,
    ) -> Published:
        """Publish a source.

        :param preset: fields that differ from ``PRESET``.
        :param subtitles: of the request.
        :param tries: of each step.
        :param settings: ``VOD_*`` settings, named in lower case.
        """
        presets = self.folder / "presets"
        presets.mkdir(exist_ok=True)
        (presets / "exact.json").write_text(json.dumps(PRESET | (preset or {})), "utf-8")
        configure(self.monkeypatch, presets_dir=str(presets), **settings)
        Steps(
            video_id="clip",
            source=source.as_uri(),
            preset="exact",
            chunk_seconds=chunk_seconds,
            subtitles=subtitles,
            tries=tries,
        ).run(until="publish")
        return Published(self.folder / "results" / "clip")
