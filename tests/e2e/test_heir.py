"""A run that meets another's claim takes it if Airflow has that run as over, else it is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from vod_operators.errors import ClaimedError, InvalidInputError
from vod_operators.storage import claim
from vod_operators.storage.keys import claim_key
from vod_operators.storage.local import LocalStorage

ASKED = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)


def another_run(state: str) -> str:
    """Put a run into Airflow's database; returns its id."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with create_session() as session:
        session.query(DagRun).filter(DagRun.run_id == "other").delete()
        session.add(
            DagRun(
                dag_id="vod_transcode",
                run_id="other",
                logical_date=None,
                run_after=ASKED,
                start_date=ASKED,
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state=state,
            )
        )
    return "other"


@pytest.mark.parametrize(
    ("state", "asked", "is_taken"),
    [
        ("failed", ASKED, True),
        ("success", ASKED, True),
        ("running", ASKED, False),
        ("queued", ASKED, False),
        ("failed", ASKED + timedelta(microseconds=1), False),  # another Airflow's, of the same name
        ("unknown", ASKED, False),
    ],
)
def test_a_claim_goes_over_when_its_run_is(
    run_dag: Callable[..., Any], stores: Path, tmp_path: Path, state: str, asked: datetime, is_taken: bool
) -> None:
    uri = claim_key((stores / "tmp").as_uri(), "film")
    run_id = "deleted" if state == "unknown" else another_run(state)
    owner = f"vod_transcode/{run_id}"
    claim.hold(LocalStorage(), uri, owner=owner, ttl_s=600, holder=f"run {asked.isoformat()} 0")
    source = tmp_path / "no-video.mp4"
    source.write_bytes(b"words, " * 1000)  # found out when the video is held: nothing more is worked on

    run = run_dag(video_id="film", source=source.as_uri())

    assert run.state == "failed"
    assert isinstance(run.errors["prepare"], InvalidInputError if is_taken else ClaimedError)
    held = claim.read_claim(LocalStorage(), uri)
    assert (held and held.owner) == (None if is_taken else owner)
