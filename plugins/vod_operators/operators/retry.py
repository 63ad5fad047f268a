"""Whether and when a failed task is tried again; decided here and nowhere else.

=============  ==========================================================  =============================
kind           examples                                                    what happens
=============  ==========================================================  =============================
permanent      bad request or source, claimed video, lost work             fails at once
temporary      store or network, a tool killed or stalled, no memory,      ``RETRIES``, each after twice
               no room on a disk, Docker's engine, Airflow's API           the delay of the one before
repeatable     a tool's exit code, a wrong output, a tool's limit, a bug   fails when it has failed twice
                                                                           in the same way
evicted        SIGTERM of the platform, a lost worker, a killed task       goes on elsewhere at once, at
                                                                           most ``EVICTIONS`` times
=============  ==========================================================  =============================

An eviction is no failure of the task, and uses up none of its retries. So Airflow is told of the sum of both
as ``retries``, and failures are counted here, in the task's state store. A task that is killed with its
process or its worker does not reach this policy: Airflow retries it by its own arguments.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from airflow.sdk import Context, RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError, ParamValidationError

from vod_operators.errors import (
    ClaimedError,
    EngineError,
    InvalidInputError,
    LostWorkError,
    NoRoomError,
    StorageError,
    ToolError,
    ToolKilledError,
    ToolMemoryError,
    ToolOutputError,
    ToolOverdueError,
    VodError,
)
from vod_operators.operators import telemetry
from vod_operators.operators.failure import code_of
from vod_operators.work.failure import Failure, FailureCode, LeftFailure

RETRIES = 6
FIRST_DELAY_S = 10
"""10 + 20 + ... + 320 s is 630 s, which the jitter may halve at worst: a store may be down for 5 minutes."""
MAX_DELAY_S = 600

EVICTIONS = 20
"""Most times that a task is evicted. It is bounded because what kills its workers may be the task itself."""

EVICTED_DELAY_S, LOST_DELAY_S, MAX_LOST_DELAY_S = 1, 2, 30
"""Before an evicted task goes on: one that was stopped, and one that was lost, where the delay grows to the
last."""

JITTER = 0.5, 1.5
"""Each delay is multiplied by a random number between these, so that the tasks that a store's outage stopped
do not all return at once."""

SEEN_KEY = "failed_with"
"""Key of the last try's failure in the task's state store, which survives retries."""

COUNT_KEY = "failures"
"""Key of ``[max_tries, number]`` in the task's state store: of failures of its own since it was last cleared,
which changes Airflow's ``max_tries``."""

FAILURE_KEY = "failure"
"""XCom of a failed task: a ``LeftFailure``. Airflow deletes it when the next try starts."""

STOPPED = "Airflow stopped it: it was cancelled, cleared, or its worker shuts down"
"""Reason of a stopped task, in place of its killed tools' errors."""

Kind = Literal["permanent", "temporary", "repeatable"]

_LOG = logging.getLogger(__name__)


def kind_of(error: BaseException) -> Kind:
    """The kind of an error, which decides about another try."""
    if isinstance(error, (InvalidInputError, ClaimedError, LostWorkError, ParamValidationError)):
        return "permanent"
    if isinstance(error, (ToolOverdueError, ToolOutputError, ToolMemoryError)):
        return "repeatable"
    if isinstance(
        error, (StorageError, NoRoomError, EngineError, ToolKilledError, OSError, MemoryError, SystemExit)
    ):
        return "temporary"
    if isinstance(error, ToolError) and error.lacks_means:
        return "temporary"
    if isinstance(error, (AirflowException, AirflowRuntimeError)):
        return "temporary"
    return "repeatable"


def fingerprint(error: BaseException) -> str:
    """A text that is equal for two failures of the same cause: the error without paths, times,
    process ids and addresses."""
    if isinstance(error, ToolError):
        words = f"{error.describe()}: " + "\n".join(error.stderr_tail.strip().splitlines()[-5:])
    else:
        words = f"{type(error).__name__}: {error}"
    return _BY_CHANCE.sub("", re.sub(r"(?<!\w)/[^\s'\":]+", "/", words))[:1000]


_BY_CHANCE = re.compile(
    r"\b[IWEF]\d{4} [\d:.]+\s+\d+ "  # Shaka Packager's day, time and thread: E1128 11:02:30.968815   26506
    r"|\[[\d:]*\d{4}/[\d.]+:"  # the same in brackets: [1128/110230.968815: or [26506:1:1128/110230.968815:
    r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?"  # a time of day
    r"|\b(?:pid|process|thread)[ =]\d+"
    r"|0x[0-9a-fA-F]+",
    re.IGNORECASE,
)
"""What tools print besides their messages: times, threads, processes, addresses."""


def reason_of(error: BaseException) -> str:
    """One line for people without access to the log.

    Messages of ``VodError`` hold no secrets. Those of other errors may, so only their kind is given.
    """
    if isinstance(error, VodError):
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
    if isinstance(error, ParamValidationError):  # its message quotes the value
        param = re.match(r"Invalid input for param (\w+)", str(error))
        return f"{param[1] if param else 'conf'}: its value is not one that the DAG's params allow"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({type(error).__name__})"
    return f"{type(error).__name__}; the task's log tells more"


class VodRetryPolicy(RetryPolicy):
    """Decides by the kind of the error, and leaves the failure in XCom for the callback."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """The decision for a failed try; Airflow calls this in the failed task's process."""
        kind, reason = kind_of(exception), reason_of(exception)
        if kind == "repeatable" and _failed_like_this_before(exception, context):
            kind = "permanent"
            reason = f"failed twice in the same way, so it is not tried again: {reason}"
            _LOG.error("%s", reason)
        code = code_of(exception)
        stopped = context is not None and getattr(context["ti"].task, "is_stopped", False)
        evicted = stopped and kind == "temporary"
        retries = RETRIES if context is None else min(RETRIES, context["task"].retries or 0)
        failures = 0 if evicted else _failures(context, try_number, max_tries)
        again = kind != "permanent" and try_number <= max_tries and failures <= retries
        if evicted:
            code, reason = "host", STOPPED
        _leave_behind(code, reason, context, by_itself=not (again or stopped))
        telemetry.count(f"vod.failures.{kind}", error=type(exception).__name__)
        if again:
            telemetry.count("vod.retries")
        telemetry.log_step(
            "step failed",
            step=context["ti"].task_id if context else None,
            item=getattr(context["ti"], "rendered_map_index", None) if context else None,
            kind="evicted" if evicted else kind,
            error=type(exception).__name__,
            code=code,
            reason=reason,
            again=again,
        )
        if not again:
            return RetryDecision.fail(reason)
        return RetryDecision.retry(timedelta(seconds=EVICTED_DELAY_S) if evicted else delay(failures), reason)


def delay(number: int) -> timedelta:
    """How long to wait before the ``number``-th retry, counted from 1."""
    seconds = min(FIRST_DELAY_S * 2 ** min(number - 1, 20), MAX_DELAY_S)
    return timedelta(seconds=seconds * random.uniform(*JITTER))


def retry_args() -> dict[str, Any]:
    """The retry arguments of every task, for a DAG's ``default_args``."""
    return {
        "retry_policy": VodRetryPolicy(),
        "retries": RETRIES + EVICTIONS,
        # For a task that died without reaching the policy; Airflow adds its own jitter.
        "retry_delay": timedelta(seconds=LOST_DELAY_S),
        "retry_exponential_backoff": 1.5,
        "max_retry_delay": timedelta(seconds=MAX_LOST_DELAY_S),
    }


def _failures(context: Context | None, try_number: int, max_tries: int) -> int:
    """How often the task has failed by itself since it was last cleared, with this time."""
    if context is None:
        return try_number
    tries = max(1, (context["task"].retries or 0) - max_tries + try_number)
    store: Any = context.get("task_state_store")
    if store is None:
        return tries
    try:
        of, number = store.get(COUNT_KEY) or (max_tries, 0)
        number = number + 1 if of == max_tries else 1
        store.set(COUNT_KEY, [max_tries, number])
    except Exception as problem:  # without Airflow's API all tries count
        _LOG.warning("how often the task failed could not be remembered: %s", problem)
        return tries
    return number


def _failed_like_this_before(error: BaseException, context: Context | None) -> bool:
    store: Any = context.get("task_state_store") if context else None
    if store is None:
        return False
    # A digest, because the UI shows the state, and a tool's messages may quote the file it read.
    now = hashlib.sha256(fingerprint(error).encode("utf-8", "replace")).hexdigest()[:32]
    try:
        if store.get(SEEN_KEY) == now:
            return True
        store.set(SEEN_KEY, now)
    except Exception as problem:  # without Airflow's API the failure counts as a first one
        _LOG.warning("how the task failed could not be remembered: %s", problem)
    return False


def _leave_behind(code: FailureCode, reason: str, context: Context | None, *, by_itself: bool) -> None:
    if context is None:
        return
    instance = context["ti"]
    failure = Failure.of(
        code,
        step=instance.task_id,
        item=getattr(instance, "rendered_map_index", None),
        reason=reason,
        log_url=instance.log_url,
        at=datetime.now(timezone.utc),
    )
    mapped = instance.map_index is not None and instance.map_index >= 0
    name = f"{instance.task_id}_{instance.map_index}" if mapped else instance.task_id
    try:
        left = LeftFailure(task=name, by_itself=by_itself, failure=failure)
        instance.xcom_push(key=FAILURE_KEY, value=left.as_xcom())
    except Exception as problem:  # for instance, a task that was marked as failed may not write any more
        _LOG.warning("the reason could not be left for the callback: %s", problem)
