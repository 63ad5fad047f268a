"""The container that one media tool runs in: how it is made, what it may, and who removes it.

No network, no capability, no writable file system but the work folder, the worker's own user: what a
hostile video makes of a decoder stays in there.
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
"""Prefix of the labels of every container of ours."""

PIDS = 1024

STOPPED_AND_OLD = "24h"
"""Age from which on a stopped container of anyone's is nobody's; a task is stopped long before."""

GUARD = """\
exec 3<&0
"$@" </dev/null 3<&- &
tool=$!
{ read -r _ <&3; kill -s KILL "$tool"; } &
exec 3<&- 2>/dev/null
wait "$tool"
"""
"""Process 1 of the container: runs the command, and a reader of the pipe from the task. The task's end,
however it comes, is the pipe's end. When process 1 ends, the kernel ends all others in the container."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """What each container is made of."""

    image: str
    """With a tag or, better, a digest. It is not pulled."""
    cpus: float | None = None
    """How many it may use at once; None for all."""
    memory: str | None = None
    """As Docker writes it: ``4g``; None for all."""
    gpus: str | None = None
    """``all`` or a number; None for none."""
    labels: Mapping[str, str]
    """Who it is for, without the prefix."""


def create(api: APIClient, wanted: Container, argv: Sequence[str], folder: Path, limits: ToolLimits) -> str:
    """A container that will run the command in the folder and nothing else; returns its id."""
    from docker.types import LogConfig

    created = api.create_container(
        image=wanted.image,
        entrypoint=["/bin/sh", "-c", GUARD, "sh"],
        command=list(argv),
        user=f"{os.getuid()}:{os.getgid()}",
        working_dir=str(folder),
        stdin_open=True,
        network_disabled=True,
        # Nothing of the worker's, and of the image's own only what the image says.
        environment={**ENVIRONMENT, "TMPDIR": str(folder)},
        labels={LABEL + key: value for key, value in {**wanted.labels, **_me()}.items()},
        # Nothing asks for the image's own idea of health, and a probe is a process each time.
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
            nano_cpus=round(wanted.cpus * 1e9) if wanted.cpus else None,
            mem_limit=wanted.memory,
            memswap_limit=wanted.memory,  # both together: no swap
            device_requests=_gpus(wanted.gpus),
            # A list of packets has a million lines; they go to us and nowhere else.
            log_config=LogConfig(type="none"),
        ),
    )
    return str(created["Id"])


def reap(api: APIClient) -> None:
    """Remove the containers of tasks of this host that are no more."""
    me = _me()
    mine = [f"{LABEL}host={me['host']}"]
    for container in api.containers(all=True, filters={"label": mine}):
        if processes.is_dead(container["Labels"].get(f"{LABEL}process", "")):
            with suppress(Exception):  # another task was quicker
                api.remove_container(container["Id"], v=True, force=True)
    # Of other hosts of the same engine, that is workers in containers, only what stopped long ago.
    api.prune_containers(filters={"label": [f"{LABEL}host"], "until": STOPPED_AND_OLD})  # type: ignore[no-untyped-call]


def _me() -> dict[str, str]:
    """The host, as far as process numbers are the same there, and this process on it."""
    return {"host": processes.host(), "process": processes.number(os.getpid())}


def _mounts(folder: Path) -> list[Mount]:
    """The work folder, and to read only what links in it lead to: objects of a store on this host's disk."""
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
    return [Ulimit(name=names[number], soft=most, hard=most) for number, most in limits.rlimits()]


def _gpus(gpus: str | None) -> list[Any] | None:
    from docker.types import DeviceRequest

    if gpus is None:
        return None
    # ``video`` is NVENC and NVDEC; ``gpu`` alone brings only what computes.
    capabilities = [["gpu", "compute", "utility", "video"]]
    return [DeviceRequest(count=-1 if gpus == "all" else int(gpus), capabilities=capabilities)]


@contextmanager
def in_words(container: Container, folder: Path) -> Iterator[None]:
    """Around calls to the engine: its errors as ours."""
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
                f"VOD_DOCKER_GPUS={container.gpus}: this Docker engine has no GPU to give: {reason}"
            ) from error
        if error.response is not None and error.response.status_code == 400:
            raise InvalidInputError(f"the Docker engine refuses the container: {reason}") from error
        raise EngineError(f"the Docker engine failed: {reason}") from error
    except (DockerException, RequestException, OSError) as error:
        raise EngineError(f"the Docker engine does not answer: {error}") from error
