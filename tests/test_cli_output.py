"""What the commands show while they work: a bar on a terminal, some lines in a log."""

from __future__ import annotations

import contextlib
import io
import os
import pty

from vod_operators.cli.output import ProgressBar


def test_a_log_gets_a_line_for_each_tenth() -> None:
    log = io.StringIO()
    bar = ProgressBar(log)
    for percent in (0, 2.5, 9.9, 10, 12, 47.4, 48, 50.2, 99, 99, 100, 100):
        bar.show(f"chunk at {percent}", percent)
    bar.close()
    assert log.getvalue().splitlines() == [
        " 10% chunk at 10",
        " 47% chunk at 47.4",
        " 50% chunk at 50.2",
        " 99% chunk at 99",
        "100% chunk at 100",
    ]


def test_a_terminal_gets_one_line_that_moves() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        bar = ProgressBar(terminal)
        for percent in range(0, 101, 20):
            bar.show("chunk", percent)
        bar.close()
    shown = everything_of(ours)
    assert shown.count("\n") == 1 and shown.count("\r") > 2
    assert "chunk" in shown and "100%" in shown


def everything_of(terminal: int) -> str:
    """What was written to a pseudo terminal whose other end is closed: the kernel hands it on late."""
    shown = b""
    with os.fdopen(terminal, "rb", buffering=0) as screen, contextlib.suppress(OSError):
        while piece := screen.read(1 << 16):
            shown += piece
    return shown.decode()
