"""The Airflow plugin: entry point ``airflow.plugins``, or ``plugins/vod_plugin.py``."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from vod_operators.operators.priority import FewestChunksFirst


class VodPlugin(AirflowPlugin):
    """Registers the package; loaded in every task process, so it imports nothing heavy."""

    name = "vod"
    priority_weight_strategies = [FewestChunksFirst]  # noqa: RUF012  (the type that Airflow declares)
