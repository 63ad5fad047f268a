"""Why a step failed, as the CMS receives it: a code and retry advice for programs, and a reason for people.

==================  =======  ==========================================================================
code                retry    what is at fault
==================  =======  ==========================================================================
request_invalid     never    a field of the run's ``conf``; a run keeps its ``conf``, so start a new one
not_allowed         changed  the request names what the deployment does not open to requests
source_unusable     changed  the source or a subtitle file: missing, damaged, too large, not a video
source_changed      later    the source was replaced during the run
preset_invalid      changed  the preset, or it needs what this deployment lacks
deployment_invalid  changed  a setting, a connection, a bucket, an image of the deployment
limit_reached       changed  a tool reached its limit of time, memory or output
busy                later    another run is working on the video
cancelled           never    somebody marked the run as failed, or as done
storage             later    a store, the network, or a stored object that is lost or damaged
host                later    a worker: lost, stopped, out of memory or disk; Airflow or Docker unreachable
internal            changed  a tool or this package misbehaves: a bug, or a strange source
==================  =======  ==========================================================================
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

FailureCode = Literal[
    "request_invalid",
    "not_allowed",
    "source_unusable",
    "source_changed",
    "preset_invalid",
    "deployment_invalid",
    "limit_reached",
    "busy",
    "cancelled",
    "storage",
    "host",
    "internal",
]

Retry = Literal["never", "later", "changed"]

ADVICE: dict[FailureCode, Retry] = {
    "request_invalid": "never",
    "not_allowed": "changed",
    "source_unusable": "changed",
    "source_changed": "later",
    "preset_invalid": "changed",
    "deployment_invalid": "changed",
    "limit_reached": "changed",
    "busy": "later",
    "cancelled": "never",
    "storage": "later",
    "host": "later",
    "internal": "changed",
}


class Failure(BaseModel):
    """Why a step failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: FailureCode
    """What is at fault."""
    retry: Retry
    """When clearing the run may help: ``never``; ``later``, with nothing changed; or once what the reason
    names has been ``changed``."""
    step: str
    """Task id."""
    item: str | None = None
    """The chunk or track that failed, in words."""
    reason: str
    """One line, for people."""
    log_url: str | None = None
    at: datetime | None = None

    @classmethod
    def of(cls, code: FailureCode, *, step: str, reason: str, **details: Any) -> Failure:
        """A failure with its code's retry advice.

        :param details: ``item``, ``log_url`` and ``at``.
        """
        return cls(code=code, retry=ADVICE[code], step=step, reason=reason, **details)


class LeftFailure(BaseModel):
    """How a try of a task failed: its XCom ``failure``, which Airflow deletes when the next try begins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    """The task's name in a list of failed tasks: ``transcode_2``."""
    by_itself: bool
    """Whether this failure ended the task: no other try was to follow, and nobody had stopped the task."""
    failure: Failure

    def as_xcom(self) -> dict[str, Any]:
        """The JSON value of the XCom."""
        return self.model_dump(mode="json", exclude_none=True)
