"""How the validator reads a presentation from a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from vod_operators.errors import InvalidInputError, ObjectNotFoundError
from vod_operators.media.check.facts import SegmentFacts
from vod_operators.media.check.load import MAX_SEGMENT_BYTES
from vod_operators.media.check.presentation import Answer
from vod_operators.storage.base import ReadableStorage

WEB = ("http", "https")


class StoreReader:
    """Reads what playlists name, as far as playlists from ``location`` may name it.

    :param location: of the presentation. One from the web names nothing on this host's disk.
    :param open_store: the store of a URI.
    :param facts: what was measured of segments already, by URI.
    :param drafts: files that are not stored yet, by URI.
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
        """A file, or bytes ``[start, start + length)`` of it; at most as much as a segment may have."""
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
        """What was measured of it while it was written."""
        return self._facts.get(uri)
