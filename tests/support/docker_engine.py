"""The Docker engine that tests use."""

from __future__ import annotations

import os

IMAGE = os.environ.get("DOCKER_TEST_IMAGE") or "vod-media"
"""Has the media tools and Python."""

ENGINE = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def connect():  # type: ignore[no-untyped-def]
    from airflow.providers.docker.hooks.docker import DockerHook

    return DockerHook(docker_conn_id=None, base_url=ENGINE).api_client


def containers() -> list[str]:
    """Ids of all containers that runners of this machine have made."""
    return [found["Id"] for found in connect().containers(all=True, filters={"label": "vod-operators.host"})]
