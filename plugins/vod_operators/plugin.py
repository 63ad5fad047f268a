"""The Airflow plugin: entry point ``airflow.plugins``, or ``plugins/vod_plugin.py``."""

from __future__ import annotations

from importlib import import_module

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from vod_operators.operators.priority import FewestChunksFirst

STEPS = (
    "prepare", "split", "transcode", "audio", "text", "pictures", "segment", "publish", "release",
)  # fmt: skip


class VodPlugin(AirflowPlugin):
    """Registers the package; loaded in every task process, so it imports nothing heavy."""

    name = "vod"
    priority_weight_strategies = [FewestChunksFirst]  # noqa: RUF012  (the type that Airflow declares)


PRELOADED = (*(f"vod_operators.operators.{step}" for step in STEPS), "airflow.sdk.definitions.decorators",
             "imageio_ffmpeg", "jinja2.ext", "jsonschema")  # fmt: skip

# By default Airflow loads plugins when it first needs one: in each task's process. Told to load them at its
# start, it has them in the process that tasks are forked from: what is imported here, no task imports again.
if not conf.getboolean("core", "lazy_load_plugins"):
    for module in PRELOADED:
        import_module(module)
