"""Why a step failed, as a CMS is told it: a code and an advice that programs act on, and words for people.

==================  =======  ==========================================================================
code                retry    what is at fault
==================  =======  ==========================================================================
request_invalid     never    a field of the run's ``conf``; a run keeps its ``conf``, so ask anew
not_allowed         changed  the request names what the deployment does not open to requests
source_unusable     changed  the source or a subtitle file: missing, damaged, too large, not a video
source_changed      later    the source was replaced while the run was at work
preset_invalid      changed  the preset, or it needs what this deployment has not
deployment_invalid  changed  a setting, a connection, a bucket, an image of the deployment
limit_reached       changed  a tool reached its limit of time, memory or output
busy                later    another run is working on the video
cancelled           never    somebody marked the run as failed, or as done
storage             later    a store or the network, also what an earlier step had stored there
host                later    a worker: lost, stopped, out of memory or disk; Airflow or Docker away
internal            changed  a tool or this package does what it should not: a bug, or a strange source
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

RETRIES: dict[FailureCode, Retry] = {
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
    """Whether the same run may succeed if it is cleared: ``never``; ``later``, with nothing else done; or
    when what the reason names has ``changed``."""
    step: str
    """Task id."""
    item: str | None = None
    """Which chunk or track of it, in words."""
    reason: str
    """For a person; one line."""
    log_url: str | None = None
    at: datetime | None = None

    @classmethod
    def of(cls, code: FailureCode, *, step: str, reason: str, **details: Any) -> Failure:
        """With the advice that the code has.

        :param details: ``item``, ``log_url`` and ``at``.
        """
        return cls(code=code, retry=RETRIES[code], step=step, reason=reason, **details)


class LeftFailure(BaseModel):
    """How a try of a task failed: XCom ``failure`` of the task, gone when the next try begins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    """As a list of failed tasks names it: ``transcode_2``."""
    by_itself: bool
    """Whether this ended the task: no other try was to follow, and nobody had stopped it."""
    failure: Failure

    def as_xcom(self) -> dict[str, Any]:
        """What goes into XCom: JSON."""
        return self.model_dump(mode="json", exclude_none=True)
