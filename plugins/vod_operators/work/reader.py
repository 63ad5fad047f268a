"""Lets the validator read a presentation from a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from vod_operators.check.presentation import Answer
from vod_operators.errors import InvalidInputError, ObjectNotFoundError
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.segment import MAX_SEGMENT_BYTES
from vod_operators.storage.base import ReadableStorage

WEB = ("http", "https")


@dataclass(frozen=True, eq=False)
class StoreReader:
    """Reads the files that playlists name: those of the location's own scheme, and those on the web."""

    location: str
    """URI of the presentation. So a playlist from the web cannot name a file of this host."""
    open_store: Callable[[str], ReadableStorage]
    """Returns the store of a URI."""
    facts: Mapping[str, SegmentFacts] = field(default_factory=dict)
    """Of segments that are already measured, by URI."""
    drafts: Mapping[str, bytes] = field(default_factory=dict)
    """Contents of files that are not stored yet, by URI."""

    def read(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        """A file, or its bytes ``[start, start + length)``.

        :raises ObjectNotFoundError: it does not exist, may not be read, or exceeds ``MAX_SEGMENT_BYTES``.
        """
        if uri in self.drafts:
            return self.drafts[uri]
        if urlsplit(uri).scheme not in (urlsplit(self.location).scheme, *WEB):
            raise ObjectNotFoundError(f"{uri} is not read: the presentation is from another place")
        data = bytearray()
        try:
            for block in self.open_store(uri).read(uri, start=start, length=length):
                data += block
                if len(data) > MAX_SEGMENT_BYTES:
                    raise InvalidInputError(f"{uri} has more than {MAX_SEGMENT_BYTES} bytes")
        except InvalidInputError as error:  # refused, or no name of a file
            raise ObjectNotFoundError(str(error)) from error
        return bytes(data)

    def answer(self, uri: str) -> Answer | None:
        """None: a store is no web server."""
        return None

    def known(self, uri: str) -> SegmentFacts | None:
        """The facts of a segment that were measured when it was written; None if there are none."""
        return self.facts.get(uri)
