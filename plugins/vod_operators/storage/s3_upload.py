"""Uploads blocks from an iterator to S3, in parts of bounded number and size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vod_operators.storage.base import Block

PART_BYTES = 8 << 20
PARTS_IN_FLIGHT = 4
"""4 parts of 8 MiB in flight, and one being read and joined, limit a write's memory to some 50 MiB. S3 allows
10,000 parts: 78 GiB for a stream of unknown length (the parts of files grow as needed)."""


class BlockReader:
    """An iterator of blocks as a non-seekable file for ``upload_fileobj``.

    A read is short only at the end, because s3transfer takes a short read for the end of the stream.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = iter(blocks)
        self._remainder = memoryview(b"")
        self.failure: BaseException | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        if self.failure is not None:
            raise self.failure  # a generator that has raised only looks finished when it is asked again
        parts: list[memoryview] = []
        remaining = size
        while size < 0 or remaining > 0:
            if not self._remainder:
                try:
                    block = next(self._blocks, None)
                except BaseException as error:
                    self.failure = error
                    raise
                if block is None:
                    break
                self._remainder = memoryview(block)
                continue
            part = self._remainder if size < 0 else self._remainder[:remaining]
            self._remainder = self._remainder[len(part) :]
            remaining -= len(part)
            parts.append(part)
        return b"".join(parts)


def transfer_config() -> Any:
    """boto3's ``TransferConfig`` for files and streams."""
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(
        multipart_threshold=PART_BYTES,
        multipart_chunksize=PART_BYTES,
        max_concurrency=PARTS_IN_FLIGHT,
        preferred_transfer_client="classic",
    )
    config.max_in_memory_upload_chunks = PARTS_IN_FLIGHT
    return config
