"""The errors of this package, and whether trying again may help.

::

    VodError
     ├── InvalidInputError       the request, preset, source or deployment is at fault: permanent
     │    ├── NotAllowedError       ... the deployment does not open it to requests
     │    ├── NoSuchVideoError      ... the results store has no such video
     │    ├── UnsafeStoreError      ... the store lets two runs own one video
     │    └── SourceChangedError    ... the source has changed since the run began
     ├── ClaimedError            another run owns the video: permanent for this run
     ├── LostWorkError           an earlier step's work is gone or damaged: that step must run again
     ├── VerificationError       an output differs from the plan: repeatable
     ├── NoRoomError             this host's disk is too full for the work: retried
     ├── EngineError             the container engine does not answer, or fails: retried
     ├── ToolError               ffmpeg, ffprobe or the packager failed: repeatable
     │    ├── ToolMemoryError    ... because it reached its memory limit: repeatable
     │    └── ToolKilledError    ... by a signal (worker lost, out of memory): retried
     │         ├── ToolStalledError   ... by us, because it made no progress: retried
     │         ├── ToolOverdueError   ... by us, because its time was up: repeatable
     │         └── ToolOutputError    ... by us, because it wrote too much: repeatable
     └── StorageError            a store or the network failed: retried
          ├── ObjectNotFoundError   the object does not exist
          ├── ObjectChangedError    the object does not have the requested version (any more)
          └── CorruptObjectError    the object's bytes are not those that were written

Messages are for the reader of the task log. They name the field, stream or object, what was found, and what
would be right. Their first line also goes to callbacks and to the UI, so it never quotes a file or an answer:
it gives line, column and kind of fault, but not the content. A repeatable failure is given up when it happens
twice in the same way. ``operators/retry.py`` alone decides whether to
retry, and ``operators/failure.py`` which code a CMS receives.
"""

from __future__ import annotations

import errno
import re
import shlex
from collections.abc import Sequence

from vod_operators.toolwords import tool_words

_NO_MEANS = re.compile(
    r"No space left on device|Disk quota exceeded|Cannot allocate memory|Out of memory|std::bad_alloc"
    r"|Resource temporarily unavailable|Too many open files|malloc of size \d+ failed"
)
"""Messages of tools that exit normally because the host lacks memory, disk space or the like."""

_NO_MEANS_CODES = {256 - code for code in (errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EMFILE, errno.EIO)}
"""ffmpeg exits with a negative error number, of which the exit code keeps the low 8 bits."""


class VodError(Exception):
    """Base of every error raised on purpose by this package."""


class InvalidInputError(VodError):
    """The request, the preset, the source or the deployment cannot be used; trying again changes nothing.

    The message begins with the field at fault (``source: ``, ``preset: ``), which determines the CMS's code.
    """


class NotAllowedError(InvalidInputError):
    """The deployment does not open this place to requests. The message does not tell whether it exists."""


class NoSuchVideoError(InvalidInputError):
    """The results store has no video of that id."""

    def __init__(self, video_id: str, results_uri: str) -> None:
        super().__init__(f"video_id: there is no video {video_id!r} in {results_uri}")


class UnsafeStoreError(InvalidInputError):
    """The store does not honour conditional writes.

    :param uri: of the store.
    :param seen: what it does instead, such as "ignores If-Match".
    """

    def __init__(self, uri: str, seen: str) -> None:
        super().__init__(
            f"{uri}: this store {seen}, so two runs could own one video, and a late one overwrite a newer "
            "result; use a store with conditional writes (docs/stores.md names some), or set "
            "VOD_ACCEPT_UNSAFE_STORE=true and see to it yourself that no video has two runs at a time"
        )


class SourceChangedError(InvalidInputError):
    """The source has another version than when the run began, so the run's work cannot be used."""


class ClaimedError(VodError):
    """Another run is working on this video."""


class LostWorkError(VodError):
    """The work of an earlier step is missing or damaged; this task cannot repair it.

    That step's marker has been deleted, so clearing the run repeats that step and no other finished work.
    """


class VerificationError(VodError):
    """A step's output differs from the plan, so it was discarded."""


class NoRoomError(VodError):
    """The local disk has less free space than the work needs; other tasks may free some."""


class EngineError(VodError):
    """The container engine does not answer, or fails; it may recover in a moment."""


class ToolError(VodError):
    """A media tool failed; the error carries its argv, return code, and the end of its stderr."""

    def __init__(self, argv: Sequence[str], returncode: int, stderr_tail: str) -> None:
        self.argv = list(argv)
        self.returncode = returncode
        self.stderr_tail = stderr_tail
        # The first line goes to callbacks, so it has only known phrases of the tool, which quote no file.
        words = tool_words(stderr_tail) or ("its log says why" if stderr_tail.strip() else "it said nothing")
        super().__init__(
            f"{self.describe()}: {words}\n{stderr_tail.strip()}\n  command: {shlex.join(self.argv)}"
        )

    @property
    def lacks_means(self) -> bool:
        """Whether the host lacked memory, disk space or the like, so that a later try may succeed."""
        return self.returncode in _NO_MEANS_CODES or _NO_MEANS.search(self.stderr_tail) is not None

    @property
    def is_answer(self) -> bool:
        """Whether the tool failed by its own verdict: it was not killed, and the host lacked nothing."""
        return not isinstance(self, ToolKilledError) and not self.lacks_means

    def describe(self) -> str:
        """Which tool failed and how, in one phrase without the tool's own messages."""
        return f"{self.argv[0].rsplit('/', 1)[-1]} {self._how()}"

    def _how(self) -> str:
        return f"failed with exit code {self.returncode}"


class ToolMemoryError(ToolError):
    """A media tool exceeded its memory limit."""

    def __init__(self, argv: Sequence[str], returncode: int, stderr_tail: str, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(argv, returncode, stderr_tail)

    def _how(self) -> str:
        limit = f"{self.limit_bytes / 1e6:.0f} MB of memory"
        return f"needs more than {limit}, its limit (VOD_TOOL_MEMORY_FACTOR)"


class ToolKilledError(ToolError):
    """A media tool was killed by a signal (``returncode`` is the negative signal number)."""

    def _how(self) -> str:
        return f"was killed by signal {-self.returncode}"


class ToolStalledError(ToolKilledError):
    """A media tool made no progress, neither in reading nor in writing, so it was stopped."""

    def __init__(self, argv: Sequence[str], returncode: int, stderr_tail: str, *, idle_s: float) -> None:
        self.idle_s = idle_s
        super().__init__(argv, returncode, stderr_tail)

    def _how(self) -> str:
        return f"made no progress for {self.idle_s:.0f} s and was stopped"


class ToolOverdueError(ToolKilledError):
    """A media tool exceeded its time limit, so it was stopped."""

    def __init__(self, argv: Sequence[str], returncode: int, stderr_tail: str, *, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(argv, returncode, stderr_tail)

    def _how(self) -> str:
        return f"was not done after {self.limit_s:.0f} s and was stopped (VOD_TOOL_TIME_FACTOR)"


class ToolOutputError(ToolKilledError):
    """A media tool exceeded its output limit, so it was stopped."""

    def __init__(self, argv: Sequence[str], returncode: int, stderr_tail: str, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(argv, returncode, stderr_tail)

    def _how(self) -> str:
        limit = f"{self.limit_bytes / 1e6:.0f} MB"
        return f"wrote more than {limit}, its limit, and was stopped (VOD_TOOL_OUTPUT_FACTOR)"


class StorageError(VodError):
    """A store did not answer, or failed; it may recover in a moment."""


class ObjectNotFoundError(StorageError):
    """The object does not exist."""


class ObjectChangedError(StorageError):
    """The object does not have the requested version, or no longer has it."""


class CorruptObjectError(StorageError):
    """The object exists, but its size or checksum is not what was recorded for it."""
