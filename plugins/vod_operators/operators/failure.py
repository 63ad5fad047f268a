"""What is at fault, by the error that a step failed with: the codes of ``work/failure.py``."""

from __future__ import annotations

import re

from airflow.sdk.exceptions import (
    AirflowException,
    AirflowRuntimeError,
    AirflowTaskTimeout,
    ParamValidationError,
)

from vod_operators.errors import (
    ClaimedError,
    EngineError,
    InvalidInputError,
    LostWorkError,
    NoRoomError,
    NotAllowedError,
    SourceChangedError,
    StorageError,
    ToolError,
    ToolKilledError,
    ToolMemoryError,
    ToolOutputError,
    ToolOverdueError,
)
from vod_operators.work.failure import FailureCode

_CODES: tuple[tuple[tuple[type[BaseException], ...], FailureCode], ...] = (
    ((NotAllowedError,), "not_allowed"),
    ((ParamValidationError,), "request_invalid"),
    ((SourceChangedError,), "source_changed"),
    ((ClaimedError,), "busy"),
    ((ToolOverdueError, ToolOutputError, ToolMemoryError, AirflowTaskTimeout), "limit_reached"),
    ((ToolKilledError, NoRoomError, EngineError), "host"),
    ((StorageError, LostWorkError), "storage"),
    ((OSError, MemoryError, SystemExit, AirflowException, AirflowRuntimeError), "host"),
)
"""The first line that an error is of decides: special kinds stand before those that they are kinds of."""

_FIELDS: tuple[tuple[str, FailureCode], ...] = (
    (r"source\b|subtitles\[\d+\](?!\.)", "source_unusable"),
    (r"preset\b", "preset_invalid"),
    (
        r"(?:conf|video_id|chunk_seconds|subtitles|callback_url|source_conn_id|callback_conn_id|prefix|videos"
        r"|begin|end|grace_hours|parts)\b",
        "request_invalid",
    ),
)
"""By how the message of an ``InvalidInputError`` begins, which is the field at fault. What begins with none
of them (a setting's name, a store's URI, a tool) is the deployment's."""


def code_of(error: BaseException) -> FailureCode:
    """What is at fault."""
    if isinstance(error, ToolError) and error.lacks_means:
        return "host"
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    if isinstance(error, InvalidInputError):
        fields = (code for pattern, code in _FIELDS if re.match(pattern, str(error)))
        return next(fields, "deployment_invalid")
    return "internal"
