"""The real operators in the DAG's order without a scheduler: in this process, or as one of its own.

``python -m faults.steps '{"video_id": ..., "source": ..., ...}'`` prints what came of it as JSON.
"""

from __future__ import annotations

import datetime
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tools import ROOT

ORDER = ("prepare", "split", "transcode", "audio", "concat", "segment", "publish", "release")

TRIES = 5
"""Of a step that fails with what may get better, as in the DAG."""


class Steps:
    """One run of one video.

    :param tries: how often a step is tried; the pauses between are short.
    """

    def __init__(
        self, *, video_id: str, source: str, run_id: str = "test", preset: str = "tiny", tries: int = 1
    ) -> None:
        self.video_id, self.source, self.preset, self.tries = video_id, source, preset, tries
        self.before: dict[str, Callable[[], None]] = {}
        """Step -> what happens when it is reached."""
        self.retried: list[str] = []
        """Step and error of each try that failed and was followed by another."""
        now = datetime.datetime.now(datetime.timezone.utc)
        run = SimpleNamespace(dag_id="vod_transcode", run_id=run_id, start_date=now)
        ti = SimpleNamespace(try_number=1, get_task_states=lambda **_: {})
        self.context: Any = {"dag_run": run, "ti": ti, "task_instance": ti, "run_id": run_id}

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
        from vod_operators.operators.audio import VodEncodeAudioOperator
        from vod_operators.operators.concat import VodConcatOperator
        from vod_operators.operators.prepare import VodPrepareOperator
        from vod_operators.operators.publish import VodPublishOperator
        from vod_operators.operators.release import VodReleaseOperator
        from vod_operators.operators.segment import VodSegmentHlsOperator
        from vod_operators.operators.split import VodSplitOperator
        from vod_operators.operators.transcode import VodTranscodeChunkOperator

        self.before.get("prepare", _nothing)()
        prepared = self._try(
            VodPrepareOperator,
            task_id="prepare",
            video_id=self.video_id,
            source=self.source,
            preset=self.preset,
            chunk_seconds="1",
        )
        plan, tracks, sounds = prepared["plan"], prepared["renditions"], prepared["audio"]
        chunks: list[dict[str, Any]] = []
        published = None
        for step in ORDER[: ORDER.index(until) + 1]:
            if step != "prepare":
                self.before.get(step, _nothing)()
            if step == "split":
                chunks = self._try(VodSplitOperator, task_id=step, plan=plan, source=self.source)
            elif step == "transcode":
                for chunk in chunks:
                    self._try(VodTranscodeChunkOperator, task_id=step, plan=plan, chunk=chunk)
            elif step == "audio":
                for track in sounds:
                    self._try(VodEncodeAudioOperator, task_id=step, plan=plan, track=track)
            elif step == "concat":
                for track in tracks:
                    self._try(VodConcatOperator, task_id=step, plan=plan, track=track)
            elif step == "segment":
                for track in [*tracks, *sounds]:
                    self._try(VodSegmentHlsOperator, task_id=step, plan=plan, track=track)
            elif step == "publish":
                published = self._try(VodPublishOperator, task_id=step, plan=plan)
            elif step == "release":
                self._try(VodReleaseOperator, task_id=step, video_id=self.video_id, result=published)
            yield step

    def _try(self, operator: Any, *, task_id: str, **params: Any) -> Any:
        from vod_operators.errors import ClaimedError, InvalidInputError, LostWorkError

        for number in range(1, self.tries + 1):
            try:
                return operator(task_id=task_id, **params).execute(self.context)
            except (ClaimedError, InvalidInputError, LostWorkError):
                raise
            except Exception as error:
                if number == self.tries:
                    raise
                self.retried.append(f"{task_id}: {type(error).__name__}: {error}".splitlines()[0])
                time.sleep(0.5 * number)


def _nothing() -> None:
    pass


# --- as a process of its own ----------------------------------------------------------------


def start(*, before: Sequence[str] = (), settings: dict[str, str] | None = None, **asked: Any) -> Child:
    """Start ``Steps(**asked)`` as a child; ``until`` is where it ends, ``clock_s`` how wrong its clock is,
    ``memory_bytes`` the address space that it and its tools may take from the step ``limited_from`` on.

    :param before: a command that runs the one behind it.
    """
    env = dict(os.environ) | (settings or {})
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "plugins"), str(ROOT / "tests")])
    argv = [*before, sys.executable, "-m", "faults.steps", json.dumps(asked)]
    return Child(subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))


class Child:
    """Steps that run in a process of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def result(self, timeout_s: float = 120) -> dict[str, Any]:
        """``{"error": class name or None, "message"}``"""
        try:
            out, errors = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        for line in reversed(out.splitlines()):
            with suppress(ValueError):
                found: dict[str, Any] = json.loads(line)
                return found
        return {"error": f"exit {self.process.returncode}", "message": errors[-2000:]}


def wrong_clock(seconds: float) -> None:
    """Every module of the package sees another time, as on a host whose clock is off."""
    true_time = time.time

    class Shifted(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.datetime.now(tz) + datetime.timedelta(seconds=seconds)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(datetime.timezone.utc).replace(tzinfo=None)

    time.time = lambda: true_time() + seconds
    for name, module in list(sys.modules.items()):
        if name.startswith("vod_operators") and getattr(module, "datetime", None) is datetime.datetime:
            module.datetime = Shifted  # type: ignore[attr-defined]


def main() -> None:
    asked = json.loads(sys.argv[1])
    until, clock_s = asked.pop("until", "release"), asked.pop("clock_s", 0)
    limit, limited_from = asked.pop("memory_bytes", 0), asked.pop("limited_from", "prepare")
    import vod_operators.operators.publish  # the limit and the clock are for what comes after
    import vod_operators.operators.release  # noqa: F401

    if clock_s:
        wrong_clock(clock_s)
    found: dict[str, Any] = {"error": None, "message": ""}
    steps = None
    try:
        steps = Steps(**asked)
        if limit:
            steps.before[limited_from] = lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        steps.run(until)
    except BaseException as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        found = {"error": type(error).__name__, "kinds": kinds, "message": str(error)}
    found["retried"] = steps.retried if steps else []
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
