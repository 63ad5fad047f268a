"""Work in a child process that is killed when this process gets a signal, whatever the work catches.

If a signal raised an exception in a task, Airflow would take it for a failure of the task, and retry. So the
work has a process and a session of its own, which the terminal's signals do not reach, and which is killed.
It leaves what any killed task leaves.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from vod_operators import processes
from vod_operators.errors import VodError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

END_S = 1.0
"""How long to wait for killed processes; one that waits for a dead network disk may never end."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        self.number = signal.Signals(number)
        super().__init__(self.number.name)


class KilledError(VodError):
    """The work's process was killed by something other than this process."""


class UnexpectedError(Exception):
    """The work failed with an error that is not a ``VodError``."""


_received: list[int] = []


def raise_on_signals() -> None:
    """From now on the first of ``SIGNALS`` raises ``Interrupted`` in this process; later ones are ignored."""
    for number in SIGNALS:
        # SIGHUP stays ignored under nohup. (Shells also ignore SIGINT in background jobs, but someone who
        # sends it to such a job means it.)
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def ignore_signals() -> None:
    """Ignore ``SIGNALS`` from now on, because the remaining cleanup is short and must be done."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, _frame: object) -> None:
    ignore_signals()
    _received.append(number)
    raise Interrupted(number)


class Child:
    """A child process that does some work, and never outlives this process.

    ``SIGNALS`` are blocked from the constructor until ``result``.

    :param work: called in the child; its result must be picklable.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        # Otherwise a signal during the constructor would leave a child that nobody ends.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if _received:  # an import may have caught the exception
            raise Interrupted(_received[0])
        processes.adopt_orphans()
        context = multiprocessing.get_context("fork")
        self._answers, answer = context.Pipe(duplex=False)
        self._process = context.Process(target=_run_child, args=(work, answer, os.getpid()))
        self._process.start()
        answer.close()
        assert self._process.pid is not None
        self.name = processes.number(self._process.pid)
        """The child, as ``processes.number`` names it."""

    def result(self) -> Any:
        """Wait for the work, and return its result.

        :raises VodError: the work raised it; only the message is kept.
        :raises KilledError: the child was killed.
        :raises UnexpectedError: the work raised another error.
        """
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            error, result = self._answers.recv()
        except EOFError:
            self._process.join()
            number = -(self._process.exitcode or 0)
            raise KilledError(
                f"the run's process was killed by signal {number}"
                + " (no memory?)" * (number == signal.SIGKILL)
            ) from None
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """Kill the child if it still runs, and wait until it and all processes that it started have ended."""
        ignore_signals()
        self._process.kill()
        self._process.join(END_S)
        # Its tools end with it (``end_with``). Until they have, they are children of this process.
        processes.await_children(END_S)


def _run_child(work: Callable[[], Any], answer: Connection, parent: int) -> None:
    processes.end_with(parent)
    os.setsid()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    message: tuple[Exception | None, Any]
    try:
        message = None, work()
    except VodError as error:
        message = VodError(str(error)), None  # not all of them can be pickled
    except BaseException as error:
        traceback.print_exc()
        message = UnexpectedError(f"{type(error).__name__}: {error}"), None
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # before the answer, because the parent may then kill this process, and copies its log
    answer.send(message)
