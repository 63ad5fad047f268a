"""Restarts components of the local Airflow that die; `up` starts it after all others.

It polls the components that ``running.json`` names. A dead one is restarted after a delay that doubles with
each death. The delay is reset once the component has lived for ``STEADY_S``.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime

from local_processes import (
    Component,
    components_of,
    family,
    kill,
    only_one,
    read_state,
    start,
    write_state,
)
from local_settings import say

POLL_S = 0.5
FIRST_DELAY_S, LONGEST_DELAY_S = 1, 60
STEADY_S = 120
"""After a component has lived for so long, its next death counts as the first."""


def note(text: str) -> None:
    say(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}")


class Watch:
    """Watches one component over all its restarts."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self.delay_s = 0
        self.due: float | None = None

    def look(self, now: float) -> None:
        """Notice a death, or restart a dead component whose delay has passed.

        :param now: monotonic time in seconds.
        """
        if self.due is None and not self.component.alive():
            lived_s = time.time() - self.component.created
            again = self.delay_s and lived_s < STEADY_S
            self.delay_s = min(2 * self.delay_s, LONGEST_DELAY_S) if again else FIRST_DELAY_S
            self.due = now + self.delay_s
            note(
                f"{self.component.name} (pid {self.component.pid}) ended; starting again in {self.delay_s} s"
            )
        elif self.due is not None and now >= self.due:
            self.due = None
            self.restart()

    def restart(self) -> None:
        dead = self.component
        # Another holder of the lock is starting or stopping Airflow. If it stops Airflow, it kills this
        # process while it waits here.
        with only_one():
            state = read_state()
            if not state:
                sys.exit("nothing is to run any more")
            kill(lambda: family([dead], mark=None))
            self.component = start(dead.name, dead.argv, os.environ, dead.restarts + 1)
            state["components"] = [
                vars(self.component if component.name == dead.name else component)
                for component in components_of(state)
            ]
            write_state(state)
        note(f"{dead.name} started again (pid {self.component.pid}); its log: {self.component.log}")


def main() -> None:
    watches = [Watch(component) for component in components_of(read_state()) if component.pid != os.getpid()]
    note(f"watching {', '.join(watch.component.name for watch in watches)}")
    while True:
        for watch in watches:
            watch.look(time.monotonic())
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
