"""JSON Schemas of what the CMS reads: ``python -m vod_operators.work.schemas FOLDER`` writes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from vod_operators.work.result import VideoResult
from vod_operators.work.webhook import Event


class Told(VideoResult):
    """What ``publish`` returns and the CMS receives."""

    playlist: str
    """URI of the stable playlist in the results store."""


def schemas() -> dict[str, dict[str, Any]]:
    """File name -> JSON Schema (draft 2020-12) of ``video.json`` and of a callback's body."""
    video = VideoResult.model_json_schema(mode="serialization")
    event = Event.model_json_schema(mode="serialization")
    told = Told.model_json_schema(mode="serialization", ref_template="#/$defs/{model}")
    event["$defs"] |= told.pop("$defs") | {"Told": told}
    event["properties"]["result"] = {"$ref": "#/$defs/Told"}
    # Fields that do not apply are left out, never null.
    event["properties"]["failure"] = {"$ref": "#/$defs/Failure"}
    event["properties"]["failed_tasks"] = {"type": "array", "items": {"type": "string"}}
    return {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title} | schema
        for name, title, schema in (("video.json", "video.json", video), ("callback.json", "callback", event))
    }


def write(folder: Path) -> None:
    """Write the schemas into a folder, which is created if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(json.dumps(schema, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
