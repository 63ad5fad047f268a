"""The settings that a test has."""

from __future__ import annotations

import json
import os

import pytest


def configure(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Set ``VOD_*`` variables, and make the package read them anew."""
    from vod_operators.settings import get_settings

    for name, value in settings.items():
        monkeypatch.setenv(f"VOD_{name.upper()}", value)
    get_settings.cache_clear()


def allow_sources(monkeypatch: pytest.MonkeyPatch, *entries: str) -> None:
    """Let requests read these, too."""
    named = json.loads(os.environ["VOD_SOURCE_ALLOW"])
    configure(monkeypatch, source_allow=json.dumps([*named, *entries]))
