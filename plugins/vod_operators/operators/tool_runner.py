"""Makes the runner of a task's media tools: processes of this host, or containers of Docker's engine."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from airflow.sdk import get_current_context

from vod_operators.errors import InvalidInputError
from vod_operators.runners.base import Runner
from vod_operators.runners.containers import Container
from vod_operators.runners.docker import DockerRunner
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.sandbox import Mode, Sandbox, walls
from vod_operators.runners.tools import bundled_folders
from vod_operators.settings import VodSettings

_LOG = logging.getLogger(__name__)


def new_runner(settings: VodSettings, *inherited: int, runs_on_host: bool) -> Runner:
    """A new runner, as the settings say.

    :param inherited: as for ``LocalRunner``; only if ``runs_on_host``.
    :raises InvalidInputError: tools run in containers, and ``VOD_DOCKER_IMAGE`` names no image.
    """
    if runs_on_host:
        _log_walls(settings.sandbox)
        sandbox = Sandbox(settings.sandbox, (*settings.sandbox_paths, *bundled_folders()))
        return LocalRunner(settings.stall_timeout_s, inherited, sandbox)
    if settings.docker_image is None:
        raise InvalidInputError("VOD_DOCKER_IMAGE must name the image with the media tools")
    container = Container(
        image=settings.docker_image,
        cpus=settings.docker_cpus,
        memory=settings.docker_memory,
        gpus=settings.docker_gpus,
        labels=_labels(),
    )

    def engine() -> Any:
        from airflow.providers.docker.hooks.docker import DockerHook  # here, because it takes 0.4 s

        return DockerHook(docker_conn_id=None, base_url=settings.docker_url).api_client

    return DockerRunner(engine, container, settings.stall_timeout_s)


@lru_cache(maxsize=1)
def _log_walls(mode: Mode) -> None:
    """Log once in each task what confines its media tools."""
    standing, missing = walls(mode)
    words = ", ".join((*standing, "a clean environment", "limits of time, output and memory"))
    if missing:
        kinds = " and ".join(missing)
        _LOG.warning("VOD_SANDBOX=%s: media tools are not kept from %s; around them: %s", mode, kinds, words)
    else:
        _LOG.info("around media tools: %s", words)


def _labels() -> dict[str, str]:
    """Container labels that name the running task; empty outside of a task."""
    try:
        ti = get_current_context()["ti"]
    except RuntimeError:  # outside a task
        return {}
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    return {name.removesuffix("_id"): str(getattr(ti, name)) for name in names}
