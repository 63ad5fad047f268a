"""Conditional writes on S3, adapted to how a server treats conditions.

RFC 9110 and AWS write an ETag in quotes. Ceph RGW 16 compares ``If-Match`` with the bare hash, so a quoted
ETag never matches. Other servers answer 501, or ignore conditions. The RFC's form is therefore sent first. If
the server refuses it although the condition is true, a trial finds out once what the server does.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vod_operators.errors import StorageError, UnsafeStoreError
from vod_operators.storage.s3_client import status_and_code

TRIES = 5
"""Conflicts (409) of one write before giving up."""

FORMS: Mapping[str, Callable[[str], str]] = {
    "quoted": lambda etag: '"' + etag.strip('"') + '"',
    "bare": lambda etag: etag.strip('"'),
}
"""Forms of an ETag in ``If-Match``, in the order in which they are tried."""

_WRITE_ID = "vod-write"

_REFUSALS = (400, 405, 412, 501)
"""Statuses by which servers refuse a write because its condition is false or not supported."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How a server treats conditions."""

    creates: bool = True
    """Whether ``If-None-Match: *`` works."""
    form: str | None = "quoted"
    """The form of an ETag with which ``If-Match`` works; None if there is none."""
    faults: str = ""
    """What the server does wrong, in words for people."""


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """The outcome of a PUT: the new object's ETag, or the error of a refusal."""

    etag: str | None = None
    status: int = 200
    error: Exception | None = None
    current: str | None = None
    """After a 412, the ETag of the existing object; None if there is none."""


class ConditionalWrites:
    """Small writes that happen only if the object has the expected ETag, or does not exist.

    :param client: returns the boto3 client.
    :param explained: translates an error of boto3, given a URI, into this package's.
    :param pause: waits before the next try, given the number of the failed one.
    :param accept_unsafe: on a server that does not honour a condition, compare the ETag and then write.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        explained: Callable[[Exception, str], Exception],
        pause: Callable[[int], None],
        *,
        accept_unsafe: bool,
    ) -> None:
        self._client, self._explained, self._pause = client, explained, pause
        self._accept_unsafe = accept_unsafe
        self._by_bucket: dict[str, Conditions] = {}
        self._trying = threading.Lock()

    def put(
        self, bucket: str, key: str, data: bytes, headers: dict[str, str], *, etag: str | None
    ) -> str | None:
        """Write if the condition is true; returns the new ETag, or None if the condition is false.

        :param etag: the object must have it; None: there must be no object.
        :raises UnsafeStoreError: the server does not honour the condition.
        """
        if self._accept_unsafe:  # a server's answer does not show that it ignores conditions
            conditions = self._conditions(bucket, key)
        else:
            conditions = self._by_bucket.get(bucket, Conditions())
        while True:
            is_known = bucket in self._by_bucket
            if conditions.form is None if etag is not None else not conditions.creates:
                if not self._accept_unsafe:
                    raise UnsafeStoreError(f"s3://{bucket}", conditions.faults)
                # Compare, then write without a condition; a write by others in between is overwritten.
                is_expected = self._look(bucket, key)[0] == etag
                return self._put(bucket, key, data, headers, {}).etag if is_expected else None
            form = FORMS[conditions.form or "quoted"]
            condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": form(etag)}
            outcome = self._put(bucket, key, data, headers, condition)
            if outcome.error is None:
                return outcome.etag
            if not is_known and _is_odd(outcome, etag):
                conditions = self._conditions(bucket, key)
                continue
            if outcome.status == 412 or (outcome.status == 404 and etag is not None):
                return None
            raise self._explained(outcome.error, _uri(bucket, key)) from outcome.error

    def _put(
        self, bucket: str, key: str, data: bytes, headers: dict[str, str], condition: dict[str, str]
    ) -> _Outcome:
        # If an answer is lost, botocore repeats the request, which then finds the object that the first one
        # wrote. The id distinguishes that from another writer's object.
        write_id = uuid.uuid4().hex
        for tries in range(1, TRIES + 1):
            try:
                response = self._client().put_object(
                    Bucket=bucket, Key=key, Body=data, Metadata={_WRITE_ID: write_id}, **headers, **condition
                )
                return _Outcome(etag=str(response["ETag"]))
            except Exception as error:
                status, code = status_and_code(error)
                current, its_write = self._look(bucket, key) if status == 412 else (None, "")
                if its_write == write_id:
                    return _Outcome(etag=current)
                is_missing = status == 404 and code != "NoSuchBucket"
                if condition and (status in _REFUSALS or is_missing):
                    return _Outcome(status=status, error=error, current=current)
                if status != 409:
                    raise self._explained(error, _uri(bucket, key)) from error
            # 409 ConditionalRequestConflict: another write was in progress, and S3 asks to send again.
            self._pause(tries)
        raise StorageError(f"{_uri(bucket, key)}: {TRIES} conditional writes conflicted with other writers")

    def _look(self, bucket: str, key: str) -> tuple[str | None, str]:
        """The object's ETag, None if there is no object, and the id of the write that created it."""
        try:
            response = self._client().head_object(Bucket=bucket, Key=key)
        except Exception as error:
            if status_and_code(error)[0] == 404:
                return None, ""
            raise self._explained(error, _uri(bucket, key)) from error
        return response["ETag"], response["Metadata"].get(_WRITE_ID, "")

    # --- trying a server --------------------------------------------------------------------

    def _conditions(self, bucket: str, key: str) -> Conditions:
        """How the bucket's server treats conditions; tried once, with a key beside ``key``."""
        with self._trying:
            if bucket not in self._by_bucket:
                self._by_bucket[bucket] = self._try(bucket, beside(key))
            return self._by_bucket[bucket]

    def _try(self, bucket: str, key: str) -> Conditions:
        try:
            self._put(bucket, key, b"a", {}, {})  # a server that fails without a condition must raise here
            negative = self._put(bucket, key, b"b", {}, {"IfNoneMatch": "*"})
            self._delete(bucket, key)
            positive = self._put(bucket, key, b"a", {}, {"IfNoneMatch": "*"})
            faults = [_fault("If-None-Match: *", "a key that is free", positive, negative)]
            usable_form: str | None = None
            for name, form in FORMS.items():
                stale = self._put(bucket, key, f"{name} 1".encode(), {}, {}).etag or ""
                etag = self._put(bucket, key, f"{name} 2".encode(), {}, {}).etag or ""
                data = f"{name} 3".encode()
                positive = self._put(bucket, key, data, {}, {"IfMatch": form(etag)})
                negative = self._put(bucket, key, data, {}, {"IfMatch": form(stale)})
                fault = _fault(
                    f"If-Match with a {name} ETag", "the ETag that the object has", positive, negative
                )
                if not fault:
                    usable_form = name
                    break
                faults.append(fault)
        finally:
            self._delete(bucket, key)
        return Conditions(
            creates=not faults[0],
            form=usable_form,
            faults=", and ".join(fault for fault in faults if fault),
        )

    def _delete(self, bucket: str, key: str) -> None:
        try:
            self._client().delete_object(Bucket=bucket, Key=key)
        except Exception as error:
            raise self._explained(error, _uri(bucket, key)) from error


def _is_odd(outcome: _Outcome, etag: str | None) -> bool:
    """Whether a write was refused although its condition is true, or because conditions are not supported."""
    return outcome.current == etag if outcome.status == 412 else outcome.status in _REFUSALS


def _fault(condition: str, example: str, true: _Outcome, false: _Outcome) -> str:
    """What is wrong with the answers to a true and to a false condition, in words; empty if nothing."""
    if true.error is not None:
        return f"refuses {condition} (HTTP {true.status} for {example})"
    return "" if false.error is not None else f"ignores {condition}"


def beside(key: str) -> str:
    """The key of a test object beside ``key``, which an account that may write ``key`` may write too."""
    folder, slash, _ = key.rpartition("/")
    return f"{folder}{slash}_probe-{uuid.uuid4().hex}"


def _uri(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"
