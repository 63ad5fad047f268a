"""A runner that notes what each media command costs, and can answer from recordings instead of running it.

``BENCH_RUNNER`` says which commands are answered from ``BENCH_RECORDINGS`` if they were recorded there:
``run`` (none), ``encodes`` (those with an encoder: ready-made chunk files) or ``all``. What is not there yet
runs, and is recorded. ``BENCH_LOG`` gets a line of JSON for each command.
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

from vod_operators.runners.base import Line, Position, Runner

ENCODERS = ("libx264", "libx265", "libsvtav1", "aac")

_POSITION = re.compile(r"start_time=[0-9.]+|lt\(t\\*,[0-9.]+\)|duration=\d+/\d+")
_RANGE = re.compile(r"trim=end_pts=(\d+)(.*?)setpts=PTS-(\d+)")
_STILLS = re.compile(r"between\(n\+(\d+)\\*,(\d+)\\*,(\d+)\)\*not\(mod\(n\+\d+\\*,(\d+)\)\)")


def note(**facts: Any) -> None:
    """One line, whole, however many tasks write at once."""
    with open(os.environ["BENCH_LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps(facts) + "\n")


class RecordingRunner:
    """See the module."""

    def __init__(self, inner: Runner) -> None:
        self._inner = inner
        self._mode = os.environ.get("BENCH_RUNNER", "run")

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        on_line: Line | None = None,
        position: Position | None = None,
        limit_s: float | None = None,
    ) -> list[str]:
        begin = time.time()
        encodes = any(encoder in argv for encoder in ENCODERS)
        replayed = self._mode == "all" or (self._mode == "encodes" and encodes)
        if not replayed:
            messages = self._inner.run(
                argv, folder=folder, on_line=on_line, position=position, limit_s=limit_s
            )
        else:
            messages = self._replay(argv, folder, on_line, position, limit_s, encodes)
        note(tool=Path(argv[0]).name, encodes=encodes, begin=begin, wall_s=time.time() - begin)
        return messages

    def kill(self) -> None:
        self._inner.kill()

    def _replay(
        self,
        argv: Sequence[str],
        folder: Path,
        on_line: Line | None,
        position: Position | None,
        limit_s: float | None,
        encodes: bool,
    ) -> list[str]:
        recording = Path(os.environ["BENCH_RECORDINGS"]) / _key(argv, folder, encodes)
        said = recording / "said.json"
        if not said.exists():
            lines: list[str] = []

            def both(line: str) -> None:
                lines.append(line)
                if on_line is not None:
                    on_line(line)

            there = set(folder.iterdir()) if _own(folder) else set()
            messages = self._inner.run(argv, folder=folder, on_line=both, position=position, limit_s=limit_s)
            recording.mkdir(parents=True, exist_ok=True)
            if _own(folder):
                made = set(folder.iterdir()) - there
                # Commands that run beside others name what they write.
                for path in {path for path in made if path.name in argv} or made:
                    shutil.copyfile(path, recording / path.name)
            said.write_text(json.dumps({"lines": lines, "messages": messages}))
            return messages
        answer: dict[str, Any] = json.loads(said.read_text())
        for path in recording.iterdir():
            if path != said:
                shutil.copyfile(path, folder / path.name)
        for line in answer["lines"]:
            if on_line is not None:
                on_line(line)
        return list(answer["messages"])


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
