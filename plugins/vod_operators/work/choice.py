"""Documents of what is chosen for a video: ``choose`` and ``correct`` write them, later steps read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vod_operators.errors import LostWorkError
from vod_operators.media.choice import Choice, WindowScores
from vod_operators.media.models import Timeline
from vod_operators.media.reached import miss_in_words, reached
from vod_operators.media.vmaf import Quality, WindowScore, merge
from vod_operators.pipeline import ANALYSE, CHOOSE, CORRECT, TRANSCODE
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.checkpoint import Marker
from vod_operators.work.job import Job

AGAIN = ".again"
"""Ends the names of what is encoded a second time: ``chunk-00003.again``."""


def read_choice(temp: Storage, job: Job) -> Choice:
    """What ``choose`` stored.

    :raises LostWorkError: it is gone or damaged.
    """
    with checkpoint.relying_on(temp, job.work_keys.marker(CHOOSE), step=CHOOSE):
        return checkpoint.read_document(temp, job.work_keys.choice, Choice)


def store_choice(temp: Storage, job: Job, choice: Choice) -> None:
    """Store what was chosen, and the step's marker."""
    keys = job.work_keys
    stored = checkpoint.write_hashed(temp, keys.choice, [checkpoint.seal(choice)])
    checkpoint.save(temp, keys.marker(CHOOSE), Marker(objects={"choice": stored}))


def with_choice(temp: Storage, job: Job) -> Job:
    """The job with the plan as it was chosen for this video.

    :raises LostWorkError: the choice is gone or damaged.
    """
    if not job.plan.is_open:
        return job
    return job.model_copy(update={"plan": job.plan.chosen(read_choice(temp, job))})


def read_windows(temp: Storage, job: Job, timeline: Timeline) -> list[WindowScores]:
    """What was measured in all windows.

    :raises LostWorkError: a window is missing.
    """
    uris = [job.work_keys.marker(window.name) for window in timeline.windows]
    found = []
    for uri, marker in zip(uris, checkpoint.load_markers(temp, uris), strict=True):
        if marker is None:
            raise LostWorkError(
                f"{uri} is missing: {ANALYSE} has not run, or its result was lost; clear the run"
            )
        found.append(WindowScores.model_validate(marker.facts))
    return found


def read_corrections(temp: Storage, job: Job) -> dict[str, float] | None:
    """Rendition -> CRF of those that are encoded again; None if that is not decided yet."""
    marker = checkpoint.load_marker(temp, job.work_keys.marker(CORRECT))
    return None if marker is None else dict(marker.facts["crf"])


def decide_corrections(temp: Storage, job: Job, crfs: Mapping[str, float]) -> dict[str, float]:
    """Record which renditions are encoded again, unless another task did; returns what is recorded.

    All tasks go by the first one's record. So all chunks of a rendition get the same CRF, even if another
    host's processor measures a last digit otherwise.
    """
    uri, marker = job.work_keys.marker(CORRECT), Marker(objects={}, facts={"crf": dict(crfs)})
    if temp.create(uri, checkpoint.seal(marker), content_type="application/json") is not None:
        return dict(crfs)
    recorded = read_corrections(temp, job)
    if recorded is None:  # damaged
        checkpoint.save(temp, uri, marker)
        return dict(crfs)
    return recorded


def corrections_of(temp: Storage, job: Job) -> dict[str, float]:
    """Rendition -> CRF of those that were encoded again.

    :raises LostWorkError: that is not recorded.
    """
    if not job.plan.targets:
        return {}
    recorded = read_corrections(temp, job)
    if recorded is None:
        uri = job.work_keys.marker(CORRECT)
        raise LostWorkError(f"{uri} is missing: {CORRECT} has not run, or its result was lost; clear the run")
    return recorded


def read_measured(temp: Storage, job: Job, timeline: Timeline) -> dict[str, float]:
    """Rendition -> mean VMAF of what the chunk tasks made, at its own size, by their certificates.

    :raises LostWorkError: a chunk's marker is missing.
    """
    windows: dict[str, list[WindowScore]] = {}
    uris = [job.work_keys.marker(chunk.name) for chunk in timeline.chunks]
    for uri, marker in zip(uris, checkpoint.load_markers(temp, uris), strict=True):
        if marker is None:
            raise LostWorkError(
                f"{uri} is missing: {TRANSCODE} has not run, or its result was lost; clear the run"
            )
        for name, found in marker.facts.get("quality", {}).items():
            windows.setdefault(name, []).extend(WindowScore.model_validate(item) for item in found)
    merged = {name: merge(found, job.plan.frame_rate) for name, found in windows.items()}
    return {name: found.native.mean for name, found in merged.items() if found and found.native}


def with_targets(
    temp: Storage, job: Job, quality: Mapping[str, Quality]
) -> tuple[dict[str, Quality], list[str]]:
    """The measured qualities with what came of the targets; and the targets that were missed, in sentences.

    :param quality: by name of the rendition, of the encodes that are published.
    :raises LostWorkError: what was chosen is gone.
    """
    found, missed = dict(quality), []
    if job.plan.targets:
        choice, crfs = read_choice(temp, job), corrections_of(temp, job)
        for rendition in job.plan.targets:
            measured = found.get(rendition.name)
            if measured is None or measured.native is None:
                missed.append(f"{rendition.name}: whether it has VMAF {rendition.target_vmaf:g} is not known")
                continue
            vmaf = measured.native.mean
            target = reached(rendition, choice, vmaf, crfs.get(rendition.name))
            found[rendition.name] = measured.model_copy(update={"target": target})
            if words := miss_in_words(rendition.name, vmaf, target):
                missed.append(words)
    return found, missed


def published_facts(temp: Storage, job: Job, facts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The facts of the chunks' tasks, with those of second encodes in place of the first.

    :param facts: of the tasks, in any order. Only chunks have the field ``chunk``.
    """
    if not (names := corrections_of(temp, job)):
        return list(facts)
    chunks = [one for one in facts if "chunk" in one]
    uris = [job.work_keys.marker(f"chunk-{one['chunk']:05d}{AGAIN}") for one in chunks]
    found = [one for one in facts if "chunk" not in one]
    for one, marker in zip(chunks, checkpoint.load_markers(temp, uris), strict=True):
        again = marker.facts if marker else {}
        first = {name: scores for name, scores in one.get("quality", {}).items() if name not in names}
        found.append(
            one
            | {"quality": first | again.get("quality", {})}
            | {"seconds": one["seconds"] + again.get("seconds", 0)}
        )
    return found
