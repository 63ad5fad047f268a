"""Turns one video into HLS. This file only connects the steps; each is an operator of ``vod_operators``.

::

    prepare -> split -> transcode[chunk] --+-> segment[track] -> publish -> release
                     |                 |---|-> pictures ------------^
                     -> audio[track] --+                            |
                     -> text ---------------------------------------+

With a preset that asks for a quality, two steps come before ``transcode`` and one after it; otherwise they
are skipped::

    split -> analyse[part] -> choose -> transcode[chunk] -> correct[chunk] -> segment[track]

Start it with the trigger form in the UI, over REST (``POST /api/v2/dags/vod_transcode/dagRuns``), or with
``vod submit``. The params are the fields of the form and of the request's ``conf`` alike.

``vod_transcode_bulk`` is the same DAG for ``vod_ingest`` and ``vod_reencode``. Few of its
runs are active at a time, and none of its tasks starts while a task of ``vod_transcode`` waits for a slot.
Pause it to stop it from starting tasks.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, get_parsing_context, task

from vod_operators import pipeline
from vod_operators.media.chapter_request import chapters_schema
from vod_operators.media.downloads import downloads_schema
from vod_operators.media.presets.catalog import preset_names
from vod_operators.media.roles import roles_schema
from vod_operators.media.subtitles import URI_PATTERN, URL_PATTERN, files_schema, schema_pattern
from vod_operators.operators.analyse import VodAnalyseOperator
from vod_operators.operators.audio import VodEncodeAudioOperator
from vod_operators.operators.choose import VodChooseOperator
from vod_operators.operators.correct import VodCorrectChunkOperator
from vod_operators.operators.pictures import VodPicturesOperator
from vod_operators.operators.prepare import VodPrepareOperator
from vod_operators.operators.priority import Lane, lanes
from vod_operators.operators.publish import VodPublishOperator
from vod_operators.operators.release import VodReleaseOperator
from vod_operators.operators.retry import retry_args
from vod_operators.operators.segment import VodSegmentHlsOperator
from vod_operators.operators.split import VodSplitOperator
from vod_operators.operators.text import VodSegmentTextOperator
from vod_operators.operators.transcode import VodTranscodeChunkOperator
from vod_operators.settings import get_settings

SETTINGS = get_settings()

PARAMS = {
    "video_id": Param(
        type="string",
        title="Video id",
        description="Names the result, {results}/{video id}/index.m3u8. Up to 128 letters, digits, _ and -.",
        pattern=SETTINGS.video_id_schema,
        maxLength=128,
    ),
    "source": Param(
        type="string",
        title="Source",
        description="URI of the original: s3://bucket/key, https://host/path or file:///absolute/path.",
        pattern=schema_pattern(URI_PATTERN),
        maxLength=2048,
    ),
    "preset": Param(
        "h264",
        type="string",
        title="Preset",
        description="The ladder of renditions to make.",
        enum=preset_names(SETTINGS.presets_dir),
    ),
    "chunk_seconds": Param(
        None,
        type=["null", "integer"],
        title="Chunk length (s)",
        description="Target, rounded to whole segments. Empty: "
        f"{SETTINGS.chunk_seconds or 'about 120'} s, longer for very long videos.",
        minimum=1,
        maximum=3600,
    ),
    "subtitles": Param(
        [],
        type="array",
        title="Subtitle files",
        description="SubRip, WebVTT or ASS files, one object each, in addition to the source's subtitles.",
        **files_schema(),
    ),
    "roles": Param(
        {},
        type="object",
        title="Roles",
        description="What tracks of the source are for, where it does not tell: "
        '{"audio-1": "description", "text-0": "hearing_impaired"}; "commentary" and "main" besides.',
        **roles_schema(),
    ),
    "downloads": Param(
        None,
        type=["null", "array"],
        title="Downloads",
        description='Files to download, such as ["720p", "best", "audio"]. Empty: those of the preset.',
        **downloads_schema(),
    ),
    "chapters": Param(
        None,
        type=["null", "array"],
        title="Chapters",
        description='[{"start": 0, "title": "Opening"}], seconds from the first picture. Empty: those of the '
        "source, if the preset asks for them.",
        **chapters_schema(),
    ),
    "verify": Param(
        False,
        type="boolean",
        title="Verify",
        description="Read all stored files of the video, and make damaged ones again.",
    ),
    "estimate": Param(
        False,
        type="boolean",
        title="Only estimate",
        description="Estimate time, CPU, bytes and price, and make nothing.",
    ),
    "callback_url": Param(
        None,
        type=["null", "string"],
        title="Callback URL",
        description="Gets an HTTP POST of JSON when the work begins, and one with its outcome.",
        pattern=schema_pattern(URL_PATTERN),
        maxLength=2048,
    ),
    "source_conn_id": Param(
        None,
        type=["null", "string"],
        title="Connection of the source",
        description="Airflow connection with the credentials for the source's web server.",
        maxLength=250,
    ),
    "callback_conn_id": Param(
        None,
        type=["null", "string"],
        title="Connection of the callback",
        description="Airflow connection with the callback's URL, or with the credentials for it.",
        maxLength=250,
    ),
}
for param in PARAMS.values():
    # Airflow validates the schemas themselves whenever a task begins; with this draft it takes a third of the
    # time.
    param.schema["$schema"] = "http://json-schema.org/draft-07/schema#"


@task(task_id=pipeline.TRACKS_KEY, trigger_rule=TriggerRule.NONE_FAILED)  # most presets skip ``choose``
def made_tracks(planned: list[dict[str, str]], ti: Any = None) -> list[dict[str, str]]:
    """The tracks that are made, returned by a task, because Airflow maps only over what a task returns."""
    return ti.xcom_pull(task_ids=pipeline.CHOOSE, key=pipeline.TRACKS_KEY) or planned


@task(task_id=pipeline.PARTS)
def analysed_parts(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts of the analysis. ``prepare`` has it skipped if there are none, and so the steps behind it."""
    return parts


def prepare_operator() -> VodPrepareOperator:
    """The first task, which takes the run's params."""
    return VodPrepareOperator(
        task_id=pipeline.PREPARE,
        conf_keys=tuple(PARAMS),
        video_id="{{ params.video_id }}",
        source="{{ params.source }}",
        preset="{{ params.preset }}",
        chunk_seconds="{{ params.chunk_seconds or '' }}",
        subtitles="{{ params.subtitles | tojson }}",
        roles="{{ params.roles | tojson }}",
        downloads="{{ params.downloads | tojson }}",
        chapters="{{ params.chapters | tojson }}",
        callback_url="{{ params.callback_url or '' }}",
        source_conn_id="{{ params.source_conn_id or '' }}",
        callback_conn_id="{{ params.callback_conn_id or '' }}",
        verify="{{ params.verify }}",
        estimate="{{ params.estimate }}",
    )


def one_video(lane: Lane) -> None:
    """Add the tasks of one video to the current DAG."""
    encoding = {"queue": SETTINGS.transcode_queue} | lane.encoding_args

    prepare = prepare_operator()
    plan = prepare.output["plan"]
    parts = analysed_parts(prepare.output[pipeline.PARTS])

    source = "{{ params.source }}"
    split = VodSplitOperator(task_id=pipeline.SPLIT, plan=plan, source=source)
    analyse = VodAnalyseOperator.partial(
        task_id=pipeline.ANALYSE,
        plan=plan,
        source=source,
        map_index_template="{{ task.part.label }}",
        **encoding,
    ).expand(part=parts)
    choose = VodChooseOperator(task_id=pipeline.CHOOSE, plan=plan)
    tracks = made_tracks(prepare.output[pipeline.TRACKS_KEY])
    transcode = VodTranscodeChunkOperator.partial(
        task_id=pipeline.TRANSCODE,
        plan=plan,
        source=source,
        map_index_template="{{ task.chunk.label }}",
        trigger_rule=TriggerRule.NONE_FAILED,  # most presets skip ``choose``
        **encoding,
    ).expand(chunk=split.output)
    correct = VodCorrectChunkOperator.partial(
        task_id=pipeline.CORRECT,
        plan=plan,
        source=source,
        map_index_template="{{ task.chunk.label }}",
        **encoding,
    ).expand(chunk=choose.output)
    audio = VodEncodeAudioOperator.partial(
        task_id=pipeline.AUDIO,
        plan=plan,
        source=source,
        map_index_template="{{ task.track.label }}",
        **encoding,
    ).expand(track=prepare.output)
    segment = VodSegmentHlsOperator.partial(
        task_id=pipeline.SEGMENT,
        plan=plan,
        map_index_template="{{ task.track.label }}",
        trigger_rule=TriggerRule.NONE_FAILED,  # a silent video skips ``audio``
    ).expand(track=tracks)
    text = VodSegmentTextOperator(task_id=pipeline.TEXT, plan=plan)
    pictures = VodPicturesOperator(task_id=pipeline.PICTURES, plan=plan)
    publish = VodPublishOperator(
        task_id=pipeline.PUBLISH,
        plan=plan,
        trigger_rule=TriggerRule.NONE_FAILED,  # no subtitles skip ``text``, no video skips ``pictures``
    )
    release = VodReleaseOperator(
        task_id=pipeline.RELEASE,
        video_id="{{ params.video_id }}",
        callback_url="{{ params.callback_url or '' }}",
        callback_conn_id="{{ params.callback_conn_id or '' }}",
        result=publish.output,
        estimate="{{ params.estimate }}",
    )

    split >> [audio, text]
    # A skipped ``parts`` skips these three at once, so that they never delay a video without them.
    parts >> [analyse, choose, correct]
    split >> analyse >> choose >> transcode >> correct
    choose >> tracks
    transcode >> pictures
    [transcode, correct, audio] >> segment
    [segment, text, pictures] >> publish
    # The teardown waits for all tasks and not only for ``publish``, because a failed chunk fails ``publish``
    # at once, while other chunks are still being encoded.
    steps = [
        prepare, parts, split, analyse, choose, tracks, transcode, correct,
        audio, text, pictures, segment, publish,
    ]  # fmt: skip
    steps >> release.as_teardown(on_failure_fail_dagrun=True)


def dag_of(lane: Lane) -> DAG:
    """The DAG of one lane."""
    with DAG(
        dag_id=lane.dag_id,
        description=lane.name,
        schedule=None,
        params=PARAMS,
        doc_md=__doc__,
        tags=["vod"],
        max_active_runs=lane.max_active_runs,
        is_paused_upon_creation=False,  # it only runs when it is triggered
        default_args=retry_args()
        | lane.task_args
        | {"execution_timeout": timedelta(seconds=SETTINGS.task_timeout_s)},
    ) as dag:
        one_video(lane)
    return dag


only_dag = get_parsing_context().dag_id  # set in a task's process, which needs only its own DAG
DAGS = [dag_of(lane) for lane in lanes(SETTINGS) if only_dag in (None, lane.dag_id)]
