"""The compose file as a project of its own, beside any that runs already."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from support.tools import ROOT

PROJECT = "vod-test"
PORTS = {"AIRFLOW_PORT": "18080", "EDGE_PORT": "18090", "S3_PORT": "18333"}
FILES = ("--file", "docker-compose.yaml", "--file", "tests/compose/cms.yaml")
AIRFLOW, EDGE, S3 = (f"http://127.0.0.1:{port}" for port in PORTS.values())
PATIENCE_S = 900

PLACES = {
    "passwords.json": ("api-server", "login"),
    "callback_secret": ("api-server", "login"),
    "upload_key": ("s3", "secrets"),
    "postgres_password": ("postgres", "secrets"),
}
"""Secret -> the service that has it, and in which folder."""

T = TypeVar("T")


def wait(what: str, look: Callable[[], T | None], seconds: float = PATIENCE_S, every_s: float = 1) -> T:
    """The first answer of ``look`` that is true."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
        time.sleep(every_s)
    return found


@dataclass
class Stack:
    """``docker compose``, and the REST API behind it."""

    knobs: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def compose(self, *words: str) -> str:
        done = subprocess.run(
            ["docker", "compose", *FILES, "--project-name", PROJECT, *words],
            cwd=ROOT,
            env={**os.environ, **PORTS, **self.knobs},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"docker compose {' '.join(words)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def containers(self, service: str) -> list[str]:
        """Names of the running ones."""
        lines = self.compose("ps", "--format", "json", service).splitlines()
        return sorted(json.loads(line)["Name"] for line in lines)

    def states(self) -> dict[str, str]:
        """Container -> health, or state and exit code of one that has none."""
        found = {}
        for line in self.compose("ps", "--all", "--format", "json").splitlines():
            one = json.loads(line)
            found[one["Name"]] = one["Health"] or f"{one['State']} {one['ExitCode']}"
        return found

    def wait_until_healthy(self) -> None:
        def healthy() -> bool:
            return all(state in ("healthy", "exited 0") for state in self.states().values())

        wait("all healthy", healthy, every_s=3)

    def uploads(self) -> Any:
        """A client of S3 with the key of who uploads originals."""
        import boto3

        key = json.loads(self.secret("upload_key"))
        return boto3.client(
            "s3",
            endpoint_url=S3,
            region_name="us-east-1",
            aws_access_key_id=key["accessKey"],
            aws_secret_access_key=key["secretKey"],
        )

    def secret(self, name: str) -> str:
        """Read where a person reads it."""
        service, folder = PLACES[name]
        return self.compose("exec", "-T", service, "cat", f"/var/lib/vod/{folder}/{name}")

    def gateway(self) -> str:
        """This machine's address as workers see it."""
        said = docker("network", "inspect", f"{PROJECT}_airflow")
        return str(json.loads(said)[0]["IPAM"]["Config"][0]["Gateway"])

    # --- what a CMS does ----------------------------------------------------------------------

    def log_in(self) -> None:
        self.token = self.token_of("admin")

    def token_of(self, user: str) -> str:
        """What a user's requests carry."""
        password = json.loads(self.secret("passwords.json"))[user]
        login = {"username": user, "password": password}
        answer = httpx.post(f"{AIRFLOW}/auth/token", json=login, timeout=60)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["access_token"])

    def api(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(
            method,
            f"{AIRFLOW}/api/v2/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=120,
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def tasks(self, run_id: str) -> list[dict[str, Any]]:
        path = f"dags/vod_transcode/dagRuns/{run_id}/taskInstances?limit=200"
        found: list[dict[str, Any]] = self.api("GET", path)["task_instances"]
        return found


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"docker {' '.join(words)}:\n{done.stderr}"
    return done.stdout


def encodes(container: str) -> bool:
    """Whether an encoder is at work in it."""
    try:
        return "libx264" in docker("top", container, "-eo", "pid,args")
    except AssertionError:  # it is not running
        return False
