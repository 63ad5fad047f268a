"""What a preset wants done about each kind of finding in a source."""

from __future__ import annotations

from typing import Literal

from vod_operators.formats.base import Model

Action = Literal["off", "tell", "warn", "refuse"]
"""``off``: not looked for. ``tell``: listed in ``source_report``. ``warn``: and a sentence in ``warnings``.
``refuse``: the run fails, and nothing is published."""


class ReportPolicy(Model):
    """The action for each kind of finding."""

    black: Action = "tell"
    frozen: Action = "tell"
    silent: Action = "tell"
    clipped: Action = "tell"
    bars: Action = "tell"
    flashes: Action = "tell"
    loudness: Action = "tell"

    @property
    def pictures(self) -> bool:
        """Whether every picture must be looked at."""
        return not self.black == self.frozen == self.flashes == "off"

    @property
    def sound(self) -> bool:
        """Whether the sound must be analysed."""
        return not self.silent == self.clipped == self.loudness == "off"


def is_default(policy: ReportPolicy) -> bool:
    """Whether everything is told: such a preset has the fingerprint that it had before there were reports."""
    return policy == ReportPolicy()
