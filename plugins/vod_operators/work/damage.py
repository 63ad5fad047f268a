"""What the deployment does about a damaged source."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vod_operators.errors import InvalidInputError
from vod_operators.settings import VodSettings

log = logging.getLogger(__name__)


def report_damage(settings: VodSettings, damage: Sequence[str]) -> None:
    """Log the damage of the source.

    :raises InvalidInputError: there is damage, and ``VOD_ON_DAMAGE`` is ``fail``.
    """
    for words in damage:
        log.warning("source is damaged: %s", words)
    if damage and settings.on_damage == "fail":
        raise InvalidInputError(
            f"source is damaged: {'; '.join(damage)}; VOD_ON_DAMAGE=conceal would publish it all the same"
        )
