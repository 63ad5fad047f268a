"""``SHA256SUMS`` of a version: the checksums of its files when they were written, for ``sha256sum -c`` too.

The workspace's markers hold the same checksums, but the janitor removes them some days after publication.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vod_operators.errors import CorruptObjectError
from vod_operators.storage.base import Storage

FILE = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_-][A-Za-z0-9_./-]*)")


def lines(digests: Mapping[str, str]) -> Iterator[bytes]:
    """The lines of the file.

    :param digests: SHA-256 in lower-case hex, by path relative to the file.
    """
    for path, digest in digests.items():
        yield f"{digest}  {path}\n".encode()


def read(storage: Storage, uri: str) -> dict[str, str]:
    """The digests by path. A film of ten hours in twelve tracks has 72,000 of them, some 7 MB.

    :raises CorruptObjectError: the file is malformed.
    :raises ObjectNotFoundError: it does not exist.
    """
    digests: dict[str, str] = {}
    remainder = b""
    for block in storage.read(uri):
        *complete_lines, remainder = (remainder + block).split(b"\n")
        digests.update(_parsed(uri, line) for line in complete_lines)
        if len(remainder) > 4096:
            break
    if remainder:
        raise CorruptObjectError(f"{uri}: its last line is incomplete")
    return digests


def _parsed(uri: str, line: bytes) -> tuple[str, str]:
    match = _LINE.fullmatch(line.decode("utf-8", "replace"))
    if match is None:
        raise CorruptObjectError(f"{uri}: a line is not a SHA-256 and a path")
    return match[2], match[1]
