"""The page's read API as OpenAPI: ``python -m vod_operators.page.schema FILE`` writes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from vod_operators.page.app import create_app


def schema() -> dict[str, Any]:
    """The OpenAPI document. Its version is the package's."""
    return create_app().openapi()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(schema(), indent=2) + "\n", "utf-8")
