"""Once a day, if you unpause it: reads some of the published videos, and compares them with their checksums.

Disks and stores lose data, and people overwrite files. The videos are divided into *Parts* groups, of which
each day's run reads one. With *Repair*, it starts a run of ``vod_transcode_bulk`` for each damaged video.
That run copies what is undamaged in the workspace, encodes the rest again, and publishes a new version.
Without *Repair*, or if the workspace is gone, the task fails, and its log names the damaged files.
"""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.sdk import Param, dag

from vod_operators.operators.retry import retry_args
from vod_operators.operators.scrub import VodScrubOperator

PARAMS = {
    "parts": Param(
        30,
        type="integer",
        title="Parts",
        description="Videos are divided into this many groups; the run's date chooses the one to read. 1: "
        "all.",
        minimum=1,
        maximum=10_000,
    ),
    "repair": Param(False, type="boolean", title="Repair", description="Start a run for each damaged video."),
}


@dag(
    dag_id="vod_scrub",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,  # some stores charge for reads
    params=PARAMS,
    doc_md=__doc__,
    tags=["vod"],
    default_args=retry_args(),
)
def vod_scrub() -> None:
    VodScrubOperator(
        task_id="read", conf_keys=tuple(PARAMS), parts="{{ params.parts }}", is_repair="{{ params.repair }}"
    )


vod_scrub()
