"""Makes the boto3 client of an Airflow connection, and translates its errors into advice.

Airflow's hook and boto3 take seconds to import, and DAG files are parsed again for every task. So both are
imported when the first request is made.
"""

from __future__ import annotations

import re
from typing import Any

from vod_operators.errors import InvalidInputError, ObjectNotFoundError, StorageError, VodError

DEFAULT_CONN_ID = "aws_default"
SETTING = "VOD_AWS_CONN_ID"

CONNECT_TIMEOUT_S = 5
ATTEMPTS = 4
"""Attempts in all. If an address drops packets, the task fails after 4 x 5 s, and 0.1 to 0.2 s of pauses
(measured with botocore 1.44)."""

READ_TIMEOUT_S = 60


def make_client(aws_conn_id: str, *, checksums: bool = True) -> Any:
    """A boto3 S3 client.

    :param checksums: whether it sends a checksum with what it writes, unless the connection says otherwise.
        Without one it signs the content, of which the server then computes the SHA-256.
    :raises InvalidInputError: the connection does not exist or cannot be used.
    :raises StorageError: reading the connection or assuming its role failed; it may work in a moment.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.sdk.exceptions import AirflowNotFoundException
    from botocore.config import Config
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError, ProfileNotFound

    try:
        try:
            S3Hook.get_connection(aws_conn_id)
        except AirflowNotFoundException:
            # Without a connection S3Hook uses the host's own credentials. For the default name that is
            # intended (an instance role), but for any other name it would hide a typo.
            if aws_conn_id != DEFAULT_CONN_ID:
                raise InvalidInputError(
                    f"there is no Airflow connection {aws_conn_id!r}; create it (type aws), or set "
                    f"{SETTING} to one that exists"
                ) from None
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        # A config given to the hook replaces the connection's own, so the two are merged. It is given to the
        # hook and not to its client, so that it also applies when a role is assumed.
        config = config.merge(S3Hook(aws_conn_id=aws_conn_id).config)
        if not checksums:
            config = config.merge(Config(request_checksum_calculation="when_required"))
        return S3Hook(aws_conn_id=aws_conn_id, config=config).get_conn()
    except VodError:
        raise
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound, ValueError, TypeError) as error:
        raise InvalidInputError(
            f"the Airflow connection {aws_conn_id!r} ({SETTING}) cannot be used for S3: {error}"
        ) from error
    except Exception as error:
        raise StorageError(
            f"S3 could not be set up from the Airflow connection {aws_conn_id!r} ({SETTING}): {error}"
        ) from error


def status_and_code(error: BaseException) -> tuple[int, str]:
    """HTTP status and S3 error code of a ``ClientError``; ``(0, "")`` for any other error."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return 0, ""
    return (
        int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)),
        str(response.get("Error", {}).get("Code", "")),
    )


def explain(
    error: Exception, uri: str, aws_conn_id: str, client: Any, *, missing: str | None = None
) -> Exception:
    """This package's error for an error of boto3. Any other error is returned unchanged.

    :param uri: of the object that the request was about.
    :param missing: the S3 error code of a HEAD, whose answer has none.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        ParamValidationError,
        PartialCredentialsError,
    )

    if isinstance(error, Boto3Error) and isinstance(error.__context__, (ClientError, BotoCoreError)):
        error = error.__context__  # upload_file wraps the original error
    if isinstance(error, VodError) or not isinstance(error, (ClientError, BotoCoreError, Boto3Error)):
        return error

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    endpoint = client.meta.endpoint_url if client is not None else "its default endpoint"
    place = f"{endpoint} with the Airflow connection {aws_conn_id!r} ({SETTING})"
    status, code = status_and_code(error)
    code = missing or code

    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return InvalidInputError(
            f"{uri}: no credentials for bucket {bucket!r}, key {key!r} at {place}: create that connection, "
            f"or set {SETTING} to one with an access key, or give the worker a role ({error})"
        )
    if isinstance(error, ParamValidationError) or code == "InvalidBucketName":
        return InvalidInputError(f"{uri}: bucket {bucket!r} or key {key!r} is not valid on S3: {error}")
    if code == "NoSuchBucket":
        return InvalidInputError(
            f"{uri}: bucket {bucket!r} of key {key!r} does not exist at {place}: create the bucket, or "
            "correct the URI or the connection"
        )
    if status == 404:
        return ObjectNotFoundError(f"{uri} does not exist at {place}")
    if status in (401, 403) and code != "RequestTimeTooSkewed":
        return InvalidInputError(
            f"{uri}: access to bucket {bucket!r}, key {key!r} was denied ({code}) at {place}: the account "
            "needs s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload on the keys and "
            "s3:ListBucket on the bucket (without which a missing key also looks denied)"
        )
    return StorageError(f"{uri}: bucket {bucket!r} at {place} failed: {_words(error)}")


def _words(error: Exception) -> str:
    """An error in words, without the server's own message."""
    status, code = status_and_code(error)
    if not status:
        return str(error)  # botocore's message
    return f"HTTP {status}{f' {code}' if re.fullmatch('[A-Za-z0-9.]{1,64}', code) else ''}"
