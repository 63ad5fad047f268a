"""Once a day: removes files that are no longer needed from the temp and the results store.

These are intermediate files of videos to which nothing was written during the grace period, versions that
were replaced before it, and unfinished uploads of killed writers. It never removes anything of a video that
a run is working on, or the version that the stable playlist points to.

Trigger it with *Dry run* to see what it would remove.
"""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.sdk import Param, dag

from vod_operators.operators.janitor import VodJanitorOperator
from vod_operators.operators.retry import retry_args
from vod_operators.settings import get_settings

PARAMS = {
    "dry_run": Param(False, type="boolean", title="Dry run", description="Only list what would be removed."),
    "grace_hours": Param(
        None,
        type=["null", "number"],
        title="Grace (h)",
        description=f"Hours for which unneeded files are kept. Empty: {get_settings().grace_hours}.",
        minimum=0,
    ),
}


@dag(
    dag_id="vod_janitor",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    doc_md=__doc__,
    tags=["vod"],
    default_args=retry_args(),
)
def vod_janitor() -> None:
    VodJanitorOperator(
        task_id="clean",
        conf_keys=tuple(PARAMS),
        is_dry_run="{{ params.dry_run }}",
        grace_hours="{{ '' if params.grace_hours is none else params.grace_hours }}",
    )


vod_janitor()
