"""Conditional writes on S3, and what a server does with their conditions.

RFC 9110 writes an ETag in quotes, and so does AWS. Ceph RGW 16 compares what is in ``If-Match`` with the
hash alone: a quoted ETag never matches, a bare one does. Others answer 501, or take no notice of conditions.
So the form of the RFC is sent first; if it is refused although the condition holds, the server is tried once.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vod_operators.errors import StorageError, UnsafeStoreError
from vod_operators.storage.s3_client import status_and_code

TRIES = 5
"""Conflicts of one write before giving up."""

FORMS: Mapping[str, Callable[[str], str]] = {
    "quoted": lambda etag: '"' + etag.strip('"') + '"',
    "bare": lambda etag: etag.strip('"'),
}
"""How an ETag may be written in ``If-Match``, in the order in which they are tried."""

CREATE, REPLACE = "If-None-Match", "If-Match"

_WRITE_ID = "vod-write"

_REFUSALS = (400, 405, 412, 501)
"""Statuses by which servers say no to a condition, be it to what it says or to the header."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a server does with conditions."""

    creates: bool = True
    """``If-None-Match: *`` lets the first write pass, and no second one."""
    form: str | None = "quoted"
    """The form of an ETag in which ``If-Match`` lets a write pass if it is the object's, and else does not;
    None: there is no such form."""
    seen: str = ""
    """What it does instead, for people."""


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """Of one PUT: the ETag of what was written, or the error by which it was refused."""

    etag: str | None = None
    status: int = 200
    error: Exception | None = None
    current: str | None = None
    """After a 412: the ETag of the object that is there; None: there is none."""


class ConditionalWrites:
    """Small writes that happen only if the object is what the writer thinks it is.

    :param client: gives the boto3 client.
    :param explained: the error of this package for one of boto3, and a URI.
    :param pause: waits before another try, given the number of the one that failed.
    :param accept_unsafe: where the server does not honour a condition, look and then write.
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
        self._known: dict[str, Conditions] = {}
        self._trying = threading.Lock()

    def put(
        self, bucket: str, key: str, data: bytes, headers: dict[str, str], *, etag: str | None
    ) -> str | None:
        """Write if the object has this ETag; None: if there is no object. The new ETag, or None.

        :raises UnsafeStoreError: the server does not honour the condition.
        """
        if self._accept_unsafe:  # a server that takes no notice of a condition cannot be told by its answer
            conditions = self._conditions(bucket, key)
        else:
            conditions = self._known.get(bucket, Conditions())
        while True:
            is_known = bucket in self._known
            if conditions.form is None if etag is not None else not conditions.creates:
                return self._look_and_put(bucket, key, data, headers, etag, conditions)
            condition = {"IfNoneMatch": "*"} if etag is None else _if_match(conditions, etag)
            answer = self._put(bucket, key, data, headers, condition)
            if answer.error is None:
                return answer.etag
            if not is_known and _is_odd(answer, etag):
                conditions = self._conditions(bucket, key)
                continue
            if answer.status == 412 or (answer.status == 404 and etag is not None):
                return None
            raise self._explained(answer.error, _uri(bucket, key)) from answer.error

    def _put(
        self, bucket: str, key: str, data: bytes, headers: dict[str, str], condition: dict[str, str]
    ) -> _Answer:
        # botocore sends again when an answer is lost, and the second one meets the object that the
        # first one wrote. The id tells "we won, but did not hear it" from "another one won".
        write_id = uuid.uuid4().hex
        for tries in range(1, TRIES + 1):
            try:
                response = self._client().put_object(
                    Bucket=bucket, Key=key, Body=data, Metadata={_WRITE_ID: write_id}, **headers, **condition
                )
                return _Answer(etag=str(response["ETag"]))
            except Exception as error:
                status, code = status_and_code(error)
                current, its_write = self._look(bucket, key) if status == 412 else (None, "")
                if its_write == write_id:
                    return _Answer(etag=current)
                is_missing = status == 404 and code != "NoSuchBucket"
                if condition and (status in _REFUSALS or is_missing):
                    return _Answer(status=status, error=error, current=current)
                if status != 409:
                    raise self._explained(error, _uri(bucket, key)) from error
            # 409 ConditionalRequestConflict: another write was under way; S3 says to send again.
            self._pause(tries)
        raise StorageError(
            f"{_uri(bucket, key)}: other writers were in the way of {TRIES} conditional writes"
        )

    def _look(self, bucket: str, key: str) -> tuple[str | None, str]:
        """The object's ETag, None if there is none, and the id of the write that made it."""
        with self._calls(bucket, key):
            try:
                found = self._client().head_object(Bucket=bucket, Key=key)
            except Exception as error:
                if status_and_code(error)[0] == 404:
                    return None, ""
                raise
        return found["ETag"], found["Metadata"].get(_WRITE_ID, "")

    def _look_and_put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        headers: dict[str, str],
        etag: str | None,
        conditions: Conditions,
    ) -> str | None:
        """As the condition says, but for whoever writes between the look and the write."""
        if not self._accept_unsafe:
            raise UnsafeStoreError(f"s3://{bucket}", conditions.seen)
        if self._look(bucket, key)[0] != etag:
            return None
        return self._put(bucket, key, data, headers, {}).etag

    # --- trying a server --------------------------------------------------------------------

    def _conditions(self, bucket: str, key: str) -> Conditions:
        """What the bucket's server does; tried once, beside ``key``."""
        with self._trying:
            if bucket not in self._known:
                self._known[bucket] = self._try(bucket, beside(key))
            return self._known[bucket]

    def _try(self, bucket: str, key: str) -> Conditions:
        try:
            self._put(bucket, key, b"a", {}, {})  # what fails without a condition is another matter
            second = self._put(bucket, key, b"b", {}, {"IfNoneMatch": "*"})
            self._delete(bucket, key)
            first = self._put(bucket, key, b"a", {}, {"IfNoneMatch": "*"})
            seen = [_fault(f"{CREATE}: *", "a key that is free", first, second)]
            forms: list[str] = []
            for name, write in FORMS.items():
                stale = self._put(bucket, key, f"{name} 1".encode(), {}, {}).etag or ""
                etag = self._put(bucket, key, f"{name} 2".encode(), {}, {}).etag or ""
                data = f"{name} 3".encode()
                first = self._put(bucket, key, data, {}, {"IfMatch": write(etag)})
                second = self._put(bucket, key, data, {}, {"IfMatch": write(stale)})
                fault = _fault(f"{REPLACE} with a {name} ETag", "the ETag that the object has", first, second)
                if not fault:
                    forms.append(name)
                    break
                seen.append(fault)
        finally:
            self._delete(bucket, key)
        return Conditions(
            creates=not seen[0],
            form=forms[0] if forms else None,
            seen=", and ".join(fault for fault in seen if fault),
        )

    def _delete(self, bucket: str, key: str) -> None:
        with self._calls(bucket, key):
            self._client().delete_object(Bucket=bucket, Key=key)

    @contextmanager
    def _calls(self, bucket: str, key: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise self._explained(error, _uri(bucket, key)) from error


def _is_odd(answer: _Answer, etag: str | None) -> bool:
    """Whether a write was refused although its condition holds, or without a look at it."""
    return answer.current == etag if answer.status == 412 else answer.status in _REFUSALS


def _fault(what: str, given: str, true: _Answer, false: _Answer) -> str:
    """What is wrong with the answers to a condition that holds and to one that does not; empty: nothing."""
    if true.error is not None:
        return f"refuses {what} (HTTP {true.status} for {given})"
    return "" if false.error is not None else f"ignores {what}"


def _if_match(conditions: Conditions, etag: str) -> dict[str, str]:
    return {"IfMatch": FORMS[conditions.form or "quoted"](etag)}


def beside(key: str) -> str:
    """The key of what is written for a moment to try a server: where the account may write ``key``, it may
    write this one."""
    folder, slash, _ = key.rpartition("/")
    return f"{folder}{slash}_probe-{uuid.uuid4().hex}"


def _uri(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"
