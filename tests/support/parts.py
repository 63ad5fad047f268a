"""Parts of a track whose files are in memory, and the whole track that they make up."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from vod_operators.media.pieces import Part, own_fragments, renumber


@dataclass(frozen=True)
class _InMemory:
    data: bytes

    def open(self, mode: str) -> BinaryIO:
        assert mode == "rb"
        return io.BytesIO(self.data)


def in_memory(data: bytes, **facts: Any) -> Part:
    return Part(path=cast(Path, _InMemory(data)), **facts)


def joined(parts: Sequence[Part]) -> bytes:
    """One init segment, and the fragments of all parts, numbered through."""
    (init, *first), *others = ([*own_fragments(part)] for part in parts)
    assert all(other[0] == init for other in others)
    data = bytearray(b"".join([init, *first, *chain.from_iterable(other[1:] for other in others)]))
    renumber(data, 1)
    return bytes(data)
