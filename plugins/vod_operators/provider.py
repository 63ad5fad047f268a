"""The description that ``airflow providers`` shows; entry point ``apache_airflow_provider``.

It names no plugin, because the entry point ``airflow.plugins`` does, and Airflow would register it twice. It
describes no ``config``, because Airflow would list such options as settings of ``airflow.cfg`` or
``AIRFLOW__VOD__*``. The settings are ``VOD_*`` variables (``settings.py``) instead, because ``vod run`` reads
them before Airflow is imported.
"""

from __future__ import annotations

from typing import Any

from vod_operators.pipeline import STEPS

PACKAGE = "vod-operators"
"""Name of the distribution; Airflow refuses a description with another name."""

INTEGRATION = "Video on demand (HLS, DASH)"


def get_provider_info() -> dict[str, Any]:
    """The package's description, as Airflow's ``provider_info.schema.json`` defines it."""
    return {
        "package-name": PACKAGE,
        "name": "VOD",
        "description": "Turns a source video into HLS and DASH: in chunks, in parallel, resumed where a "
        "failure stopped them, published only when verified.",
        "integrations": [{"integration-name": INTEGRATION, "tags": ["software"]}],
        "operators": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    f"vod_operators.operators.{module}"
                    for module in (*STEPS, "ingest", "janitor", "manage", "scrub")
                ],
            }
        ],
    }
