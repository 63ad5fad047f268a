"""Work in a child process that one signal to this one ends for good, whatever the work catches.

Airflow takes an exception that a signal raises in a task for a failure of the task, and tries again. So the
work gets a process and a session of its own, where no signal of the terminal reaches it, and is killed; what
it leaves is what any killed task leaves.
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
"""How long killed processes are waited for: one that the kernel holds (a dead network disk) may never end."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        self.number = signal.Signals(number)
        super().__init__(self.number.name)

    @property
    def exit_code(self) -> int:
        """As shells count."""
        return 128 + self.number


class KilledError(VodError):
    """The work's process was killed, not by this one."""


class UnexpectedError(Exception):
    """The work failed with an error that is not one of this package's."""


_received: list[int] = []


def raise_on_signals() -> None:
    """From now on the first of ``SIGNALS`` raises ``Interrupted`` here, and more of them do nothing."""
    for number in SIGNALS:
        # nohup's wish stands. (Shells also ignore SIGINT in the background, but whoever sends it means it.)
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def ignore_signals() -> None:
    """From now on none of ``SIGNALS`` does anything: what is left to do is short, and must be done."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, _frame: object) -> None:
    ignore_signals()
    _received.append(number)
    raise Interrupted(number)


class Child:
    """A process that does some work, and never outlives this one. Signals wait from here until ``result``.

    :param work: what it does; its result can be pickled.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        # Else one that came in mid-constructor would leave a child that nobody knows.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if _received:  # some import has caught it
            raise Interrupted(_received[0])
        processes.adopt_orphans()
        context = multiprocessing.get_context("fork")
        self._answers, answer = context.Pipe(duplex=False)
        self._process = context.Process(target=_do, args=(work, answer, os.getpid()))
        self._process.start()
        answer.close()
        assert self._process.pid is not None
        self.name = processes.number(self._process.pid)
        """As claims name it."""

    def result(self) -> Any:
        """What the work returned, when it is done.

        :raises VodError: that of the work.
        :raises KilledError: the process was killed.
        :raises UnexpectedError: another error of the work.
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
        """Kill it, if it is still at work, and with it all that it started; returns when they are gone."""
        ignore_signals()
        self._process.kill()
        self._process.join(END_S)
        # Its tools were to end with it, and are this process's children now.
        processes.await_children(END_S)


def _do(work: Callable[[], Any], answer: Connection, parent: int) -> None:
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
        stream.flush()  # who gets the answer may kill this process, and wants its log
    answer.send(message)
