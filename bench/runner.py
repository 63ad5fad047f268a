"""A runner that can answer media commands from recordings instead of running them.

``BENCH_RUNNER`` says which commands are answered from ``BENCH_RECORDINGS`` if they were recorded there:
``run`` (none), ``encodes`` (those with an encoder: ready-made chunk files) or ``all``. What is not there yet
runs, and is recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vod_operators.media.encoders import ENCODERS
from vod_operators.runners.base import Line, Runner, ToolLimits

_POSITION = re.compile(r"start_time=[0-9.]+|lt\(t\\*,[0-9.]+\)|duration=\d+/\d+")
_RANGE = re.compile(r"trim=end_pts=(\d+)(.*?)setpts=PTS-(\d+)")
_STILLS = re.compile(r"between\(n\+(\d+)\\*,(\d+)\\*,(\d+)\)\*not\(mod\(n\+\d+\\*,(\d+)\)\)")


def note(**facts: Any) -> None:
    """A line of JSON in ``BENCH_LOG``, whole, however many tasks write at once."""
    with open(os.environ["BENCH_LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps(facts) + "\n")


class RecordingRunner:
    """See the module, and ``Runner`` for what it is asked."""

    def __init__(self, inner: Runner) -> None:
        self._inner = inner
        self._mode = os.environ.get("BENCH_RUNNER", "run")

    @property
    def limits(self) -> ToolLimits:
        return self._inner.limits

    @limits.setter
    def limits(self, limits: ToolLimits) -> None:
        self._inner.limits = limits

    @property
    def cpu_s(self) -> float | None:
        return self._inner.cpu_s

    def run(
        self, argv: Sequence[str], *, folder: Path, on_line: Line | None = None, **limits: Any
    ) -> list[str]:
        encodes = any(encoder in argv for encoder in (*ENCODERS, "aac"))
        if encodes and _own(folder):
            note(encode_at=time.time())
        if self._mode == "run" or (self._mode == "encodes" and not encodes):
            return self._inner.run(argv, folder=folder, on_line=on_line, **limits)
        recording = Path(os.environ["BENCH_RECORDINGS"]) / _key(argv, folder, encodes)
        said = recording / "said.json"
        if not said.exists():
            return self._record(argv, folder, on_line, recording, **limits)
        answer: dict[str, Any] = json.loads(said.read_text())
        for path in recording.iterdir():
            if path != said:
                shutil.copyfile(path, folder / path.name)
        for line in answer["lines"]:
            if on_line is not None:
                on_line(line)
        return list(answer["messages"])

    def kill(self) -> None:
        self._inner.kill()

    def _record(
        self, argv: Sequence[str], folder: Path, on_line: Line | None, recording: Path, **limits: Any
    ) -> list[str]:
        lines: list[str] = []

        def both(line: str) -> None:
            lines.append(line)
            if on_line is not None:
                on_line(line)

        there = set(folder.iterdir()) if _own(folder) else set()
        messages = self._inner.run(argv, folder=folder, on_line=both, **limits)
        recording.mkdir(parents=True, exist_ok=True)
        if _own(folder):
            made = set(folder.iterdir()) - there
            # Commands that run beside others name what they write.
            for path in {path for path in made if path.name in argv} or made:
                shutil.copyfile(path, recording / path.name)
        (recording / "said.json").write_text(json.dumps({"lines": lines, "messages": messages}))
        return messages


def _key(argv: Sequence[str], folder: Path, encodes: bool) -> str:
    """Names the recording of a command. Chunks that encode equally many frames share one."""
    words = [Path(argv[0]).name, *argv[1:]]
    if encodes:
        words = [_POSITION.sub("", _RANGE.sub(_length, _STILLS.sub(_count, word))) for word in words]
    elif _own(folder):
        inputs = [path for path in folder.iterdir() if any(path.name in word for word in argv)]
        words += [f"{path.name} {_beginning(path)}" for path in sorted(inputs)]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:24]


def _beginning(path: Path) -> str:
    """Size and hash of the first bytes: chunks are told apart by when they begin."""
    with path.open("rb") as file:
        return f"{path.stat().st_size} {hashlib.sha256(file.read(65536)).hexdigest()}"


def _own(folder: Path) -> bool:
    """Whether it is a task's scratch folder: an encoder is tried in none."""
    return folder != Path("/")


def _length(match: re.Match[str]) -> str:
    end, between, begin = match.groups()
    return f"{int(end) - int(begin)} frames{between}"


def _count(match: re.Match[str]) -> str:
    _, first, last, step = (int(group) for group in match.groups())
    return f"{last // step - (first - 1) // step} stills"
