"""Twenty videos, two slots: who gets the next one, told from the scheduler's own times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.chunks import instances, passed_over, turns
from support.airflows import StartAirflow
from support.clips import numbered_clip
from support.published import check_published
from support.real_airflow import RealAirflow, wait_until

pytestmark = pytest.mark.fleet

SLOTS = 2
FILM = 12
"""Chunks of the long one."""


def submit(running: RealAirflow, video_id: str, chunks: int, dag_id: str = "vod_transcode") -> str:
    conf = {
        "video_id": video_id,
        "source": numbered_clip(chunks).as_uri(),
        "preset": "tiny",
        "chunk_seconds": 1,
    }
    body = {"dag_run_id": video_id, "logical_date": None, "conf": conf}
    answer = running.call("POST", f"/dags/{dag_id}/dagRuns", body, patience_s=60)
    answer.raise_for_status()
    return video_id


def with_two_slots(airflow: StartAirflow) -> RealAirflow:
    running = airflow(parallelism=SLOTS + 3, VOD_TRANSCODE_POOL="transcode")
    for dag_id in ("vod_transcode", "vod_transcode_bulk"):
        known = f"/dags/{dag_id}/details"
        wait_until(lambda: running.call("GET", known).is_success, timeout_s=120, what=dag_id)  # noqa: B023
    running.call("POST", "/pools", {"name": "transcode", "slots": SLOTS}).raise_for_status()
    return running


def chunks_at_work(running: RealAirflow) -> int:
    return sum(item["state"] == "success" for item in instances(running, "transcode"))


def test_a_clip_behind_a_film(airflow: StartAirflow, home: Path, report: Callable[..., None]) -> None:
    """It gets the next free slot: no chunk of the film between."""
    numbered_clip(1)
    running = with_two_slots(airflow)
    submit(running, "film", FILM)
    wait_until(lambda: chunks_at_work(running) >= 2, timeout_s=300, what="the film to be under way")
    submit(running, "clip", 1)
    assert running.wait("clip", timeout_s=600) == "success"
    film_done = chunks_at_work(running) - 1
    assert running.wait("film", timeout_s=1200) == "success"

    order = turns(running)
    (clip,) = [turn for turn in order if turn.run_id == "clip"]
    between = [t for t in order if t.run_id == "film" and clip.scheduled < t.queued < clip.queued]
    behind = [t for t in order if t.run_id == "film" and t.queued > clip.queued]
    report(film_chunks=FILM, film_chunks_done_when_the_clip_was_published=film_done,
           film_chunks_between=len(between), film_chunks_behind=len(behind))  # fmt: skip
    assert not between
    assert len(behind) > FILM / 4, "the film was over too soon for this to show anything"
    check_published(home / "results" / "clip", frames=25)


def test_twenty_at_once(airflow: StartAirflow, home: Path, report: Callable[..., None]) -> None:
    """A film, fifteen others, a backfill in the other lane: in turns, and the backfill behind all of them."""
    for chunks in (FILM, 2, 1):
        numbered_clip(chunks)
    running = with_two_slots(airflow)
    bulk = [submit(running, f"old-{n}", 1, "vod_transcode_bulk") for n in range(4)]
    usual = [submit(running, "film", FILM), *(submit(running, f"video-{n}", 2) for n in range(15))]
    for run_id in usual:
        assert running.wait(run_id, timeout_s=1800) == "success"
    done = "/dags/vod_transcode_bulk/dagRuns?state=success"
    wait_until(
        lambda: running.call("GET", done).json()["total_entries"] == len(bulk),
        timeout_s=900,
        what="the backfill to end",
        every_s=2,
    )

    order = turns(running)
    assert Counter(turn.dag_id for turn in order) == {"vod_transcode": FILM + 30, "vod_transcode_bulk": 4}
    busy = _at_once(instances(running, "transcode"))
    wrong = passed_over(order)
    short = [n for n, turn in enumerate(order) if turn.run_id.startswith("video-")]
    film = [n for n, turn in enumerate(order) if turn.run_id == "film"]
    report(
        videos=len(usual) + len(bulk),
        slots=SLOTS,
        most_at_once=busy,
        chunks=len(order),
        passed_over=len(wrong),
        last_turn_of_a_short_one=short[-1],
        film_turns_before_that=sum(n < short[-1] for n in film),
        order=[f"{turn.run_id}[{turn.map_index}]" for turn in order],
    )
    assert not wrong, wrong[:5]
    assert busy == SLOTS
    for video in [*usual, *bulk]:
        check_published(
            home / "results" / video, frames=25 * (FILM if video == "film" else 2 - (video in bulk))
        )


def _at_once(items: list[dict[str, object]]) -> int:
    moments = [(str(i["start_date"]), 1) for i in items] + [(str(i["end_date"]), -1) for i in items]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most
