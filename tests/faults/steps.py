"""``Steps`` as a process of its own.

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
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.steps import Steps
from support.tools import ROOT

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

    def result(self, timeout_s: float = 120, *, hangs_after: bytes = b"") -> dict[str, Any]:
        """``{"error": class name or None, "message"}``

        :param hangs_after: what it says on stderr before it hangs: then it is not waited for any longer.
        :raises subprocess.TimeoutExpired: it did not end, and has been killed.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                out, errors = self.process.communicate(timeout=10)
                break
            except subprocess.TimeoutExpired as late:
                hangs = hangs_after and hangs_after in (late.stderr or b"")
                if hangs or time.monotonic() > deadline:
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
