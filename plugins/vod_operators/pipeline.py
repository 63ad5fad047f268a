"""Names of the DAGs that make a video and of their steps, for what starts, follows or reports on a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

DAG_ID = "vod_transcode"
BULK_DAG_ID = "vod_transcode_bulk"
"""The same DAG for ingest and re-encoding, behind the first."""

MANAGE_DAG_ID = "vod_manage"
"""Verifies, repairs, rolls back or deletes one published video."""

MANAGE = "manage"
"""The only task of ``MANAGE_DAG_ID``."""

OUTCOME_KEY = "outcome"
"""XCom of ``MANAGE``: what came of the action, in one sentence."""

ESTIMATE_KEY = "estimate"
"""XCom of ``PREPARE``: what the run will take (``media.cost.Estimate``), and in ``words``, one line."""

TRACKS_KEY = "tracks"
"""XCom of ``PREPARE`` and ``CHOOSE``: the tracks that may be made, and those that are."""

PARTS = "parts"
"""Task, and XCom of ``PREPARE``: what the analysis is mapped over."""

PREPARE = "prepare"
SPLIT = "split"
ANALYSE = "analyse"
CHOOSE = "choose"
TRANSCODE = "transcode"
CORRECT = "correct"
AUDIO = "audio"
TEXT = "text"
PICTURES = "pictures"
SEGMENT = "segment"
PUBLISH = "publish"
RELEASE = "release"

STEPS = (
    PREPARE, SPLIT, ANALYSE, CHOOSE, TRANSCODE, CORRECT, AUDIO, TEXT, PICTURES, SEGMENT, PUBLISH, RELEASE,
)  # fmt: skip
"""Task ids in this order; the operator of each is in the module of that name."""

ENCODING = (ANALYSE, TRANSCODE, CORRECT, AUDIO)
"""Steps whose tasks encode for minutes and report their progress."""

OPTIONAL = (ANALYSE, CHOOSE, CORRECT)
"""Steps that are skipped, and then not shown, unless the preset asks for a quality."""

MAX_MAP_LENGTH = 1024
"""Most mapped instances of a task: Airflow's default of ``[core] max_map_length``."""

WEIGHTS: Mapping[str, int] = {
    PREPARE: 2,
    SPLIT: 3,
    ANALYSE: 8,
    TRANSCODE: 80,
    CORRECT: 8,
    AUDIO: 4,
    PICTURES: 1,
    SEGMENT: 7,
    TEXT: 1,
    PUBLISH: 2,
}
"""Task id -> its share of a run, which the instances of a mapped task divide; 100 without ``OPTIONAL``."""


def percent_done(parts: Mapping[str, Sequence[float]]) -> float:
    """How much of a run is done, in percent, 0 to 99.

    :param parts: task id -> how much of each instance is done, 0 to 1; without ``OPTIONAL`` steps that are
        skipped.
    """
    done = sum(
        weight * sum(part) / len(part) for task, weight in WEIGHTS.items() if (part := parts.get(task))
    )
    whole = sum(weight for task, weight in WEIGHTS.items() if task not in OPTIONAL or parts.get(task))
    return min(99.0, 100 * done / whole)
