"""The keys of a run's ``conf``: Airflow takes any, so a misspelt one would silently be left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from vod_operators.errors import InvalidInputError

FROM_AIRFLOW = frozenset({"openlineage"})
"""What Airflow adds by itself: ``TriggerDagRunOperator`` puts the parent run there, for lineage."""

SHOWN_CHARS = 60


def check_conf(conf: Mapping[str, Any] | None, keys: Collection[str]) -> None:
    """Refuse a key that no param has.

    :param conf: of the run; None where nobody gave one, as in a scheduled run.
    :param keys: names of the DAG's params.
    :raises InvalidInputError: there is one; the message names the nearest param, or all of them.
    """
    unknown = sorted(set(conf or {}) - set(keys) - FROM_AIRFLOW)
    if unknown:
        raise InvalidInputError(f"conf: {'; '.join(_described(key, keys) for key in unknown[:5])}")


def _described(key: str, keys: Collection[str]) -> str:
    nearest = get_close_matches(key.lower(), sorted(keys), n=1)
    advice = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(sorted(keys))}"
    return f"there is no field {key[:SHOWN_CHARS]!r}; {advice}"
