"""The real operators in the DAG's order, in this process, without a scheduler."""

from __future__ import annotations

import datetime
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from support.presets import write_preset
from support.settings import configure

if TYPE_CHECKING:
    import pytest

ORDER = (
    "prepare",
    "split",
    "analyse",
    "choose",
    "transcode",
    "correct",
    "audio",
    "text",
    "pictures",
    "segment",
    "publish",
    "release",
)

TRIES = 5
"""Of a step that fails with what may get better, as in the DAG."""


def prepared(**asked: str) -> dict[str, Any]:
    """The first task alone: what it leaves in XCom, and ``sounds``, what it returns."""
    from vod_operators.operators.prepare import VodPrepareOperator

    found: dict[str, Any] = {}
    run = SimpleNamespace(dag_id="vod", run_id="run")
    context: Any = {"dag_run": run, "ti": SimpleNamespace(xcom_push=found.__setitem__)}
    found["sounds"] = VodPrepareOperator(task_id="prepare", **asked).execute(context)
    return found


class Steps:
    """One run of one video.

    :param tries: how often a step is tried; the pauses between are short.
    """

    def __init__(
        self,
        *,
        video_id: str,
        source: str,
        run_id: str = "test",
        preset: str = "tiny",
        chunk_seconds: int = 1,
        subtitles: Sequence[dict[str, Any]] = (),
        downloads: Sequence[str] | None = None,
        chapters: Sequence[dict[str, Any]] | None = None,
        tries: int = 1,
        verify: bool = False,
    ) -> None:
        self.video_id, self.source, self.preset, self.tries = video_id, source, preset, tries
        self.chunk_seconds = chunk_seconds
        self.subtitles = subtitles
        self.downloads, self.chapters = downloads, chapters
        self.verify = verify
        self.before: dict[str, Callable[[], None]] = {}
        """Step -> what happens when it is reached."""
        self.retried: list[str] = []
        """Step and error of each try that failed and was followed by another."""
        now = datetime.datetime.now(datetime.timezone.utc)
        run = SimpleNamespace(
            dag_id="vod_transcode", run_id=run_id, start_date=now, triggering_user_name=None
        )
        self.pushed: dict[str, Any] = {}
        """What ``prepare`` leaves in XCom."""
        ti = SimpleNamespace(try_number=1, get_task_states=lambda **_: {}, xcom_push=self.pushed.__setitem__)
        events = defaultdict[Any, SimpleNamespace](SimpleNamespace)
        self.context: Any = {
            "dag_run": run, "ti": ti, "task_instance": ti, "run_id": run_id, "outlet_events": events
        }  # fmt: skip

    def run(self, until: str = "release", *, clears: int = 0) -> None:
        """All steps up to that one.

        :param clears: how often the run may be cleared after work was found lost.
        """
        from vod_operators.errors import LostWorkError

        for clear in range(clears + 1):
            try:
                for _ in self._steps(until):
                    pass
                return
            except LostWorkError as error:
                if clear == clears:
                    raise
                self.retried.append(f"cleared: {error}")

    def _steps(self, until: str) -> Iterator[str]:
        from airflow.sdk.exceptions import AirflowSkipException

        from vod_operators.operators.analyse import VodAnalyseOperator
        from vod_operators.operators.audio import VodEncodeAudioOperator
        from vod_operators.operators.choose import VodChooseOperator
        from vod_operators.operators.correct import VodCorrectChunkOperator
        from vod_operators.operators.pictures import VodPicturesOperator
        from vod_operators.operators.prepare import VodPrepareOperator
        from vod_operators.operators.publish import VodPublishOperator
        from vod_operators.operators.release import VodReleaseOperator
        from vod_operators.operators.segment import VodSegmentHlsOperator
        from vod_operators.operators.split import VodSplitOperator
        from vod_operators.operators.text import VodSegmentTextOperator
        from vod_operators.operators.transcode import VodTranscodeChunkOperator

        self.before.get("prepare", _nothing)()
        sounds = self._try(
            VodPrepareOperator,
            task_id="prepare",
            video_id=self.video_id,
            source=self.source,
            preset=self.preset,
            chunk_seconds=str(self.chunk_seconds),
            subtitles=json.dumps(self.subtitles),
            downloads=json.dumps(self.downloads),
            chapters=json.dumps(self.chapters),
            verify=str(self.verify),
        )
        plan, tracks = self.pushed["plan"], self.pushed["tracks"]
        chunks: list[dict[str, Any]] = []
        corrected: list[dict[str, Any]] = []
        published = None
        for step in ORDER[: ORDER.index(until) + 1]:
            if step != "prepare":
                self.before.get(step, _nothing)()
            if step == "split":
                chunks = self._try(VodSplitOperator, task_id=step, plan=plan, source=self.source)
            elif step == "analyse":
                for part in self.pushed["parts"]:
                    self._try(VodAnalyseOperator, task_id=step, plan=plan, source=self.source, part=part)
            elif step == "choose" and self.pushed["parts"]:
                corrected = self._try(VodChooseOperator, task_id=step, plan=plan)
                tracks = self.pushed["tracks"]  # those that are made
            elif step == "correct":
                for chunk in corrected:
                    self._try(
                        VodCorrectChunkOperator, task_id=step, plan=plan, source=self.source, chunk=chunk
                    )
            elif step == "transcode":
                for chunk in chunks:
                    self._try(
                        VodTranscodeChunkOperator, task_id=step, plan=plan, source=self.source, chunk=chunk
                    )
            elif step == "audio":
                for track in sounds:
                    self._try(
                        VodEncodeAudioOperator, task_id=step, plan=plan, source=self.source, track=track
                    )
            elif step == "text":
                with suppress(AirflowSkipException):
                    self._try(VodSegmentTextOperator, task_id=step, plan=plan)
            elif step == "pictures":
                if tracks != sounds:
                    self._try(VodPicturesOperator, task_id=step, plan=plan)
            elif step == "segment":
                for track in tracks:
                    self._try(VodSegmentHlsOperator, task_id=step, plan=plan, track=track)
            elif step == "publish":
                published = self._try(VodPublishOperator, task_id=step, plan=plan)
            elif step == "release":
                self._try(VodReleaseOperator, task_id=step, video_id=self.video_id, result=published)
            yield step

    def _try(self, operator: Any, *, task_id: str, **params: Any) -> Any:
        from airflow.sdk.exceptions import AirflowSkipException

        from vod_operators.errors import ClaimedError, InvalidInputError, LostWorkError

        for number in range(1, self.tries + 1):
            try:
                return operator(task_id=task_id, **params).execute(self.context)
            except (AirflowSkipException, ClaimedError, InvalidInputError, LostWorkError):
                raise
            except Exception as error:
                if number == self.tries:
                    raise
                self.retried.append(f"{task_id}: {type(error).__name__}: {error}".splitlines()[0])
                time.sleep(0.5 * number)


def steps_with(
    stores: Path, source: Path, monkeypatch: pytest.MonkeyPatch, **usual: Any
) -> Callable[..., Steps]:
    """Makes ``Steps`` of a source with a preset of the test's own.

    :param usual: fields of the preset; those that are given to the function go before.
    """

    def make(**preset: Any) -> Steps:
        folder = write_preset(stores / "presets", **(usual | preset))
        configure(monkeypatch, presets_dir=str(folder))
        return Steps(video_id="film", source=source.as_uri())

    return make


def _nothing() -> None:
    pass
