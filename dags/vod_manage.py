"""Changes one published video. The page *Videos* triggers it; so may you.

``verify`` reads every published file and compares it with its checksum; the run fails if one is damaged.
``repair`` does the same, and starts a run of ``vod_transcode`` that remakes what is damaged.
``rollback`` points players to another version. ``delete`` removes everything of the video, for good.

``rollback`` and ``delete`` are refused while a run works on the video. The outcome is in the run's note.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, dag

from vod_operators.operators.manage import ACTIONS, VodManageOperator
from vod_operators.operators.priority import lanes
from vod_operators.operators.retry import retry_args
from vod_operators.pipeline import MANAGE, MANAGE_DAG_ID
from vod_operators.settings import get_settings

SETTINGS = get_settings()

PARAMS = {
    "action": Param(
        "verify", type="string", title="Action", description="What to do with it.", enum=list(ACTIONS)
    ),
    "video_id": Param(
        type="string",
        title="Video id",
        description="The published video.",
        pattern=SETTINGS.video_id_schema,
        maxLength=128,
    ),
    "version": Param(
        None,
        type=["null", "string"],
        title="Version",
        description="For rollback: the version to show, v-... Empty: the one before the current one.",
        maxLength=64,
    ),
    "confirm": Param(
        None,
        type=["null", "string"],
        title="Confirmation",
        description="For delete: the video id once more.",
        maxLength=128,
    ),
}

people, _ = lanes(SETTINGS)


@dag(
    dag_id=MANAGE_DAG_ID,
    schedule=None,
    is_paused_upon_creation=False,  # it only runs when it is triggered
    params=PARAMS,
    doc_md=__doc__,
    tags=["vod"],
    default_args=retry_args()
    | people.task_args  # somebody waits for it
    | {"execution_timeout": timedelta(seconds=SETTINGS.task_timeout_s)},
)
def vod_manage() -> None:
    VodManageOperator(
        task_id=MANAGE,
        conf_keys=tuple(PARAMS),
        action="{{ params.action }}",
        video_id="{{ params.video_id }}",
        version="{{ params.version or '' }}",
        confirm="{{ params.confirm or '' }}",
    )


vod_manage()
