"""Which code a CMS is told, and with which advice."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, get_args

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout, ParamValidationError

from support.settings import configure
from vod_operators import errors
from vod_operators.errors import (
    ClaimedError,
    CorruptObjectError,
    EngineError,
    InvalidInputError,
    LostWorkError,
    NoRoomError,
    NoSuchVideoError,
    NotAllowedError,
    SourceChangedError,
    StorageError,
    ToolError,
    ToolKilledError,
    ToolMemoryError,
    ToolOutputError,
    ToolOverdueError,
    ToolStalledError,
    UnsafeStoreError,
    VerificationError,
)
from vod_operators.media.presets.catalog import load_preset
from vod_operators.media.subtitles import parse_request
from vod_operators.operators.credentials import credentials_of
from vod_operators.operators.failure import code_of
from vod_operators.operators.release import VodReleaseOperator
from vod_operators.operators.retry import kind_of
from vod_operators.settings import get_settings
from vod_operators.storage.keys import check_video_id
from vod_operators.storage.stores import storage_for
from vod_operators.work.failure import ADVICE, FailureCode, LeftFailure

FFMPEG = ["/opt/bin/ffmpeg", "-i", "chunk.nut"]

CODES: list[tuple[BaseException, str]] = [
    (InvalidInputError("source: file:///a.mp4 does not exist"), "source_unusable"),
    (InvalidInputError("source is damaged: frame 3"), "source_unusable"),
    (InvalidInputError("subtitles[0] (s3://a/b.srt), line 6: its times cannot be read"), "source_unusable"),
    (InvalidInputError("subtitles[0].language: it is none"), "request_invalid"),
    (InvalidInputError("source_conn_id: there is no Airflow connection 'x'"), "request_invalid"),
    (InvalidInputError("preset: it asks for encryption"), "preset_invalid"),
    (InvalidInputError("VOD_DOCKER_IMAGE must name the image"), "deployment_invalid"),
    (InvalidInputError("s3://results: bucket 'results' does not exist"), "deployment_invalid"),
    (InvalidInputError("Airflow connection 'k' (VOD_KEY_CONN_ID): no key"), "deployment_invalid"),
    (NotAllowedError("source: it is not in a folder that VOD_SOURCE_ALLOW names"), "not_allowed"),
    (NoSuchVideoError("film", "s3://results"), "request_invalid"),
    (SourceChangedError("source: x has changed since the run began"), "source_changed"),
    (UnsafeStoreError("s3://bucket/tmp", "ignores If-Match"), "deployment_invalid"),
    (ClaimedError("video film is being worked on by run r"), "busy"),
    (LostWorkError("chunk is gone"), "storage"),
    (StorageError("no answer"), "storage"),
    (CorruptObjectError("damaged on its way"), "storage"),
    (NoRoomError("disk"), "host"),
    (EngineError("no answer"), "host"),
    (ToolKilledError(FFMPEG, -9, ""), "host"),
    (ToolStalledError(FFMPEG, -9, "", idle_s=120), "host"),
    (ToolError(FFMPEG, 1, "chunk-0.mp4: No space left on device"), "host"),
    (ToolOverdueError(FFMPEG, -9, "", limit_s=900), "limit_reached"),
    (ToolOutputError(FFMPEG, -9, "", limit_bytes=900), "limit_reached"),
    (ToolMemoryError(FFMPEG, 1, "", limit_bytes=900), "limit_reached"),
    (AirflowTaskTimeout("12 h"), "limit_reached"),
    (ToolError(FFMPEG, 1, "Invalid data found"), "internal"),
    (VerificationError("149 of 150 frames"), "internal"),
    (KeyError("a bug"), "internal"),
    (OSError(errno.ENOSPC, "No space left on device"), "host"),
    (MemoryError(), "host"),
    (AirflowException("the API server is away"), "host"),
    (ParamValidationError("Invalid input for param preset: 'none' is not one of"), "request_invalid"),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: str(value)[:40])
def test_the_code_of_each_error(error: BaseException, code: str) -> None:
    assert code_of(error) == code


def test_every_error_and_every_code_has_been_thought_of() -> None:
    def below(base: type) -> set[type]:
        return {base}.union(*(below(cls) for cls in base.__subclasses__()))

    named = {error for error in vars(errors).values() if isinstance(error, type)}
    assert below(errors.VodError) & named - {type(error) for error, _ in CODES} <= {
        errors.VodError,
        errors.ObjectNotFoundError,
        errors.ObjectChangedError,
    }
    assert {code for _, code in CODES} | {"cancelled"} == set(get_args(FailureCode)) == set(ADVICE)


def test_what_is_tried_again_by_itself_is_worth_another_try_later() -> None:
    temporary = {ADVICE[code_of(error)] for error, _ in CODES if kind_of(error) == "temporary"}
    assert temporary == {"later"}


def test_messages_that_the_code_really_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, presets_dir=str(tmp_path))
    (tmp_path / "bad.json").write_text("{}")
    settings = get_settings()

    def refused(call: Any, *args: Any) -> str:
        with pytest.raises(InvalidInputError) as failure:
            call(*args)
        return code_of(failure.value)

    assert refused(check_video_id, "no id") == "request_invalid"
    assert refused(load_preset, "bad", tmp_path) == "preset_invalid"
    assert refused(load_preset, "none", tmp_path) == "preset_invalid"
    assert refused(parse_request, '[{"uri": "s3://a/b.srt"}]') == "request_invalid"
    assert refused(settings.sources.require, "file:///etc/passwd", "source") == "not_allowed"
    assert refused(credentials_of, settings, "secret_conn", "source_conn_id") == "not_allowed"
    assert refused(storage_for, "gopher://x/y", "aws_default") == "deployment_invalid"


# --- what became of a run -------------------------------------------------------------------


def left(task: str, code: FailureCode, at: str, *, by_itself: bool = True) -> dict[str, Any]:
    from vod_operators.work.failure import Failure

    step = task.partition("_")[0]
    failure = Failure.of(code, step=step, item="chunk 1/2", reason=f"{task} failed", at=at)
    return LeftFailure(task=task, by_itself=by_itself, failure=failure).as_xcom()


def outcome(states: dict[str, str], *pulled: Any) -> tuple[str, str, str]:
    """Code, step and reason of the run in which tasks ended so, and left those failures."""
    from types import SimpleNamespace

    ti = SimpleNamespace(get_task_states=lambda **_: {"run": states}, xcom_pull=lambda **_: list(pulled))
    context: Any = {
        "dag_run": SimpleNamespace(dag_id="dag", run_id="run"),
        "ti": ti,
        "dag": SimpleNamespace(task_ids=["prepare", "transcode", "publish", "release"]),
    }
    failure, _ = VodReleaseOperator(task_id="release", video_id="film")._failure(context)
    return failure.code, failure.step, failure.reason


BEHIND = {"prepare": "success", "publish": "upstream_failed", "release": "running"}
MARKED = {"prepare": "success", "publish": "skipped", "release": "running"}
CANCELLED = "the run was cancelled: somebody marked it in Airflow before it was done"


def test_the_first_failure_is_why_the_others_failed() -> None:
    states = BEHIND | {"transcode_0": "failed", "transcode_1": "failed"}
    late, early = (
        left("transcode_0", "storage", "2026-11-28T10:00:09Z"),
        left("transcode_1", "busy", "2026-11-28T10:00:01Z"),
    )
    assert outcome(states, late, early) == ("busy", "transcode", "transcode_1 failed")


def test_a_cancelled_run_says_so_whether_or_not_its_task_had_time_to() -> None:
    states = MARKED | {"transcode_0": "failed"}
    stopped = left("transcode_0", "host", "2026-11-28T10:00:01Z", by_itself=False)
    assert outcome(states, stopped) == ("cancelled", "transcode", CANCELLED)
    assert outcome(states) == ("cancelled", "transcode_0", CANCELLED)
    assert outcome(MARKED | {"prepare": "skipped"}) == ("cancelled", "release", CANCELLED)


def test_what_failed_before_the_run_was_cancelled_is_told() -> None:
    states = MARKED | {"transcode_0": "failed", "transcode_1": "failed"}
    failed = left("transcode_0", "internal", "2026-11-28T10:00:05Z")
    stopped = left("transcode_1", "host", "2026-11-28T10:00:01Z", by_itself=False)
    assert outcome(states, stopped, failed) == ("internal", "transcode", "transcode_0 failed")


def test_a_task_that_died_without_a_word_was_its_host() -> None:
    code, step, reason = outcome(BEHIND | {"transcode_0": "failed"})
    assert (code, step) == ("host", "transcode_0")
    assert reason.startswith("it was killed, or its worker was lost")


def test_an_old_failure_of_a_cleared_run_is_not_told() -> None:
    states = BEHIND | {"transcode_0": "failed", "transcode_1": "success"}
    old = left("transcode_1", "storage", "2026-11-28T10:00:01Z")
    new = left("transcode_0", "internal", "2026-11-28T11:00:01Z")
    assert outcome(states, old, new)[0] == "internal"
