"""Presets by name: the built-in data files, and those in a folder of the user's."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from vod_operators.errors import InvalidInputError
from vod_operators.media.presets.model import Preset

BUILT_IN = Path(__file__).parent


def preset_names(user_dir: Path | None = None) -> list[str]:
    """Names of all presets, sorted. The file ``NAME.json`` holds the preset ``NAME``."""
    return sorted(_files(user_dir))


def _files(user_dir: Path | None) -> dict[str, Path]:
    folders = [BUILT_IN] + ([user_dir] if user_dir else [])
    return {file.stem: file for folder in folders for file in folder.glob("*.json") if file.is_file()}


def load_preset(name: str, user_dir: Path | None = None) -> Preset:
    """The preset of that name. A user's file takes precedence over a built-in one.

    :raises InvalidInputError: there is no such preset (the message lists all), or its file is invalid (the
        message names the file, the field and what is expected).
    """
    file = _files(user_dir).get(name)
    if file is None:
        raise InvalidInputError(
            f"preset: there is no preset {name!r}; those that exist: {', '.join(preset_names(user_dir))}"
        )
    try:
        data = json.loads(file.read_text("utf-8"))
        return Preset.model_validate({"name": name, **data})
    except (ValueError, TypeError) as error:
        problems = _problems(error) if isinstance(error, ValidationError) else str(error)
        raise InvalidInputError(f"preset {name!r} ({file}) is not usable: {problems}") from None


def _problems(error: ValidationError) -> str:
    """What is wrong with each field. A list that lacks its invalid items is not told as too short besides."""
    items = error.errors()
    places = [item["loc"] for item in items]
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'preset'}: {item['msg']}"
        for item in items
        if item["type"] != "too_short"
        or not any(place != item["loc"] and place[: len(item["loc"])] == item["loc"] for place in places)
    )
