"""Whether what an S3 server has is what was sent to it.

boto3 sends a checksum with each PUT and each part, and AWS refuses a body that differs. Some servers take
both without a word (Ceph RGW 16, s3rver): what was written there is read again, whole.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vod_operators.storage.s3_client import status_and_code
from vod_operators.storage.s3_conditions import beside

_WRONG_CRC32 = "AAAAAA=="
"""Zero; the CRC-32 of ``_BODY`` is another."""

_BODY = b"vod"


@dataclass(frozen=True)
class Digest:
    """What a content is known by."""

    size: int
    """Bytes."""
    sha256: str
    """Lower-case hex."""

    def __str__(self) -> str:
        return f"{self.size} bytes of SHA-256 {self.sha256}"


def digest_of(blocks: Iterable[bytes]) -> Digest:
    size, digest = 0, hashlib.sha256()
    for block in blocks:
        digest.update(block)
        size += len(block)
    return Digest(size, digest.hexdigest())


class ChecksumProbe:
    """Asks servers, each bucket once, whether they refuse a body that is not what its checksum says."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}
        self._asking = threading.Lock()

    def is_known(self, bucket: str) -> bool:
        """Whether the bucket's server is known to verify."""
        return self._known.get(bucket, False)

    def verifies(self, client: Any, bucket: str, key: str) -> bool:
        """Whether the server verifies; tried beside ``key``. False also if that could not be learnt now."""
        with self._asking:
            if bucket not in self._known:
                if client.meta.config.request_checksum_calculation == "when_required":
                    self._known[bucket] = False  # then boto3 sends none
                else:
                    answer = _refuses_wrong_checksum(client, bucket, beside(key))
                    if answer is None:
                        return False
                    self._known[bucket] = answer
            return self._known[bucket]


def _refuses_wrong_checksum(client: Any, bucket: str, key: str) -> bool | None:
    try:
        client.put_object(Bucket=bucket, Key=key, Body=_BODY, ChecksumCRC32=_WRONG_CRC32)
    except Exception as error:
        # 400 BadDigest of AWS and R2; MinIO's is XAmzContentChecksumMismatch. The write before this one was
        # taken, so it is the checksum that is refused.
        return True if status_and_code(error)[0] == 400 else None
    with suppress(Exception):  # what could not be removed is no reason to fail a write that is done
        client.delete_object(Bucket=bucket, Key=key)
    return False
