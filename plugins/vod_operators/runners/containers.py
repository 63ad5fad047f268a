"""The container that one media tool runs in: how it is created, what it may do, and who removes it.

It has no network and no capabilities, runs as the worker's own user, and writes to the work folder only. A
hostile video that takes over a decoder stays inside.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vod_operators import processes
from vod_operators.errors import EngineError, InvalidInputError
from vod_operators.runners.base import ENVIRONMENT, ToolLimits

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types import Mount

LABEL = "vod-operators."
"""Prefix of our containers' labels."""

PIDS = 1024

STOPPED_AND_OLD = "24h"
"""A stopped container of this age belongs to no running task of any host: tasks end much sooner."""

GUARD = """\
exec 3<&0
"$@" </dev/null 3<&- &
tool=$!
{ read -r _ <&3; kill -s KILL "$tool"; } &
exec 3<&- 2>/dev/null
wait "$tool"
"""
"""Process 1 of the container. It starts the command, and a reader of the pipe from the task. However the task
ends, the pipe closes, and the reader kills the command. When process 1 ends, the kernel kills all others in
the container."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """What each container is created with."""

    image: str
    """With a tag or, better, a digest. It is never pulled."""
    cpus: float | None = None
    """CPUs that it may use at once; None: all."""
    memory: str | None = None
    """Most memory, as Docker writes it: ``4g``; None: all."""
    gpus: str | None = None
    """``all`` or a number; None: no GPU."""
    labels: Mapping[str, str]
    """The task that it runs for; keys without ``LABEL``."""


def create(
    api: APIClient, container: Container, argv: Sequence[str], folder: Path, limits: ToolLimits
) -> str:
    """Create a container that will run the command in the folder and nothing else; returns its id."""
    from docker.types import LogConfig

    created = api.create_container(
        image=container.image,
        entrypoint=["/bin/sh", "-c", GUARD, "sh"],
        command=list(argv),
        user=f"{os.getuid()}:{os.getgid()}",
        working_dir=str(folder),
        stdin_open=True,
        network_disabled=True,
        # The worker's variables hold secrets. Besides these, only the image's own are set.
        environment={**ENVIRONMENT, "TMPDIR": str(folder)},
        labels={LABEL + key: value for key, value in {**container.labels, **_me()}.items()},
        # Nobody reads the image's health check, and each probe starts a process.
        healthcheck={"test": ["NONE"]},
        host_config=api.create_host_config(
            network_mode="none",
            read_only=True,
            mounts=_mounts(folder),
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            group_add=[str(group) for group in os.getgroups()],
            pids_limit=PIDS,
            ulimits=_ulimits(limits),
            nano_cpus=round(container.cpus * 1e9) if container.cpus else None,
            mem_limit=container.memory,
            memswap_limit=container.memory,  # memory and swap together, so no swap
            device_requests=_gpus(container.gpus),
            # A list of packets has a million lines: the engine must not log them.
            log_config=LogConfig(type="none"),
        ),
    )
    return str(created["Id"])


def reap(api: APIClient) -> None:
    """Remove the containers that dead tasks of this host left behind."""
    me = _me()
    labels = [f"{LABEL}host={me['host']}"]
    for container in api.containers(all=True, filters={"label": labels}):
        if processes.is_dead(container["Labels"].get(f"{LABEL}process", "")):
            with suppress(Exception):  # another task was quicker
                api.remove_container(container["Id"], v=True, force=True)
    # Tasks of other hosts (workers in containers on this engine) cannot be seen: remove only what is old.
    api.prune_containers(filters={"label": [f"{LABEL}host"], "until": STOPPED_AND_OLD})  # type: ignore[no-untyped-call]


def _me() -> dict[str, str]:
    """This process, and the host on which its number is valid (see ``processes.host``)."""
    return {"host": processes.host(), "process": processes.number(os.getpid())}


def _mounts(folder: Path) -> list[Mount]:
    """The work folder, and read-only what links in it point to: objects of a store on this host's disk."""
    from docker.types import Mount

    if folder == Path("/"):  # for a command that has no files
        return []
    links = {os.readlink(entry): os.path.realpath(entry) for entry in folder.iterdir() if entry.is_symlink()}
    return [
        Mount(target=str(folder), source=str(folder), type="bind"),
        *(Mount(target=to, source=real, type="bind", read_only=True) for to, real in links.items()),
    ]


def _ulimits(limits: ToolLimits) -> list[Any]:
    from docker.types import Ulimit

    names = {resource.RLIMIT_CORE: "core", resource.RLIMIT_FSIZE: "fsize", resource.RLIMIT_DATA: "data"}
    return [Ulimit(name=names[number], soft=limit, hard=limit) for number, limit in limits.rlimits()]


def _gpus(gpus: str | None) -> list[Any] | None:
    from docker.types import DeviceRequest

    if gpus is None:
        return None
    # ``video`` adds NVENC and NVDEC; ``gpu`` alone gives only compute.
    capabilities = [["gpu", "compute", "utility", "video"]]
    return [DeviceRequest(count=-1 if gpus == "all" else int(gpus), capabilities=capabilities)]


@contextmanager
def in_words(container: Container, folder: Path) -> Iterator[None]:
    """Around calls to the engine: raises its errors as ours.

    :raises InvalidInputError: the image, the folder or a GPU is missing, or the engine refuses the container.
    :raises EngineError: the engine fails or does not answer.
    """
    from docker.errors import APIError, DockerException, ImageNotFound
    from requests import RequestException

    try:
        yield
    except ImageNotFound as error:
        raise InvalidInputError(
            f"VOD_DOCKER_IMAGE: the Docker engine has no image {container.image!r}, and it is not pulled "
            f"for you: docker pull {container.image}"
        ) from error
    except APIError as error:
        reason = str(error.explanation or error)
        if "bind source path does not exist" in reason:
            raise InvalidInputError(
                f"the Docker engine does not see {folder}: {reason}; VOD_WORK_DIR and the stores on "
                "disk must have the same path for the engine as for the worker"
            ) from error
        if "could not select device driver" in reason:
            raise InvalidInputError(
                f"VOD_DOCKER_GPUS={container.gpus}: this Docker engine offers no GPU: {reason}"
            ) from error
        if error.response is not None and error.response.status_code == 400:
            raise InvalidInputError(f"the Docker engine refuses the container: {reason}") from error
        raise EngineError(f"the Docker engine failed: {reason}") from error
    except (DockerException, RequestException, OSError) as error:
        raise EngineError(f"the Docker engine does not answer: {error}") from error
