"""What is tried again, how often, and when."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Param, RetryAction
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout, ParamValidationError

from vod_operators import errors
from vod_operators.errors import (
    ClaimedError,
    CorruptObjectError,
    EngineError,
    InvalidInputError,
    LostWorkError,
    NoRoomError,
    StorageError,
    ToolError,
    ToolKilledError,
    ToolOverdueError,
    ToolStalledError,
    VerificationError,
)
from vod_operators.operators.retry import (
    EVICTIONS,
    FAILURE_KEY,
    FIRST_DELAY_S,
    MAX_DELAY_S,
    RETRIES,
    VodRetryPolicy,
    delay,
    fingerprint,
    kind_of,
    reason_of,
)
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.tools import Tools

FFMPEG = ["/opt/bin/ffmpeg", "-i", "chunk.nut"]

KINDS: list[tuple[BaseException, str]] = [
    (InvalidInputError("source: is empty"), "permanent"),
    (ClaimedError("video_id: another run"), "permanent"),
    (LostWorkError("chunk is gone"), "permanent"),
    (StorageError("no answer"), "temporary"),
    (CorruptObjectError("damaged on its way"), "temporary"),
    (NoRoomError("disk"), "temporary"),
    (EngineError("no answer"), "temporary"),
    (ToolKilledError(FFMPEG, -9, ""), "temporary"),
    (ToolStalledError(FFMPEG, -9, "", idle_s=120), "temporary"),
    (ToolOverdueError(FFMPEG, -9, "", limit_s=900), "repeatable"),
    (ToolError(FFMPEG, 1, "chunk-0.mp4: No space left on device"), "temporary"),
    (ToolError(FFMPEG, 1, "x264 [error]: malloc failed\nCannot allocate memory"), "temporary"),
    (ToolError(FFMPEG, 134, "terminate called: std::bad_alloc"), "temporary"),
    (ToolError(FFMPEG, 187, "x264 [error]: malloc of size 1500068 failed\nGeneric error"), "temporary"),
    (ToolError(FFMPEG, 244, "Could not open encoder before EOF"), "temporary"),  # -ENOMEM
    (ToolError(FFMPEG, 1, "Invalid data found"), "repeatable"),
    (VerificationError("149 of 150 frames"), "repeatable"),
    (OSError(errno.ENOSPC, "No space left on device"), "temporary"),
    (ConnectionResetError(), "temporary"),
    (MemoryError(), "temporary"),
    (AirflowException("the API server is away"), "temporary"),
    (ParamValidationError("Invalid input for param preset: 'none' is not one of"), "permanent"),
    (AirflowTaskTimeout("12 h"), "repeatable"),
    (KeyError("a bug"), "repeatable"),
]


@pytest.mark.parametrize(
    ("error", "kind"), KINDS, ids=lambda value: value if isinstance(value, str) else type(value).__name__
)
def test_the_kind_of_each_error(error: BaseException, kind: str) -> None:
    assert kind_of(error) == kind


def all_below(base: type) -> set[type]:
    below = set(base.__subclasses__())
    return below | {deeper for cls in below for deeper in all_below(cls)}


def test_every_error_of_ours_has_been_thought_of() -> None:
    thought_of = tuple(type(error) for error, _ in KINDS if isinstance(error, errors.VodError))
    # Those of a command never reach a task.
    ours = [error for error in all_below(errors.VodError) if "vod_operators.cli" not in error.__module__]
    assert [error for error in ours if not issubclass(error, thought_of)] == []


# --- the policy -----------------------------------------------------------------------------


class Store(dict[str, Any]):
    """The task's state store."""

    set = dict.__setitem__


class BrokenStore:
    def get(self, key: str) -> None:
        raise AirflowException("the API server is away")


ALL = RETRIES + EVICTIONS
"""Retries of a task as Airflow counts them."""


class Task:
    retries = ALL
    is_stopped = False


class Instance:
    task_id, map_index, rendered_map_index, log_url = "transcode", 2, "chunk 3/9", "http://airflow/log"

    def __init__(self) -> None:
        self.task = Task()
        self.left: dict[str, Any] = {}

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.left[key] = value


def context(store: Any = None) -> Any:
    return {"ti": Instance(), "task": Task(), "task_state_store": Store() if store is None else store}


def decide(error: BaseException, context: Any, try_number: int = 1, max_tries: int = ALL) -> Any:
    return VodRetryPolicy().evaluate(error, try_number, max_tries, context)


def test_the_permanent_fails_at_once_and_leaves_its_reason() -> None:
    ran = context()
    assert decide(InvalidInputError("source: is empty"), ran).action is RetryAction.FAIL
    left = ran["ti"].left[FAILURE_KEY]
    assert (left["task"], left["by_itself"]) == ("transcode_2", True)
    failure = left["failure"]
    assert (failure["code"], failure["retry"]) == ("source_unusable", "changed")
    assert (failure["step"], failure["item"], failure["reason"]) == (
        "transcode",
        "chunk 3/9",
        "source: is empty",
    )


def test_the_temporary_is_tried_again_however_often_it_is_the_same() -> None:
    ran = context()
    for number in range(1, RETRIES + 1):
        assert decide(StorageError("no answer"), ran, number).action is RetryAction.RETRY
    assert decide(StorageError("no answer"), ran, RETRIES + 1).action is RetryAction.FAIL


def test_the_same_failure_twice_is_given_up() -> None:
    ran = context()
    assert decide(ToolError(FFMPEG, 1, "[libx264 @ 0x55aa] bad"), ran).action is RetryAction.RETRY
    second = decide(ToolError(FFMPEG, 1, "[libx264 @ 0x77bb] bad"), ran, 2)
    assert second.action is RetryAction.FAIL
    assert second.reason == (
        "failed twice in the same way, so it is not tried again: "
        "ffmpeg failed with exit code 1: its log says why"
    )
    assert ran["ti"].left[FAILURE_KEY]["failure"]["reason"] == second.reason


def test_another_failure_is_tried_again() -> None:
    ran = context()
    for number, words in enumerate(["frame 3", "frame 4", "frame 3"], 1):
        assert decide(VerificationError(words), ran, number).action is RetryAction.RETRY


def test_what_airflow_stopped_is_not_said_to_be_killed_by_a_signal() -> None:
    ran = context()
    ran["ti"].task.is_stopped = True
    assert decide(ToolKilledError(FFMPEG, -9, ""), ran).action is RetryAction.RETRY
    left = ran["ti"].left[FAILURE_KEY]
    assert not left["by_itself"] and "signal" not in str(left)
    assert left["failure"]["code"] == "host"
    assert left["failure"]["reason"].startswith("Airflow stopped it: it was cancelled")


def test_what_is_tried_again_has_not_ended_the_task() -> None:
    ran = context()
    for try_number in range(1, RETRIES + 2):
        decide(StorageError("no answer"), ran, try_number)
        assert ran["ti"].left[FAILURE_KEY]["by_itself"] is (try_number == RETRIES + 1)


def test_an_eviction_uses_up_no_retry() -> None:
    """A task that is evicted between its failures, alone or with its worker, fails as often as others."""
    ran = context()
    tries = 0
    for failures in range(1, RETRIES + 1):
        ran["ti"].task.is_stopped = True
        stopped = decide(ToolKilledError(FFMPEG, -9, ""), ran, tries + 1)
        assert stopped.action is RetryAction.RETRY
        assert stopped.retry_delay.total_seconds() <= 5
        ran["ti"].task.is_stopped = False
        tries += 3  # and one was lost with its worker, of which the policy knows nothing
        failed = decide(StorageError("no answer"), ran, tries)
        assert failed.action is RetryAction.RETRY
        assert failed.retry_delay.total_seconds() <= FIRST_DELAY_S * 2 ** (failures - 1) * 1.5
    assert decide(StorageError("no answer"), ran, tries + 1).action is RetryAction.FAIL
    cleared = decide(StorageError("no answer"), ran, tries + 2, max_tries=tries + 1 + ALL)
    assert cleared.action is RetryAction.RETRY
    assert cleared.retry_delay.total_seconds() <= FIRST_DELAY_S * 1.5


def test_evictions_are_bounded() -> None:
    ran = context()
    ran["ti"].task.is_stopped = True
    assert decide(ToolKilledError(FFMPEG, -9, ""), ran, ALL).action is RetryAction.RETRY
    assert decide(ToolKilledError(FFMPEG, -9, ""), ran, ALL + 1).action is RetryAction.FAIL


def test_fewer_retries_of_a_dag_of_ones_own() -> None:
    ran = context()
    ran["task"].retries = 1
    assert decide(StorageError("no answer"), ran, 1, max_tries=1).action is RetryAction.RETRY
    assert decide(StorageError("no answer"), ran, 2, max_tries=1).action is RetryAction.FAIL


def test_what_cannot_be_remembered_is_tried_again() -> None:
    for store in (BrokenStore(), None):
        ran = context(store) | ({"task_state_store": None} if store is None else {})
        assert decide(VerificationError("frame 3"), ran).action is RetryAction.RETRY
    assert decide(VerificationError("frame 3"), None).action is RetryAction.RETRY


def test_a_reason_that_cannot_be_left_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AirflowException("the task instance is not running")

    monkeypatch.setattr(Instance, "xcom_push", refuse)
    assert decide(ClaimedError("another run"), context()).action is RetryAction.FAIL


# --- when -----------------------------------------------------------------------------------


def test_delays_double_within_their_jitter_up_to_the_longest() -> None:
    for number, middle_s in [(1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (8, 600), (1000, 600)]:
        found = [delay(number).total_seconds() for _ in range(200)]
        assert middle_s * 0.5 <= min(found) < middle_s * 0.7
        assert middle_s * 1.3 < max(found) <= middle_s * 1.5
    assert (FIRST_DELAY_S, MAX_DELAY_S) == (10, 600)


def test_an_outage_of_five_minutes_is_survived_with_the_shortest_delays() -> None:
    assert sum(FIRST_DELAY_S * 2**n for n in range(RETRIES)) * 0.5 >= 300


# --- words ----------------------------------------------------------------------------------


def test_a_fingerprint_is_without_what_differs_by_chance() -> None:
    one = ToolError(
        FFMPEG, 1, "frame 1\n[h264 @ 0x5581] bad\n/work/vod/task-ab12/files/chunk.nut: Invalid data"
    )
    two = ToolError(
        FFMPEG, 1, "frame 1\n[h264 @ 0x7fff] bad\n/work/vod/task-cd34/files/chunk.nut: Invalid data"
    )
    assert fingerprint(one) == fingerprint(two)
    assert fingerprint(one) != fingerprint(ToolError(FFMPEG, 2, one.stderr_tail))
    assert fingerprint(one) != fingerprint(ToolError(FFMPEG, 1, "frame 2" + one.stderr_tail[7:]))
    assert fingerprint(KeyError("a")) != fingerprint(KeyError("b"))


def test_a_reason_is_one_line_and_foreign_words_are_not_passed_on() -> None:
    assert reason_of(ToolError(FFMPEG, 7, "one\nDialogue: s3cret")) == (
        "ffmpeg failed with exit code 7: its log says why"
    )
    assert reason_of(ToolError(FFMPEG, 7, "s3cret: Invalid data found when processing input\n")) == (
        "ffmpeg failed with exit code 7: Invalid data found when processing input"
    )
    assert reason_of(KeyError("https://user:pa55@host")) == "KeyError; the task's log tells more"
    assert reason_of(OSError(errno.ENOSPC, "No space left on device", "/x")) == (
        "No space left on device (OSError)"
    )
    assert reason_of(InvalidInputError("")) == "InvalidInputError"
    with pytest.raises(ParamValidationError) as refused:
        ParamsDict({"callback_url": Param(type="string", pattern="^http")}).update({"callback_url": "s3cret"})
    assert reason_of(refused.value) == "callback_url: its value is not one that the DAG's params allow"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (
            "E1128 11:02:30.968815   26506 packager_main.cc:683] Packaging Error: 5 (FILE_FAILURE): no file",
            "E1129 07:31:02.001201  811 packager_main.cc:683] Packaging Error: 5 (FILE_FAILURE): no file",
        ),
        ("[1128/100013.123456:ERROR:mp4.cc(12)] no moof", "[1129/073102.1:ERROR:mp4.cc(12)] no moof"),
        ("[26506:1:1128/100013.1:ERROR:a.cc(1)] x", "[811:2:1129/073102.2:ERROR:a.cc(1)] x"),
        ("[h264 @ 0x55d3b39da800] no frame!", "[h264 @ 0x7fa489cfc040] no frame!"),
        (
            "[mov,mp4,m4a,3gp,3g2,mj2 @ 0x64a1c80] moov atom not found\nsource: Invalid data found",
            "[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55d0a51e3c80] moov atom not found\nsource: Invalid data found",
        ),
        ("2026-11-28 11:02:30,968 thread 12: no disk", "2026-11-28 07:31:02,001 thread 3: no disk"),
    ],
)
def test_what_tools_print_by_chance_is_no_other_failure(one: str, two: str) -> None:
    assert fingerprint(ToolError(FFMPEG, 1, one)) == fingerprint(ToolError(FFMPEG, 1, two))
    assert fingerprint(ToolError(FFMPEG, 1, one)) != fingerprint(ToolError(FFMPEG, 1, one + " more"))
    assert fingerprint(ToolError(FFMPEG, 1, one)) != fingerprint(ToolError(FFMPEG, 2, one))


def test_numbers_that_tell_what_failed_are_kept() -> None:
    for one, two in [("149 of 150 frames", "148 of 150 frames"), ("chunk-00003", "chunk-00004")]:
        assert fingerprint(VerificationError(one)) != fingerprint(VerificationError(two))
    assert fingerprint(ToolError(FFMPEG, 1, "a.cc:683] x")) != fingerprint(ToolError(FFMPEG, 1, "a.cc:12] x"))


def test_the_packager_fails_twice_in_the_same_way(tmp_path: Path) -> None:
    """The real one: whatever it prints by chance, a second failure is known again."""
    tools, failures = Tools(), []
    for _ in range(2):
        with pytest.raises(ToolError) as failure:
            LocalRunner().run(
                [
                    tools.packager,
                    "in=none.mp4,stream=video,init_segment=i.mp4,segment_template=s$Number$.m4s",
                ],
                folder=tmp_path,
            )
        failures.append(failure.value)
    assert failures[0].stderr_tail != failures[1].stderr_tail
    assert fingerprint(failures[0]) == fingerprint(failures[1])
