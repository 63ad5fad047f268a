"""Once a day: starts a run of ``vod_transcode_bulk`` for each new original below ``VOD_INGEST_URI``.

A run takes the originals of its data interval: by the date in their keys (``VOD_INGEST_PATTERN``), or by
their modification time. Originals that are already published with the same preset are left out; failed ones
are started again. So a run may be repeated at any time. To take older originals, use
``airflow backfill create --dag-id vod_ingest --from-date ... --to-date ...``.
"""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.sdk import CronDataIntervalTimetable, Param, dag

from vod_operators.media.presets.catalog import preset_names
from vod_operators.operators.ingest import VodIngestOperator
from vod_operators.operators.retry import retry_args
from vod_operators.settings import get_settings

SETTINGS = get_settings()

PARAMS = {
    "preset": Param(
        SETTINGS.ingest_preset,
        type="string",
        title="Preset",
        description="The ladder of renditions to make.",
        enum=preset_names(SETTINGS.presets_dir),
    ),
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Only list the videos; start no run."
    ),
}


@dag(
    dag_id="vod_ingest",
    schedule=CronDataIntervalTimetable(SETTINGS.ingest_schedule, timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=4,
    params=PARAMS,
    doc_md=__doc__,
    tags=["vod"],
    default_args=retry_args(),
)
def vod_ingest() -> None:
    VodIngestOperator(
        task_id="ask",
        conf_keys=tuple(PARAMS),
        prefix=SETTINGS.ingest_uri or "",
        pattern=SETTINGS.ingest_pattern or "",
        preset="{{ params.preset }}",
        begin="{{ dag_run.data_interval_start or '' }}",
        end="{{ dag_run.data_interval_end or '' }}",
        is_dry_run="{{ params.dry_run }}",
    )


vod_ingest()
