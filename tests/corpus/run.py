"""Judges every presentation in a folder of playlists: ``python tests/corpus/run.py FOLDER [RULE ...]``.

For whoever repeats docs/corpus.md, or has playlists of their own. Nothing is asked of the web: a file that is
not in the folder is absent, and 0.files says nothing of it here. Prints JSON, a line for each playlist that
no other one names: path, playlists in it, files read and absent, rules that fail or warn, their findings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from vod_operators.check.load import Loader
from vod_operators.check.playlist import parse
from vod_operators.check.presentation import Answer
from vod_operators.check.rule import judge
from vod_operators.check.rules import RULES
from vod_operators.errors import InvalidInputError, ObjectNotFoundError
from vod_operators.formats.facts import SegmentFacts


class Folder:
    """Reads files on this machine, and remembers which were there."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.absent: set[str] = set()

    def read(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        """As ``Reader.read``."""
        path = Path(unquote(urlsplit(uri).path))
        if urlsplit(uri).scheme != "file" or not path.is_file():
            self.absent.add(uri)
            raise ObjectNotFoundError(f"{uri} is not in the folder")
        self.files.add(uri)
        with path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def answer(self, uri: str) -> Answer | None:
        """As ``Reader.answer``: no server is asked."""
        return None

    def known(self, uri: str) -> SegmentFacts | None:
        """As ``Reader.known``: everything is read."""
        return None


def roots(paths: Collection[Path]) -> list[Path]:
    """The playlists that no multivariant playlist among them names."""
    named = set()
    for path in paths:
        playlist = parse(path.as_uri(), path.read_text("utf-8", "replace"))
        uris = [uri for uri, _ in (*playlist.variants, *playlist.i_frames)]
        named |= {*uris, *(item.get("URI", "") for item in playlist.media)}
    return [path for path in sorted(paths) if path.as_uri() not in named]


def judged(path: Path, only: Collection[str] = ()) -> dict[str, Any]:
    """The line of one playlist.

    :param only: ids of the rules to judge by; all if empty.
    """
    reader = Folder()
    try:
        presentation = Loader(reader).load(path.as_uri())
    except InvalidInputError as error:
        return {"refused": str(error)}
    broken: dict[str, list[str]] = {"fail": [], "warn": []}
    findings = {}
    for verdict in judge(presentation, [rule for rule in RULES if not only or rule.id in only]):
        told = [f for f in verdict.findings if "is not in the folder" not in f.found]
        if told and verdict.status in broken:
            broken[verdict.status].append(verdict.rule.id)
            findings[verdict.rule.id] = [f"{f.where}: {f.found}; expected {f.expected}" for f in told]
    playlists = sum(not playlist.unreadable for playlist in presentation.playlists)
    counts = {"playlists": playlists, "files": len(reader.files), "absent": len(reader.absent)}
    return {**counts, **broken, "findings": findings}


def main(folder: str, *only: str) -> None:
    """Print the lines."""
    top = Path(folder).resolve()
    for path in roots([path for path in top.rglob("*") if path.suffix.lower() in (".m3u8", ".m3u")]):
        print(json.dumps({"path": str(path.relative_to(top)), **judged(path, only)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
