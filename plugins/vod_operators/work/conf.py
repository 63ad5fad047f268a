"""Reads a run's ``conf``, and checks its keys: Airflow accepts any, and would ignore a misspelt one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from vod_operators.errors import InvalidInputError

FROM_AIRFLOW = frozenset({"openlineage"})
"""Keys that Airflow adds itself: ``TriggerDagRunOperator`` records the parent run for lineage."""

SHOWN_CHARS = 60


def is_true(rendered: object) -> bool:
    """Whether a boolean param is set: templates render it as the text ``True`` or ``False``."""
    return str(rendered).lower() == "true"


def check_conf(conf: Mapping[str, Any] | None, keys: Collection[str]) -> None:
    """Refuse a key that is no param of the DAG.

    :param conf: of the run; None if it was started without one, as a scheduled run is.
    :param keys: names of the DAG's params.
    :raises InvalidInputError: a key is unknown; the message names the nearest param, or all of them.
    """
    unknown = sorted(set(conf or {}) - set(keys) - FROM_AIRFLOW)
    if unknown:
        raise InvalidInputError(f"conf: {'; '.join(_described(key, keys) for key in unknown[:5])}")


def _described(key: str, keys: Collection[str]) -> str:
    nearest = get_close_matches(key.lower(), sorted(keys), n=1)
    advice = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(sorted(keys))}"
    return f"there is no field {key[:SHOWN_CHARS]!r}; {advice}"
