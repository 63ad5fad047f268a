"""Lines of run.py as the table of docs/corpus.md: ``python tests/corpus/table.py LINES [WRONG] > rows``.

WRONG is a text file of what a reviewer refuted: a path, a tab, and the words for the table, one a line. The
first part of each path is the repository, with ``+`` for ``/``. Playlists of one folder with one verdict
share a row.
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any


def verdict(line: dict[str, Any], wrong: dict[str, str]) -> str:
    """The words of one playlist's verdict."""
    if line["path"] in wrong:
        return wrong[line["path"]]
    if "refused" in line:
        return "refused: no `#EXTM3U` at its beginning"
    return " ".join(f"`{rule}`" for rule in line["fail"]) or "right"


def rows(lines: list[dict[str, Any]], wrong: dict[str, str]) -> list[str]:
    """The rows of the table."""

    def place(line: dict[str, Any]) -> tuple[str, str, str]:
        folder = str(Path(line["path"]).parent)
        media = "media" if line.get("files", 0) > line.get("playlists", 0) else "text"
        return folder, media, verdict(line, wrong)

    found = []
    for (folder, media, words), group in groupby(sorted(lines, key=place), key=place):
        repository, _, path = folder.partition("/")
        names = ", ".join(Path(line["path"]).stem for line in group)
        found.append(f"| {repository.replace('+', '/')} | {path} | {names} | {media} | {words} |")
    return found


if __name__ == "__main__":
    judged = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    refuted = Path(sys.argv[2]).read_text("utf-8").splitlines() if len(sys.argv) > 2 else []
    print("\n".join(rows(judged, dict(line.split("\t", 1) for line in refuted))))
