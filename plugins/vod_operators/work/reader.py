"""Lets the validator read a presentation from a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from vod_operators.check.presentation import Answer
from vod_operators.errors import InvalidInputError, ObjectNotFoundError
from vod_operators.formats.facts import SegmentFacts
from vod_operators.formats.segment import MAX_SEGMENT_BYTES
from vod_operators.storage.base import ReadableStorage

WEB = ("http", "https")


class StoreReader:
    """Reads the files that playlists name: those of the location's own scheme, and those on the web.

    :param location: URI of the presentation. So a playlist from the web cannot name a file of this host.
    :param open_store: returns the store of a URI.
    :param facts: of segments that are already measured, by URI.
    :param drafts: contents of files that are not stored yet, by URI.
    """

    def __init__(
        self,
        location: str,
        open_store: Callable[[str], ReadableStorage],
        facts: Mapping[str, SegmentFacts] | None = None,
        drafts: Mapping[str, bytes] | None = None,
    ) -> None:
        self._schemes = {urlsplit(location).scheme, *WEB}
        self._open_store = open_store
        self._facts = facts or {}
        self._drafts = drafts or {}

    def read(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        """A file, or its bytes ``[start, start + length)``.

        :raises ObjectNotFoundError: it does not exist, may not be read, or exceeds ``MAX_SEGMENT_BYTES``.
        """
        if uri in self._drafts:
            return self._drafts[uri]
        if urlsplit(uri).scheme not in self._schemes:
            raise ObjectNotFoundError(f"{uri} is not read: the presentation is from another place")
        data = bytearray()
        try:
            for block in self._open_store(uri).read(uri, start=start, length=length):
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
        return self._facts.get(uri)
