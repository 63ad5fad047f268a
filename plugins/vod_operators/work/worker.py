"""What a step works with on its host: the two stores, the media tools and what runs them, scratch space."""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from vod_operators.errors import InvalidInputError, ToolError
from vod_operators.runners.base import Runner, ToolLimits
from vod_operators.runners.progress import Progress, ProgressReader
from vod_operators.runners.scratch import scratch_folder
from vod_operators.runners.tools import Tools
from vod_operators.settings import VodSettings
from vod_operators.storage.base import Storage
from vod_operators.storage.stores import storage_for
from vod_operators.work import allowance

log = logging.getLogger(__name__)


def open_stores(settings: VodSettings) -> tuple[Storage, Storage]:
    """The stores of intermediate and of published files, ``VOD_TEMP_URI`` and ``VOD_RESULTS_URI``."""
    temp, results = (
        storage_for(uri, settings.aws_conn_id, accept_unsafe=settings.accept_unsafe_store)
        for uri in (settings.temp_uri, settings.results_uri)
    )
    return temp, results


class Worker:
    """The means of one step.

    :param new_runner: makes a runner; its arguments are file descriptors that commands inherit.
    :param runs_on_host: whether media tools run as processes of this host, not in containers. Only then can
        they inherit anything.
    """

    def __init__(
        self, settings: VodSettings, new_runner: Callable[..., Runner], *, runs_on_host: bool = True
    ) -> None:
        self.settings = settings
        self.runs_on_host = runs_on_host
        self.temp, self.results = open_stores(settings)
        self.tools = Tools(settings.ffmpeg, settings.ffprobe, settings.packager)
        self._new_runner = new_runner
        self._runners: list[Runner] = []
        self._limits = ToolLimits(seconds=allowance.PROBE_FLOOR_S)
        self.is_stopped = False
        """Whether ``kill`` was called."""

    @cached_property
    def runner(self) -> Runner:
        """The runner of the media tools."""
        return self.another_runner()

    def another_runner(self, *inherited: int) -> Runner:
        """A runner for a command that runs beside others. Call this in the task's own thread.

        :param inherited: as for ``LocalRunner``; only if ``runs_on_host``.
        :raises InvalidInputError: tools run in containers, and ``VOD_DOCKER_IMAGE`` names no image.
        """
        self._runners.append(self._new_runner(*inherited))
        self._runners[-1].limits = self._limits
        return self._runners[-1]

    @property
    def cpu_s(self) -> float | None:
        """CPU seconds of the media tools so far; None if that is not known."""
        spent = [runner.cpu_s for runner in self._runners]
        known = [seconds for seconds in spent if seconds is not None]
        return sum(known) if len(known) == len(spent) else None

    def meter(self) -> Callable[[], dict[str, Any]]:
        """Begin to measure a step; returns a function that gives its facts for the marker.

        They are ``{"seconds", "cpu_s", "ended_at", "host"}``: the worker's time, the CPU time of the media
        tools (None if it is not known), seconds since the epoch, and a digest of the host's name.
        """
        begin, spent = time.monotonic(), self.cpu_s

        def facts() -> dict[str, Any]:
            now = self.cpu_s
            return {
                "seconds": round(time.monotonic() - begin, 3),
                "cpu_s": None if now is None or spent is None else round(now - spent, 3),
                "ended_at": round(time.time(), 3),
                "host": hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8],
            }

        return facts

    def limit_tools(self, limits: ToolLimits) -> None:
        """Set the limits of each command from now on."""
        self._limits = limits
        for runner in self._runners:
            runner.limits = limits

    def kill(self) -> None:
        """Kill the running commands. Safe in a signal handler."""
        self.is_stopped = True
        for runner in self._runners:
            runner.kill()

    def scratch(self, needed_bytes: float = 0) -> AbstractContextManager[Path]:
        """A context manager of a temporary folder on this host's disk, with room for ``needed_bytes``."""
        return scratch_folder(self.settings.work_dir, round(needed_bytes))

    def run_media(
        self,
        argv: Sequence[str],
        folder: Path,
        *,
        seconds: float,
        codec: str,
        report: Callable[[Progress], None],
        read_seconds: float = 0,
        more_bytes: int = 0,
    ) -> list[str]:
        """Run an ffmpeg that decodes and encodes, with progress and a time limit; returns its messages.

        :param seconds: of media that it will write.
        :param codec: of the source's stream.
        :param report: called with the progress every few seconds.
        :param read_seconds: of media that it reads, if they are more; its time limit depends on them.
        :param more_bytes: that it may write in addition to the limit of the source.
        :raises ToolError: ffmpeg failed, or succeeded although a decoder lacked memory.
        """
        progress, limit = ProgressReader(seconds, report), self._limits.output_bytes
        messages = self.runner.run(
            argv,
            folder=folder,
            on_line=progress,
            position=progress.position,
            limit_s=allowance.FLOOR_S + self.settings.tool_time_factor * max(seconds, read_seconds),
            output_bytes=limit + more_bytes if limit is not None else None,
        )
        # A decoder without memory skips frames, and ffmpeg still exits with 0. (The AV1 decoder prints the
        # same message about damaged data.)
        poor = ToolError(argv, 0, "\n".join(messages))
        if poor.lacks_means and codec != "av1":
            raise poor
        return messages

    def report_damage(self, damage: Sequence[str]) -> None:
        """Log the damage of the source.

        :raises InvalidInputError: there is damage, and ``VOD_ON_DAMAGE`` is ``fail``.
        """
        for words in damage:
            log.warning("source is damaged: %s", words)
        if damage and self.settings.on_damage == "fail":
            raise InvalidInputError(
                f"source is damaged: {'; '.join(damage)}; VOD_ON_DAMAGE=conceal would publish it all the same"
            )
