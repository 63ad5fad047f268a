"""Finds out whether an S3 server verifies the checksums of uploads.

boto3 sends a checksum with each PUT and each part, and AWS refuses a body that does not match. Some servers
ignore checksums (Ceph RGW 16, s3rver), so writes to them are read back.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from vod_operators.storage.s3_client import status_and_code
from vod_operators.storage.s3_conditions import beside

_WRONG_CRC32 = "AAAAAA=="
"""Zero, which is not the CRC-32 of ``_BODY``."""

_BODY = b"vod"


class ChecksumProbe:
    """Finds out, once for each bucket, whether its server refuses a body that does not match its checksum."""

    def __init__(self) -> None:
        self._verifies: dict[str, bool] = {}
        self._asking = threading.Lock()

    def is_known(self, bucket: str) -> bool:
        """Whether the bucket's server is known to verify."""
        return self._verifies.get(bucket, False)

    def verifies(self, client: Any, bucket: str, key: str) -> bool:
        """Whether the server verifies checksums; tried with a key beside ``key``.

        Also false, and tried again next time, if the trial fails for another reason.
        """
        with self._asking:
            if bucket not in self._verifies:
                if client.meta.config.request_checksum_calculation == "when_required":
                    self._verifies[bucket] = False  # boto3 sends no checksums then
                else:
                    refuses = _refuses_wrong_checksum(client, bucket, beside(key))
                    if refuses is None:
                        return False
                    self._verifies[bucket] = refuses
            return self._verifies[bucket]


def _refuses_wrong_checksum(client: Any, bucket: str, key: str) -> bool | None:
    try:
        client.put_object(Bucket=bucket, Key=key, Body=_BODY, ChecksumCRC32=_WRONG_CRC32)
    except Exception as error:
        # AWS and R2 answer 400 BadDigest, MinIO XAmzContentChecksumMismatch. The write before this one
        # succeeded, so the server refuses the checksum.
        return True if status_and_code(error)[0] == 400 else None
    with suppress(Exception):  # a test object that cannot be removed must not fail the real write
        client.delete_object(Bucket=bucket, Key=key)
    return False
