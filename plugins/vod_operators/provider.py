"""What ``airflow providers`` shows of this package: entry point ``apache_airflow_provider``.

It names no plugin, because the entry point ``airflow.plugins`` does, and Airflow would register it twice. It
describes no ``config``: Airflow would list such options as set in ``airflow.cfg`` or ``AIRFLOW__VOD__*``, and
they are not. The settings are ``VOD_*`` variables (``settings.py``), because ``vod run`` reads them before
there is an Airflow.
"""

from __future__ import annotations

from typing import Any

PACKAGE = "vod-operators"
"""The distribution; Airflow refuses another one's description."""

INTEGRATION = "Video on demand (HLS, DASH)"

STEPS = (
    "prepare", "split", "transcode", "audio", "text", "pictures", "segment", "publish", "release",
)  # fmt: skip
"""Modules of ``vod_operators.operators`` whose operators make a video, in this order."""


def get_provider_info() -> dict[str, Any]:
    """The package as Airflow's ``provider_info.schema.json`` has it."""
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
                    f"vod_operators.operators.{module}" for module in (*STEPS, "ingest", "janitor", "scrub")
                ],
            }
        ],
    }
