"""Run a media tool in a container of its own."""

from __future__ import annotations

import codecs
import io
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vod_operators.errors import EngineError, InvalidInputError, ToolKilledError
from vod_operators.runners.base import (
    COMPLAINT_CHARS,
    MAX_PRINTED_CHARS,
    STDERR_LINES,
    Line,
    Position,
    ToolLimits,
)
from vod_operators.runners.containers import Container, create, in_words, reap
from vod_operators.runners.watch import Moved, Watch

if TYPE_CHECKING:
    from docker import APIClient

LOOK_EVERY_S = 10.0
"""Poll interval; each poll execs a process in the container."""

INSIST_AFTER_S = 2.0
"""Time for the guard to kill the command before the engine is asked to. Airflow gives a killed task 5 s."""

_COUNTS = "grep -H '' /proc/[0-9]*/stat /proc/[0-9]*/io"
"""Prints the session of each process in the container, and the bytes that it has read and written."""


class DockerRunner:
    """Runs each command in a container of its own, and removes that when the command ends.

    :param connect: returns a client of the engine. The engine must see the work folder at the same path.
    :param container: what each container is created with.
    :param stall_timeout_s: see ``Watch``.
    """

    def __init__(
        self, connect: Callable[[], APIClient], container: Container, stall_timeout_s: float = 120
    ) -> None:
        self.limits = ToolLimits()
        self._connect, self._container, self._stall_timeout_s = connect, container, stall_timeout_s
        self._api: APIClient | None = None
        self._attached: _Attached | None = None

    @property
    def cpu_s(self) -> None:
        """See ``Runner.cpu_s``: a container's counters are gone when it has ended."""

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        on_line: Line | None = None,
        position: Position | None = None,
        limit_s: float | None = None,
        output_bytes: int | None = None,
    ) -> list[str]:
        """See ``Runner.run``.

        :raises EngineError: the engine cannot be reached, or fails.
        :raises InvalidInputError: also if the image is missing, or the engine does not see the folder.
        """
        limits = self.limits.of_run(limit_s, output_bytes)
        api = self._engine()
        with in_words(self._container, folder):
            name = create(api, self._container, argv, folder, limits)
        watch = Watch(
            kill=self.kill,
            moved=lambda: self._moved(name),
            position=position,
            stall_timeout_s=self._stall_timeout_s,
            limits=limits,
            look_every_s=LOOK_EVERY_S,
        )
        tail: deque[str] = deque(maxlen=STDERR_LINES)
        with ExitStack() as cleanup:
            cleanup.callback(self._remove, api, name)
            with in_words(self._container, folder):
                attached = self._attached = _Attached(api, name)
                cleanup.callback(attached.end)
                api.start(name)
            watch.start()
            cleanup.callback(watch.end)
            for is_error, line in attached.lines():
                if is_error:
                    tail.append(line)
                elif on_line is not None:
                    on_line(line)
            with in_words(self._container, folder):
                api.wait(name)
                state = api.inspect_container(name)["State"]
        if code := _returncode(state["ExitCode"]):
            self._raise_own(argv, code, list(tail), out_of_memory=state["OOMKilled"])
            raise watch.failure(argv, code, "\n".join(tail))
        return list(tail)

    def kill(self) -> None:
        """See ``Runner.kill``."""
        # Closing the pipe is one system call, safe in a signal handler. If the guard fails, the engine kills.
        attached = self._attached
        if attached is not None:
            attached.let_go()
            threading.Thread(target=self._insist, args=(attached,), daemon=True).start()

    def _remove(self, api: APIClient, name: str) -> None:
        self._attached = None
        with suppress(Exception):  # the engine may be gone; the container ends when our pipe closes
            api.remove_container(name, v=True, force=True)

    def _raise_own(self, argv: Sequence[str], code: int, tail: list[str], *, out_of_memory: bool) -> None:
        """Raise the errors that only a container has.

        :raises ToolKilledError: the container exceeded its memory.
        :raises InvalidInputError: the image does not have the tool.
        """
        if out_of_memory:
            memory = self._container.memory or "of the host"
            tail.append(f"the container used up its memory: {memory} (VOD_DOCKER_MEMORY)")
            raise ToolKilledError(argv, -signal.SIGKILL, "\n".join(tail))
        if code in (126, 127):  # from ``sh``: it cannot run the command
            raise InvalidInputError(
                f"{argv[0]} cannot be run in the image {self._container.image} (VOD_DOCKER_IMAGE): "
                f"{tail[-1] if tail else 'not found'}; VOD_FFMPEG, VOD_FFPROBE and VOD_PACKAGER are paths "
                "in that image"
            )

    # --- the engine ---------------------------------------------------------------------------

    def _engine(self) -> APIClient:
        if self._api is None:
            try:
                self._api = self._connect()
            except Exception as error:  # a hook may raise anything
                raise EngineError(
                    f"the Docker engine cannot be reached: {error}; VOD_RUNNER=docker needs one at "
                    "VOD_DOCKER_URL, and a worker that may use it"
                ) from error
            with suppress(Exception):  # the next task will try again
                reap(self._api)
        return self._api

    def _insist(self, attached: _Attached) -> None:
        if not attached.closed.wait(INSIST_AFTER_S):
            # An error means that the container has ended by now, or that the engine is gone.
            with suppress(Exception), closing(self._connect()) as api:
                api.kill(attached.container)

    def _moved(self, container: str) -> Moved | None:
        try:
            with closing(self._connect()) as api:  # a client must not be shared between threads
                poll = api.exec_create(container, ["/bin/sh", "-c", _COUNTS], stderr=False)
                return _sum_of_counts(api.exec_start(poll["Id"]).decode("utf-8", "replace"))
        except Exception:  # the container has just ended, or the engine is busy
            return None


class _Attached:
    """The pipes to and from a container."""

    def __init__(self, api: APIClient, container: str) -> None:
        self.container = container
        self.closed = threading.Event()
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        self._stream: Any = api.attach_socket(container, params=streams)
        # A second descriptor of the same connection: the client's own can only be read and closed.
        self._socket = socket.socket(fileno=os.dup(self._stream.fileno()))

    def lines(self) -> Iterator[tuple[bool, str]]:
        """``(is_stderr, line)`` of each line, without its end."""
        from docker.utils.socket import STDERR, frames_iter

        streams = {True: _Lines(COMPLAINT_CHARS), False: _Lines(MAX_PRINTED_CHARS)}
        for number, data in frames_iter(self._stream, tty=False):  # type: ignore[no-untyped-call]
            for line in streams[number == STDERR].feed(data):
                yield number == STDERR, line
        for is_error, stream in streams.items():
            for line in stream.feed(b"", is_last=True):
                yield is_error, line

    def let_go(self) -> None:
        """Close the container's stdin: its guard then kills the command."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        self.let_go()
        self.closed.set()
        self._socket.close()
        self._stream.close()


class _Lines:
    """Decodes bytes as they come into lines, with any newline, as Python's text files do."""

    def __init__(self, most_chars: int) -> None:
        self._most_chars = most_chars
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self._remainder = ""

    def feed(self, data: bytes, *, is_last: bool = False) -> list[str]:
        *lines, self._remainder = (self._remainder + self._decoder.decode(data, final=is_last)).split("\n")
        if (is_last and self._remainder) or len(self._remainder) > self._most_chars:
            lines.append(self._remainder)
            self._remainder = ""
        return lines


def _returncode(code: int) -> int:
    """The exit code as ``subprocess`` gives it: a signal is negative. ``sh`` and Docker give 128 + signal."""
    return 128 - code if 128 < code < 128 + 32 else code


def _sum_of_counts(text: str) -> Moved | None:
    """Bytes read and written by the container's session 1; a poll has a session of its own."""
    sessions: dict[str, str] = {}
    counts: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        file, _, content = line.partition(":")
        process, _, kind = file.removeprefix("/proc/").partition("/")
        if kind == "stat":
            # After the name, which may contain anything: state, parent, group, session.
            sessions[process] = (content.rpartition(")")[2].split() or [""] * 4)[3]
        elif kind == "io":
            key, _, number = content.partition(": ")
            counts.setdefault(process, {})[key] = number
    own = [count for process, count in counts.items() if sessions.get(process) == "1"]
    if not own:
        return None
    return sum(int(count["rchar"]) for count in own), sum(int(count["wchar"]) for count in own)
