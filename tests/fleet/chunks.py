"""Every task instance of every run, with the moments at which the scheduler decided about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from support.real_airflow import RealAirflow

PAGE = 100


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One chunk's way through the scheduler; times in ISO 8601, all UTC, so they sort."""

    dag_id: str
    run_id: str
    map_index: int
    asked: str
    """When its run was."""
    scheduled: str
    """When it could have been given a slot."""
    queued: str
    """When it was given one."""
    started: str

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Who is to be next: the smallest. (So among runs that were asked for within some minutes.)"""
        return self.dag_id == "vod_transcode_bulk", self.map_index, self.asked


def instances(airflow: RealAirflow, task_id: str) -> list[dict[str, Any]]:
    """As the REST API tells them."""
    found: list[dict[str, Any]] = []
    while True:
        body = {"task_ids": [task_id], "page_limit": PAGE, "page_offset": len(found)}
        page = airflow.call("POST", "/dags/~/dagRuns/~/taskInstances/list", body, patience_s=60)
        items = page.raise_for_status().json()["task_instances"]
        found += items
        if len(items) < PAGE:
            return found


def turns(airflow: RealAirflow) -> list[Turn]:
    """Of all chunks that have been given a slot, in that order."""
    found = [
        Turn(
            dag_id=item["dag_id"],
            run_id=item["dag_run_id"],
            map_index=item["map_index"],
            asked=item["run_after"],
            scheduled=item["scheduled_when"],
            queued=item["queued_when"],
            started=item["start_date"],
        )
        for item in instances(airflow, "transcode")
        if item["queued_when"] and item["start_date"] and item["map_index"] >= 0
    ]
    return sorted(found, key=lambda turn: turn.queued)


def passed_over(turns: list[Turn]) -> list[tuple[Turn, Turn]]:
    """Pairs: a chunk that got a slot, and one that waited for it at that moment and should have got it."""
    return [
        (taken, waiting)
        for taken in turns
        for waiting in turns
        if waiting.rank < taken.rank and waiting.scheduled < taken.queued < waiting.queued
    ]
