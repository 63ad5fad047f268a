"""``SHA256SUMS`` of a version: what each of its files was when it was made, as ``sha256sum -c`` reads it.

The workspace's markers know the same, and are gone some days after the video is published.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vod_operators.errors import CorruptObjectError
from vod_operators.storage.base import Storage

FILE = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_-][A-Za-z0-9_./-]*)")


def lines(digests: Mapping[str, str]) -> Iterator[bytes]:
    """The file's content.

    :param digests: SHA-256 in lower-case hex, by path from where the file is.
    """
    for path, digest in digests.items():
        yield f"{digest}  {path}\n".encode()


def read(storage: Storage, uri: str) -> dict[str, str]:
    """The digests by path. A film of ten hours in twelve tracks has 72,000, some 7 MB.

    :raises CorruptObjectError: it is not what this package writes.
    :raises ObjectNotFoundError: it does not exist.
    """
    found: dict[str, str] = {}
    rest = b""
    for block in storage.read(uri):
        *whole, rest = (rest + block).split(b"\n")
        found.update(_parsed(uri, line) for line in whole)
        if len(rest) > 4096:
            break
    if rest:
        raise CorruptObjectError(f"{uri}: its last line has no end")
    return found


def _parsed(uri: str, line: bytes) -> tuple[str, str]:
    match = _LINE.fullmatch(line.decode("utf-8", "replace"))
    if match is None:
        raise CorruptObjectError(f"{uri}: a line is not a SHA-256 and a path")
    return match[2], match[1]
