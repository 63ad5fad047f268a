"""Estimates before the start, what a video did cost, and the history that the next estimates learn from.

The history is in the results store, ``{results}/_history/{fingerprint of the preset}.json``: the latest
``KEPT`` publications with the preset. It is replaced on condition, so that concurrent publications lose
nothing. A history that is missing or damaged fails nothing: estimates begin anew with wide ranges.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from vod_operators.errors import CorruptObjectError, ObjectNotFoundError, VodError
from vod_operators.formats.base import Model
from vod_operators.media import cost, forecast, workload
from vod_operators.media.cost import Cost, Estimate, History, PastRun, Rates
from vod_operators.media.downloads import Download
from vod_operators.media.models import Plan, Timeline
from vod_operators.media.plan import fingerprint
from vod_operators.media.presets.model import Preset
from vod_operators.media.sampling import Sample
from vod_operators.media.track import Track
from vod_operators.pipeline import AUDIO, PREPARE, TRANSCODE
from vod_operators.settings import VodSettings
from vod_operators.storage import checkpoint
from vod_operators.storage.base import Storage
from vod_operators.storage.keys import history_key
from vod_operators.storage.replacing import replace_document
from vod_operators.work.job import Job
from vod_operators.work.stable import JSON_TYPE
from vod_operators.work.worker import Worker

KEPT = 64
"""Publications that the history of a preset keeps: 100 kB with nine rungs."""

HOSTS_KEPT = 16
"""Hosts that are told of one publication."""

CLOCKS_S = 2.0
"""By how much the clocks of two hosts may differ."""

log = logging.getLogger(__name__)

Facts = dict[str, Any]
"""The facts of a marker."""


class Estimated(Model):
    """What ``prepare`` leaves beside ``plan.json``."""

    estimate: Estimate | None
    sample: Sample | None
    """None if the source does not declare its length."""
    cpu_s: float | None
    """CPU seconds of the media tools of ``prepare``."""


def rates_of(settings: VodSettings) -> Rates:
    """What resources cost in this deployment."""
    return Rates(cpu_hour=settings.price_cpu_hour, gb_month=settings.price_gb_month)


def estimate_plan(
    worker: Worker, plan: Plan, sample: Sample | None, *, workers: int | None = None
) -> Estimate | None:
    """What a plan will take, by the deployment's history; None if its length is not known.

    :param workers: encoding tasks at a time; None: as many as earlier runs had.
    """
    history = read_history(worker.results, worker.settings, plan.preset)
    return forecast.estimate(plan, history, sample=sample, workers=workers, rates=rates_of(worker.settings))


def note_estimate(worker: Worker, job: Job, found: Estimate | None, sample: Sample | None) -> None:
    """Store the estimate in the job's workspace, unless an earlier run did. Never raises ``VodError``."""
    record = Estimated(estimate=found, sample=sample, cpu_s=worker.cpu_s)
    try:
        worker.temp.create(job.work_keys.estimate, checkpoint.seal(record), content_type=JSON_TYPE)
    except VodError as error:
        log.warning("the estimate is not kept: %s", error)


# --- what it did cost ------------------------------------------------------------------------


def cost_of(
    worker: Worker,
    job: Job,
    stored: Sequence[Track | Download],
    markers: Mapping[str, Sequence[Facts]],
    *,
    wall_s: float | None,
) -> Cost:
    """What a version cost, and what had been estimated.

    :param stored: all that the version has.
    :param markers: step -> the facts of its markers. What an earlier run had done counts too.
    """
    before = _estimated(worker, job)
    spent = {
        step: _cpu_s(facts) for step, facts in ({PREPARE: [{"cpu_s": before.cpu_s}]} | dict(markers)).items()
    }
    known = {step: seconds for step, seconds in spent.items() if seconds is not None}
    bytes_out = sum(item.size_bytes for item in stored)
    total = sum(known.values()) if known else None
    return Cost(
        cpu_s=known,
        wall_s=wall_s,
        bytes_out=bytes_out,
        money=cost.price(total, bytes_out, rates_of(worker.settings)),
        estimated=before.estimate.brief() if before.estimate else None,
    )


def _cpu_s(markers: Sequence[Facts]) -> float | None:
    """CPU seconds of a step; None if no marker tells."""
    told = [facts["cpu_s"] for facts in markers if facts.get("cpu_s") is not None]
    return round(sum(told), 3) if told else None


def _estimated(worker: Worker, job: Job) -> Estimated:
    try:
        return checkpoint.read_document(worker.temp, job.work_keys.estimate, Estimated)
    except VodError as error:
        log.info("the estimate is not known: %s", error)
        return Estimated(estimate=None, sample=None, cpu_s=None)


def past_run(
    worker: Worker,
    job: Job,
    timeline: Timeline,
    tracks: Sequence[Track],
    markers: Mapping[str, Sequence[Facts]],
    found: Cost,
    *,
    started_at: datetime | None,
) -> PastRun | None:
    """What the history keeps of a version; None if nothing was encoded."""
    work = workload.work_of(job.plan, timeline, _estimated(worker, job).sample)
    steps = {step: [f for f in markers.get(step, ()) if "ended_at" in f] for step in (TRANSCODE, AUDIO)}
    encoded = [facts for step in steps.values() for facts in step]
    if work is None or not encoded:
        return None
    begun = min(facts["ended_at"] - facts["seconds"] for facts in encoded)
    busy_s = {step: round(sum(f["seconds"] for f in facts), 3) for step, facts in steps.items()}
    span = max(facts["ended_at"] for facts in encoded) - begun
    is_whole = started_at is not None and begun >= started_at.timestamp() - CLOCKS_S
    hosts: dict[str, tuple[float, float]] = {}
    for facts in steps[TRANSCODE]:
        cpu_s, seconds = hosts.get(facts["host"], (0.0, 0.0))
        hosts[facts["host"]] = (round(cpu_s + (facts["cpu_s"] or 0), 3), round(seconds + facts["seconds"], 3))
    bytes_out = {track.name: track.size_bytes for track in tracks if track.kind == "video"}
    if sounds := [track.size_bytes for track in tracks if track.kind == "audio"]:
        bytes_out["sound"] = sum(sounds)
    video = job.plan.source.video
    return PastRun(
        version=job.version,
        at=datetime.now(timezone.utc),
        source=f"{video.width}x{video.height} {video.codec}" if video else "sound",
        work=work,
        cpu_s=found.cpu_s if TRANSCODE in found.cpu_s or not steps[TRANSCODE] else {},
        busy_s=busy_s,
        hosts=dict(list(hosts.items())[:HOSTS_KEPT]),
        wall_s=found.wall_s if is_whole else None,
        lanes=round(max(1.0, sum(busy_s.values()) / span), 2) if span > 0 else 1,
        bytes_out=bytes_out,
    )


# --- the history -----------------------------------------------------------------------------


def read_history(results: Storage, settings: VodSettings, preset: Preset) -> History:
    """The history of a preset; empty if there is none, or it cannot be read."""
    uri = history_key(settings.results_uri, fingerprint(preset))
    try:
        return _read(results, uri)
    except VodError as error:
        log.warning("estimates without a history: %s", error)
        return History()


def note_run(results: Storage, settings: VodSettings, preset: Preset, run: PastRun) -> None:
    """Add a publication to the history of its preset, or replace it. Never raises ``VodError``."""
    try:
        add_run(results, history_key(settings.results_uri, fingerprint(preset)), run)
    except VodError as error:
        log.warning("estimates learn nothing of %s: %s", run.version, error)


def add_run(results: Storage, uri: str, run: PastRun) -> None:
    """Add a publication to a history, whose oldest are dropped.

    :raises StorageError: the store failed, or other writers came first each time.
    """

    def with_run(is_there: bool) -> History:
        present = _read(results, uri) if is_there else History()
        others = [known for known in present.runs if known.version != run.version]
        return History(runs=tuple([run, *others][:KEPT]))

    replace_document(results, uri, with_run)


def _read(results: Storage, uri: str) -> History:
    """A history; empty if it is missing or damaged."""
    try:
        return checkpoint.read_document(results, uri, History)
    except ObjectNotFoundError:
        return History()
    except CorruptObjectError as error:
        log.warning("the history begins anew: %s", error)
        return History()
