"""Parts of a track, and the whole track that they make up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vod_operators.media.pieces import Part, own_fragments, renumber

_FOLDER = TemporaryDirectory(prefix="vod-parts-")
_NUMBERS = count()


def part_of(data: bytes, **facts: Any) -> Part:
    """A part whose file has this content. The file lasts as long as the test process."""
    path = Path(_FOLDER.name) / f"{next(_NUMBERS)}.mp4"
    path.write_bytes(data)
    return Part(path=path, **facts)


def joined(parts: Sequence[Part]) -> bytes:
    """One init segment, and the fragments of all parts, numbered through."""
    (init, *first), *others = ([*own_fragments(part)] for part in parts)
    assert all(other[0] == init for other in others)
    data = bytearray(b"".join([init, *first, *chain.from_iterable(other[1:] for other in others)]))
    renumber(data, 1)
    return bytes(data)
