"""Documents of what is chosen for a video: ``choose`` and ``correct`` write them, later steps read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vod_operators.errors import LostWorkError
from vod_operators.media.choice import Choice, WindowScores
from vod_operators.media.models import Plan, Timeline
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
    """Store what was chosen, and the step's marker. What an earlier choice had corrected is forgotten."""
    keys = job.work_keys
    temp.delete(keys.marker(CORRECT))
    stored = checkpoint.write_hashed(temp, keys.choice, [checkpoint.seal(choice)])
    checkpoint.save(temp, keys.marker(CHOOSE), Marker(objects={"choice": stored}))


def with_choice(temp: Storage, job: Job) -> Job:
    """The job with the plan as it was chosen for this video.

    :raises LostWorkError: the choice is gone or damaged.
    """
    if not job.plan.is_open:
        return job
    return job.model_copy(update={"plan": job.plan.chosen(read_choice(temp, job))})


CRFS = "crf"
"""Field of a chunk's facts: rendition -> CRF, where it was chosen for the video; else absent."""


def is_made(done: Marker | None, plan: Plan, names: Collection[str]) -> bool:
    """Whether a chunk is encoded as the plan says now.

    A lost choice that is made again, by another release perhaps, may differ from the one that chunks were
    encoded with. They are then encoded again: the renditions of one video must fit together.

    :param done: the chunk's marker.
    :param names: the renditions that are encoded.
    """
    return done is not None and done.facts.get(CRFS) in (None, crfs_of(plan, names))


def crfs_of(plan: Plan, names: Collection[str]) -> dict[str, float]:
    """The CRF of those renditions."""
    return {made.name: made.crf for made in plan.renditions if made.name in names}


def require_crf(what: str, found: float | None, crf: float | None) -> None:
    """Refuse what was made for another choice.

    :param found: the CRF that it was made with; None if that was not recorded.
    :param crf: the CRF that is chosen; None if it was left to the preset.
    :raises LostWorkError: they differ.
    """
    if None not in (found, crf) and found != crf:
        raise LostWorkError(
            f"{what} was made with CRF {found:g}, and CRF {crf:g} is chosen for this video now: the choice "
            "was lost and came out otherwise; clear the run, and what differs is made again"
        )


def final_crfs(temp: Storage, job: Job) -> dict[str, float]:
    """Rendition -> CRF of all that are published, as corrected; empty if the plan leaves nothing open.

    :param job: with the plan as it was chosen.
    :raises LostWorkError: what was corrected is not recorded.
    """
    if not job.plan.is_open:
        return {}
    return crfs_of(job.plan, {made.name for made in job.plan.renditions}) | corrections_of(temp, job)


def outdated(temp: Storage, results: Storage, job: Job) -> str | None:
    """Why a job's version may hold other tracks than those that are chosen; None if it cannot.

    A version's files never change, because players and caches may hold them. So a version whose choice is
    lost cannot be continued once a track of it is there.

    :param job: with its plan as it was before the choice.
    """
    if not job.plan.is_open:
        return None
    markers = checkpoint.load_markers(temp, [job.segmented(made.name) for made in job.plan.renditions])
    tracks = {marker.facts["name"]: marker.facts.get("crf") for marker in markers if marker is not None}
    if not tracks and results.stat(job.result_keys.version_metadata(job.version)) is None:
        return None
    try:
        crfs = final_crfs(temp, with_choice(temp, job))
    except LostWorkError as error:
        return str(error)
    for name, crf in tracks.items():
        if name not in crfs:
            return f"{name} was made, and is left out of this video now"
        if crf not in (None, crfs[name]):
            return f"{name} was made with CRF {crf:g} instead of {crfs[name]:g}"
    return None


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

    :raises LostWorkError: a chunk's marker is missing, or of another choice.
    """
    windows: dict[str, list[WindowScore]] = {}
    crfs = crfs_of(job.plan, {made.name for made in job.plan.renditions})
    uris = [job.work_keys.marker(chunk.name) for chunk in timeline.chunks]
    for uri, marker in zip(uris, checkpoint.load_markers(temp, uris), strict=True):
        if marker is None:
            raise LostWorkError(
                f"{uri} is missing: {TRANSCODE} has not run, or its result was lost; clear the run"
            )
        for name, crf in marker.facts.get(CRFS, {}).items():
            require_crf(f"{name} of {uri}", crf, crfs.get(name))
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
