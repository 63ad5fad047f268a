"""Encodes a list or a folder of videos again, each by a run of ``vod_transcode_bulk``, with another preset.

Viewers get the old version of a video until its new one is complete. ``VOD_BULK_RUNS`` videos are encoded at
a time, and requests of people take precedence. Trigger it again to continue: videos that are published with
that preset are left out, and failed ones are started again.
"""

from __future__ import annotations

from airflow.sdk import Param, dag

from vod_operators.media.presets.catalog import preset_names
from vod_operators.media.subtitles import schema_pattern
from vod_operators.operators.ingest import VodReencodeOperator
from vod_operators.operators.retry import retry_args
from vod_operators.settings import get_settings

FOLDER_PATTERN = r"^(s3|file)://[^\x00-\x1f\x7f]+$"

PARAMS = {
    "preset": Param(
        type="string",
        title="Preset",
        description="The ladder of renditions to make.",
        enum=preset_names(get_settings().presets_dir),
    ),
    "prefix": Param(
        None,
        type=["null", "string"],
        title="Folder",
        description="All originals below this folder: s3://bucket/prefix or file:///path.",
        pattern=schema_pattern(FOLDER_PATTERN),
        maxLength=2048,
    ),
    "videos": Param(
        [],
        type="array",
        items={"type": "string"},
        title="Videos",
        description="Single videos, one a line: the source's URI, or a video id and the URI.",
    ),
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Only list the videos; start no run."
    ),
}


@dag(
    dag_id="vod_reencode",
    schedule=None,
    is_paused_upon_creation=False,  # it only runs when it is triggered
    params=PARAMS,
    doc_md=__doc__,
    tags=["vod"],
    default_args=retry_args(),
)
def vod_reencode() -> None:
    VodReencodeOperator(
        task_id="ask",
        conf_keys=tuple(PARAMS),
        preset="{{ params.preset }}",
        prefix="{{ params.prefix or '' }}",
        videos="{{ params.videos | tojson }}",
        is_dry_run="{{ params.dry_run }}",
    )


vod_reencode()
