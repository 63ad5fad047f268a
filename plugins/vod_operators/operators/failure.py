"""Maps the error that a step failed with to a code of ``work/failure.py``."""

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
"""The first line with a class of the error decides, so subclasses stand before their base classes."""

FIELDS: tuple[tuple[str, FailureCode], ...] = (
    (r"source\b|subtitles\[\d+\](?!\.)", "source_unusable"),
    (r"preset\b", "preset_invalid"),
    (
        r"(?:conf|video_id|chunk_seconds|subtitles|roles|downloads|chapters|callback_url|source_conn_id|callback_conn_id|prefix|videos"
        r"|begin|end|grace_hours|parts|action|version|confirm)\b",
        "request_invalid",
    ),
)
"""Patterns of the field that the message of an ``InvalidInputError`` begins with. A message that begins with
anything else (a setting's name, a store's URI, a tool) blames the deployment."""


def code_of(error: BaseException) -> FailureCode:
    """The code of what is at fault."""
    if isinstance(error, ToolError) and error.lacks_means:
        return "host"
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    if isinstance(error, InvalidInputError):
        fields = (code for pattern, code in FIELDS if re.match(pattern, str(error)))
        return next(fields, "deployment_invalid")
    return "internal"
