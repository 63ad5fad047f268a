"""The REST calls that the start of the local Airflow needs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import httpx

from local_settings import Trouble, password
from vod_operators.pipeline import DAG_ID


class Api:
    """The REST API of an Airflow, used as its admin."""

    def __init__(self, url: str) -> None:
        # Without the environment's proxies, because Airflow is on this machine.
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def healthy(self) -> bool:
        try:
            health = self._http.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(
            health.get(part, {}).get("status") == "healthy"
            for part in ("metadatabase", "scheduler", "dag_processor")
        )

    def log_in(self) -> None:
        response = self._http.post("/auth/token", json={"username": "admin", "password": password()})
        self._http.headers["Authorization"] = f"Bearer {response.raise_for_status().json()['access_token']}"

    def ensure_pool(self, name: str, slots: int) -> None:
        """Create a pool; an existing one keeps its slots, which the user may have changed."""
        description = "Encoding tasks of this host"
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        response = self._http.post("/api/v2/pools", json=body)
        if response.status_code != httpx.codes.CONFLICT:
            response.raise_for_status()

    def dag_ready(self, since: datetime) -> bool:
        """Whether the DAG can be triggered.

        :param since: older import errors are ignored, because they may be of an earlier file.
        :raises Trouble: the DAG's file cannot be imported.
        """
        if self._http.get(f"/api/v2/dags/{DAG_ID}/details").status_code == 200:
            return True
        for error in self._http.get("/api/v2/importErrors").raise_for_status().json()["import_errors"]:
            # Python 3.10 cannot parse "Z".
            seen = datetime.fromisoformat(error["timestamp"].replace("Z", "+00:00"))
            if Path(error["filename"]).stem == DAG_ID and seen > since:
                raise Trouble(f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}")
        return False
